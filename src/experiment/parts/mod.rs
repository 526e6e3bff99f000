//! What experiments are made of: what one is, how it is asked for and shown, and the machinery that several share.

mod choosing;
mod drawn;
mod entry;
pub mod options;
mod plans;
mod pruning;
mod recover;
mod stands;
mod unit;
mod view;

pub use choosing::{
    Discovered, choose, choose_on_a_half, discover, keeps_most, needed_layers, plans_of_a_choice,
    share_under,
};
pub use drawn::Drawn;
pub use entry::{Around, Ask, Entry, Given};
pub use plans::{Plans, knockout_windows, knockouts_upward, subgraphs, waiting};
pub use pruning::{Order, Pruning, fairness, random_sets};
pub use recover::{Found, recover, recover_on};
pub use stands::{Number, counted, median, stands};
pub use unit::{Emit, Experiment, Seat, Shape, Todo, Unit, Workbench};
pub use view::{View, kinds};
