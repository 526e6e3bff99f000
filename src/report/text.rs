//! Documents as lines of text.

use comfy_table::{ContentArrangement, Table as Layout, presets};

use crate::kit::{Block, Table};

/// A line.
pub enum TextLine {
    /// Words.
    Words(String),
    /// A part of a table.
    Table(String),
}

impl TextLine {
    fn blank() -> Self {
        Self::Words(String::new())
    }
}

/// The lines of a document; a blank one stands between its parts, and before what has a title.
pub fn lines(document: &[Vec<Block>]) -> Vec<TextLine> {
    let mut lines = Vec::new();
    for (i, part) in document.iter().enumerate() {
        if i > 0 {
            lines.push(TextLine::blank());
        }
        part.iter().for_each(|block| add(block, &mut lines));
    }
    lines
}

/// The lines of a block.
fn add(block: &Block, lines: &mut Vec<TextLine>) {
    match block {
        Block::Text(text) | Block::Note(text) => lines.extend(words(text)),
        Block::Figure(figure) => {
            lines.push(TextLine::blank());
            lines.extend(words(&figure.title));
            lines.extend(words(&figure.described));
        }
        Block::Table(table) => {
            if !table.title.is_empty() {
                lines.push(TextLine::blank());
                lines.extend(words(&table.title));
            }
            let text = layout(table).to_string();
            lines.extend(text.lines().map(|line| TextLine::Table(line.to_owned())));
            lines.extend(table.notes.iter().flat_map(|note| words(note)));
        }
        Block::Section(title, blocks) => {
            lines.push(TextLine::blank());
            lines.extend(words(title));
            blocks.iter().for_each(|block| add(block, lines));
        }
    }
}

/// The lines of a text; none of an empty one.
fn words(text: &str) -> impl Iterator<Item = TextLine> {
    let whole = text.strip_suffix('\n').unwrap_or(text);
    let lines = (!text.is_empty()).then(|| whole.split('\n'));
    let lines = lines.into_iter().flatten();
    lines.map(|line| TextLine::Words(printable(line)))
}

/// Stands for a stroke within a cell, until a renderer writes it in its own way: a private character, which is nowhere else.
pub(super) const STROKE: char = '\u{e000}';

/// Text in which what is not printed, or turns the direction of what is, stands as its number.
fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::new();
    for c in text.chars() {
        match c.is_control() || turns(c) || c == STROKE {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

/// What stands in a cell: one line, in which no stroke ends the cell.
fn cell(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable).collect();
    lines.join(" ").replace('|', &STROKE.to_string())
}

/// Columns as wide as what stands in them, between strokes: Markdown that can be read as it is.
fn layout(table: &Table) -> Layout {
    let mut layout = Layout::new();
    layout
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(&table.columns);
    for row in &table.rows {
        layout.add_row(row.iter().map(|found| cell(&found.text)));
    }
    layout
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::{Curves, Drawing, Figure};
    use crate::report::terminal::text;

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
        let shown = text(&document);
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
        assert_eq!(text(&document), expected);
    }
}
