//! What is printed for people, as Markdown: the same tables, everything else as text that Markdown does not touch.

use super::line::{STROKE, TextLine, words};
use super::text::lines;
use super::{Look, Renderer, view};
use crate::kit::Block;
use crate::kit::words::OUTCOMES;
use crate::kit::words::about::outcome;
use crate::printable;
use crate::record::{Comparison, Findings, Outcome};

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

    /// The verdict, a line a claim, and all else folded.
    fn short(&self, findings: &Findings<'_>) -> Option<String> {
        let lines = view::short::lines(findings);
        let mut out = match view::short::outcome(&lines) {
            Some(found) => format!("**{}** (claims: {})\n\n", outcome(found), counted(&lines)),
            None => "No claim was tested.\n\n".to_owned(),
        };
        for line in &lines {
            let verdict = line.outcome.map(|found| format!("**{}** ", outcome(found)));
            let text: Vec<String> = words(&line.text, None).into_iter().map(said).collect();
            out += &format!("- {}{}\n", verdict.unwrap_or_default(), text.join(" "));
        }
        let rest = self.records(findings, Look::default());
        let rest = rest.trim();
        out += &format!(
            "\n<details>\n<summary>All that was measured</summary>\n\n{rest}\n\n</details>\n"
        );
        Some(out)
    }

    fn comparison(&self, found: &Comparison<'_>, _: Look) -> Option<String> {
        Some(markdown(&[view::comparison::summary(found)]))
    }
}

/// How many claims there are, of each outcome.
fn counted(lines: &[view::short::Line]) -> String {
    let count = |of: Outcome| lines.iter().filter(|line| line.outcome == Some(of)).count();
    let each = OUTCOMES.map(|of| (outcome(of), count(of)));
    let each = each.iter().filter(|(_, count)| *count > 0);
    let each: Vec<String> = each
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    each.join(", ")
}

/// A line as Markdown.
fn said(line: TextLine) -> String {
    match line {
        TextLine::Words(text) | TextLine::Conclusion(text) => {
            escaped(&printable::no_command(text.trim_start())).replace('|', "&#124;")
        }
        TextLine::Table(text) => escaped(&printable::no_command(text.trim_start())),
    }
}

/// A document as Markdown: its tables are that already.
pub fn markdown(document: &[Vec<Block>]) -> String {
    let mut out = String::new();
    let mut in_table = false;
    for line in lines(document, None) {
        let table = matches!(line, TextLine::Table(_));
        // A table stands between blank lines, and so does a paragraph.
        if table != in_table || (!table && !out.ends_with("\n\n") && !out.is_empty()) {
            out.push('\n');
        }
        in_table = table;
        out += &said(line);
        out.push('\n');
    }
    out
}

/// Text that Markdown shows as it is: `<bos>`, `A*B`, `__` and `[a](b)` stay signs, and `\n` stays what a token is shown as. A comment
/// takes the name `@a` apart, because GitHub would tell whoever is called so.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            STROKE => out += "&#124;",
            '@' => out += "@<!-- -->",
            '(' | ':' if out.ends_with(']') => {
                out.push('\\');
                out.push(c);
            }
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

    #[test]
    fn names_are_no_links_and_tell_nobody() {
        let document = [vec![Block::Text(
            "[a](http://b) [a]: b, @c, [.96, 1.00] (1.00)".into(),
        )]];
        let expected = "[a]\\(http://b) [a]\\: b, @<!-- -->c, [.96, 1.00] (1.00)\n";
        assert_eq!(markdown(&document), expected);
    }
}
