//! The experiments, a file each: what one asks, which cells it has, how a cell is measured. An experiment is a list of [`Unit`]s, and a
//! unit is what is measured at once and recorded at once; who runs them, in which order, and where the records go is the business of
//! [`crate::study`].

mod af1;
mod alternatives;
mod attention;
mod contexts;
mod discover;
mod heads;
mod necessity;
mod plans;
mod recover;
mod reproduce;
mod transfer;
mod unit;
mod waiting;

pub use af1::Af1;
pub use alternatives::Alternatives;
pub use attention::Attention;
pub use contexts::ContextNumbers;
pub use discover::{Choice, Discovered, choose, discover, keeps_most, needed_layers, share_under};
pub use heads::{HeadPruning, Order, Pruning, random_sets};
pub use necessity::Necessity;
pub use plans::{Plans, knockout_windows, knockouts_upward, subgraphs, waiting};
pub use recover::{Found, recover};
pub use reproduce::Reproduce;
pub use transfer::Transfer;
pub use unit::{Emit, Experiment, Seat, Shape, Todo, Unit, Workbench};
pub use waiting::Waiting;
