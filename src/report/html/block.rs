//! Blocks as markup: tables that say which numbers of which records they show, and pictures.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};

use super::chart;
use crate::kit::{Block, Drawing, Figure, Number, Table, TableCell, Value};
use crate::record::Findings;

/// Of which model, style and operation what is shown is, so that a reader can ask for some of it only.
#[derive(Default)]
pub struct Labels<'f> {
    /// Style and operation by the name of a template.
    templates: BTreeMap<String, (&'f str, &'f str)>,
    /// The model of a sweep.
    models: BTreeMap<&'f str, &'f str>,
}

impl<'f> Labels<'f> {
    /// The labels of everything in these records.
    pub fn of(findings: &'f Findings<'_>) -> Self {
        let mut labels = Self::default();
        for sweep in &findings.sweeps {
            labels.models.insert(&sweep.name, &sweep.model);
            let whole = sweep.whole.iter().map(|cell| cell.m.address());
            let cells = sweep.measurements().map(|m| m.address()).chain(whole);
            let heads = sweep.heads.iter().map(|head| head.address());
            let patches = sweep.patches.iter().map(|patched| patched.address());
            let readings = sweep.readings.iter().map(|reading| reading.address());
            for at in cells.chain(heads).chain(patches).chain(readings) {
                let of = (at.style, at.operation);
                labels.templates.insert(at.template(), of);
            }
        }
        labels
    }

    fn template(&self, name: &str) -> Option<(&'f str, &'f str)> {
        self.templates.get(name).copied()
    }

    /// A row with what it is of, where one of its numbers says it.
    fn row(&self, row: &[TableCell], cells: &Markup) -> Markup {
        let number = row.iter().find_map(|cell| cell.number.as_ref());
        let model = number.and_then(|number| self.models.get(&*number.sweep));
        let of = number.and_then(|number| self.template(&number.template));
        html! {
            tr data-model=[model] data-style=[of.map(|of| of.0)] data-operation=[of.map(|of| of.1)] { (cells) }
        }
    }
}

/// Blocks, one after the other.
pub fn blocks(all: &[Block], labels: &Labels<'_>) -> Markup {
    html! {
        @for block in all { (markup(block, labels)) }
    }
}

fn markup(block: &Block, labels: &Labels<'_>) -> Markup {
    match block {
        Block::Text(text) => html! {
            p { @for (i, line) in text.lines().enumerate() { @if i > 0 { br; } (line) } }
        },
        Block::Note(text) => note(text),
        Block::Conclusion(text) => html! { p.conclusion { (text) } },
        Block::Table(table) => fold(table, labels),
        Block::Figure(figure) => picture(figure),
        Block::Section(title, all) => {
            let of = labels.template(title);
            html! {
                section data-style=[of.map(|of| of.0)] data-operation=[of.map(|of| of.1)] {
                    h3 { (title) }
                    (blocks(all, labels))
                }
            }
        }
    }
}

/// From so many lines on a note is folded.
const LONG: usize = 4;

/// What is to be known about the numbers.
fn note(text: &str) -> Markup {
    let lines = html! { @for line in text.lines() { p.note { (line) } } };
    match text.lines().count() < LONG {
        true => lines,
        false => html! {
            details.fold open {
                summary { "About these numbers" span.rows { (text.lines().count()) " lines" } }
                (lines)
            }
        },
    }
}

/// A box that scrolls by itself where the page is too narrow, with the keyboard, too.
pub fn scrolling(label: &str, content: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) { (content) }
    }
}

/// A picture with its caption.
pub fn picture(figure: &Figure) -> Markup {
    let svg = html! { div.picture { (PreEscaped(chart::draw(figure))) } };
    let marked = match &figure.drawing {
        Drawing::Map(map) => map.marked.as_ref().map(|marked| &marked.name),
        _ => None,
    };
    html! {
        figure {
            (scrolling(&format!("Picture: {}", figure.title), &svg))
            figcaption {
                (figure.title)
                @if let Some(name) = marked { ". Framed: " (name) "." }
            }
        }
    }
}

/// A table in a fold. It is open where no script closes it, so that nothing is hidden.
pub fn fold(table: &Table, labels: &Labels<'_>) -> Markup {
    let rows = table.rows.len();
    let title = match table.title.is_empty() {
        true => "All numbers",
        false => &table.title,
    };
    html! {
        details.fold open {
            summary { (title) span.rows { (rows) @if rows == 1 { " row" } @else { " rows" } } }
            (self::table(table, title, labels))
            @for note in &table.notes { p.note { (note) } }
        }
    }
}

/// A table; the first column names the row.
fn table(table: &Table, title: &str, labels: &Labels<'_>) -> Markup {
    let cells = |row: &[TableCell]| {
        html! {
            @for (i, cell) in row.iter().enumerate() {
                @if i == 0 { th scope="row" { (cell.text) } } @else { (data(cell)) }
            }
        }
    };
    let markup = html! {
        table.numbers {
            caption.unseen { (title) }
            thead { tr { @for name in &table.columns { th scope="col" { (name) } } } }
            tbody { @for row in &table.rows { (labels.row(row, &cells(row))) } }
        }
    };
    scrolling(&format!("Table: {title}"), &markup)
}

/// A cell with the number of the record that it shows.
fn data(cell: &TableCell) -> Markup {
    let number = cell.number.as_ref();
    html! {
        td data-sweep=[number.map(|n| &n.sweep)] data-template=[number.map(|n| &n.template)] data-cell=[number.map(|n| &n.cell)]
            data-field=[number.map(|n| &n.field)] data-value=[number.map(shown)]
            data-low=[number.and_then(|n| n.low.map(exact))] data-high=[number.and_then(|n| n.high.map(exact))] { (cell.text) }
    }
}

/// A number of a record in a text.
pub fn number(cell: &TableCell) -> Markup {
    let number = cell.number.as_ref();
    html! {
        span.number data-sweep=[number.map(|n| &n.sweep)] data-template=[number.map(|n| &n.template)] data-cell=[number.map(|n| &n.cell)]
            data-field=[number.map(|n| &n.field)] data-value=[number.map(shown)] { (cell.text) }
    }
}

fn shown(number: &Number) -> String {
    number.value.map_or("null".to_owned(), value)
}

fn value(value: Value) -> String {
    match value {
        Value::Real(number) => exact(number),
        Value::Whole(count) => count.to_string(),
        Value::Verdict(outcome) => outcome.to_string(),
    }
}

/// A number as the records have it.
fn exact(value: f64) -> String {
    serde_json::to_string(&value).expect("a number is plain data")
}
