//! Which AF1: `(W, K)` chosen on one half of the prompts, reported on the other, which shares no operand with it. Its numbers are to be
//! read, not to be compared in a picture, because every template has its own subgraph.

use clap::Args;

use super::parts::options::AblationName;
use super::parts::{
    Ask, Emit, Entry, Experiment, Given, OnAHalf, Sizes, Todo, Unit, View, Workbench,
    plans_of_a_choice,
};
use crate::Result;
use crate::intervene::{Ablation, Plan};
use crate::kit::words::about::{
    NOTHING_TO_KEEP, af1, all_counts, faithfulness, heading, notes, verdict,
};
use crate::kit::words::columns::{
    accurate, against_empty, base, faithful, joined, operation, part, shares, style, subgraph,
    technique, template, transfer, verdicts, wait,
};
use crate::kit::words::each_group;
use crate::kit::{Block, Table};
use crate::measure::Part;
use crate::record::{CellName, Chosen, Kind, Sweep, Tested};
use crate::stats::Criterion;

/// The kind of its records.
const KIND: Kind = Kind::new("discover");

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "discover",
    "Choose W and K on one half of the prompts, report them on the other, which shares no operand with it",
    &Shown,
    [
        "discover -s calculate --operation A+B",
        "discover -m planted-spread -s symbolic --operands 0..=9",
    ],
);

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What replaces the residual stream of waiting tokens
    #[arg(long, value_name = "NAME", default_value = "cama")]
    ablation: AblationName,
}

impl Ask for Options {
    fn experiment(&self, _: &Given<'_>) -> Result<Box<dyn Experiment>> {
        let ablation = self.ablation.0;
        Ok(Box::new(Choice { ablation }))
    }
}

/// Choosing W and K on one half of the prompts: a cell for the AF1 there, and one on the other half, which shares no operand with it.
#[derive(Clone)]
pub struct Choice {
    /// What replaces the residual stream of waiting tokens.
    pub ablation: &'static dyn Ablation,
}

impl Experiment for Choice {
    fn kind(&self) -> Kind {
        KIND
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        vec![Box::new(self.clone())]
    }
}

impl Unit for Choice {
    fn words(&self) -> String {
        format!("discover by {}", self.ablation.name())
    }

    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        vec![self.ablation]
    }

    fn cells(&self, _: Sizes) -> Vec<CellName> {
        let parts = [Part::Development, Part::HeldOut].into_iter().enumerate();
        let cell = |(i, part): (usize, Part)| CellName::new([i], part.name());
        parts.map(cell).collect()
    }

    fn plans(&self, sizes: Sizes) -> Vec<Plan> {
        plans_of_a_choice(sizes.layers)
    }

    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()> {
        let mut half = OnAHalf::choose(bench, self.ablation, bench.request.seed)?;
        let plan = half.plan();
        let measured = half.measure(bench, &plan, self.ablation)?;
        let cells = measured.into_iter().zip(&todo.cells);
        let lines = cells.map(|(m, cell)| bench.line(m, cell)).collect();
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
        "Which W and K, chosen on other prompts?"
    }

    fn claims(&self) -> bool {
        true
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let cells: Vec<&Tested> = sweep.cells().collect();
        let mut columns = vec![style("style"), operation("op"), part("prompts"), wait()];
        columns.push(transfer("transfer", ""));
        columns.extend(base().into_iter().take(1));
        columns.extend([accurate(), faithful()]);
        columns.extend(verdicts(&cells));
        let rule = "W and K chosen on the development prompts, which share no operand with those held out: the longest wait, \
                    and then the fewest transfer layers, with which AF1 holds; where none does, those that keep most";
        vec![
            heading(sweep),
            Block::Text(rule.to_owned()),
            Block::Table(Table::of("", &columns, sweep.cells())),
            Block::Note(chosen(sweep.cells())),
            Block::Note(notes(sweep)),
        ]
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        let cells: Vec<&Tested> = sweep.cells().collect();
        let columns = joined([
            template(),
            vec![part("prompts")],
            subgraph(),
            technique(),
            shares(),
            against_empty(),
            verdicts(&cells),
        ]);
        let title = "AF1 chosen on the development prompts";
        vec![
            Block::Table(Table::of(title, &columns, sweep.cells())),
            Block::Note(chosen(sweep.cells())),
            Block::Note(all_counts(sweep)),
        ]
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        each_group(sweep, |group| {
            let mut cells = group.cells.iter().map(|cell| &cell.m);
            let Some(m) = cells.find(|m| m.subject.part == Part::HeldOut) else {
                return "nothing was measured on prompts that were held out".to_owned();
            };
            if m.counts.base_correct == 0 {
                return NOTHING_TO_KEEP.to_owned();
            }
            let chosen = match m.choice.map(|choice| choice.holds) {
                Some(false) => "no AF1 holds where it is chosen; the one that keeps most there",
                _ => "the AF1 that was chosen on other prompts",
            };
            format!(
                "{chosen} is {} with {}; on the prompts that were held out it keeps {} of the right answers: {}",
                af1(m),
                m.subject.ablation,
                faithfulness(m),
                verdict(m)
            )
        })
    }
}

/// How W and K of every template came to be chosen: a line for each that says it. Records of earlier programs do not.
pub fn chosen<'c>(cells: impl IntoIterator<Item = &'c Tested>) -> String {
    let cells = cells.into_iter();
    let of_choice = cells.filter(|cell| cell.m.subject.part == Part::Development);
    of_choice.filter_map(line).collect()
}

fn line(cell: &Tested) -> Option<String> {
    let m = &cell.m;
    let Chosen { by, holds } = m.choice?;
    let rule = match by {
        Criterion::PointEstimate => "the share itself reaches the claim".to_owned(),
        Criterion::LowerBound => {
            "the lower end of the 95% Wilson interval reaches the claim".to_owned()
        }
        Criterion::StandardError => format!(
            "the share less one standard error reaches the claim, because the claim {} is out of the interval's reach with so few \
             right answers: even {right}/{right} begins at {:.3}",
            m.test.claim,
            cell.best_low,
            right = m.counts.base_correct,
        ),
    };
    let found = match holds {
        true => format!("the chosen AF1 holds: {rule}"),
        false => format!(
            "no AF1 holds at a boundary up to which waiting holds, and the one that keeps most was chosen; to hold means that {rule}"
        ),
    };
    Some(format!(
        "{} {}: on the {} right answers of the development prompts {found}\n",
        m.subject.style,
        m.question(),
        m.counts.base_correct
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Counts;
    use crate::record::Measurement;
    use crate::record::Subject;
    use crate::record::Test;

    #[test]
    fn the_rule_is_said() {
        let m = |by, holds| Measurement {
            choice: Some(Chosen { by, holds }),
            subject: Subject {
                style: "s".into(),
                operation: "A+B".into(),
                part: Part::Development,
                ..Subject::default()
            },
            counts: Counts {
                base_correct: 12,
                ..Counts::default()
            },
            test: Test {
                claim: 0.95,
                ..Test::default()
            },
            ..Measurement::default()
        };
        let chosen = |cells: Vec<Measurement>| {
            let cells: Vec<Tested> = cells.into_iter().map(Tested::from).collect();
            chosen(&cells)
        };
        let text = chosen(vec![m(Criterion::StandardError, true)]);
        assert!(
            text.contains("even 12/12 begins at 0.758") && text.contains("AF1 holds"),
            "{text}"
        );
        let text = chosen(vec![m(Criterion::LowerBound, false)]);
        assert!(
            text.contains("lower end") && text.contains("keeps most"),
            "{text}"
        );
        let held_out = Measurement {
            subject: Subject {
                part: Part::HeldOut,
                ..Subject::default()
            },
            ..m(Criterion::LowerBound, true)
        };
        assert_eq!(chosen(vec![held_out, Measurement::default()]), "");
    }
}
