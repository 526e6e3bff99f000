//! What a measurement says about the claim that AF1 is sufficient.

use serde::{Deserialize, Serialize};

use super::Measurement;

/// The level of the tests on which a verdict rests.
pub const LEVEL: f64 = 0.05;

/// The outcome of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The claim holds: the interval lies at or above it.
    Pass,
    /// The claim does not hold: the interval lies below it.
    Fail,
    /// These prompts cannot tell.
    Inconclusive,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        })
    }
}

/// An outcome with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// Why, in words and numbers.
    pub reason: String,
}

/// The verdict on the claim "AF1(W, K) keeps at least the share `claim` of what the model answers correctly". `None` for
/// measurements that make no such claim: the waiting sweep, and AF1 without transfer.
///
/// In this order: inconclusive where the model cannot do the task; fail where even the upper end of the interval lies
/// below the claim; inconclusive where AF1 without transfer does as well, because then nothing shows that transfer
/// matters; pass where the lower end reaches the claim; inconclusive otherwise.
pub fn judge(m: &Measurement) -> Option<Verdict> {
    let p_above_empty = m.p_above_empty?;
    if m.transfer? == 0 {
        return None;
    }
    let claim = m.claim;
    let (outcome, reason) = if m.p_base_above_constant > LEVEL {
        (
            Outcome::Inconclusive,
            format!(
                "the model cannot do the task: {}/{} right, always answering {} gets {} (p = {:.2})",
                m.base_correct,
                m.prompts,
                m.constant_answer,
                m.constant_correct,
                m.p_base_above_constant
            ),
        )
    } else if m.faithfulness_high < claim {
        (
            Outcome::Fail,
            format!(
                "the interval ends at {:.2}, below the claim {claim}",
                m.faithfulness_high
            ),
        )
    } else if p_above_empty > LEVEL {
        (
            Outcome::Inconclusive,
            format!(
                "without any transfer {}/{} are right, with it {} (p = {p_above_empty:.2})",
                m.empty_correct.unwrap_or(0),
                m.prompts,
                m.correct
            ),
        )
    } else if m.faithfulness_low >= claim {
        (
            Outcome::Pass,
            format!(
                "the interval begins at {:.2}, the claim is {claim}",
                m.faithfulness_low
            ),
        )
    } else {
        (
            Outcome::Inconclusive,
            format!(
                "the claim {claim} lies inside the interval [{:.2}, {:.2}]: more prompts are needed",
                m.faithfulness_low, m.faithfulness_high
            ),
        )
    };
    Some(Verdict { outcome, reason })
}
