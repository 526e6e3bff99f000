//! The two ways of running a plan, beside each other.

use std::fmt;

use crate::kit::{Block, Table, column};
use crate::measure::Difference;
use crate::prompt::Numbers;

/// What the compiled and the masked way say of one plan.
#[derive(Clone, Debug)]
pub struct Beside {
    /// The template.
    pub style: String,
    /// The operation of the template.
    pub operation: String,
    /// How many tokens its numbers have, and at which step it is asked.
    pub numbers: Numbers,
    /// What replaced the residual stream.
    pub ablation: String,
    /// `W`.
    pub wait: usize,
    /// `K`.
    pub transfer: usize,
    /// Prompts that were evaluated.
    pub prompts: usize,
    /// Right answers, compiled.
    pub correct: usize,
    /// Right answers, masked.
    pub correct_masked: usize,
    /// Prompts that only one of the ways answers rightly.
    pub other_answers: usize,
    /// The largest difference of logits, relative to the largest of them.
    pub logits_apart: f32,
    /// How far they may be apart.
    pub tolerance: f32,
    /// Where residual streams first come apart.
    pub first: Option<Difference>,
}

impl Beside {
    /// Whether they are the same: the logits up to rounding, the answers exactly.
    pub fn same(&self) -> bool {
        self.other_answers == 0 && self.logits_apart <= self.tolerance && self.first.is_none()
    }

    /// What is asked: the operation, and where numbers have several tokens their shape and the step.
    fn question(&self) -> String {
        (self.numbers.shape).question(&self.operation, self.numbers.step)
    }

    fn place(&self) -> String {
        self.first.as_ref().map_or(String::new(), |d| {
            let name = crate::graph::resid(d.boundary);
            format!("{name} at position {} of {:?}", d.position, d.prompt)
        })
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} AF1({}, {}): {} of {} answers differ, logits by {:.1e} of the largest",
            self.style,
            self.question(),
            self.ablation,
            self.wait,
            self.transfer,
            self.other_answers,
            self.prompts,
            self.logits_apart
        )?;
        match self.place() {
            place if place.is_empty() => Ok(()),
            place => write!(f, ", first {place}"),
        }
    }
}

/// A row a plan.
pub fn summary(model: &str, rows: &[Beside]) -> Vec<Block> {
    let columns = [
        column("style", |row: &Beside| row.style.clone()),
        column("op", |row: &Beside| row.question()),
        column("replaced by", |row: &Beside| row.ablation.clone()),
        column("AF1", |row: &Beside| {
            format!("AF1({}, {})", row.wait, row.transfer)
        }),
        column("right compiled", |row: &Beside| {
            format!("{}/{}", row.correct, row.prompts)
        }),
        column("right masked", |row: &Beside| {
            format!("{}/{}", row.correct_masked, row.prompts)
        }),
        column("other answers", |row: &Beside| {
            row.other_answers.to_string()
        }),
        column("logits apart", |row: &Beside| {
            format!("{:.1e}", row.logits_apart)
        }),
        column("streams first apart", Beside::place),
    ];
    let same = rows.iter().filter(|row| row.same()).count();
    let tolerance = rows.first().map_or(0.0, |row| row.tolerance);
    vec![
        Block::Text(format!(
            "{model}: AF1 compiled and AF1 by masks; logits relative to the largest of them"
        )),
        Block::Table(Table::of("", &columns, rows)),
        Block::Text(format!(
            "{same} of {} the same (up to {tolerance:.0e})",
            rows.len()
        )),
    ]
}
