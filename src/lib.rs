//! af1 asks whether the All-for-One subgraph (AF1) is sufficient for mental arithmetic in a language model: tokens wait,
//! a few layers transfer to the last token, the last token computes alone (arXiv 2509.09650).
//!
//! A model is written as an ONNX graph with exposed attention masks and residual streams ([`emit`]), cut into segments
//! and run on ONNX Runtime ([`runtime`]). Context-aware mean ablation (CAMA) replaces the residual stream of waiting
//! tokens, attention-based peeking (ABP) restricts what later layers see ([`intervene`]).
//!
//! # Rooms, in the order in which data flows; a room uses only rooms above it
//!
//! | room | what lives there | its own dependency |
//! |---|---|---|
//! | [`error`] | the one error type, the exit codes | |
//! | [`progress`], [`interrupt`], [`file`](mod@file) | bars; Ctrl-C; hashes and atomic writes | `indicatif`, `ctrlc`, `sha2` |
//! | [`fetch`] | the cache, origins of files: `pip download`, the Hugging Face hub | `zip`, `hf-hub` |
//! | [`prompt`] | operations, styles, tokenization, sets of prompts | `tokenizers`, `toml` |
//! | [`graph`] | ONNX graphs as typed values, cutting, bytes | `prost` |
//! | [`model`] | shapes, weights, GGUF, presets, loading | `safetensors`, `half` |
//! | [`emit`] | a model written as its graph: layers, decoder, AF1 | |
//! | [`runtime`] | the ONNX Runtime library, devices, sessions | `ort` |
//! | [`intervene`] | CAMA tables, ablations, masks, plans | |
//! | [`measure`] | what a model answers on a template under plans: means, sweeps, scores, preflight | |
//! | [`experiment`] | which plans are tried, what follows from their answers | |
//! | [`stats`] | intervals and tests: functions of numbers | `statrs` |
//! | [`record`] | measurements with provenance, verdicts; files of them that resume and merge | `serde_json` |
//! | [`gate`] | claims in a file, and what measurements say about them | `toml` |
//! | [`selfcheck`] | the experiments on planted models | |
//! | [`study`] | experiments on a model: recorded, resumed, shared out | |
//! | [`report`] | tables, pages, pictures: functions of records | `comfy-table`, `csv`, `quick-junit`, `plotters`, `maud` |
//! | [`cli`] | one file a verb | `clap` |
//!
//! ```text
//! style + operands -> prompt set -> base forward with capture -> means -> replaced stream -> masked tail -> answers
//!                                                                 answers -> measurement -> record -> table | page | gate
//! ```

#![deny(missing_docs)]

pub mod cli;
pub mod emit;
pub mod error;
pub mod experiment;
pub mod fetch;
pub mod file;
pub mod gate;
pub mod graph;
pub mod interrupt;
pub mod intervene;
pub mod measure;
pub mod model;
pub mod progress;
pub mod prompt;
pub mod record;
pub mod report;
pub mod runtime;
pub mod selfcheck;
pub mod stats;
pub mod study;

pub use error::{Error, Result};
