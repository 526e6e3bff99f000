//! The verdicts of records, shortly: the one over all, and a line a claim.

use super::{claimed, conclusions, gate};
use crate::gate::all;
use crate::kit::words::about;
use crate::printable;
use crate::record::{Failure, Findings, Gated, Measurement, Outcome, Sweep};

/// What is said in a line.
pub struct Line {
    /// The verdict, where it is one.
    pub outcome: Option<Outcome>,
    /// What the line is about, and why.
    pub text: String,
}

/// The lines: the answers of gates, of other sweeps the verdicts on what is claimed, or what follows from one that claims nothing. What
/// could not be evaluated is inconclusive, as in a gate.
pub fn lines(findings: &Findings<'_>) -> Vec<Line> {
    let answers = gate::answers(findings.lines);
    let gated = |sweep: &&Sweep| answers.iter().any(|gated| gated.answer.sweep == sweep.name);
    let others = findings.sweeps.iter().filter(|sweep| !gated(sweep));
    answers
        .iter()
        .map(of_gate)
        .chain(others.flat_map(of_sweep))
        .collect()
}

/// The verdict over all lines that have one.
pub fn outcome(lines: &[Line]) -> Option<Outcome> {
    let outcomes: Vec<Outcome> = lines.iter().filter_map(|line| line.outcome).collect();
    (!outcomes.is_empty()).then(|| all(outcomes))
}

/// An answer, with the reason of the first condition that decided it.
fn of_gate(gated: &Gated) -> Line {
    let answer = &gated.answer;
    let decided = (answer.conditions.iter()).find(|one| one.outcome == answer.outcome);
    let why = decided.map_or(String::new(), |one| {
        format!(
            "{}: {}",
            printable::line(&one.asked),
            printable::line(&one.reason)
        )
    });
    Line {
        outcome: Some(answer.outcome),
        text: format!("{}, {}: {why}", gated.model, answer.claim),
    }
}

fn of_sweep(sweep: &Sweep) -> Vec<Line> {
    let mut lines: Vec<Line> = claimed(sweep).into_iter().filter_map(of_claim).collect();
    lines.extend(sweep.failures.iter().map(of_failure));
    if lines.is_empty() {
        lines.extend(conclusions(sweep).into_iter().map(|sentence| Line {
            outcome: None,
            text: format!("{}: {sentence}", sweep.model),
        }));
    }
    lines
}

fn of_claim(m: &Measurement) -> Option<Line> {
    let verdict = m.test.verdict.as_ref()?;
    Some(Line {
        outcome: Some(verdict.outcome),
        text: format!(
            "{}, {} {} with {}: {}",
            m.subject.model,
            about::template(m),
            about::af1(m),
            m.subject.ablation,
            printable::line(&verdict.reason)
        ),
    })
}

fn of_failure(failure: &Failure) -> Line {
    Line {
        outcome: Some(Outcome::Inconclusive),
        text: format!(
            "{}, {} {}: {}",
            failure.model,
            failure.style,
            failure.operation,
            printable::line(&failure.error)
        ),
    }
}
