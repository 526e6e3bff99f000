//! What must the last token see: AF1 in whose transfer layers it sees only the last few tokens, or only tokens of some roles.
//!
//! It sees itself and position 0 in any case. *Operands* are their tokens, *text* is all else between the first token and the last, *answer*
//! are the tokens of the right answer that stand before the place where the next one is read.

use std::collections::BTreeSet;

use clap::Args;

use super::parts::options::{AblationName, Layers, OneSubgraph};
use super::parts::{Ask, Emit, Entry, Experiment, Given, Sizes, Todo, Unit, View, Workbench};
use crate::intervene::{Ablation, MaskedBy, Plan, sees};
use crate::kit::words::about::{
    NOTHING_TO_KEEP, all_counts, baseline, faithfulness, heading, template,
};
use crate::kit::words::columns::{
    accurate, estimate, faithful, joined, logits, said, shares, verdict,
};
use crate::kit::words::{SEE_TABLE, each_group, each_template};
use crate::kit::{Block, Drawing, Estimate, Figure, Table};
use crate::measure::with_references;
use crate::prompt::{self, Operation, PromptSet, Role};
use crate::record::{CellName, Group, Kind, Line, Measurement, Sweep, measure};
use crate::{Error, Result};

/// The kind of its records.
const KIND: Kind = Kind::new("peek");

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "peek",
    "What must the last token see? AF1 in which it sees the last few tokens only, or only some roles",
    &Shown,
    [
        "peek -s calculate --operation A+B",
        "peek -m planted-operator -s symbolic --operands 0..=9",
    ],
).inside();

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    subgraph: OneSubgraph,
    /// What replaces the residual stream of waiting tokens
    #[arg(long, value_name = "NAME", default_value = "cama")]
    ablation: AblationName,
    /// How many of the last tokens it sees, itself among them; a number, list or range. More than a prompt has are all
    #[arg(long, value_name = "N,...", default_value = "1..=8,10,12,16,24,32")]
    window: Layers,
}

impl Ask for Options {
    fn experiment(&self, given: &Given<'_>) -> Result<Box<dyn Experiment>> {
        let (wait, transfer) = self.subgraph.resolve(given.model)?;
        if transfer == 0 {
            let reason = "--transfer 0: the last token sees nothing then; expected 1 or more";
            return Err(Error::Usage(reason.to_owned()));
        }
        if self.window.0.contains(&0) {
            let reason = "--window 0: the last token sees itself; expected 1 or more";
            return Err(Error::Usage(reason.to_owned()));
        }
        Ok(Box::new(Peek {
            plan: Plan::af1(wait, transfer),
            windows: self.window.0.iter().copied().collect(),
            ablation: self.ablation.0,
        }))
    }
}

/// An AF1 in whose transfer layers the last token sees less than everything.
pub struct Peek {
    /// The AF1.
    pub plan: Plan,
    /// Numbers of last tokens, each at least 1.
    pub windows: BTreeSet<usize>,
    /// What replaces the residual stream of waiting tokens.
    pub ablation: &'static dyn Ablation,
}

/// An operation has at most one operand a letter.
const MOST_OPERANDS: usize = 26;

/// Windows stand behind all operands.
const WINDOWS: usize = 1 + MOST_OPERANDS;

impl Experiment for Peek {
    fn kind(&self) -> Kind {
        KIND
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        let general = vec![
            Sight::Everything,
            Sight::Operands,
            Sight::Text,
            Sight::Answer,
            Sight::Nothing,
        ];
        let windows = self.windows.iter().copied().map(Sight::Window).collect();
        let unit = |operand, sights| -> Box<dyn Unit + '_> {
            Box::new(Sights {
                peek: self,
                operand,
                sights,
            })
        };
        let of_operand = |i: usize| unit(Some(i), vec![Sight::Operand(i), Sight::Without(i)]);
        let mut units = vec![unit(None, general)];
        units.extend((0..MOST_OPERANDS).map(of_operand));
        units.push(unit(None, windows));
        units
    }
}

/// What the last token sees in the transfer layers, beside itself and position 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    Everything,
    Operands,
    Text,
    Answer,
    Nothing,
    Window(usize),
    Operand(usize),
    Without(usize),
}

impl Sight {
    /// What is seen, in words.
    fn words(self) -> String {
        match self {
            Self::Everything => "everything".to_owned(),
            Self::Operands => "operands".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Answer => "answer so far".to_owned(),
            Self::Nothing => "nothing".to_owned(),
            Self::Window(1) => "the last token".to_owned(),
            Self::Window(n) => format!("the last {n} tokens"),
            Self::Operand(i) => format!("{} alone", Operation::letter(i)),
            Self::Without(i) => format!("all but {}", Operation::letter(i)),
        }
    }

    /// Where its cell stands: as its unit among all units, and then within it.
    fn order(self) -> [usize; 2] {
        match self {
            Self::Everything => [0, 0],
            Self::Operands => [0, 1],
            Self::Text => [0, 2],
            Self::Answer => [0, 3],
            Self::Nothing => [0, 4],
            Self::Operand(i) => [1 + i, 0],
            Self::Without(i) => [1 + i, 1],
            Self::Window(n) => [WINDOWS, n],
        }
    }

    /// The cell of what is seen.
    fn cell(self) -> CellName {
        CellName::new(self.order(), self.words())
    }

    /// The technique that lets the last token see just this in these prompts.
    fn technique(self, set: &PromptSet) -> MaskedBy {
        let seen = |role: &Role| match self {
            Self::Everything | Self::Nothing | Self::Window(_) => false,
            Self::Operands => matches!(role, Role::Operand(_)),
            Self::Text => matches!(role, Role::Text),
            Self::Answer => matches!(role, Role::Answer),
            Self::Operand(i) => *role == Role::Operand(i),
            Self::Without(i) => *role != Role::Operand(i),
        };
        let positions = set.roles.iter().enumerate();
        let positions = positions.filter_map(|(at, role)| seen(role).then_some(at));
        let name = match self {
            Self::Everything => return MaskedBy::ABP,
            Self::Window(n) => format!("window-{n}"),
            // The last token sees itself without being told to.
            _ => sees(positions.filter(|at| at + 1 < set.positions())),
        };
        MaskedBy::named(&name).expect("a technique by the name that it has")
    }
}

/// Some sights: those that every template has, or those of an operand.
struct Sights<'a> {
    peek: &'a Peek,
    operand: Option<usize>,
    sights: Vec<Sight>,
}

impl Unit for Sights<'_> {
    fn words(&self) -> String {
        let (plan, by) = (self.peek.plan.words(), self.peek.ablation.name());
        format!("what the last token sees under {plan} by {by}")
    }

    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        vec![self.peek.ablation]
    }

    fn applies(&self, shape: &prompt::Shape) -> bool {
        self.operand.is_none_or(|i| i < shape.operands.len())
    }

    fn cells(&self, _: Sizes) -> Vec<CellName> {
        self.sights.iter().map(|sight| sight.cell()).collect()
    }

    fn plans(&self, _: Sizes) -> Vec<Plan> {
        with_references(std::slice::from_ref(&self.peek.plan))
    }

    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()> {
        let by = |sight: &Sight| self.peek.plan.clone().with(sight.technique(bench.set));
        let plans: Vec<Plan> = self.sights.iter().map(by).collect();
        // Sights of the same positions are measured once.
        let mut distinct: Vec<Plan> = Vec::new();
        for plan in &plans {
            if !distinct.contains(plan) {
                distinct.push(plan.clone());
            }
        }
        let (engine, evaluation) = bench.prepared()?;
        let compared = evaluation.compare(engine, &distinct, &[self.peek.ablation])?;
        let evaluation = bench.evaluation.as_ref().expect("it was just prepared");
        let measured = measure(evaluation, bench.run, compared.cells());
        let line = |(sight, plan): (&Sight, &Plan)| {
            let at = distinct.iter().position(|known| known == plan);
            let m = measured[at.expect("it is one of them")].clone();
            bench.line(m, &sight.cell())
        };
        let lines: Vec<Line> = self.sights.iter().zip(&plans).map(line).collect();
        emit.whole(lines, todo)
    }
}

/// What is shown of its records.
pub struct Shown;

impl View for Shown {
    fn kind(&self) -> Kind {
        KIND
    }

    fn question(&self) -> &'static str {
        "What must the last token see in the transfer layers?"
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
            let mut columns = vec![said("the last token sees", seen), said("masked by", masked)];
            columns.extend(joined([shares(), logits(), vec![verdict()]]));
            let title = format!("{}: what the last token sees", template(group.first()));
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
            _ => sentence(group),
        })
    }
}

/// What the last token sees.
fn seen(m: &Measurement) -> String {
    m.place.cell.name.clone()
}

/// The technique, which names the positions.
fn masked(m: &Measurement) -> String {
    m.subject.masked_by().unwrap_or_default()
}

/// A row a sight.
fn table(group: &Group) -> Table {
    let columns = [said("the last token sees", seen), faithful(), accurate()];
    let m = group.first();
    let title = format!(
        "{}\nwhen tokens wait to W = {}, and in the transfer layers {} the last token sees this, itself and position 0",
        baseline(m),
        m.subject.wait(),
        m.subject.transfer_layers().unwrap_or_default()
    );
    Table::of(title, &columns, &group.cells)
}

/// A bar a sight.
fn figure(group: &Group) -> Figure {
    let bar = |m: &Measurement| Some((seen(m), estimate(m)?));
    let bars: Vec<(String, Estimate)> = (group.cells.iter())
        .filter_map(|cell| bar(&cell.m))
        .collect();
    Figure {
        title: format!(
            "{}: faithfulness by what the last token sees in the transfer layers",
            template(group.first())
        ),
        described: format!("A bar for everything that is seen, with 95% intervals. {SEE_TABLE}"),
        drawing: Drawing::Bars {
            x: "what the last token sees".to_owned(),
            y: "faithfulness".to_owned(),
            bars,
            claim: Some(group.first().test.claim),
        },
    }
}

/// What operands alone keep, and the fewest last tokens that keep half of what everything keeps.
fn sentence(group: &Group) -> String {
    let all = || group.cells.iter().map(|cell| &cell.m);
    let named = |sight: Sight| all().find(|m| m.place.cell.name == sight.words());
    let keeps =
        |sight: Sight| named(sight).map(|m| format!("{} {}", sight.words(), faithfulness(m)));
    let sights = [Sight::Everything, Sight::Operands]
        .into_iter()
        .chain((0..MOST_OPERANDS).map(Sight::Without))
        .chain([Sight::Text, Sight::Nothing]);
    let kept: Vec<String> = sights.filter_map(keeps).collect();
    let whole = named(Sight::Everything).map_or(0, |m| m.counts.correct_given_base);
    let order = |m: &&Measurement| m.place.cell.order.clone();
    let of_windows = all().filter(|m| m.place.cell.order.first() == Some(&WINDOWS));
    let enough = of_windows
        .filter(|m| whole > 0 && 2 * m.counts.correct_given_base > whole)
        .min_by_key(order);
    let windows = match enough {
        Some(m) => format!(
            "; {} are the fewest that keep most of that: {}",
            seen(m),
            faithfulness(m)
        ),
        None => "; no number of last tokens that was asked for keeps most of that".to_owned(),
    };
    format!(
        "of the right answers are kept where the last token sees {}{windows}",
        kept.join(", ")
    )
}
