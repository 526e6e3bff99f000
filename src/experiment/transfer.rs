//! How many layers of transfer are needed: AF1 over a grid of `(W, K)`, for every ablation as a table and as a map.

use std::collections::BTreeSet;

use clap::Args;

use super::parts::options::{AblationArgs, Layers, waits};
use super::parts::{Ask, Entry, Experiment, Given, Plans, Unit, View, subgraphs};
use crate::intervene::{Ablation, Plan};
use crate::kit::words::about::{
    NOTHING_TO_KEEP, af1, all_counts, baseline, distinct, faithfulness, heading, holds, left_open,
    of_first_ablation, template,
};
use crate::kit::words::columns::{
    against_empty, joined, shares, shown, subgraph, technique, verdict,
};
use crate::kit::words::number::share;
use crate::kit::words::{SEE_TABLE, each_group, each_template};
use crate::kit::{Block, Column, Drawing, Fact, Figure, Map, Marked, Table, column};
use crate::record::{Group, Kind, Measurement, Sweep};
use crate::{Error, Result};

/// The kind of its records.
const KIND: Kind = Kind::new("transfer");

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "transfer",
    "The W x K grid: how many layers of transfer are needed?",
    &Shown,
    [
        "transfer -s calculate --operation A+B --wait 12..=16",
        "transfer -m planted-af1 -s symbolic --operands 0..=9",
    ],
);

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    ablations: AblationArgs,
    /// W: layers 0..W wait [default: every boundary]
    #[arg(long, value_name = "W,...")]
    wait: Option<Layers>,
    /// K: layers W..W+K transfer; cells beyond the last layer are left out
    #[arg(long, value_name = "K,...", default_value = "0..=8")]
    transfer: Layers,
}

impl Ask for Options {
    fn experiment(&self, given: &Given<'_>) -> Result<Box<dyn Experiment>> {
        let layers = given.model.sizes.layers;
        let waits = waits(self.wait.as_ref(), layers)?;
        let mut plans = subgraphs(&waits, &self.transfer.0);
        plans.retain(|plan| plan.fits(layers));
        if plans.is_empty() {
            let reason = format!(
                "no W + K of --wait and --transfer is at most {layers}, the number of layers"
            );
            return Err(Error::Usage(reason));
        }
        let ablations = self.ablations.chosen();
        Ok(Box::new(Transfer { plans, ablations }))
    }
}

/// The `W x K` grid.
pub struct Transfer {
    /// The subgraphs, all of which fit the model.
    pub plans: Vec<Plan>,
    /// What replaces the residual stream of waiting tokens.
    pub ablations: Vec<&'static dyn Ablation>,
}

impl Experiment for Transfer {
    fn kind(&self) -> Kind {
        KIND
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        Plans::by_wait(&self.plans, &self.ablations)
    }
}

/// What is shown of its records.
pub struct Shown;

impl View for Shown {
    fn kind(&self) -> Kind {
        KIND
    }

    fn question(&self) -> &'static str {
        "How many layers must transfer, and when?"
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let sweep = &sweep.with_whole();
        let mut blocks = vec![heading(sweep)];
        for group in &sweep.groups {
            let grid = |ablation| Block::Table(grid(group, ablation));
            blocks.extend(ablations(group).into_iter().map(grid));
        }
        blocks.push(Block::Note(all_counts(sweep)));
        blocks
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        let sweep = &sweep.with_whole();
        each_template(sweep, |group| {
            let columns = joined([
                subgraph(),
                technique(),
                shares(),
                against_empty(),
                vec![verdict()],
            ]);
            let title = format!("{}: transfer", template(group.first()));
            let table = Block::Table(Table::of(title, &columns, &group.cells));
            let map = |ablation| Block::Figure(map(group, ablation));
            let maps = ablations(group).into_iter().map(map);
            maps.chain([table]).collect()
        })
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        let sweep = &sweep.with_whole();
        each_group(sweep, |group| {
            let cells = of_first_ablation(group);
            let m = group.first();
            let (by, claim) = (&m.subject.ablation, m.test.claim);
            let most = cells
                .iter()
                .max_by_key(|m| (m.counts.correct_given_base, order(m)));
            match (longest(group), most) {
                _ if m.counts.base_correct == 0 => NOTHING_TO_KEEP.to_owned(),
                (Some(m), _) => format!(
                    "{} has the longest wait, and with it the fewest transfer layers, that keep at least the claim {claim}: with {by} \
                     it keeps {} of the right answers{}",
                    af1(m),
                    faithfulness(m),
                    left_open(m)
                ),
                (None, Some(m)) => format!(
                    "no AF1 of these keeps the claim {claim}; {} keeps most: with {by} {} of the right answers{}",
                    af1(m),
                    faithfulness(m),
                    left_open(m)
                ),
                (None, None) => "nothing was measured".to_owned(),
            }
        })
    }

    fn facts(&self, group: &Group) -> Vec<Fact> {
        let fact = |m: &Measurement| Fact {
            name: "longest wait",
            value: af1(m),
            because: format!(
                "and with it the fewest transfer layers that keep the claim: {} keeps {}",
                m.subject.ablation,
                faithfulness(m)
            ),
        };
        longest(group).map(fact).into_iter().collect()
    }
}

/// The order of cells: by how long tokens wait, and then by how few layers transfer.
fn order(m: &Measurement) -> (usize, std::cmp::Reverse<Option<usize>>) {
    (m.subject.wait(), std::cmp::Reverse(m.subject.transfer()))
}

/// The AF1 with the longest wait, and with it the fewest transfer layers, that holds with the first ablation.
fn longest(group: &Group) -> Option<&Measurement> {
    let cells = of_first_ablation(group).into_iter();
    cells.filter(|m| holds(m)).max_by_key(|m| order(m))
}

/// The ablations of a template.
fn ablations(group: &Group) -> Vec<&str> {
    distinct(
        group
            .cells
            .iter()
            .map(|cell| cell.m.subject.ablation.as_str()),
    )
}

/// The measurement at a boundary with so many layers of transfer.
fn at<'g>(group: &'g Group, ablation: &str, wait: usize, k: usize) -> Option<&'g Measurement> {
    let mut cells = group.cells.iter().map(|cell| &cell.m);
    cells.find(|m| {
        (&*m.subject.ablation, m.subject.wait(), m.subject.transfer()) == (ablation, wait, Some(k))
    })
}

/// The numbers of layers of transfer, in order.
fn transfers<'m>(cells: impl Iterator<Item = &'m Measurement>) -> Vec<usize> {
    let all: BTreeSet<usize> = cells.filter_map(|m| m.subject.transfer()).collect();
    all.into_iter().collect()
}

/// A row a boundary, a column a number of transfer layers.
fn grid(group: &Group, ablation: &str) -> Table {
    let cells = || group.cells.iter().map(|cell| &cell.m);
    let mut columns: Vec<Column<'_, usize>> = vec![column("W", |wait: &usize| wait.to_string())];
    for k in transfers(cells().filter(|m| m.subject.ablation == ablation)) {
        columns.push(column(format!("K={k}"), move |wait: &usize| {
            at(group, ablation, *wait, k).map_or(String::new(), kept)
        }));
    }
    let title = format!(
        "{}\nfaithfulness of AF1(W, K) with {ablation}",
        baseline(group.first())
    );
    Table::of(
        title,
        &columns,
        &distinct(cells().map(|m| m.subject.wait())),
    )
    .as_map()
}

/// The share and its interval, without counts, which are those of the line above.
fn kept(m: &Measurement) -> String {
    m.scores
        .faithfulness
        .value
        .map_or("none to keep".to_owned(), |f| {
            format!(
                "{} [{}, {}]",
                share(f, m.counts.base_correct),
                share(m.scores.faithfulness.low, m.counts.base_correct),
                share(m.scores.faithfulness.high, m.counts.base_correct)
            )
        })
}

/// W from left to right, K from below to above.
fn map(group: &Group, ablation: &str) -> Figure {
    let cells = || group.cells.iter().map(|cell| &cell.m);
    let waits: BTreeSet<usize> = cells().map(|m| m.subject.wait()).collect();
    let transfers = transfers(cells());
    let cell = |k: usize, wait: usize| shown(at(group, ablation, wait, k)?);
    let row = |&k: &usize| waits.iter().map(|&wait| cell(k, wait)).collect();
    let longest = longest(group).filter(|m| m.subject.ablation == ablation);
    let marked = longest.and_then(|m| {
        Some(Marked {
            row: transfers.iter().position(|k| Some(*k) == m.subject.transfer())?,
            column: waits.iter().position(|wait| *wait == m.subject.wait())?,
            name: format!(
                "{}: the longest wait, and with it the fewest transfer layers, that keep the claim {}",
                af1(m),
                m.test.claim
            ),
        })
    });
    Figure {
        title: format!(
            "{}: faithfulness of AF1(W, K) with {ablation}",
            template(group.first())
        ),
        described: format!(
            "A map over W and K from 0 (dark) to 1 (bright). {}",
            SEE_TABLE
        ),
        drawing: Drawing::Map(Map {
            x: "W: layers that wait".to_owned(),
            columns: waits.iter().map(ToString::to_string).collect(),
            y: "K: layers that transfer".to_owned(),
            rows: transfers.iter().map(ToString::to_string).collect(),
            cells: transfers.iter().map(row).collect(),
            marked,
        }),
    }
}
