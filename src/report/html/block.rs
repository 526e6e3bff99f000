//! Blocks as markup: tables that say which numbers of which records they show, and pictures.

use maud::{Markup, PreEscaped, html};

use super::chart;
use crate::kit::{Block, Cell, Figure, Table, Value};

/// Blocks, one after the other.
pub fn blocks(all: &[Block]) -> Markup {
    html! {
        @for block in all { (markup(block)) }
    }
}

fn markup(block: &Block) -> Markup {
    match block {
        Block::Text(text) => html! { p { (text) } },
        Block::Note(text) => html! { p.note { (text) } },
        Block::Conclusion(text) => html! { p.conclusion { (text) } },
        Block::Table(table) => html! {
            (self::table(table))
            @for note in &table.notes { p.note { (note) } }
        },
        Block::Figure(figure) => picture(figure),
        Block::Section(title, all) => html! {
            section {
                h3 { (title) }
                (blocks(all))
            }
        },
    }
}

/// A box that scrolls by itself where the page is too narrow, with the keyboard, too.
fn scrolling(label: &str, content: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) { (content) }
    }
}

/// A picture with its caption.
fn picture(figure: &Figure) -> Markup {
    let svg = PreEscaped(chart::draw(figure));
    html! {
        figure {
            (scrolling(&format!("Picture: {}", figure.title), &svg))
            figcaption { (figure.title) }
        }
    }
}

/// A table; the first column names the row.
pub fn table(table: &Table) -> Markup {
    let markup = html! {
        table {
            caption { (table.title) }
            thead { tr { @for name in &table.columns { th scope="col" { (name) } } } }
            tbody {
                @for row in &table.rows {
                    tr {
                        @for (i, cell) in row.iter().enumerate() {
                            @if i == 0 { th scope="row" { (cell.text) } } @else { (data(cell)) }
                        }
                    }
                }
            }
        }
    };
    scrolling(&format!("Table: {}", table.title), &markup)
}

/// A cell with the number of the record that it shows.
fn data(cell: &Cell) -> Markup {
    let number = cell.number.as_ref();
    let end = |end: Option<f64>| end.map(exact);
    html! {
        td data-sweep=[number.map(|n| &n.sweep)] data-template=[number.map(|n| &n.template)] data-cell=[number.map(|n| &n.cell)]
            data-field=[number.map(|n| &n.field)] data-value=[number.map(|n| n.value.map_or("null".to_owned(), value))]
            data-low=[number.and_then(|n| end(n.low))] data-high=[number.and_then(|n| end(n.high))] { (cell.text) }
    }
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
