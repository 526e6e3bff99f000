//! Showing records: pure functions of them. Nothing here measures or writes files.

mod about;
mod chart;
mod chosen;
mod comparison;
mod csv;
mod diff;
mod figure;
mod gate;
mod html;
mod junit;
mod markdown;
mod pooled;
mod said;
mod selfcheck;
mod table;
mod terminal;

pub use comparison::comparison;
pub use csv::csv;
pub use diff::{Beside, diff_lines, diff_table};
pub use gate::{gate_heading, gate_junit_error, gate_line};
pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use pooled::pooled_lines;
pub use selfcheck::{selfcheck, selfcheck_heading, selfcheck_lines};
pub use terminal::terminal;
