//! Graphs that another program wrote. [`Foreign::check`] finds everything that does not keep the contract (`onnx/CONTRACT.md`), each
//! with what to do about it; [`Foreign::adopt`] makes a [`Graph`](super::Graph) of one that does, which is cut and run as those that are built here.
//!
//! The operators, attributes and tensors of the graph are kept as they are; only names change. Nothing here reads weights.

mod adopt;
mod check;
mod file;
mod findings;
mod manifest;
mod wires;

pub use file::Foreign;
pub use findings::{Findings, Violation};
pub use manifest::Manifest;
