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
//! | [`progress`], [`interrupt`], [`file`](mod@file), `disk`, `suggest`, `printable` | progress; Ctrl-C; hashes and atomic writes; whether a disk has room; what a misspelt name was meant to be; text that others wrote as it may be shown | `indicatif`, `ctrlc`, `sha2`, `rustix`, `strsim` |
//! | [`fetch`] | the cache, origins of files: `pip download`, the Hugging Face hub | `zip`, `hf-hub` |
//! | [`prompt`] | operations, styles, chat templates, lists, tokenization, sets of prompts | `tokenizers`, `minijinja`, `toml`, with `report` `csv` |
//! | [`graph`] | ONNX graphs as typed values, cutting, bytes | `prost` |
//! | [`model`] | shapes, weights, GGUF, presets, loading | `safetensors`, `half` |
//! | [`emit`] | a model written as its graph: layers, decoder, AF1 | |
//! | [`runtime`] | the ONNX Runtime library, devices, sessions | `ort` |
//! | [`intervene`] | CAMA tables, ablations, masks, plans | |
//! | [`stats`] | intervals and tests: functions of numbers | `statrs` |
//! | [`measure`] | what a model answers on a template under plans: means, sweeps, scores, preflight | |
//! | [`record`] | measurements with provenance, verdicts; files of them that resume and merge | `serde_json` |
//! | [`kit`] | tables and figures as plain values, and the words and columns that several views share | |
//! | [`experiment`] | the experiments, a file each: options, units, view | |
//! | [`study`] | experiments on a model: recorded, resumed, shared out | |
//! | [`gate`] | claims in a file, asked of a model, and what measurements say about them | `toml` |
//! | [`claims`] | what papers claim, in files, and what records say about it | `toml` |
//! | [`selfcheck`] | the experiments on planted models | |
//! | [`report`] | pages, pictures, lines: functions of records | `comfy-table`, `textwrap`, `csv`, `quick-junit`, `plotters`, `maud`, `base64` |
//! | [`share`] | records in the forms of collections of results | |
//! | [`cli`] | one file a verb; those of experiments come from their list | `clap`, which names the options of experiments, too |
//!
//! ```text
//! style + operands -> prompt set -> base forward with capture -> means -> replaced stream -> masked tail -> answers
//!                                                                 answers -> measurement -> record -> table | page | gate
//! ```

//! # Example
//!
//! A planted model, whose answers depend on AF1(3, 2) by construction, is asked sums; what was measured is recorded, read back and shown.
//!
//! ```
//! use af1::experiment::Af1;
//! use af1::fetch::Cache;
//! use af1::intervene::{Plan, ablation};
//! use af1::model::{BosChoice, Model};
//! use af1::record::{self, Outcome, Row};
//! use af1::report;
//! use af1::runtime::{Engine, Placement, default_threads, start};
//! use af1::study::{Asked, Request, Study};
//!
//! # fn main() -> af1::Result<()> {
//! // The library of ONNX Runtime is fetched where it is not installed.
//! let (runtime, placement) = start(Placement::default(), default_threads(), true)?;
//! let load = || {
//!     let model = Model::load("planted-af1", &BosChoice::Default, &Cache::of_user()?)?;
//!     let engine = Engine::new(runtime, placement, &model)?;
//!     Ok((model, engine))
//! };
//! let folder = tempfile::tempdir().expect("a folder for the record");
//! let request = Request {
//!     asked: Asked {
//!         style: vec!["symbolic".to_owned()],
//!         operations: vec!["A+B".parse().expect("an operation")],
//!         operands: Some("0..=19".parse().expect("a range")),
//!         ..Asked::default()
//!     },
//!     record: Some(folder.path().join("af1.jsonl")),
//!     ..Request::default()
//! };
//! let record = request.record.clone().expect("it was just named");
//! let mut study = Study::open(request, load)?;
//! let experiment = Af1 {
//!     plans: vec![Plan::af1(3, 2)],
//!     ablations: vec![ablation::CAMA, ablation::ZERO],
//! };
//! study.run(&experiment, |_| Ok(()))?;
//!
//! let lines = record::read(&record)?;
//! let Row::Measured(cama) = &lines[0].row else {
//!     panic!("the first cell was measured");
//! };
//! let verdict = cama.test.verdict.as_ref().expect("AF1 has a verdict");
//! assert_eq!(verdict.outcome, Outcome::Pass);
//! println!("{}: {}", report::terminal(&lines, report::Look::default()), verdict.reason);
//! # Ok(())
//! # }
//! ```

#![deny(missing_docs)]
// What is said may be of others: `progress::on_stderr` and `cli::output` escape it.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod claims;
pub mod cli;
mod disk;
pub mod emit;
pub mod error;
pub mod experiment;
pub mod fetch;
pub mod file;
#[doc(hidden)]
pub mod fuzz;
pub mod gate;
pub mod graph;
pub mod interrupt;
pub mod intervene;
pub mod kit;
pub mod measure;
pub mod model;
mod printable;
pub mod progress;
pub mod prompt;
pub mod record;
pub mod report;
pub mod runtime;
pub mod selfcheck;
pub mod share;
pub mod stats;
pub mod study;
mod suggest;

pub use error::{Error, Result};
