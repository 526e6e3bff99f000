//! Language models: where they come from, their shape, their weights and their tokenizer. Nothing here builds a graph
//! or runs one.
//!
//! Every model ends as a folder in Hugging Face's layout (`config.json`, safetensors, `tokenizer.json`); a GGUF file is
//! converted to one in the cache, once.

mod convert;
pub mod dequantise;
pub mod gguf;
mod llama;
mod load;
mod mistral;
pub mod planted;
mod preset;
mod qwen;
mod spec;
mod weights;

pub use load::{Bos, BosChoice, Model, entry_name};
pub use preset::{Origin, PRESETS, Preset};
pub use spec::{Family, ModelSpec, RopeScaling};
pub use weights::Weights;
