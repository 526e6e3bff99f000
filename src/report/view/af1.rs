//! Is AF1 sufficient: a row for every subgraph, a map of styles and operations for each, and all styles together.

use super::View;
use super::{necessity, reproduce};
use crate::kit::words::SEE_TABLE;
use crate::kit::words::about::{
    NOTHING_TO_KEEP, all_counts, distinct, faithfulness, heading, notes, outcome,
    template as named, verdict,
};
use crate::kit::words::columns::{
    ablation, accurate, against_base, against_empty, base, faithful, joined, masking_of_several,
    normalised, operation, shares, shown, style, subgraph, technique, template, transfer, verdicts,
    wait,
};
use crate::kit::words::{OUTCOMES, about, pooled};
use crate::kit::{Block, Drawing, Figure, Map, Table};
use crate::record::{Measurement, Sweep, Tested};

/// AF1 at chosen W and K.
pub struct Af1;

impl View for Af1 {
    fn experiment(&self) -> &'static str {
        "af1"
    }

    fn question(&self) -> &'static str {
        "Is AF1 sufficient?"
    }

    fn claims(&self) -> bool {
        true
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        // A gate's knock-out stands beside its AF1.
        let is_knockout = |m: &Measurement| m.experiment == necessity::Necessity.experiment();
        let knocked = sweep.only(is_knockout);
        let sweep = sweep.only(|m| !is_knockout(m));
        let table = match reproduce::is_main_table(&sweep) {
            true => reproduce::table(&sweep),
            false => table(&sweep),
        };
        let mut blocks = vec![
            heading(&sweep),
            Block::Table(table),
            Block::Note(notes(&sweep)),
        ];
        blocks.extend(pooled::summary(&sweep.pools));
        blocks.extend(necessity::tables(&knocked));
        blocks
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        let cells: Vec<&Tested> = sweep.cells().collect();
        let columns = joined([
            template(),
            subgraph(),
            technique(),
            shares(),
            against_base(),
            against_empty(),
            verdicts(&cells),
        ]);
        let mut blocks = Vec::new();
        if sweep.groups.len() > 1 {
            blocks.extend(maps(sweep).into_iter().map(Block::Figure));
        }
        let table = Table::of("AF1 subgraphs", &columns, sweep.cells());
        blocks.extend([Block::Table(table), Block::Note(all_counts(sweep))]);
        blocks.extend(pooled::detail(&sweep.pools));
        blocks
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        let claims = super::claimed(sweep);
        match claims.len() {
            0..=MOST_SENTENCES => claims.iter().map(|m| one(m, sweep)).collect(),
            _ => subgraphs(&claims).map(|of| several(&of)).collect(),
        }
    }
}

/// More claims than this are concluded together.
const MOST_SENTENCES: usize = 4;

/// What is claimed of a template, and how other ablations do there.
fn one(m: &Measurement, sweep: &Sweep) -> String {
    let template = named(m);
    if m.base_correct == 0 {
        return format!("{template}: {NOTHING_TO_KEEP}");
    }
    let same = |other: &&Measurement| {
        (
            &other.style,
            &other.operation,
            other.wait,
            other.transfer,
            &other.masking,
        ) == (&m.style, &m.operation, m.wait, m.transfer, &m.masking)
            && other.ablation != m.ablation
    };
    let beside = sweep.measurements().filter(same);
    let beside =
        beside.map(|o| format!("{} {}/{}", o.ablation, o.correct_given_base, o.base_correct));
    let beside: Vec<String> = beside.collect();
    let beside = match beside.is_empty() {
        true => String::new(),
        false => format!("; beside it {}", beside.join(", ")),
    };
    format!(
        "{template}: {} with {} keeps {} of the right answers: {}{beside}",
        about::af1(m),
        m.ablation,
        faithfulness(m),
        verdict(m)
    )
}

/// The claims by subgraph.
fn subgraphs<'m>(claims: &[&'m Measurement]) -> impl Iterator<Item = Vec<&'m Measurement>> {
    let of = |m: &&Measurement| (m.wait, m.transfer);
    let all = distinct(claims.iter().map(of));
    let claims = claims.to_vec();
    all.into_iter().map(move |subgraph| {
        let same = claims.iter().copied().filter(|m| of(m) == subgraph);
        same.collect()
    })
}

/// What is claimed of a subgraph on several templates.
fn several(claims: &[&Measurement]) -> String {
    let counts = OUTCOMES.iter().filter_map(|found| {
        let is = |m: &&&Measurement| m.verdict.as_ref().is_some_and(|v| v.outcome == *found);
        let count = claims.iter().filter(is).count();
        (count > 0).then(|| format!("{count} {}", outcome(*found)))
    });
    let counts: Vec<String> = counts.collect();
    let shared = |m: &&&Measurement| m.faithfulness.is_some();
    let by = |a: &&&Measurement, b: &&&Measurement| {
        let of = |m: &&&Measurement| m.faithfulness.unwrap_or(0.0);
        of(a).total_cmp(&of(b))
    };
    let least = claims.iter().filter(shared).min_by(by);
    let least = least.map_or(String::new(), |m| {
        format!(
            "; least on {}: {} of the right answers",
            named(m),
            faithfulness(m)
        )
    });
    let m = claims[0];
    format!(
        "{} with {} on {} templates: {}{least}",
        about::af1(m),
        m.ablation,
        claims.len(),
        counts.join(", ")
    )
}

/// A row a subgraph.
fn table(sweep: &Sweep) -> Table {
    let cells: Vec<&Tested> = sweep.cells().collect();
    let mut columns = vec![style("style"), operation("op"), ablation()];
    columns.extend(masking_of_several(&cells));
    columns.extend([wait(), transfer("transfer", "as the model")]);
    columns.extend(base());
    columns.extend([accurate(), faithful()]);
    columns.extend(against_base());
    columns.push(normalised());
    columns.extend(verdicts(&cells));
    Table::of("", &columns, sweep.cells())
}

/// A map of styles and operations for every subgraph.
fn maps(sweep: &Sweep) -> Vec<Figure> {
    let cells: Vec<&Measurement> = sweep.measurements().collect();
    let kind = |m: &&Measurement| (m.wait, m.transfer, m.ablation.clone(), m.masking.clone());
    let map = |of| {
        let group = cells.iter().copied().filter(|m| kind(m) == of);
        map(&cells, &group.collect::<Vec<_>>())
    };
    distinct(cells.iter().map(kind))
        .into_iter()
        .map(map)
        .collect()
}

/// The map of a subgraph: `group` are its cells among all.
fn map(all: &[&Measurement], group: &[&Measurement]) -> Figure {
    let styles = distinct(all.iter().map(|m| m.style.clone()));
    let operations = distinct(all.iter().map(|m| m.operation.clone()));
    let cell = |style: &String, operation: &String| {
        let here = |m: &&&Measurement| (&m.style, &m.operation) == (style, operation);
        shown(group.iter().find(here)?)
    };
    let row = |style: &String| operations.iter().map(|op| cell(style, op)).collect();
    let m = group[0];
    Figure {
        title: format!(
            "Faithfulness of {} with {} and {}, by style and operation",
            about::af1(m),
            m.ablation,
            m.masking.as_deref().unwrap_or("no mask"),
        ),
        described: format!(
            "A map of styles and operations from 0 (dark) to 1 (bright). {}",
            SEE_TABLE
        ),
        drawing: Drawing::Map(Map {
            x: "operation".to_owned(),
            columns: operations.clone(),
            y: String::new(),
            // From below to above: the first style is on top.
            rows: styles.iter().rev().cloned().collect(),
            cells: styles.iter().rev().map(row).collect(),
        }),
    }
}
