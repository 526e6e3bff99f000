//! What gates and the self-check write down, and what follows from sweeps.

use serde::{Deserialize, Serialize};

use super::{Outcome, Provenance};
use crate::intervene::Head;
use crate::prompt::{KeyedBy, Shape, Step};
use crate::stats::Inference;

/// What a gate says about one condition of a claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// What is asked, in words.
    pub asked: String,
    /// The answer.
    pub outcome: Outcome,
    /// Why, in words and numbers.
    pub reason: String,
}

/// What a gate says about a claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The template and the subgraph, in words.
    pub claim: String,
    /// The sweep of its measurements.
    pub sweep: String,
    /// The level of every test.
    pub level: f64,
    /// What it is about.
    pub inference: Inference,
    /// Fail if one condition fails, pass if all of them pass.
    pub outcome: Outcome,
    /// What was said about its conditions.
    pub conditions: Vec<Judgement>,
}

/// The answer of a gate about a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Gated {
    /// The model that it is about.
    pub model: String,
    /// The answer.
    pub answer: Answer,
    /// Under what it was found.
    pub provenance: Provenance,
}

/// One template of one planted model in the self-check.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The model.
    pub model: String,
    /// The style.
    pub style: String,
    /// The operation.
    pub operation: String,
    /// How many tokens the numbers have.
    pub shape: Shape,
    /// Where in the answer the prompts are asked.
    pub step: Step,
    /// What means are conditioned on.
    pub key: KeyedBy,
    /// The token in front of every prompt, if there is one.
    pub bos: Option<String>,
    /// What decided that, in words.
    pub bos_rule: String,
    /// What was planted; `None` where the model cannot do the task.
    pub planted: Option<Planted>,
    /// What the experiments find, without a hint.
    pub found: Recovered,
    /// The subgraph that is claimed, `[W, K]`.
    pub claim: [usize; 2],
    /// The verdict that the claim deserves.
    pub due: Outcome,
    /// The verdict that it gets.
    pub verdict: Outcome,
    /// How many of the right answers the claimed subgraph keeps by construction, where that is neither all nor few.
    pub kept_planted: Option<usize>,
    /// How many it keeps.
    pub kept: usize,
    /// What does not agree, in words; none where all is well.
    pub differences: Vec<String>,
}

/// What was planted in a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Planted {
    /// Prompts of those on which the experiments look that the unmodified model answers correctly.
    pub base_correct: usize,
    /// The last boundary to which all tokens can wait.
    pub waits: usize,
    /// The AF1 with the longest wait and the fewest transfer layers, `[W, K]`.
    pub af1: Option<[usize; 2]>,
    /// The layers in which the last token must see other tokens.
    pub knockouts: Vec<usize>,
    /// The heads by which it fetches.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub heads: Vec<Head>,
    /// The share of the prompts that AF1 keeps by construction.
    pub faithful: f64,
}

/// What experiments find in a model without a hint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Recovered {
    /// Evaluated prompts.
    pub prompts: usize,
    /// Evaluated prompts that the unmodified model answers correctly.
    pub base_correct: usize,
    /// The last boundary up to which CAMA holds at every boundary; `None` where the model answers nothing correctly.
    pub waits: Option<usize>,
    /// The AF1 that holds with the longest wait, and then the fewest transfer layers, `[W, K]`.
    pub af1: Option<[usize; 2]>,
    /// The layers whose knock-out, alone, costs more than half of the right answers.
    pub knockouts: Vec<usize>,
    /// The fewest heads of the transfer layers of `af1` with which it holds, by pruning.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub heads: Vec<Head>,
}

/// What follows from a sweep, in a sentence; a report makes it anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    /// The sweep.
    pub sweep: String,
    /// The model of the sweep.
    pub model: String,
    /// The sentence.
    pub conclusion: String,
}
