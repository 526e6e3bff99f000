//! What is printed for people, as Markdown: the same tables, everything else as text that Markdown does not touch.

use super::text::{STROKE, TextLine, lines};
use super::{Look, Renderer, view};
use crate::kit::Block;
use crate::record::{Comparison, Findings};

/// Markdown.
pub struct Markdown;

impl Renderer for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn help(&self) -> &'static str {
        "For pull requests and summaries"
    }

    fn records(&self, findings: &Findings<'_>, _: Look) -> String {
        markdown(&view::summary(findings, &[]))
    }

    fn comparison(&self, found: &Comparison<'_>, _: Look) -> Option<String> {
        Some(markdown(&[view::comparison::summary(found)]))
    }
}

/// A document as Markdown: its tables are that already.
pub fn markdown(document: &[Vec<Block>]) -> String {
    let mut out = String::new();
    let mut in_table = false;
    for line in lines(document, None) {
        let (text, table) = match &line {
            TextLine::Words(text) | TextLine::Conclusion(text) => (text, false),
            TextLine::Table(text) => (text, true),
        };
        // A table stands between blank lines, and so does a paragraph.
        if table != in_table || (!table && !out.ends_with("\n\n") && !out.is_empty()) {
            out.push('\n');
        }
        in_table = table;
        out += &escaped(text.trim_start());
        out.push('\n');
    }
    out
}

/// Text in which nothing is a mark: `<bos>` is no tag, `A*B` and `__` no emphasis, `\n` what a token is shown as.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            STROKE => out += "&#124;",
            '*' | '`' | '#' | '_' | '~' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::markdown;
    use crate::kit::{Block, Table};

    #[test]
    fn tables_stand_alone_and_text_is_text() {
        let table = Table {
            columns: vec!["a".into(), "b".into()],
            rows: vec![vec!["1".into(), "2".into()]],
            notes: vec!["after".into()],
            ..Table::default()
        };
        let document = [vec![
            Block::Text("model <bos>\nwith A*B and \"__\\n\"".into()),
            Block::Table(table),
            Block::Note("    more\n".into()),
            Block::Note(String::new()),
        ]];
        let expected = "model &lt;bos&gt;\n\nwith A\\*B and \"\\_\\_\\\\n\"\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nafter\n\nmore\n";
        assert_eq!(markdown(&document), expected);
    }
}
