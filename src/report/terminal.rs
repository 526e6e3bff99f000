//! What an experiment prints for people: for every sweep its heading, its table, and what is to be known about it.

use super::text::{STROKE, TextLine, lines};
use super::{Renderer, view};
use crate::kit::Block;
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

    fn records(&self, findings: &Findings<'_>) -> String {
        text(&view::summary(findings, &[]))
    }

    fn comparison(&self, found: &Comparison<'_>) -> Option<String> {
        Some(text(&[view::comparison::summary(found)]))
    }
}

/// A document as text.
pub fn text(document: &[Vec<Block>]) -> String {
    let line = |line| match line {
        TextLine::Words(text) => text + "\n",
        TextLine::Table(text) => text.replace(STROKE, "|") + "\n",
    };
    lines(document).into_iter().map(line).collect()
}
