//! The experiments: which plans are tried on a template, and what the model answers under each. Nothing here formats or
//! stores results.

mod evaluate;
mod forward;
mod heads;
mod preflight;
mod recover;
mod sweep;

pub use evaluate::{Cell, Evaluation, Request, evaluate, prepare};
pub use forward::{Biases, base_forward, first_maximum};
pub use heads::prune;
pub use preflight::{CHECKS, preflight};
pub use recover::{Found, recover};
pub use sweep::{
    Experiment, empty_subgraphs, knockout_windows, knockouts_upward, subgraphs, waiting,
};
