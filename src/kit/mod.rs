//! What is shown, as plain values: tables, figures and what stands around them. Views make them of records; renderers write them
//! for a terminal, a page or a machine. Nothing here knows a format, and nothing but the `words` knows a measurement.

mod figure;
mod table;
pub(crate) mod words;

pub use figure::{Curves, Drawing, Estimate, Figure, Map, Marked, Origin, Series, Tile};
pub use table::{Column, Importance, Number, Table, TableCell, Value, column};

/// A short answer about a template, as it stands on a card: `waits to`, `layer 16 of 24`, and with which numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What is answered.
    pub name: &'static str,
    /// The answer.
    pub value: String,
    /// The numbers behind it.
    pub because: String,
}

/// A piece of what is shown.
#[derive(Clone, Debug)]
pub enum Block {
    /// A line of text, or several.
    Text(String),
    /// What is to be known about the numbers: a line, or several; nothing where it is empty.
    Note(String),
    /// A sentence that follows from the numbers.
    Conclusion(String),
    /// Words in rows and columns.
    Table(Table),
    /// A picture.
    Figure(Figure),
    /// Blocks under a title.
    Section(String, Vec<Block>),
}

/// What is shown: parts that stand apart from each other.
pub type Document = Vec<Vec<Block>>;
