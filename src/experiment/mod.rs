//! The experiments: which plans are tried on a template, and what the model answers under each. Nothing here formats or
//! stores results.

mod evaluate;
mod forward;
mod sweep;

pub use evaluate::{Cell, Evaluation, Request, evaluate};
pub use forward::{Biases, base_forward, first_maximum};
pub use sweep::{Experiment, empty_subgraphs};
