//! What experiments are made of: what one is, how it is asked for and shown, and the machinery that several share.

mod choosing;
mod drawn;
mod entry;
mod fewest;
pub mod options;
mod plans;
mod pruning;
mod random;
mod recover;
mod stands;
mod unit;
mod view;

pub use choosing::{
    Discovered, OnAHalf, choose, discover, keeps_most, needed_layers, plans_of_a_choice,
    share_under,
};
pub use drawn::Drawn;
pub use entry::{Around, Ask, Entry, Given};
pub use fewest::{fewest, names, pruned};
pub use plans::{Plans, knockout_windows, knockouts_upward, subgraphs, waiting};
pub use pruning::{Order, Pruning, fairness};
pub use random::{in_a_row, random_heads, random_layers};
pub use recover::{Found, recover, recover_on};
pub use stands::{Number, counted, median, stands};
pub use unit::{Emit, Experiment, Seat, Sizes, Todo, Unit, Workbench};
pub use view::{View, kinds};
