//! Documents as lines of text.

use textwrap::{Options, WordSplitter, wrap};

use super::fit::{fitted, natural};
use crate::kit::Block;
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

/// The lines of a document, none of them longer than the room if there is little; a blank one stands between its parts, and before what
/// has a title.
pub fn lines(document: &[Vec<Block>], room: Option<usize>) -> Vec<TextLine> {
    let mut lines = Vec::new();
    for (i, part) in document.iter().enumerate() {
        if i > 0 {
            lines.push(TextLine::blank());
        }
        part.iter().for_each(|block| add(block, room, &mut lines));
    }
    lines
}

/// The lines of a block.
fn add(block: &Block, room: Option<usize>, lines: &mut Vec<TextLine>) {
    match block {
        Block::Text(text) | Block::Note(text) => lines.extend(words(text, room)),
        Block::Conclusion(text) => {
            let sentence = words(&format!("conclusion: {text}"), room).into_iter();
            lines.extend(sentence.map(|line| match line {
                TextLine::Words(text) => TextLine::Conclusion(text),
                other => other,
            }));
        }
        Block::Figure(figure) => {
            lines.push(TextLine::blank());
            lines.extend(words(&figure.title, room));
            lines.extend(words(&figure.described, room));
        }
        Block::Table(table) => {
            if !table.title.is_empty() {
                lines.push(TextLine::blank());
                lines.extend(words(&table.title, room));
            }
            lines.extend(match room {
                Some(room) => fitted(table, room),
                None => natural(table),
            });
            lines.extend(table.notes.iter().flat_map(|note| words(note, room)));
        }
        Block::Section(title, blocks) => {
            lines.push(TextLine::blank());
            lines.extend(words(title, room));
            blocks.iter().for_each(|block| add(block, room, lines));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::{Curves, Drawing, Figure, Table};
    use crate::report::{Look, text};

    /// Names of models and styles, and what a file of claims says, come from anywhere.
    #[test]
    fn what_is_not_printed_stands_as_its_number() {
        let table = Table {
            columns: vec!["a".into(), "b".into()],
            rows: vec![vec!["one\ntwo".into(), "x|y\u{1b}[2J\u{202e}".into()]],
            notes: vec!["a\u{7}bell".into()],
            ..Table::default()
        };
        let document = [vec![
            Block::Text("\u{1b}]0;title".into()),
            Block::Table(table),
        ]];
        let shown = text(&document, Look::default());
        assert!(
            shown.contains("| one two | x|y\\u{1b}[2J\\u{202e} |"),
            "{shown}"
        );
        assert!(
            shown.starts_with("\\u{1b}]0;title\n") && shown.contains("a\\u{7}bell"),
            "{shown}"
        );
        let marked = crate::report::markdown(&document);
        assert!(
            marked.contains("x&#124;y") && !marked.contains('\u{1b}'),
            "{marked}"
        );
    }

    #[test]
    fn every_block_is_text() {
        let table = |title: &str| Table {
            title: title.into(),
            columns: vec!["a".into()],
            rows: vec![vec!["1".into()]],
            notes: vec!["below".into(), String::new()],
            ..Table::default()
        };
        let figure = Figure {
            title: "a picture".into(),
            described: "of curves".into(),
            drawing: Drawing::Curves(Curves::over_numbers("x", "y", Vec::new())),
        };
        let section = vec![Block::Figure(figure), Block::Note("\n".into())];
        let document = [
            vec![Block::Text("first\nsecond".into()), Block::Table(table(""))],
            vec![
                Block::Table(table("two\nlines")),
                Block::Section("part".into(), section),
            ],
        ];
        let expected = "first\nsecond\n| a |\n|---|\n| 1 |\nbelow\n\n\ntwo\nlines\n| a |\n|---|\n| 1 |\nbelow\n\npart\n\na picture\nof \
                        curves\n\n";
        assert_eq!(text(&document, Look::default()), expected);
    }
}
