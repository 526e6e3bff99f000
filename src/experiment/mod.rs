//! The experiments, a file each: what one asks, how it is asked for, which cells it has, how a cell is measured, and how what comes of it
//! is shown. An experiment is a list of [`Unit`]s, and a unit is what is measured at once and recorded at once; who runs them, in which
//! order, and where the records go is the business of [`crate::study`].
//!
//! To add one, write a file with an [`Entry`] and name it in the list below: the command line and the reports know it from there.

mod parts;

pub(crate) use parts::options;
pub use parts::{
    Around, Ask, Discovered, Emit, Entry, Experiment, Found, Given, Order, Plans, Pruning, Seat,
    Sizes, Todo, Unit, View, Workbench, choose, discover, keeps_most, kinds, knockout_windows,
    knockouts_upward, needed_layers, random_heads, recover, recover_on, share_under, subgraphs,
    waiting,
};

macro_rules! list {
    ($($module:ident :: $name:ident),* $(,)?) => {
        $(
            mod $module;
            pub use $module::$name;
        )*
        /// All experiments, in the order of the command line's help; the first is the default.
        pub const ALL: &[Entry] = &[$($module::ENTRY),*];
    };
}

list! {
    reproduce::Reproduce,
    af1::Af1,
    waiting::Waiting,
    transfer::Transfer,
    necessity::Necessity,
    heads::HeadPruning,
    alternatives::Alternatives,
    discover::Choice,
    stability::Stability,
    contexts::ContextNumbers,
    attention::Attention,
    patch::Patch,
    peek::Peek,
    windows::Windows,
    lens::Lens,
}

/// How records are shown whose experiment is not in the list: as those of subgraphs, which any measurement is of.
pub const OF_OTHERS: &dyn View = &af1::Shown;
