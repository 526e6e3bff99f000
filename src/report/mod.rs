//! Showing records: pure functions of them. Nothing here measures or writes files.

mod selfcheck;
mod table;
mod terminal;

pub use selfcheck::{selfcheck, selfcheck_heading, selfcheck_lines};
pub use terminal::terminal;
