//! How many contexts does a mean take: an AF1 with means over fewer of them; a row and a point for every number of contexts, over all
//! draws.

use std::collections::BTreeSet;

use clap::Args;

use super::parts::options::{AblationName, OneSubgraph};
use super::parts::{Ask, Emit, Entry, Experiment, Given, Sizes, Todo, Unit, View, Workbench};
use crate::Result;
use crate::intervene::{Ablation, Plan};
use crate::kit::words::about::{NOTHING_TO_KEEP, af1, baseline, heading, outcome, template};
use crate::kit::words::columns::{ablation, joined, logits, said, shares};
use crate::kit::words::number::{interval, share};
use crate::kit::words::{SEE_TABLE, each_group, each_template, said as wrong};
use crate::kit::{Block, Column, Curves, Drawing, Estimate, Figure, Series, Table, column};
use crate::measure::{Draw, Request, with_references};
use crate::printable;
use crate::record::{
    CellName, Draws, FEWEST_DRAWS, Group, Kind, Measurement, OverDraws, Row, Sweep, measure,
    over_draws as all_draws,
};

/// The kind of its records.
const KIND: Kind = Kind::new("contexts");

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "contexts",
    "How many contexts does a mean take?",
    &Shown,
    [
        "contexts -s calculate --operation A+B --numbers 1,3,10",
        "contexts -m planted-leak -s symbolic --operands 0..=9",
    ],
);

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    subgraph: OneSubgraph,
    /// What replaces the residual stream of waiting tokens
    #[arg(long, value_name = "NAME", default_value = "cama")]
    ablation: AblationName,
    /// Contexts of a token, the evaluated prompt not counted
    #[arg(long, value_delimiter = ',', value_name = "N,...", default_value = "1,2,5,10,20,50,100", value_parser = clap::value_parser!(u32).range(1..))]
    numbers: Vec<u32>,
    /// Draws of each number, by --seed and the seeds after it; a verdict takes at least 5
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    draws: u16,
}

impl Ask for Options {
    fn experiment(&self, given: &Given<'_>) -> Result<Box<dyn Experiment>> {
        let (wait, transfer) = self.subgraph.resolve(given.model)?;
        let mut numbers: Vec<usize> = self.numbers.iter().map(|&n| n as usize).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let seeds = (0..u64::from(self.draws)).map(|i| given.seed.wrapping_add(i));
        let seeds: Vec<u64> = seeds.collect();
        let of = |&contexts: &usize| seeds.iter().map(move |&seed| Draw { contexts, seed });
        Ok(Box::new(ContextNumbers {
            af1: Plan::af1(wait, transfer),
            ablation: self.ablation.0,
            draws: numbers.iter().flat_map(of).collect(),
        }))
    }
}

/// An AF1 with means over fewer contexts, a cell for every number of them and every seed.
#[derive(Clone)]
pub struct ContextNumbers {
    /// The subgraph.
    pub af1: Plan,
    /// What replaces the residual stream of waiting tokens.
    pub ablation: &'static dyn Ablation,
    /// The draws, those of a number together.
    pub draws: Vec<Draw>,
}

impl Experiment for ContextNumbers {
    fn kind(&self) -> Kind {
        KIND
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        vec![Box::new(self.clone())]
    }
}

impl Unit for ContextNumbers {
    fn words(&self) -> String {
        // The last draw of a number says what all draws of it say.
        let seeds: BTreeSet<u64> = self.draws.iter().map(|draw| draw.seed).collect();
        let seeds: Vec<String> = seeds.iter().map(ToString::to_string).collect();
        let (af1, ablation) = (self.af1.words(), self.ablation.name());
        format!("contexts of {af1} by {ablation}, seeds {}", seeds.join(" "))
    }

    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        vec![self.ablation]
    }

    fn cells(&self, _: Sizes) -> Vec<CellName> {
        self.draws.iter().map(|draw| self.cell(*draw)).collect()
    }

    fn plans(&self, _: Sizes) -> Vec<Plan> {
        with_references(std::slice::from_ref(&self.af1))
    }

    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()> {
        emit.known(&todo.known)?;
        let mut seen: Vec<Measurement> = Vec::new();
        for &draw in &self.draws {
            let cell = self.cell(draw);
            if let Some(line) = todo.line(&cell) {
                if let Row::Measured(m) = &line.row {
                    seen.push((**m).clone());
                }
                continue;
            }
            let mut m = self.drawn(bench, draw)?;
            // What all draws say together is in the record of the last one: the tables of means have an error, too.
            let of_number = self.draws.iter().filter(|d| d.contexts == draw.contexts);
            seen.retain(|m| {
                m.subject
                    .draw
                    .is_some_and(|known| known.contexts == draw.contexts)
            });
            if seen.len() + 1 == of_number.count() {
                let all: Vec<&Measurement> = seen.iter().chain([&m]).collect();
                m.over_draws = all_draws(&all);
            }
            seen.push(m.clone());
            emit.new_lines(&[bench.line(m, &cell)])?;
        }
        Ok(())
    }
}

impl ContextNumbers {
    /// The cell of a draw; those of a number stand in the order in which they are drawn.
    fn cell(&self, draw: Draw) -> CellName {
        let of_number = self
            .draws
            .iter()
            .filter(|known| known.contexts == draw.contexts);
        let place = of_number
            .take_while(|known| known.seed != draw.seed)
            .count();
        let name = format!("{} contexts, seed {}", draw.contexts, draw.seed);
        CellName::new([draw.contexts, place], name)
    }

    /// The subgraph with the means of one draw.
    fn drawn(&self, bench: &mut Workbench<'_>, draw: Draw) -> Result<Measurement> {
        let request = Request {
            draw: Some(draw),
            ..bench.request
        };
        let mut evaluation = bench.prepare(&request, bench.waits)?;
        let plans = std::slice::from_ref(&self.af1);
        let compared = evaluation.compare(bench.engine, plans, &[self.ablation])?;
        let mut measured = measure(&evaluation, bench.run, compared.cells());
        Ok(measured.pop().expect("one plan has one cell"))
    }
}

/// What is shown of its records.
pub struct Shown;

impl View for Shown {
    fn kind(&self) -> Kind {
        KIND
    }

    fn question(&self) -> &'static str {
        "How many contexts does a mean take?"
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let tables = sweep.groups.iter().map(|group| Block::Table(table(group)));
        std::iter::once(heading(sweep)).chain(tables).collect()
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        each_template(sweep, |group| {
            let name = template(group.first());
            let number =
                |m: &Measurement| m.subject.draw.map_or(0, |draw| draw.contexts).to_string();
            let seed = |m: &Measurement| m.subject.draw.map_or(0, |draw| draw.seed).to_string();
            let draws = vec![said("contexts", number), said("seed", seed), ablation()];
            let each = joined([draws, shares(), logits()]);
            let mut over_all = counted();
            over_all.extend([
                over_draws(
                    "faithfulness over draws and prompts",
                    group.first().counts.base_correct,
                ),
                column("verdict", word),
                column("reason", reason),
            ]);
            let [all_title, each_title] = ["all draws together", "draw by draw"]
                .map(|what| format!("{name}: contexts, {what}"));
            vec![
                Block::Figure(figure(group)),
                Block::Table(Table::of(all_title, &over_all, &group.draws)),
                Block::Table(Table::of(each_title, &each, &group.cells)),
            ]
        })
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        each_group(sweep, |group| {
            let m = group.first();
            let (of, claim, right) = (af1(m), m.test.claim, m.counts.base_correct);
            let all: Vec<(usize, &OverDraws)> = (group.draws.iter())
                .filter_map(|draws| Some((draws.contexts, draws.all.as_ref()?)))
                .collect();
            let kept = |all: &OverDraws| {
                let of = |x: f64| share(x, right);
                interval(of, all.faithfulness, Some(all.low), Some(all.high))
            };
            let enough = all
                .iter()
                .rev()
                .take_while(|(_, all)| all.faithfulness >= claim);
            match (enough.last(), all.last()) {
                _ if right == 0 => NOTHING_TO_KEEP.to_owned(),
                (Some((contexts, all)), _) => format!(
                    "means over {contexts} other context{} of every operand's token are enough for the claim {claim}, and so are more: \
                     {of} with {} keeps {} of the right answers over all draws",
                    if *contexts == 1 { "" } else { "s" },
                    m.subject.ablation,
                    kept(all)
                ),
                (None, Some((contexts, all))) => format!(
                    "no number of contexts that was tried is enough for the claim {claim}: with {contexts}, the most, {of} with {} \
                     keeps {} of the right answers over all draws",
                    m.subject.ablation,
                    kept(all)
                ),
                (None, None) => "nothing was measured".to_owned(),
            }
        })
    }
}

/// A row a number of contexts, and the reasons of the verdicts below.
fn table(group: &Group) -> Table {
    let m = group.first();
    let right = m.counts.base_correct;
    // More cannot be drawn than there are: the record says how many were.
    let cells = group.cells.iter().map(|cell| &cell.m);
    let short = cells.filter(|m| {
        m.subject
            .draw
            .is_some_and(|draw| draw.contexts > m.contexts.median)
    });
    let fewer = match short.map(|m| m.contexts.median).max() {
        Some(has) => format!(
            ", or over all where a token has fewer, as half of the tokens do (at most {has})"
        ),
        None => String::new(),
    };
    let title = format!(
        "{}\n{} with {}, means over so many other contexts of every operand's token{fewer}; intervals over draws and \
         prompts (pigeonhole bootstrap)",
        baseline(m),
        af1(m),
        m.subject.ablation,
    );
    let end = move |draws: &Draws, of: fn(f64, f64) -> f64| {
        let end = draws.each.iter().copied().reduce(of);
        end.map_or(String::new(), |x| share(x, right))
    };
    let mut columns = counted();
    columns.extend([
        over_draws("faithfulness", right),
        column("least", move |draws: &Draws| end(draws, f64::min)),
        column("most", move |draws: &Draws| end(draws, f64::max)),
        column("verdict", word),
    ]);
    let mut table = Table::of(title, &columns, &group.draws);
    table.notes.extend(group.draws.iter().filter_map(|draws| {
        let verdict = draws.all.as_ref()?.verdict.as_ref()?;
        let plural = if draws.contexts == 1 { "" } else { "s" };
        Some(format!(
            "    {} context{plural}: {}: {}",
            draws.contexts,
            outcome(verdict.outcome),
            printable::line(&verdict.reason)
        ))
    }));
    table.notes.push(wrong(m));
    table
}

/// The number of contexts, and that of draws.
fn counted<'a>() -> Vec<Column<'a, Draws>> {
    vec![
        column("contexts", |draws: &Draws| draws.contexts.to_string()),
        column("draws", |draws: &Draws| draws.count.to_string()),
    ]
}

/// Faithfulness over all draws, of so many right answers.
fn over_draws<'a>(name: &str, right: usize) -> Column<'a, Draws> {
    column(name, move |draws: &Draws| {
        let of = |x: f64| share(x, right);
        draws.all.as_ref().map_or("none to keep".to_owned(), |all| {
            interval(of, all.faithfulness, Some(all.low), Some(all.high))
        })
    })
}

/// The verdict on all draws in a word or two.
fn word(draws: &Draws) -> String {
    match draws.all.as_ref().map(|all| &all.verdict) {
        None => String::new(),
        Some(Some(verdict)) => outcome(verdict.outcome).to_owned(),
        Some(None) => format!("needs {FEWEST_DRAWS} draws"),
    }
}

/// The reason of the verdict on all draws.
fn reason(draws: &Draws) -> String {
    let verdict = draws.all.as_ref().and_then(|all| all.verdict.as_ref());
    verdict.map_or(String::new(), |verdict| verdict.reason.clone())
}

/// A point a number of contexts.
fn figure(group: &Group) -> Figure {
    // Numbers far apart stand side by side: the axis counts them.
    let point = |(place, draws): (usize, &Draws)| {
        let all = draws.all.as_ref()?;
        let estimate = Estimate {
            value: all.faithfulness,
            low: Some(all.low),
            high: Some(all.high),
            of: None,
        };
        Some((place, estimate))
    };
    let m = group.first();
    let series = Series {
        name: m.subject.ablation.clone(),
        points: group.draws.iter().enumerate().filter_map(point).collect(),
        joined: true,
    };
    let numbers = group.draws.iter().map(|draws| draws.contexts.to_string());
    let places: Vec<String> = numbers.collect();
    Figure {
        title: format!(
            "{}: faithfulness of {} with means over {} contexts of a token",
            template(m),
            af1(m),
            places.join(", ")
        ),
        described: format!(
            "A curve over numbers of contexts, with 95% intervals over draws and prompts. {}",
            SEE_TABLE
        ),
        drawing: Drawing::Curves(
            Curves::over_places("contexts of a token", "faithfulness", places, vec![series])
                .with_claim(m.test.claim),
        ),
    }
}
