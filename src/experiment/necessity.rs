//! Where is transfer needed: the last token sees no other token in some layers of the model; a row and a bar for every knock-out.

use clap::Args;

use super::parts::{
    Ask, Entry, Experiment, Given, Plans, Unit, View, knockout_windows, knockouts_upward,
};
use crate::intervene::{Plan, ablation};
use crate::kit::words::about::{
    NOTHING_TO_KEEP, all_counts, baseline, faithfulness, heading, template,
};
use crate::kit::words::columns::{accurate, estimate, faithful, joined, logits, said, shares};
use crate::kit::words::{self, SEE_TABLE, each_group, each_template};
use crate::kit::{Block, Drawing, Estimate, Fact, Figure, Table};
use crate::record::{Group, Kind, Measurement, Sweep};
use crate::{Error, Result};

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "necessity",
    "Knock-outs: in which layers must the last token see the others?",
    &Shown,
    [
        "necessity -s calculate --operation A+B",
        "necessity -m planted-two-hop -s symbolic --window 2",
    ],
);

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Layers that are knocked out together
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    window: u16,
    /// Knock out every layer from each one upward instead
    #[arg(long, conflicts_with = "window")]
    upward: bool,
}

impl Ask for Options {
    fn experiment(&self, given: &Given<'_>) -> Result<Box<dyn Experiment>> {
        let layers = given.model.sizes.layers;
        let plans = match self.upward {
            true => knockouts_upward(layers),
            false => knockout_windows(layers, self.window.into()),
        };
        if plans.is_empty() {
            let window = self.window;
            let reason = format!("--window {window}: the model has {layers} layers");
            return Err(Error::Usage(reason));
        }
        Ok(Box::new(Necessity { plans }))
    }
}

/// Knock-outs of the last token's attention.
pub struct Necessity {
    /// The knock-outs.
    pub plans: Vec<Plan>,
}

impl Experiment for Necessity {
    fn kind(&self) -> Kind {
        Kind::NECESSITY
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        Plans::by_wait(&self.plans, &[ablation::IDENTITY])
    }
}

/// What is shown of its records.
pub struct Shown;

impl View for Shown {
    fn kind(&self) -> Kind {
        Kind::NECESSITY
    }

    fn question(&self) -> &'static str {
        "In which layers must the last token see others?"
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let sweep = &sweep.with_whole();
        let mut blocks = vec![heading(sweep)];
        blocks.extend(tables(sweep));
        blocks.push(Block::Note(all_counts(sweep)));
        blocks
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        let sweep = &sweep.with_whole();
        each_template(sweep, |group| {
            let mut columns = vec![said("layers", layers)];
            columns.extend(joined([shares(), logits()]));
            let title = format!("{}: necessity", template(group.first()));
            vec![
                Block::Figure(figure(group)),
                Block::Table(Table::of(title, &columns, &group.cells)),
            ]
        })
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        let sweep = &sweep.with_whole();
        each_group(sweep, |group| {
            let cells = || group.cells.iter().map(|cell| &cell.m);
            let lost = lost(group);
            let rest = cells().filter(|m| !is_lost(m));
            let least = rest.min_by_key(|m| m.counts.correct_given_base);
            let must = format!(
                "less than half of the right answers stay when the last token sees no other in layers {}",
                words::listed(&lost, MOST_LISTED)
            );
            match (lost.is_empty(), least) {
                _ if group.first().counts.base_correct == 0 => NOTHING_TO_KEEP.to_owned(),
                (true, Some(m)) => format!(
                    "no knock-out loses half of the right answers; that of layers {} keeps fewest: {}",
                    layers(m),
                    faithfulness(m)
                ),
                (true, None) => "nothing was measured".to_owned(),
                (false, None) => format!("{must}, which are all that were tried"),
                (false, Some(m)) => {
                    format!(
                        "{must}; every other knock-out keeps at least {}",
                        faithfulness(m)
                    )
                }
            }
        })
    }

    fn facts(&self, group: &Group) -> Vec<Fact> {
        let lost = lost(group);
        if group.first().counts.base_correct == 0 {
            return Vec::new();
        }
        let value = match lost.is_empty() {
            true => "none alone".to_owned(),
            false => words::listed(&lost, MOST_LISTED),
        };
        vec![Fact {
            name: "layers needed",
            value,
            because:
                "less than half of the right answers stay if the last token sees no other there"
                    .to_owned(),
        }]
    }
}

/// Whether less than half of the right answers stay.
fn is_lost(m: &&Measurement) -> bool {
    let share = m.scores.faithfulness.value;
    share.is_some_and(|share| share < HALF)
}

/// The layers of the knock-outs under which less than half of the right answers stay.
fn lost(group: &Group) -> Vec<String> {
    let cells = group.cells.iter().map(|cell| &cell.m);
    cells.filter(is_lost).map(layers).collect()
}

/// Layers in which the last token must see others are those whose knock-out, alone, keeps a smaller share than this.
const HALF: f64 = 0.5;

/// The most that a sentence lists.
const MOST_LISTED: usize = 12;

/// A table a template, a row a knock-out.
pub fn tables(sweep: &Sweep) -> impl Iterator<Item = Block> {
    sweep.groups.iter().map(|group| {
        let layers = |m: &Measurement| m.subject.knockout_layers().clone().unwrap_or_default();
        let columns = [said("layers", layers), faithful(), accurate()];
        let title = format!(
            "{}\nwhen the last token sees itself and position 0 only in these layers",
            baseline(group.first())
        );
        Block::Table(Table::of(title, &columns, &group.cells))
    })
}

/// The layers of a knock-out: `7..=7` is layer 7.
fn layers(m: &Measurement) -> String {
    words::layers(&m.subject.knockout_layers().unwrap_or_default())
}

fn figure(group: &Group) -> Figure {
    let cells = group.cells.iter().map(|cell| &cell.m);
    let bars: Vec<(String, Estimate)> = cells
        .filter_map(|m| Some((layers(m), estimate(m)?)))
        .collect();
    Figure {
        title: format!(
            "{}: faithfulness when the last token sees itself and position 0 only in these layers",
            template(group.first())
        ),
        described: format!(
            "A bar for every knock-out, with 95% intervals. {}",
            SEE_TABLE
        ),
        drawing: Drawing::Bars {
            x: "layers in which it sees no other token".to_owned(),
            y: "faithfulness".to_owned(),
            bars,
            claim: Some(group.first().test.claim),
        },
    }
}
