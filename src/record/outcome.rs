//! The outcome of a claim.

use serde::{Deserialize, Serialize};

/// The outcome of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The claim holds: the interval lies at or above it.
    Pass,
    /// The claim does not hold: the interval lies below it.
    Fail,
    /// The prompts cannot tell.
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

impl Outcome {
    /// The outcome with a reason.
    pub(super) fn because(self, reason: String) -> Verdict {
        Verdict {
            outcome: self,
            reason,
        }
    }
}

/// An outcome with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// Why, in words and numbers.
    pub reason: String,
}
