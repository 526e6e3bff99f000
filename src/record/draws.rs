//! What all draws of a number of contexts say together: the field of a record.

use serde::{Deserialize, Serialize};

use super::Verdict;

/// Faithfulness over draws of contexts and prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OverDraws {
    /// Draws, each with its own tables of means.
    pub draws: usize,
    /// The mean of their faithfulness.
    pub faithfulness: f64,
    /// Lower end of the 95% interval over draws and prompts; 0 where nothing is known.
    pub low: f64,
    /// Upper end of that interval; 1 where nothing is known.
    pub high: f64,
    /// A lower bound over contexts: see [`crate::stats::lower_over_contexts`].
    pub least: Option<f64>,
    /// What they say about the claim; `None` for fewer than [`FEWEST_DRAWS`].
    pub verdict: Option<Verdict>,
}

/// A verdict takes so many draws of contexts.
pub const FEWEST_DRAWS: usize = 5;
