//! What the numbers of a table are about, in words, and shares with the intervals that their records have.

use super::table::{distinct, outcome, proportion, share};
use crate::prompt::Operation;
use crate::record::{Measurement, Outcome, after_holm};
use crate::stats::{Inference, Proportion};

/// What intervals are about, for the heading of a table.
pub(super) fn intervals(measurements: &[Measurement]) -> String {
    let targets = distinct(measurements, |m| m.inference);
    let each = targets.iter().map(|target| match target {
        Inference::Prompts => "95% Wilson intervals about these prompts",
        Inference::Operands => {
            "95% intervals about other operands (clusters by the value of each operand)"
        }
    });
    let text = each.collect::<Vec<_>>().join(", ");
    match !measurements.is_empty() && measurements.iter().all(is_census) {
        true => format!("{text}; every prompt of these ranges was evaluated (a census)"),
        false => text,
    }
}

/// Whether every prompt of the ranges was evaluated: none was left out, and with three operands or more they are only drawn.
pub(super) fn is_census(m: &Measurement) -> bool {
    let operands = m.operation.parse().map(|o: Operation| o.operands());
    operands.is_ok_and(|count| count <= 2) && m.prompts == m.all_prompts && m.excluded == 0
}

/// The accuracy under the intervention.
pub(super) fn accuracy(m: &Measurement) -> String {
    proportion(m.correct, m.prompts, (m.accuracy_low, m.accuracy_high))
}

/// The accuracy of the unmodified model.
pub(super) fn base_accuracy(m: &Measurement) -> String {
    let interval = (m.base_accuracy_low, m.base_accuracy_high);
    proportion(m.base_correct, m.prompts, interval)
}

/// The accuracy of the subgraph without transfer, of which records have no interval: about these prompts it follows from the
/// counts.
pub(super) fn empty_accuracy(m: &Measurement) -> String {
    let Some(empty) = m.empty_correct else {
        return String::new();
    };
    match m.inference {
        Inference::Prompts => {
            let p = Proportion::wilson(empty, m.prompts);
            proportion(empty, m.prompts, (p.low, p.high))
        }
        Inference::Operands => {
            let value = empty as f64 / m.prompts.max(1) as f64;
            format!("{empty}/{} {}", m.prompts, share(value, m.prompts))
        }
    }
}

/// Right answers of the unmodified model that the subgraph does not have.
pub(super) fn lost(m: &Measurement) -> String {
    (m.base_correct - m.correct_given_base).to_string()
}

/// Right answers of the subgraph that the unmodified model does not have.
pub(super) fn gained(m: &Measurement) -> String {
    (m.correct - m.correct_given_base).to_string()
}

/// The verdicts of a table after Holm's correction, where it has several.
pub(super) struct Holm<'m> {
    outcomes: Vec<(&'m Measurement, Outcome)>,
}

impl<'m> Holm<'m> {
    /// Over all verdicts of these measurements.
    pub fn of(table: &'m [Measurement]) -> Self {
        let outcomes = table.iter().zip(after_holm(table));
        Self {
            outcomes: outcomes.filter_map(|(m, o)| Some((m, o?))).collect(),
        }
    }

    /// The head of the column, if there is one.
    pub fn head(&self) -> Option<&'static str> {
        (self.outcomes.len() > 1).then_some("after Holm")
    }

    /// The outcome of a measurement of the table.
    pub fn outcome(&self, m: &Measurement) -> Option<Outcome> {
        let mut outcomes = self.outcomes.iter();
        let found = outcomes.find(|(other, _)| std::ptr::eq(*other, m));
        found.map(|(_, outcome)| *outcome)
    }

    /// What stands in the column, if there is one.
    pub fn cell(&self, m: &Measurement) -> Option<String> {
        self.head()?;
        Some(self.outcome(m).map_or("", outcome).to_owned())
    }
}
