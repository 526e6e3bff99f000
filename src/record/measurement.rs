//! One measurement: a template under one intervention.

use serde::{Deserialize, Serialize};

use super::{Address, Kind, OverDraws, Place, Provenance, Stratum, Subject, Verdict, Wrong};
use crate::stats::{Criterion, Design, Evidence, Inference, Mean, Proportion};

/// What a cell of a sweep says. How it is written is explained in the schema (module documentation).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurement {
    /// Which cell of which sweep it is.
    pub place: Place,
    /// What the cell itself is: a sweep of AF1 beside waiting has cells of both.
    pub experiment: Kind,
    /// What was measured.
    pub subject: Subject,
    /// How many prompts there are, and how many of them are right.
    pub counts: Counts,
    /// Shares and means with their intervals.
    pub scores: Scores,
    /// What is claimed, and what the tests say.
    pub test: Test,
    /// The answers of single prompts.
    pub answers: Answers,
    /// The word of every index, where answers are words of a table; empty where they are numbers.
    pub words: Vec<String>,
    /// The prompts by what is carried, and by the digit that is right, or by the word that answers; none where every number is one token.
    pub strata: Vec<Stratum>,
    /// What the means are over.
    pub contexts: ContextCounts,
    /// What the unmodified model says where it is too often wrong for the claim.
    pub wrong: Wrong,
    /// How `(W, K)` were chosen, where they were.
    pub choice: Option<Chosen>,
    /// The cell beside the reference of its plan.
    pub paired: Option<Paired>,
    /// What all draws of its number of contexts say, in the last of them.
    pub over_draws: Option<OverDraws>,
    /// Prompts in a batch, where the device's memory was not enough for as many as the provenance says.
    pub batch_halved_to: Option<usize>,
    /// Under what it was made.
    pub provenance: Provenance,
}

/// Numbers of prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Evaluated prompts.
    pub prompts: usize,
    /// Prompts of the ranges of which an operand or the answer is not one token.
    pub excluded: usize,
    /// Prompts left out because the estimator has no mean for one of their tokens.
    pub undefined: usize,
    /// Evaluated prompts with a token whose "mean" is their own residual.
    pub degenerate: usize,
    /// Prompts with operands of both halves; `None` where there are no halves.
    pub mixed: Option<usize>,
    /// Evaluated prompts that the unmodified model answers correctly.
    pub base_correct: usize,
    /// Evaluated prompts answered correctly under the intervention.
    pub correct: usize,
    /// Evaluated prompts answered correctly both under the intervention and by the unmodified model.
    pub correct_given_base: usize,
    /// Evaluated prompts that the best constant answer gets right.
    pub constant_correct: usize,
    /// The best constant answer, where it reads as a number: of numbers of several tokens the best constant token of the step. Of words of
    /// a table the index, where they are one token.
    pub constant_answer: Option<i64>,
    /// `correct` of AF1(W, 0); `None` where nothing is an AF1.
    pub empty_correct: Option<usize>,
    /// Prompts of the template that can be asked.
    pub all_prompts: usize,
    /// Prompts of the template that can be asked and that the unmodified model answers correctly.
    pub all_base_correct: usize,
}

impl Measurement {
    /// The best constant answer, in words.
    pub(super) fn always(&self) -> String {
        match self.counts.constant_answer {
            Some(answer) => format!("always answering {}", self.word(answer)),
            None => "always answering the same".to_owned(),
        }
    }

    /// An answer as it is written: the word of a table, or the number.
    pub fn word(&self, answer: i64) -> String {
        let index = usize::try_from(answer).ok();
        let word = index.and_then(|index| self.words.get(index).cloned());
        word.unwrap_or_else(|| answer.to_string())
    }
}

impl Counts {
    /// Right answers that only the unmodified model has.
    pub fn lost(&self) -> usize {
        self.base_correct.saturating_sub(self.correct_given_base)
    }

    /// Right answers that only the intervention has.
    pub fn gained(&self) -> usize {
        self.correct.saturating_sub(self.correct_given_base)
    }
}

/// Shares and means over the evaluated prompts, with 95% intervals about the target of inference.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scores {
    /// The share that the unmodified model answers correctly.
    pub base_accuracy: Proportion,
    /// The share that is answered correctly under the intervention.
    pub accuracy: Proportion,
    /// The share of the unmodified model's right answers that is kept.
    pub faithfulness: Proportion,
    /// What the right answers are worth about other operands.
    pub design: Option<Design>,
    /// The share of what lies between the floor and the unmodified model that is kept.
    pub normalised_faithfulness: Option<f64>,
    /// The right answer's logit less the largest of another token.
    pub logit_difference: Option<Mean>,
    /// The same of the unmodified model.
    pub base_logit_difference: Option<f64>,
    /// The divergence from the unmodified model's distribution at the last position, in nats.
    pub kl_divergence: Option<Mean>,
    /// The lower median of the right answer's rank, from 1 on.
    pub median_rank: Option<u32>,
}

/// What is claimed, and what the tests say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Test {
    /// What intervals, tests and verdicts are about.
    pub inference: Inference,
    /// The faithfulness that the verdict is about.
    pub claim: f64,
    /// The level of the tests behind the verdict.
    pub level: f64,
    /// Whether the subgraph is only a guess of the model's preset.
    pub guess: bool,
    /// One-sided: the unmodified model against the best constant answer.
    pub p_base_above_constant: f64,
    /// One-sided: the subgraph against AF1(W, 0); `None` where nothing is an AF1.
    pub p_above_empty: Option<f64>,
    /// The p value behind a pass.
    pub p_pass: Option<f64>,
    /// The p value behind a fail.
    pub p_fail: Option<f64>,
    /// The verdict; `None` where nothing is claimed.
    pub verdict: Option<Verdict>,
}

/// The answers of single prompts, in one order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// The SHA-256 of the evaluated prompts' texts, joined by a zero byte.
    pub prompts_sha256: String,
    /// Whether the unmodified model is right.
    pub base: Vec<bool>,
    /// Whether the intervention is right.
    pub right: Vec<bool>,
    /// Whether AF1(W, 0) is right; `None` where nothing is an AF1.
    pub empty: Option<Vec<bool>>,
    /// The operands of every prompt, where the record has them.
    pub operands: Option<Vec<Vec<i64>>>,
    /// What was said to each, where that was asked for; records do not have it.
    pub each: Vec<PromptAnswer>,
}

/// What is said to a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptAnswer {
    /// The prompt's index in its set.
    pub prompt: usize,
    /// The text of the answer that stands in the prompt.
    pub given: String,
    /// What the unmodified model predicts.
    pub base: u32,
    /// The text of the unmodified model's prediction.
    pub base_text: String,
    /// The unmodified model's logit of the right answer less its largest logit of another token.
    pub base_logit_difference: f32,
    /// What is predicted under the intervention.
    pub predicted: u32,
    /// The text of the prediction under the intervention.
    pub text: String,
    /// The logit of the right answer less the largest of another token.
    pub logit_difference: f32,
    /// The right answer's rank, from 1 on.
    pub rank: u32,
    /// The divergence from the unmodified model, in nats.
    pub kl: f32,
}

/// What the means are over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ContextCounts {
    /// The number of keys (position from 1 on, token) of the means at the boundary.
    pub keys: usize,
    /// The fewest contexts of a key.
    pub fewest: usize,
    /// The lower median of the contexts of a key.
    pub median: usize,
    /// Whether contexts were drawn from more than there are.
    pub sampled: bool,
    /// The fewest contexts of a value of an operand; `None` in records that did not count them.
    pub fewest_of_operands: Option<usize>,
    /// The largest mutual information, in bits, between two operands over the prompts that the means are over.
    pub mutual_information: Option<f64>,
    /// The largest standard error of a mean relative to its norm.
    pub largest_relative_error: f64,
}

/// How `(W, K)` were chosen on the development prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// By what an AF1 was taken to hold there.
    pub by: Criterion,
    /// Whether some AF1 holds there.
    pub holds: bool,
}

/// A cell against the reference of its plan, on the same prompts: the first ablation, with ABP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // documented once, in schema.md
pub struct Paired {
    pub ablation: String,
    pub masking: Option<String>,
    pub only_here: usize,
    pub only_there: usize,
    pub p: f64,
    pub accuracy_difference: f64,
    pub accuracy_difference_low: Option<f64>,
    pub accuracy_difference_high: Option<f64>,
    pub logit_difference: Option<f64>,
    pub logit_difference_low: Option<f64>,
    pub logit_difference_high: Option<f64>,
}

impl Measurement {
    /// What tells it from all others.
    pub fn address(&self) -> Address<'_> {
        self.place
            .address(&self.subject.style, &self.subject.operation)
    }

    /// The operation, and where numbers have several tokens their shape and the step.
    pub fn question(&self) -> String {
        self.address().question()
    }

    /// The share of the model's right answers that are kept, as evidence about the target.
    pub fn evidence(&self) -> Evidence {
        Evidence {
            inference: self.test.inference,
            successes: self.counts.correct_given_base,
            trials: self.counts.base_correct,
            design: self.scores.design,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_constant_is_the_word_of_its_index() {
        let mut m = Measurement {
            counts: Counts {
                constant_answer: Some(1),
                ..Counts::default()
            },
            ..Measurement::default()
        };
        assert_eq!(m.always(), "always answering 1");
        m.words = ["Monday", "Tuesday"].map(str::to_owned).to_vec();
        assert_eq!(m.always(), "always answering Tuesday");
        m.counts.constant_answer = None;
        assert_eq!(m.always(), "always answering the same");
    }
}
