//! Showing measurements: pure functions of them. Nothing here measures or writes files.

mod selfcheck;
mod table;

pub use selfcheck::{selfcheck, selfcheck_heading, selfcheck_lines};
pub use table::{
    counts, heading, heads, necessity, notes, reproduction, subgraphs, transfer, waiting,
};
