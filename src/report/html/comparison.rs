//! Two runs beside each other, as the same kind of page.

use maud::{Markup, html as markup};

use super::answers::badge;
use super::block::{self, Labels};
use super::frame::Page;
use super::navigation::{self, Part};
use crate::kit::words::about::{distinct, faithfulness};
use crate::kit::{Block, Table};
use crate::record::{Change, Comparison, Measurement, Pair};
use crate::report::view::{changes, comparison};

/// The page about two runs.
pub fn page(found: &Comparison<'_>) -> Page {
    let models = |of: &[&Measurement]| {
        let names = distinct(of.iter().map(|m| m.subject.model.clone()));
        match names.is_empty() {
            true => "nothing".to_owned(),
            false => names.join(", "),
        }
    };
    let part = |id: &str, name: &str| Part {
        id: id.to_owned(),
        name: name.to_owned(),
        model: None,
    };
    let parts = [
        part("answers", "Answers"),
        part("cells", "Every cell"),
        part("methods", "Methods"),
    ];
    Page {
        title: format!("af1: {} against {}", models(&found.now), models(&found.before)),
        lead: "What got better and what got worse from the earlier run to the later one, on the same prompts.".to_owned(),
        navigation: navigation::navigation(&parts, &[]),
        content: markup! {
            (answers(found))
            (cells(found))
            (super::guide::methods())
        },
        data: None,
    }
}

/// What changed, then a card for every claim of both runs.
fn answers(found: &Comparison<'_>) -> Markup {
    let pairs = changes::claimed(found);
    let count = |change: Change| {
        found
            .pairs
            .iter()
            .filter(|pair| pair.change == change)
            .count()
    };
    markup! {
        section id="answers" {
            h2 { "Answers" }
            p.counted {
                "Of " (found.pairs.len()) " cells: "
                @for change in Change::ALL {
                    @if count(change) > 0 { span.count { (changed(change)) " " (count(change)) } " " }
                }
            }
            div.cards { @for pair in &pairs { (card(pair)) } }
        }
    }
}

/// A change with a sign, so that it is not told by its colour alone.
fn changed(change: Change) -> Markup {
    let (class, sign) = match change {
        Change::Better => ("pass", "▲"),
        Change::Worse => ("fail", "▼"),
        Change::Higher => ("inconclusive", "△"),
        Change::Lower => ("inconclusive", "▽"),
        Change::Insignificant => ("inconclusive", "="),
    };
    markup! {
        span class={ "verdict " (class) } { span aria-hidden="true" { (sign) } " " (change) }
    }
}

/// A claim before and now.
fn card(pair: &Pair<'_>) -> Markup {
    let class = match pair.change {
        Change::Better => "card pass",
        Change::Worse => "card fail",
        _ => "card",
    };
    markup! {
        article class=(class) {
            h3 { span.template { (pair.name) } }
            p.headline { (changed(pair.change)) strong { (changes::difference(pair)) } }
            dl.facts {
                (run("before", pair.before))
                (run("now", pair.now))
                div { dt { "only now" } dd { (pair.only_now) } }
                div { dt { "only before" } dd { (pair.only_before) } }
            }
        }
    }
}

fn run(name: &str, m: &Measurement) -> Markup {
    markup! {
        div {
            dt { (name) }
            dd {
                @if let Some(verdict) = &m.test.verdict { (badge(verdict.outcome)) " " }
                (faithfulness(m))
            }
        }
    }
}

/// Every cell: a picture of the differences, and the numbers.
fn cells(found: &Comparison<'_>) -> Markup {
    let labels = Labels::default();
    let titled = |block: &Block| match block {
        Block::Table(table) => Block::Table(Table {
            title: "Accuracy and faithfulness before and now".to_owned(),
            ..table.clone()
        }),
        other => other.clone(),
    };
    let blocks: Vec<Block> = comparison::summary(found).iter().map(titled).collect();
    markup! {
        section id="cells" {
            h2 { "Every cell" }
            @if let Some(figure) = changes::figure(found) { (block::picture(&figure)) }
            (block::blocks(&blocks, &labels))
        }
    }
}
