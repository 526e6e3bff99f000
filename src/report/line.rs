//! Lines of text, and what stands in them.

use textwrap::{Options, WordSplitter, wrap};

use crate::printable;

/// A line.
pub enum TextLine {
    /// A line of words.
    Words(String),
    /// A part of a table.
    Table(String),
    /// A part of what follows from the numbers.
    Conclusion(String),
}

impl TextLine {
    /// A blank line.
    pub fn blank() -> Self {
        Self::Words(String::new())
    }
}

/// The lines of a text, those that go on further in than they begin; none of an empty one.
pub(super) fn words(text: &str, room: Option<usize>) -> Vec<TextLine> {
    let whole = text.strip_suffix('\n').unwrap_or(text);
    let mut lines = Vec::new();
    for line in whole.split('\n').filter(|_| !text.is_empty()) {
        let line = printable(line);
        let Some(room) = room else {
            lines.push(TextLine::Words(line));
            continue;
        };
        let start = line.len() - line.trim_start().len();
        let indent = " ".repeat((start + 2).min(room / 2));
        let options = Options::new(room)
            .subsequent_indent(&indent)
            .word_splitter(WordSplitter::NoHyphenation);
        lines.extend(
            wrap(&line, options)
                .into_iter()
                .map(|part| TextLine::Words(part.into_owned())),
        );
    }
    lines
}

/// Stands for a stroke within a cell, until a renderer writes it in its own way: a private character, which is nowhere else.
pub(super) const STROKE: char = '\u{e000}';

/// A line of text in which what is not printed stands as its number.
fn printable(text: &str) -> String {
    printable::line(text).replace(STROKE, "\\u{e000}")
}

/// What stands in a cell: one line, in which no stroke ends the cell.
pub(super) fn cell(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable).collect();
    lines.join(" ").replace('|', &STROKE.to_string())
}
