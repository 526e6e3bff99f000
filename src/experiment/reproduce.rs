//! The main table: for every template and ablation the ablation alone beside AF1 with it.

use clap::Args;

use super::af1;
use super::parts::options::{AblationArgs, Subgraph};
use super::parts::{Around, Ask, Entry, Experiment, Given, Plans, Unit, View, subgraphs, waiting};
use crate::Result;
use crate::intervene::Ablation;
use crate::kit::words::about::{
    accuracy, af1 as subgraph_name, base_accuracy, constant, distinct, empty_accuracy,
    faithfulness, gained, heading, lost, notes, outcome, verdict,
};
use crate::kit::words::{pooled, strata};
use crate::kit::{Block, Column, Table, column};
use crate::record::{Group, Kind, Measurement, Sweep, Tested};

/// The kind of its sweeps; their cells are of AF1 and of waiting.
const KIND: Kind = Kind::REPRODUCE;

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "reproduce",
    "The main table: AF1 beside CAMA, mean and zero ablation at the same layer (the default)",
    &Shown,
    [
        "reproduce",
        "reproduce -m planted-af1 -s symbolic --operands 0..=9",
    ],
);

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    ablations: AblationArgs,
    #[command(flatten)]
    subgraph: Subgraph,
}

impl Ask for Options {
    fn experiment(&self, given: &Given<'_>) -> Result<Box<dyn Experiment>> {
        let (waits, transfers) = self.subgraph.resolve(given.model)?;
        Ok(Box::new(Reproduce {
            waits,
            transfers,
            ablations: self.ablations.chosen(),
        }))
    }

    fn around(&self) -> Around {
        Around::FirstLook {
            contrast: self.subgraph.wait.is_none() && self.subgraph.transfer.is_none(),
        }
    }
}

/// AF1 at chosen `(W, K)`, and waiting to the same boundaries beside it.
pub struct Reproduce {
    /// The boundaries `W`.
    pub waits: Vec<usize>,
    /// The numbers of layers that transfer, `K`; every `W + K` fits the model.
    pub transfers: Vec<usize>,
    /// What replaces the residual stream of waiting tokens.
    pub ablations: Vec<&'static dyn Ablation>,
}

impl Experiment for Reproduce {
    fn kind(&self) -> Kind {
        KIND
    }

    fn kind_of_af1(&self) -> Kind {
        Kind::AF1
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        let mut plans = waiting(&self.waits);
        plans.extend(subgraphs(&self.waits, &self.transfers));
        Plans::by_wait(&plans, &self.ablations)
    }
}

/// What is shown of its records: as of AF1 at chosen `(W, K)`, but for the table.
pub struct Shown;

impl View for Shown {
    fn kind(&self) -> Kind {
        KIND
    }

    fn question(&self) -> &'static str {
        af1::Shown.question()
    }

    fn claims(&self) -> bool {
        af1::Shown.claims()
    }

    fn summarises(&self, sweep: &Sweep) -> bool {
        sweep.kind == KIND && is_main_table(sweep)
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let mut blocks = vec![
            heading(sweep),
            Block::Table(table(&sweep.with_whole())),
            Block::Note(notes(sweep)),
        ];
        blocks.extend(strata::summary(sweep));
        blocks.extend(pooled::summary(&sweep.pools));
        blocks
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        af1::Shown.detail(sweep)
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        af1::Shown.conclusion(sweep)
    }
}

/// Whether the sweep is of one subgraph, so that every template has a row an ablation.
fn is_main_table(sweep: &Sweep) -> bool {
    let waits = distinct(sweep.measurements().map(|m| m.subject.wait()));
    let transfers = distinct(sweep.measurements().filter_map(|m| m.subject.transfer()));
    waits.len() == 1 && transfers.len() == 1
}

/// A row of the table.
struct Row<'s> {
    /// The template.
    group: &'s Group,
    /// AF1 with one of the ablations.
    cell: &'s Tested,
    /// Whether the row is the first of its template.
    first: bool,
}

impl Row<'_> {
    /// What is the same in all rows of a template.
    fn once(&self, text: impl Fn(&Measurement) -> String) -> String {
        match self.first {
            true => text(&self.cell.m),
            false => String::new(),
        }
    }

    /// The ablation without AF1's transfer.
    fn alone(&self) -> String {
        let mut cells = self.group.cells.iter().map(|cell| &cell.m);
        let found = cells.find(|m| {
            m.subject.transfer().is_none() && m.subject.ablation == self.cell.m.subject.ablation
        });
        found.map_or(String::new(), faithfulness)
    }
}

/// A row a template and ablation.
fn table(sweep: &Sweep) -> Table {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for group in &sweep.groups {
        let cells = group
            .cells
            .iter()
            .filter(|cell| cell.m.subject.transfer().is_some());
        rows.extend(cells.enumerate().map(|(i, cell)| Row {
            group,
            cell,
            first: i == 0,
        }));
    }
    let subgraph = rows.first().map(|row| &row.cell.m);
    let wait = subgraph.map_or(0, |m| m.subject.wait());
    let said = |text: fn(&Measurement) -> String| move |row: &Row<'_>| text(&row.cell.m);
    let once = |text: fn(&Measurement) -> String| move |row: &Row<'_>| row.once(text);
    let mut columns: Vec<Column<'_, Row<'_>>> = vec![
        column("style", once(|m| m.subject.style.clone())),
        column("op", once(Measurement::question)),
        column("base accuracy", once(base_accuracy)).useful(),
        column("constant", once(constant)).detail(),
        column("replaced by", said(|m| m.subject.ablation.clone())),
        column(format!("waiting to {wait}"), Row::alone),
        column(
            subgraph.map_or(String::new(), subgraph_name),
            said(faithfulness),
        ),
        column("lost", said(lost)).detail(),
        column("gained", said(gained)).detail(),
        column("accuracy", said(accuracy)).detail(),
        column(format!("AF1({wait}, 0) accuracy"), |row: &Row<'_>| {
            empty_accuracy(row.cell)
        })
        .detail(),
        column("verdict", said(verdict)),
    ];
    let corrected = |row: &Row<'_>| row.cell.in_sweep;
    let several = |row: &Row<'_>| corrected(row).is_some_and(|corrected| corrected.among > 1);
    if rows.iter().any(several) {
        let holm = column("after Holm", move |row: &Row<'_>| {
            corrected(row).map_or("", |corrected| outcome(corrected.outcome))
        });
        columns.push(holm.useful());
    }
    Table::of("", &columns, &rows)
}
