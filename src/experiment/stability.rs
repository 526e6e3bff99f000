//! Would other prompts have found the same AF1: `(W, K)` chosen again on many halves of the operands, and in every wording that is asked
//! for; how often each is chosen, and what it keeps on the other half.
//!
//! Halves overlap, so that how often an AF1 is chosen has no interval: draws are no sample of independent prompts.

use std::collections::BTreeMap;

use clap::Args;

use super::parts::options::AblationName;
use super::parts::{
    Ask, Emit, Entry, Experiment, Given, OnAHalf, Sizes, Todo, Unit, View, Workbench,
    plans_of_a_choice,
};
use crate::Result;
use crate::intervene::{Ablation, Head, Plan};
use crate::kit::words::about::{NOTHING_TO_KEEP, af1, faithfulness, heading, template};
use crate::kit::words::columns::{joined, part, said, shares, subgraph, verdict};
use crate::kit::words::number::share;
use crate::kit::words::{self, SEE_TABLE, each_template};
use crate::kit::{Block, Drawing, Figure, Map, Table, Tile, column};
use crate::measure::Part;
use crate::record::{CellName, Group, Kind, Measurement, Sweep, Tested};

/// The kind of its records.
const KIND: Kind = Kind::new("stability");

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "stability",
    "Would other prompts have found the same AF1? W and K chosen on many halves of the operands",
    &Shown,
    [
        "stability -s calculate --operation A+B",
        "stability -m planted-spread -s symbolic --operands 0..=9 --heads",
    ],
);

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What replaces the residual stream of waiting tokens
    #[arg(long, value_name = "NAME", default_value = "cama")]
    ablation: AblationName,
    /// Halves of the operands on which W and K are chosen, drawn by --seed and the numbers after it
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    draws: u16,
    /// Choose heads, too: take them out of the chosen AF1 one by one, the least important first, as long as it holds
    #[arg(long)]
    heads: bool,
}

impl Ask for Options {
    fn experiment(&self, given: &Given<'_>) -> Result<Box<dyn Experiment>> {
        let draws = 0..u64::from(self.draws);
        Ok(Box::new(Stability {
            ablation: self.ablation.0,
            seeds: draws.map(|draw| given.seed.wrapping_add(draw)).collect(),
            heads: self.heads,
        }))
    }
}

/// Choosing W and K on many halves of the prompts.
pub struct Stability {
    /// What replaces the residual stream of waiting tokens.
    pub ablation: &'static dyn Ablation,
    /// A half for each.
    pub seeds: Vec<u64>,
    /// Whether heads are chosen, too.
    pub heads: bool,
}

impl Experiment for Stability {
    fn kind(&self) -> Kind {
        KIND
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        let unit = |(place, &seed): (usize, &u64)| -> Box<dyn Unit + '_> {
            Box::new(Half {
                ablation: self.ablation,
                place,
                seed,
                heads: self.heads,
            })
        };
        self.seeds.iter().enumerate().map(unit).collect()
    }
}

/// One draw of a half.
struct Half {
    ablation: &'static dyn Ablation,
    place: usize,
    seed: u64,
    heads: bool,
}

impl Unit for Half {
    fn words(&self) -> String {
        format!("chosen by {} on a half", self.ablation.name())
    }

    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        vec![self.ablation]
    }

    fn cells(&self, _: Sizes) -> Vec<CellName> {
        let parts = [Part::Development, Part::HeldOut].map(Part::name);
        let of_heads = parts.map(|part| format!("fewest heads, {part}"));
        let of_heads = of_heads.into_iter().filter(|_| self.heads);
        let all = parts.map(str::to_owned).into_iter().chain(of_heads);
        let cell = |(i, of): (usize, String)| {
            CellName::new([self.place, i], format!("seed {}, {of}", self.seed))
        };
        all.enumerate().map(cell).collect()
    }

    fn plans(&self, sizes: Sizes) -> Vec<Plan> {
        let mut plans = plans_of_a_choice(sizes.layers);
        let wait = sizes.layers / 2;
        let heads = Head::all(wait..wait + 1, sizes.heads).collect();
        plans.extend(self.heads.then(|| Plan::pruned(wait, 1, heads)));
        plans
    }

    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()> {
        let mut half = OnAHalf::choose(bench, self.ablation, self.seed)?;
        let plan = half.plan();
        let mut measured = half.measure(bench, &plan, self.ablation)?;
        if self.heads {
            let plan = half.fewest_heads(bench, self.ablation)?;
            measured.extend(half.measure(bench, &plan, self.ablation)?);
        }
        let cells = measured.into_iter().zip(&todo.cells);
        let lines = cells.map(|(m, cell)| bench.line(m, cell)).collect();
        emit.whole(lines, todo)
    }
}

/// An AF1 that was chosen.
#[derive(Default)]
struct Choice<'m> {
    /// The number of halves on which it was chosen.
    times: usize,
    /// The number of these halves on which it holds.
    holds: usize,
    /// The measurements on the other halves.
    held_out: Vec<&'m Measurement>,
}

/// What was chosen how often.
struct Choices<'m> {
    /// The AF1s that were chosen, by `(W, K)`.
    by_subgraph: BTreeMap<(usize, usize), Choice<'m>>,
    /// How many halves there are.
    halves: usize,
}

impl<'m> Choices<'m> {
    fn of(cells: impl IntoIterator<Item = &'m Tested>) -> Self {
        let mut all = Self {
            by_subgraph: BTreeMap::new(),
            halves: 0,
        };
        for Tested { m, .. } in cells {
            let (Some(transfer), None) = (m.subject.transfer(), m.subject.pruned_heads()) else {
                continue;
            };
            let choice = all.by_subgraph.entry((m.subject.wait(), transfer));
            let choice = choice.or_default();
            match m.subject.part {
                Part::Development => {
                    all.halves += 1;
                    choice.times += 1;
                    choice.holds += usize::from(m.choice.is_some_and(|choice| choice.holds));
                }
                _ => choice.held_out.push(m),
            }
        }
        all
    }

    /// What was chosen, the most frequent first, and of equals that with the longest wait.
    fn ranked(&self) -> Vec<(&(usize, usize), &Choice<'m>)> {
        let mut all: Vec<_> = self.by_subgraph.iter().collect();
        all.sort_by_key(|((wait, transfer), choice)| {
            (std::cmp::Reverse((choice.times, *wait)), *transfer)
        });
        all
    }

    /// What was chosen most often, and how the others are spread.
    fn sentence(&self) -> String {
        let ranked = self.ranked();
        let Some((_, first)) = ranked.first() else {
            return "nothing was chosen".to_owned();
        };
        if ranked.iter().all(|(_, choice)| choice.extremes().is_none()) {
            return NOTHING_TO_KEEP.to_owned();
        }
        let name = first.held_out.first().map_or(String::new(), |m| af1(m));
        let span = |of: fn(&(usize, usize)) -> usize| {
            let all = || self.by_subgraph.keys().map(of);
            match (all().min(), all().max()) {
                (Some(low), Some(high)) if low < high => format!("{low} to {high}"),
                (low, _) => low.unwrap_or_default().to_string(),
            }
        };
        let others = match ranked.len() {
            1 => "no other one is chosen".to_owned(),
            n => format!(
                "{} others are chosen, with W from {} and K from {}",
                n - 1,
                span(|at| at.0),
                span(|at| at.1)
            ),
        };
        let kept = match first.extremes() {
            Some((least, most)) => format!(
                "; on the other halves it keeps from {} to {} of the right answers",
                faithfulness(least),
                faithfulness(most)
            ),
            None => String::new(),
        };
        format!(
            "{name} is chosen on {} of {} halves of the operands{}; {others}{kept}",
            first.times,
            self.halves,
            match first.holds == first.times {
                true => String::new(),
                false => format!(" (it holds on {})", first.holds),
            }
        )
    }
}

impl<'m> Choice<'m> {
    /// The half on which it keeps the least, and that on which it keeps most.
    fn extremes(&self) -> Option<(&'m Measurement, &'m Measurement)> {
        let kept = |m: &&&Measurement| m.scores.faithfulness.value.unwrap_or(0.0);
        let least = self
            .held_out
            .iter()
            .min_by(|a, b| kept(a).total_cmp(&kept(b)));
        let most = self
            .held_out
            .iter()
            .max_by(|a, b| kept(a).total_cmp(&kept(b)));
        Some((least?, most?))
    }
}

/// The heads that were left where the fewest were chosen.
struct Needed<'m> {
    /// The number of halves on which each of the heads was left.
    times: BTreeMap<Head, usize>,
    /// The heads that were left on each half, in the order of the draws.
    sizes: Vec<usize>,
    /// The same on the other halves.
    kept: Choice<'m>,
}

impl<'m> Needed<'m> {
    /// `None` where heads were not chosen.
    fn of(cells: impl IntoIterator<Item = &'m Tested>) -> Option<Self> {
        let mut all = Self {
            times: BTreeMap::new(),
            sizes: Vec::new(),
            kept: Choice::default(),
        };
        for Tested { m, .. } in cells {
            // Where the AF1 does not hold, no head can be said to be needed.
            let holds = m.choice.is_some_and(|choice| choice.holds);
            let Some(left) = m.subject.heads_left().filter(|_| holds) else {
                continue;
            };
            if m.subject.part != Part::Development {
                all.kept.held_out.push(m);
                continue;
            }
            all.sizes.push(left.len());
            for head in left {
                *all.times.entry(head).or_insert(0) += 1;
            }
        }
        (!all.sizes.is_empty()).then_some(all)
    }

    /// Heads, those first that were left most often.
    fn ranked(&self) -> Vec<(&Head, &usize)> {
        let mut all: Vec<(&Head, &usize)> = self.times.iter().collect();
        all.sort_by_key(|(head, times)| (std::cmp::Reverse(**times), **head));
        all
    }

    fn table(&self) -> Table {
        let halves = self.sizes.len();
        let columns = [
            column("head", |row: &(&Head, &usize)| row.0.to_string()),
            column(
                "needed on halves on which it holds",
                move |row: &(&Head, &usize)| format!("{}/{halves}", row.1),
            ),
        ];
        Table::of("heads of the fewest that hold", &columns, &self.ranked())
    }

    fn sentence(&self) -> String {
        let halves = self.sizes.len();
        let always = (self.ranked().into_iter()).filter(|(_, times)| **times == halves);
        let always: Vec<String> = always.map(|(head, _)| head.to_string()).collect();
        let (least, most) = (self.sizes.iter().min(), self.sizes.iter().max());
        let (least, most) = (least.copied().unwrap_or(0), most.copied().unwrap_or(0));
        let sizes = match least == most {
            true => least.to_string(),
            false => format!("{least} to {most}"),
        };
        let kept = self.kept.extremes().map(|(least, most)| {
            format!(
                "; they keep from {} to {} on the other halves",
                faithfulness(least),
                faithfulness(most)
            )
        });
        format!(
            "of the heads {sizes} are needed where it holds, {} of them on every such half{}{}",
            always.len(),
            match always.is_empty() {
                true => String::new(),
                false => format!(" ({})", words::listed(&always, MOST_LISTED)),
            },
            kept.unwrap_or_default()
        )
    }
}

/// The most that a sentence lists.
const MOST_LISTED: usize = 8;

/// What is shown of its records.
pub struct Shown;

impl View for Shown {
    fn kind(&self) -> Kind {
        KIND
    }

    fn question(&self) -> &'static str {
        "Would other prompts have found the same AF1?"
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let mut blocks = vec![heading(sweep)];
        for group in &sweep.groups {
            let title = template(group.first());
            blocks.push(Block::Table(table(title, &Choices::of(&group.cells))));
            blocks.extend(Needed::of(&group.cells).map(|needed| Block::Table(needed.table())));
        }
        if sweep.groups.len() > 1 {
            let all = table(
                "all templates together".to_owned(),
                &Choices::of(sweep.cells()),
            );
            blocks.push(Block::Table(all));
        }
        blocks.push(Block::Note(RULE.to_owned()));
        blocks
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        each_template(sweep, |group| {
            let half = |m: &Measurement| m.place.cell.name.clone();
            let mut columns = vec![said("half", half), part("prompts")];
            columns.extend(joined([subgraph(), shares(), vec![verdict()]]));
            let title = format!("{}: AF1 chosen on halves", template(group.first()));
            vec![
                Block::Figure(figure(group)),
                Block::Table(Table::of(title, &columns, &group.cells)),
            ]
        })
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        let each = sweep.groups.iter().map(|group| {
            let found = Choices::of(&group.cells).sentence();
            let heads = Needed::of(&group.cells).map(|needed| format!("; {}", needed.sentence()));
            format!(
                "{}: {found}{}",
                template(group.first()),
                heads.unwrap_or_default()
            )
        });
        let mut all: Vec<String> = each.collect();
        if all.len() > 1 {
            let found = Choices::of(sweep.cells()).sentence();
            all.insert(0, format!("all templates together: {found}"));
        }
        all
    }
}

/// How it is chosen, and why there is no interval.
const RULE: &str = "on every half the AF1 with the longest wait and then the fewest transfer layers that holds is chosen, and where none holds the \
     one that keeps most; halves overlap, so that how often one is chosen has no interval";

/// A row for everything that was chosen.
fn table(title: String, choices: &Choices<'_>) -> Table {
    type Row<'a, 'm> = (&'a (usize, usize), &'a Choice<'m>);
    let end = |row: &Row<'_, '_>, least: bool| {
        row.1.extremes().map_or(String::new(), |(low, high)| {
            faithfulness(if least { low } else { high })
        })
    };
    let halves = choices.halves;
    let columns = [
        column("W", |row: &Row<'_, '_>| row.0.0.to_string()),
        column("K", |row: &Row<'_, '_>| row.0.1.to_string()),
        column("chosen on halves", move |row: &Row<'_, '_>| {
            format!("{}/{halves}", row.1.times)
        }),
        column("of these it holds on", |row: &Row<'_, '_>| {
            row.1.holds.to_string()
        }),
        column("least on another half", move |row: &Row<'_, '_>| {
            end(row, true)
        }),
        column("most on another half", move |row: &Row<'_, '_>| {
            end(row, false)
        }),
    ];
    Table::of(title, &columns, &choices.ranked())
}

/// A map of what was chosen how often.
fn figure(group: &Group) -> Figure {
    let choices = Choices::of(&group.cells);
    let span = |of: fn(&(usize, usize)) -> usize| {
        let all = || choices.by_subgraph.keys().map(of);
        let (low, high) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
        (low..=high).collect::<Vec<usize>>()
    };
    let (waits, transfers) = (span(|at| at.0), span(|at| at.1));
    let cell = |wait: usize, transfer: usize| {
        let times = choices.by_subgraph.get(&(wait, transfer))?.times;
        let of_all = times as f64 / choices.halves.max(1) as f64;
        Some(Tile::of(of_all, share(of_all, choices.halves)))
    };
    let row = |&wait: &usize| transfers.iter().map(|&k| cell(wait, k)).collect();
    Figure {
        title: format!("{}: how often AF1(W, K) is chosen", template(group.first())),
        described: format!("A map of W and K with the share of halves. {SEE_TABLE}"),
        drawing: Drawing::Map(Map {
            x: "K, transfer layers".to_owned(),
            columns: transfers.iter().map(usize::to_string).collect(),
            y: "W, layers that wait".to_owned(),
            rows: waits.iter().map(usize::to_string).collect(),
            cells: waits.iter().map(row).collect(),
            marked: None,
        }),
    }
}
