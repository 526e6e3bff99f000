//! Two runs beside each other.

use super::changes::difference;
use crate::kit::words::about::{accuracy, base_accuracy, faithfulness, front, intervals};
use crate::kit::words::number::p_value;
use crate::kit::{Block, Table, column};
use crate::printable;
use crate::record::{Change, Comparison, Measurement, Pair};

/// Cells that both runs measured, on the same prompts, and the unmodified models on these: a row each. Cells of other prompts,
/// and those that one run alone has, are counted, not compared.
pub fn summary(found: &Comparison<'_>) -> Vec<Block> {
    let both = found.pairs.iter().flat_map(|pair| [pair.now, pair.before]);
    let heading = format!(
        "{} against {}\nthe same prompts; {}; differences of accuracy on these prompts with exact bounds (at least 95%); exact \
         McNemar tests, p after Holm over {} cells",
        models(&found.now),
        models(&found.before),
        intervals(both),
        found.pairs.len()
    );
    vec![
        Block::Text(heading),
        Block::Table(table(&found.pairs)),
        Block::Text(counts(found)),
    ]
}

/// The models of a run, and what stands in front of their prompts.
fn models(cells: &[&Measurement]) -> String {
    let name = |m: &&Measurement| {
        let hash = &m.provenance.model_sha256;
        let hash = hash.get(..16).unwrap_or(hash);
        let front = front(&m.provenance);
        let name = format!("{} ({hash}; {front} before every prompt)", m.subject.model);
        printable::line(&name).into_owned()
    };
    let mut names: Vec<String> = cells.iter().map(name).collect();
    names.dedup();
    names.join(", ")
}

/// The accuracy of a cell, or of the unmodified model on its prompts.
fn right(pair: &Pair<'_>, m: &Measurement) -> String {
    match pair.base {
        true => base_accuracy(m),
        false => accuracy(m),
    }
}

/// The faithfulness of a cell; an unmodified model has none.
fn kept(pair: &Pair<'_>, m: &Measurement) -> String {
    match pair.base {
        true => String::new(),
        false => faithfulness(m),
    }
}

/// A row a pair.
fn table(pairs: &[Pair<'_>]) -> Table {
    let columns = [
        column("cell", |pair: &Pair<'_>| pair.name.clone()),
        column("accuracy before", |pair: &Pair<'_>| {
            right(pair, pair.before)
        }),
        column("now", |pair: &Pair<'_>| right(pair, pair.now)),
        column("difference", difference),
        column("only now", |pair: &Pair<'_>| pair.only_now.to_string()),
        column("only before", |pair: &Pair<'_>| {
            pair.only_before.to_string()
        }),
        column("p", |pair: &Pair<'_>| p_value(pair.p_holm)),
        column("", |pair: &Pair<'_>| pair.change.to_string()),
        column("faithfulness before", |pair: &Pair<'_>| {
            kept(pair, pair.before)
        }),
        column("now", |pair: &Pair<'_>| kept(pair, pair.now)),
    ];
    Table::of("", &columns, pairs)
}

/// How many changed how, and what was not compared.
fn counts(found: &Comparison<'_>) -> String {
    let count = |change: Change| {
        let of = found.pairs.iter().filter(|pair| pair.change == change);
        Some(of.count()).filter(|count| *count > 0)
    };
    let each = Change::ALL.into_iter();
    let each = each.filter_map(|change| Some(format!("{} {change}", count(change)?)));
    let counts: Vec<String> = each.collect();
    format!(
        "{}; not compared: {} on other prompts, {} only now, {} only before",
        match counts.is_empty() {
            true => "no cell in both".to_owned(),
            false => counts.join(", "),
        },
        found.other_prompts,
        found.only_now,
        found.only_before
    )
}
