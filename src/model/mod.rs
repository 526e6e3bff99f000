//! Language models: where they come from, their shape, their weights and their tokenizer. Nothing here builds a graph
//! or runs one.
//!
//! Every model is read as a folder in Hugging Face's layout (`config.json`, safetensors, `tokenizer.json`); a GGUF file is read as if it
//! were one, and its weights are widened to f32 when a session takes them. The exception is a graph that another program wrote: it is
//! its own description.

mod check;
mod confidence;
mod convert;
pub mod dequantise;
mod expect;
mod family;
mod fetched;
mod files;
pub mod gguf;
mod given;
mod keys;
mod load;
mod names;
pub mod planted;
mod preset;
mod source;
mod spec;
mod supply;
mod weights;
mod widened;
mod written;

pub use confidence::Confidence;
pub use expect::{Expected, ExpectedValue};
pub use fetched::entry_name;
pub use given::GraphFile;
pub use load::{BosChoice, Model};
pub use names::{LayerNames, Linear, Norm, Outputs, WeightNames};
pub use preset::{CONTRAST, PRESETS, Preset};
pub use source::{Decoder, Source};
pub use spec::{
    Activation, LocalRotary, ModelSpec, NormKind, QueryKeyNorm, RopeScaling, Rotary, Sizes,
};
pub use supply::Supply;
pub use weights::{Store, Weights};
pub use widened::{Layout, Widened};
