//! Showing records: pure functions of them. Nothing here measures or writes files.

mod chart;
mod figure;
mod html;
mod selfcheck;
mod table;
mod terminal;

pub use html::html;
pub use selfcheck::{selfcheck, selfcheck_heading, selfcheck_lines};
pub use terminal::terminal;
