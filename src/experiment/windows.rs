//! Is the claimed window special: transfer in any window of as many layers, and in sets that are drawn; a row and a bar each, and its rank.
//!
//! Under a window of K layers from `s` on every token waits to `W`, or to `s` where that is earlier, because what the last token has seen
//! before it is replaced is lost. From there on the last token sees the others in the layers `s .. s + K`, and every token is alone in all
//! other layers. The window from `W` on is AF1(W, K). A set of layers that are no window is measured in the same way, from its first layer.
//! A set of as many heads as the window has is drawn from all layers from `W` on: by these heads alone the last token sees the others.
//!
//! The complement of AF1 is the model without what AF1 leaves of it: nothing is replaced, and the last token sees the others everywhere
//! but in the claimed window. Where tokens wait as in AF1 what is left of it are the layers behind the window.

use std::collections::BTreeSet;

use clap::Args;

use super::parts::options::{AblationName, Layers, OneSubgraph};
use super::parts::{
    Ask, Entry, Experiment, Given, Plans, Unit, View, in_a_row, random_heads, random_layers,
};
use crate::intervene::{Ablation, Plan, Tail, ablation};
use crate::kit::words::about::{
    NOTHING_TO_KEEP, all_counts, baseline, faithfulness, heading, template,
};
use crate::kit::words::columns::{
    accurate, estimate, faithful, joined, logits, said, shares, verdict, wait,
};
use crate::kit::words::{self, SEE_TABLE, each_group, each_template};
use crate::kit::{Block, Drawing, Estimate, Figure, Table};
use crate::record::{Group, Kind, Measurement, Sweep, Tested};
use crate::{Error, Result};

/// The kind of its records.
const KIND: Kind = Kind::new("windows");

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "windows",
    "Is the claimed window special? Transfer in every other one, in random layers, everywhere but there",
    &Shown,
    [
        "windows -s calculate --operation A+B",
        "windows -m planted-late --wait 5 --transfer 2 -s symbolic",
    ],
);

/// Random sets at most: a row each.
const MOST_SETS: i64 = 1000;

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    subgraph: OneSubgraph,
    /// What replaces the residual stream of waiting tokens
    #[arg(long, value_name = "NAME", default_value = "cama")]
    ablation: AblationName,
    /// First layers of the windows of K layers in which the last token sees others, apart from W; a number, list or range. The claimed
    /// window, from W on, is measured in any case [default: every window]
    #[arg(long, value_name = "LAYER,...")]
    transfer_at: Option<Layers>,
    /// Random sets of K layers that are no window, for comparison, drawn by --seed; as many as there are where that is fewer
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=MOST_SETS))]
    controls: u16,
    /// Random sets of as many heads as the K layers have, of all layers from W on, for comparison, drawn by --seed
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=MOST_SETS))]
    head_controls: u16,
}

impl Ask for Options {
    fn experiment(&self, given: &Given<'_>) -> Result<Box<dyn Experiment>> {
        let (wait, transfer) = self.subgraph.resolve(given.model)?;
        let layers = given.model.sizes.layers;
        if transfer == 0 {
            let reason = "--transfer 0: a window has a layer at least; expected 1 or more";
            return Err(Error::Usage(reason.to_owned()));
        }
        let last = layers - transfer;
        let starts: BTreeSet<usize> = match &self.transfer_at {
            None => (0..=last).collect(),
            Some(Layers(starts)) => starts.iter().copied().collect(),
        };
        if let Some(start) = starts.iter().find(|start| **start > last) {
            return Err(Error::Usage(format!(
                "--transfer-at {start}: the model has {layers} layers; expected at most {last}, the first of the last {transfer}"
            )));
        }
        let sets = random_layers(layers, transfer, self.controls.into(), given.seed);
        if sets.is_empty() && self.controls > 0 {
            return Err(Error::Usage(format!(
                "--controls {}: every set of {transfer} of {layers} layers is a window; leave it out",
                self.controls
            )));
        }
        let (behind, heads) = (layers - wait, given.model.sizes.heads);
        let others = (behind - transfer) * heads;
        if others == 0 && self.head_controls > 0 {
            return Err(Error::Usage(format!(
                "--head-controls {}: no layer is behind the window, so every head from layer {wait} on is of it; leave it out",
                self.head_controls
            )));
        }
        let draws = self.head_controls.into();
        let head_sets = random_heads(wait, behind, heads, others, draws, given.seed);
        Ok(Box::new(Windows {
            wait,
            transfer,
            layers,
            starts,
            sets,
            head_sets,
            ablation: self.ablation.0,
        }))
    }
}

/// AF1 with its transfer in every window, in other sets of layers, and everywhere but there.
pub struct Windows {
    /// `W`.
    pub wait: usize,
    /// `K`, at least 1.
    pub transfer: usize,
    /// Layers of the model.
    pub layers: usize,
    /// The first layers of the windows beside the claimed one, which begins at `wait`.
    pub starts: BTreeSet<usize>,
    /// Other sets of layers.
    pub sets: Vec<BTreeSet<usize>>,
    /// Transfer by other sets of heads: AF1(W, all layers behind W) without all other heads.
    pub head_sets: Vec<Plan>,
    /// What replaces the residual stream of waiting tokens.
    pub ablation: &'static dyn Ablation,
}

impl Windows {
    /// Transfer in these layers: every token waits to `W`, or to the first of them.
    fn plan(&self, layers: BTreeSet<usize>) -> Plan {
        let first = layers.first().copied().unwrap_or(self.wait);
        Plan::transferring(self.wait.min(first), layers)
    }
}

impl Experiment for Windows {
    fn kind(&self) -> Kind {
        KIND
    }

    fn words(&self) -> String {
        format!("the window {} {}", self.wait, self.transfer)
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        let end = self.wait + self.transfer;
        let starts = self.starts.iter().copied().chain([self.wait]);
        let windows = starts.map(|start| (start..start + self.transfer).collect());
        let later: BTreeSet<usize> = (end..self.layers).collect();
        let later = (!later.is_empty()).then_some(later);
        let all = windows.chain(later).chain(self.sets.iter().cloned());
        let mut plans: Vec<Plan> = Vec::new();
        let all = all.map(|layers| self.plan(layers));
        for plan in all.chain(self.head_sets.iter().cloned()) {
            if !plans.contains(&plan) {
                plans.push(plan);
            }
        }
        let mut units = Plans::by_wait(&plans, &[self.ablation]);
        units.push(Box::new(Plans {
            plans: vec![Plan::knockout(self.wait, self.transfer)],
            ablations: vec![ablation::IDENTITY],
        }));
        units
    }
}

/// What is shown of its records.
pub struct Shown;

impl View for Shown {
    fn kind(&self) -> Kind {
        KIND
    }

    fn question(&self) -> &'static str {
        "Is the window in which the last token sees others special?"
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let sweep = &sweep.with_whole();
        let mut blocks = vec![heading(sweep)];
        blocks.extend(sweep.groups.iter().map(|group| Block::Table(table(group))));
        blocks.push(Block::Note(all_counts(sweep)));
        blocks
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        let sweep = &sweep.with_whole();
        each_template(sweep, |group| {
            let layers = |m: &Measurement| layers(m).unwrap_or_default();
            let mut columns = vec![said("transfer in layers", layers), wait()];
            columns.extend(joined([shares(), logits(), vec![verdict()]]));
            let title = format!("{}: windows", template(group.first()));
            vec![
                Block::Figure(figure(group)),
                Block::Table(Table::of(title, &columns, &group.cells)),
            ]
        })
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        let sweep = &sweep.with_whole();
        each_group(sweep, |group| match group.first().counts.base_correct {
            0 => NOTHING_TO_KEEP.to_owned(),
            _ => Ranked::of(group).sentence(),
        })
    }
}

/// The layers in which the last token sees others: the first, how many, and whether they stand in a row.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    first: usize,
    count: usize,
    in_a_row: bool,
}

/// Where the last token sees others; `None` where that is not restricted to some layers.
fn seen(m: &Measurement) -> Option<Seen> {
    Some(match m.subject.transfers_apart() {
        Some(layers) => Seen {
            first: layers.first().copied()?,
            count: layers.len(),
            in_a_row: in_a_row(layers),
        },
        None => Seen {
            first: m.subject.wait(),
            count: m.subject.transfer()?,
            in_a_row: true,
        },
    })
}

/// The layers of a cell in words: `16`, `3–4`, `0, 5–6`; `16–23 without 98 heads`.
fn layers(m: &Measurement) -> Option<String> {
    let layers = words::layers(&m.subject.transfer_layers()?);
    Some(match m.subject.pruned_heads() {
        Some(without) => format!("{layers} without {} heads", without.len()),
        None => layers,
    })
}

/// The cells of a template by what they are.
struct Ranked<'g> {
    /// Windows of as many layers as the claimed one has, the claimed one among them, by their first layers.
    windows: Vec<&'g Tested>,
    /// The claimed one.
    claimed: Option<&'g Tested>,
    /// All layers behind it.
    later: Option<&'g Tested>,
    /// All layers but those of the claimed one, in the model itself.
    complement: Option<&'g Tested>,
    /// Layers that were drawn.
    sets: Vec<&'g Tested>,
    /// Heads that were drawn.
    head_sets: Vec<&'g Tested>,
}

impl<'g> Ranked<'g> {
    fn of(group: &'g Group) -> Self {
        let mut found = Self {
            windows: Vec::new(),
            claimed: None,
            later: None,
            complement: None,
            sets: Vec::new(),
            head_sets: Vec::new(),
        };
        // What is claimed is what the complement leaves out.
        let complement = |cell: &'g Tested| match cell.m.subject.plan.tail {
            Tail::Knockout { layers } => Some((cell, cell.m.subject.wait(), layers)),
            _ => None,
        };
        let mut claim = None;
        if let Some((cell, first, count)) = group.cells.iter().find_map(complement) {
            found.complement = Some(cell);
            claim = Some((first, count));
        }
        for cell in &group.cells {
            match (seen(&cell.m), claim) {
                _ if cell.m.subject.pruned_heads().is_some() => found.head_sets.push(cell),
                (Some(seen), _) if !seen.in_a_row => found.sets.push(cell),
                (Some(seen), Some((first, count))) if seen.count == count => {
                    found.windows.push(cell);
                    if seen.first == first {
                        found.claimed = Some(cell);
                    }
                }
                (Some(_), Some(_)) => found.later = Some(cell),
                (Some(_), None) => found.windows.push(cell),
                (None, _) => {}
            }
        }
        found
            .windows
            .sort_by_key(|cell| seen(&cell.m).map(|seen| seen.first));
        found
    }

    /// How many right answers a window keeps.
    fn kept(cell: &Tested) -> usize {
        cell.m.counts.correct_given_base
    }

    /// One more than the number of windows that keep more; `None` of what is no window.
    fn rank(&self, m: &Measurement) -> Option<usize> {
        let address = m.address();
        let own = self
            .windows
            .iter()
            .find(|cell| cell.m.address() == address)?;
        let more = self
            .windows
            .iter()
            .filter(|other| Self::kept(other) > Self::kept(own));
        Some(1 + more.count())
    }

    /// What a cell is.
    fn what(&self, m: &Measurement) -> &'static str {
        let is = |cell: Option<&Tested>| cell.is_some_and(|cell| cell.m.address() == m.address());
        match () {
            () if is(self.claimed) => "the claimed window",
            () if is(self.later) => "all behind it",
            () if is(self.complement) => "all but the claimed window, nothing waits",
            () => "a window",
        }
    }

    /// The rows of a table, but for those of drawn sets.
    fn rows(&self) -> Vec<&'g Tested> {
        let others = [self.later, self.complement].into_iter().flatten();
        self.windows.iter().copied().chain(others).collect()
    }

    /// How the drawn sets do beside the claimed window.
    fn of_sets(&self) -> Vec<String> {
        let Some(claimed) = self.claimed.map(Self::kept) else {
            return Vec::new();
        };
        let of = |(sets, what): (&[&Tested], &str)| {
            let mut kept: Vec<usize> = sets.iter().map(|cell| Self::kept(cell)).collect();
            kept.sort_unstable();
            let (most, median) = (kept.last()?, kept[kept.len() / 2]);
            let as_many = kept.iter().filter(|kept| **kept >= claimed).count();
            Some(format!(
                "{} random sets of as many {what}: the median keeps {median}, the most that one keeps is {most}, and {as_many} of them \
                 keep as many right answers as the claimed window",
                kept.len()
            ))
        };
        let kinds = [
            (&*self.sets, "layers"),
            (&*self.head_sets, "heads, of the layers from W on"),
        ];
        kinds.into_iter().filter_map(of).collect()
    }

    /// The rank of the claimed window among its equals.
    fn sentence(&self) -> String {
        let Some(claimed) = self.claimed else {
            return "the claimed window and its complement were not both measured".to_owned();
        };
        let name = |cell: &Tested| {
            let layers = layers(&cell.m).unwrap_or_default();
            match seen(&cell.m).is_some_and(|seen| seen.count == 1) {
                true => format!("layer {layers}"),
                false => format!("layers {layers}"),
            }
        };
        let of = |cell: &Tested| faithfulness(&cell.m);
        let mut others = self.windows.clone();
        others.retain(|cell| cell.m.address() != claimed.m.address());
        let rank = self.rank(&claimed.m).unwrap_or(1);
        let tied = others
            .iter()
            .filter(|other| Self::kept(other) == Self::kept(claimed));
        let tied: Vec<String> = tied.map(|cell| name(cell)).collect();
        let alone = match tied.len() {
            0 => "alone".to_owned(),
            n => format!(
                "tied with {n} other{} ({})",
                if n == 1 { "" } else { "s" },
                words::listed(&tied, MOST_LISTED)
            ),
        };
        others.retain(|other| Self::kept(other) != Self::kept(claimed));
        // The first of equals.
        let best = others.iter().rev().max_by_key(|cell| Self::kept(cell));
        let best = best.map_or(String::new(), |best| match Self::kept(best) {
            0 => "; no other one keeps any".to_owned(),
            _ => format!(
                "; of the others most is kept by {}: {}",
                name(best),
                of(best)
            ),
        });
        let complement = self.complement.map_or(String::new(), |cell| {
            format!(
                "; the model without it, in which nothing waits, keeps {}",
                of(cell)
            )
        });
        let sets: String = (self.of_sets().iter())
            .map(|text| format!("; {text}"))
            .collect();
        format!(
            "of {} windows the claimed one, {}, has rank {rank}, {alone}: it keeps {} of the right answers{best}{complement}{sets}",
            self.windows.len(),
            name(claimed),
            of(claimed)
        )
    }
}

/// The most that a sentence lists.
const MOST_LISTED: usize = 8;

/// A row a window, then what is no window.
fn table(group: &Group) -> Table {
    let all = Ranked::of(group);
    let layers = |m: &Measurement| match m.subject.knockout_layers() {
        Some(_) => "all others".to_owned(),
        None => layers(m).unwrap_or_default(),
    };
    let waits = |m: &Measurement| match m.subject.knockout_layers() {
        Some(_) => String::new(),
        None => m.subject.wait().to_string(),
    };
    let columns = [
        said("layers", layers),
        said("what they are", |m| all.what(m).to_owned()),
        said("W", waits),
        said("rank", |m| {
            all.rank(m).map_or(String::new(), |rank| rank.to_string())
        }),
        faithful(),
        accurate(),
    ];
    let title = format!(
        "{}\nwhen tokens wait to W, and behind it the last token sees others in these layers and nowhere else",
        baseline(group.first())
    );
    let mut table = Table::of(title, &columns, all.rows());
    table.notes.extend(all.of_sets());
    table
}

/// A bar for every window.
fn figure(group: &Group) -> Figure {
    let in_a_row = |m: &&Measurement| {
        m.subject.pruned_heads().is_none() && seen(m).is_some_and(|seen| seen.in_a_row)
    };
    let cells = group.cells.iter().map(|cell| &cell.m);
    let mut windows: Vec<&Measurement> = cells.filter(in_a_row).collect();
    windows.sort_by_key(|m| seen(m).map(|seen| (seen.first, seen.count)));
    let bar = |m: &&Measurement| Some((layers(m)?, estimate(m)?));
    let bars: Vec<(String, Estimate)> = windows.iter().filter_map(bar).collect();
    Figure {
        title: format!(
            "{}: faithfulness when the last token sees others in these layers only",
            template(group.first())
        ),
        described: format!("A bar for every window, with 95% intervals. {SEE_TABLE}"),
        drawing: Drawing::Bars {
            x: "layers in which it sees others".to_owned(),
            y: "faithfulness".to_owned(),
            bars,
            claim: Some(group.first().test.claim),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_wait_no_longer_than_to_the_window() {
        let windows = Windows {
            wait: 3,
            transfer: 2,
            layers: 8,
            starts: (0..=6).collect(),
            sets: Vec::new(),
            head_sets: Vec::new(),
            ablation: ablation::CAMA,
        };
        let plan = |first: usize| windows.plan((first..first + 2).collect());
        assert_eq!(plan(1), Plan::af1(1, 2));
        assert_eq!(plan(3), Plan::af1(3, 2));
        assert_eq!(plan(5), Plan::transferring(3, [5, 6].into()));
    }
}
