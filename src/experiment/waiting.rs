//! How long can every token wait: the ablation at each `W`, the model's own attention after it; a table of boundaries and ablations, and
//! curves over the boundaries.

use clap::Args;

use super::parts::options::{AblationArgs, Layers, waits};
use super::parts::{Ask, Entry, Experiment, Given, Plans, Unit, View, waiting};
use crate::Result;
use crate::intervene::Ablation;
use crate::kit::words::about::{
    NOTHING_TO_KEEP, all_counts, baseline, distinct, faithfulness, heading, of_first_ablation,
    template,
};
use crate::kit::words::columns::{ablation, estimate, joined, logits, shares, wait};
use crate::kit::words::number::share;
use crate::kit::words::{SEE_TABLE, each_group, each_template};
use crate::kit::{Block, Column, Curves, Drawing, Fact, Figure, Series, Table, column};
use crate::record::{Group, Kind, Measurement, Sweep};

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "waiting",
    "The waiting sweep: how long can every token wait?",
    &Shown,
    [
        "waiting -s calculate --operation A+B",
        "waiting -m planted-af1 -s symbolic --operands 0..=9 --record af1.jsonl",
    ],
);

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    ablations: AblationArgs,
    /// W: boundaries at which the residual stream is replaced [default: every boundary]
    #[arg(long, value_name = "W,...")]
    wait: Option<Layers>,
}

impl Ask for Options {
    fn experiment(&self, given: &Given<'_>) -> Result<Box<dyn Experiment>> {
        Ok(Box::new(Waiting {
            waits: waits(self.wait.as_ref(), given.model.sizes.layers)?,
            ablations: self.ablations.chosen(),
        }))
    }
}

/// The waiting sweep.
pub struct Waiting {
    /// The boundaries `W` at which the residual stream is replaced.
    pub waits: Vec<usize>,
    /// What replaces it.
    pub ablations: Vec<&'static dyn Ablation>,
}

impl Experiment for Waiting {
    fn kind(&self) -> Kind {
        Kind::WAITING
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        Plans::by_wait(&waiting(&self.waits), &self.ablations)
    }
}

/// What is shown of its records.
pub struct Shown;

impl View for Shown {
    fn kind(&self) -> Kind {
        Kind::WAITING
    }

    fn question(&self) -> &'static str {
        "How long can every token wait?"
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let sweep = &sweep.with_whole();
        let tables = sweep.groups.iter().map(|group| Block::Table(grid(group)));
        let mut blocks = vec![heading(sweep)];
        blocks.extend(tables);
        blocks.push(Block::Note(all_counts(sweep)));
        blocks
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        let sweep = &sweep.with_whole();
        each_template(sweep, |group| {
            let title = format!("{}: waiting", template(group.first()));
            let columns = joined([vec![wait(), ablation()], shares(), logits()]);
            let several = distinct(group.cells.iter().map(|cell| cell.m.subject.wait())).len() > 1;
            let figure = several.then(|| Block::Figure(figure(group)));
            let table = Block::Table(Table::of(title, &columns, &group.cells));
            figure.into_iter().chain([table]).collect()
        })
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        let sweep = &sweep.with_whole();
        each_group(sweep, |group| {
            let m = group.first();
            let (by, layers, claim) = (&m.subject.ablation, m.subject.layers, m.test.claim);
            let kept = |m: &Measurement| format!("{} of the right answers", faithfulness(m));
            let Ends { held, lost } = ends(group);
            match (held, lost) {
                _ if m.counts.base_correct == 0 => NOTHING_TO_KEEP.to_owned(),
                (Some(held), Some(lost)) => format!(
                    "every token can wait to layer {} of {layers} without a loss that is shown: {by} keeps {} there, and {} at layer \
                     {}, where the interval ends below the claim {claim}",
                    held.subject.wait(),
                    kept(held),
                    faithfulness(lost),
                    lost.subject.wait()
                ),
                (Some(held), None) => format!(
                    "every token can wait to layer {} of {layers}, the last that was tried, without a loss that is shown: {by} keeps \
                     {} there",
                    held.subject.wait(),
                    kept(held)
                ),
                (None, Some(lost)) => format!(
                    "the tokens cannot wait to layer {} of {layers}: {by} keeps {} there, and the interval ends below the claim \
                     {claim}",
                    lost.subject.wait(),
                    kept(lost)
                ),
                (None, None) => "nothing was measured".to_owned(),
            }
        })
    }

    fn facts(&self, group: &Group) -> Vec<Fact> {
        let m = group.first();
        let Ends { held, lost } = ends(group);
        let at = |m: &Measurement| format!("{} at layer {}", faithfulness(m), m.subject.wait());
        let value = match (held, lost) {
            _ if m.counts.base_correct == 0 => return Vec::new(),
            (Some(held), _) => format!("layer {} of {}", held.subject.wait(), m.subject.layers),
            (None, Some(lost)) => format!("not to layer {}", lost.subject.wait()),
            (None, None) => return Vec::new(),
        };
        let kept: Vec<String> = held.into_iter().chain(lost).map(at).collect();
        vec![Fact {
            name: "waits to",
            value,
            because: format!("{} keeps {}", m.subject.ablation, kept.join(", and ")),
        }]
    }
}

/// Where the wait of the first ablation ends.
struct Ends<'g> {
    /// The last boundary before a loss is shown.
    held: Option<&'g Measurement>,
    /// The first boundary at which one is.
    lost: Option<&'g Measurement>,
}

fn ends(group: &Group) -> Ends<'_> {
    let cells = of_first_ablation(group);
    let claim = group.first().test.claim;
    // What is shown to be lost, so that a boundary at which a prompt or two happen to go does not end the wait.
    let is_lost = |m: &&Measurement| m.scores.faithfulness.high < claim;
    Ends {
        held: cells.iter().copied().take_while(|m| !is_lost(m)).last(),
        lost: cells.iter().copied().find(is_lost),
    }
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

/// A row a boundary, a column an ablation.
fn grid(group: &Group) -> Table {
    let shown = |m: &Measurement| {
        format!(
            "{} ({})",
            faithfulness(m),
            share(m.scores.accuracy.value.unwrap_or(0.0), m.counts.prompts)
        )
    };
    let mut columns: Vec<Column<'_, usize>> = vec![column("W", |wait: &usize| wait.to_string())];
    columns.extend(ablations(group).into_iter().map(|ablation| {
        column(ablation, move |wait: &usize| {
            let mut cells = group.cells.iter().map(|cell| &cell.m);
            let found = cells.find(|m| m.subject.wait() == *wait && m.subject.ablation == ablation);
            found.map_or(String::new(), shown)
        })
    }));
    let title = format!(
        "{}\nfaithfulness (and accuracy) when every token waits to W",
        baseline(group.first())
    );
    let waits = distinct(group.cells.iter().map(|cell| cell.m.subject.wait()));
    Table::of(title, &columns, &waits)
}

/// A curve an ablation.
fn figure(group: &Group) -> Figure {
    let ablations = ablations(group);
    let curve = |ablation: &&str| {
        let cells = group.cells.iter().map(|cell| &cell.m);
        let cells = cells.filter(|m| m.subject.ablation == *ablation);
        Series {
            name: (*ablation).to_owned(),
            points: cells
                .filter_map(|m| Some((m.subject.wait(), estimate(m)?)))
                .collect(),
            joined: true,
        }
    };
    let series = ablations.iter().map(curve).collect();
    Figure {
        title: format!(
            "{}: faithfulness when every token waits to W, by what replaces the residual stream",
            template(group.first())
        ),
        described: format!(
            "Curves over W, one for each of {}, with 95% intervals. {}",
            ablations.join(", "),
            SEE_TABLE
        ),
        drawing: Drawing::Curves(
            Curves::over_numbers("W: layers that wait", "faithfulness", series)
                .with_claim(group.first().test.claim)
                .marking(ends(group).held.map(|m| {
                    let wait = m.subject.wait();
                    (wait, format!("waits to W = {wait}"))
                })),
        ),
    }
}
