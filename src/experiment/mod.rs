//! The experiments: which plans are tried on a template, and what the model answers under each. Nothing here formats or
//! stores results.

mod apart;
mod attention;
mod compiled;
mod criterion;
mod discover;
mod evaluate;
mod forward;
mod front;
mod given;
mod halves;
mod heads;
mod preflight;
mod recover;
mod scores;
mod sweep;

pub use apart::apart;
pub use attention::{Attended, attention};
pub use compiled::{Tables, Way, same_up_to};
pub use criterion::Criterion;
pub use discover::{Discovered, choose, discover, keeps_most, needed_layers, share_under};
pub use evaluate::{Cell, Difference, Draw, Evaluation, Part, Request, evaluate, prepare};
pub use forward::{Biases, base_forward, last_attention};
pub use front::{Fronts, fronts};
pub use halves::Disjoint;
pub use heads::{Order, Pruning, random_sets};
pub use preflight::{CHECKS, Checked, preflight};
pub use recover::{Found, recover};
pub use scores::first_maximum;
pub use sweep::{
    Experiment, knockout_windows, knockouts_upward, subgraphs, waiting, with_references,
};
