//! What an experiment prints for people: for every sweep its heading, what follows, its table, and what is to be known about it.

use anstyle::{AnsiColor, Style};

use super::line::{STROKE, TextLine};
use super::text::lines;
use super::{Look, Renderer, view};
use crate::kit::Block;
use crate::printable;
use crate::record::{Comparison, Findings};

/// Text for a terminal.
pub struct Terminal;

impl Renderer for Terminal {
    fn name(&self) -> &'static str {
        "table"
    }

    fn help(&self) -> &'static str {
        "As the experiments print them"
    }

    fn records(&self, findings: &Findings<'_>, look: Look) -> String {
        text(&view::summary(findings, &[]), look)
    }

    fn comparison(&self, found: &Comparison<'_>, look: Look) -> Option<String> {
        Some(text(&[view::comparison::summary(found)], look))
    }
}

/// A document as text.
pub fn text(document: &[Vec<Block>], look: Look) -> String {
    let text_of = |text: String| printable::no_command(&text).into_owned();
    let line = |line| match line {
        TextLine::Words(text) => text_of(text),
        TextLine::Conclusion(text) if look.colour => {
            in_style(Style::new().bold(), &coloured(&text_of(text)))
        }
        TextLine::Conclusion(text) => text_of(text),
        TextLine::Table(text) => {
            let text = text_of(text).replace(STROKE, "|");
            if look.colour { coloured(&text) } else { text }
        }
    };
    lines(document, look.room)
        .into_iter()
        .map(|text| line(text) + "\n")
        .collect()
}

/// Outcomes, and the colours of those words.
const COLOURS: [(&str, AnsiColor); 6] = [
    ("pass", AnsiColor::Green),
    ("confirmed", AnsiColor::Green),
    ("FAIL", AnsiColor::Red),
    ("contradicted", AnsiColor::Red),
    ("inconclusive", AnsiColor::Yellow),
    ("undecided", AnsiColor::Yellow),
];

fn in_style(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A line in which the words of outcomes have their colours.
fn coloured(line: &str) -> String {
    let word = |part: &str| {
        let bare = part.trim_end_matches(&[':', ';', ',', '.'][..]);
        let found = COLOURS.iter().find(|(word, _)| *word == bare);
        found.map_or(part.to_owned(), |(word, colour)| {
            in_style(colour.on_default().bold(), word) + &part[bare.len()..]
        })
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_colours_and_other_words_none() {
        assert_eq!(coloured("| passes | fail |"), "| passes | fail |");
        let green = "\u{1b}[1m\u{1b}[32mpass\u{1b}[0m";
        assert_eq!(
            coloured("it keeps 5/5: pass; |"),
            format!("it keeps 5/5: {green}; |")
        );
        let document = [vec![
            Block::Text("pass".into()),
            Block::Conclusion("pass".into()),
        ]];
        let plain = text(&document, Look::default());
        assert_eq!(plain, "pass\nconclusion: pass\n");
        let look = Look {
            colour: true,
            ..Look::default()
        };
        assert!(text(&document, look).starts_with("pass\n\u{1b}[1mconclusion: "));
    }
}
