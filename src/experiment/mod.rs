//! The experiments: which plans are tried on a template, and what follows from the answers. Nothing here formats or stores results.

mod criterion;
mod discover;
mod heads;
mod recover;
mod sweep;

pub use criterion::Criterion;
pub use discover::{Discovered, choose, discover, keeps_most, needed_layers, share_under};
pub use heads::{Order, Pruning, random_sets};
pub use recover::{Found, recover};
pub use sweep::{Experiment, knockout_windows, knockouts_upward, subgraphs, waiting};
