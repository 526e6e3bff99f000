//! The line of a cell.

mod subject;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::super::measured::finite;
use super::super::{
    Answers, CellName, Chosen, ContextCounts, Counts, Hint, Kind, Measurement, OverDraws, Paired,
    Place, Provenance, PruningOrder, Said, Scores, Stratum, Test, Verdict, Wrong,
};
use super::bits::{bits_of_hex, hex_bits};
use super::stratum::StratumWire;
use super::{SCHEMA, order, shape};
use crate::intervene::Estimator;
use crate::measure::Part;
use crate::prompt::Step;
use crate::stats::{Criterion, Design, Inference, Mean, Proportion};

/// What the experiment of pooled rows is called.
pub const POOLED: &str = "pooled";
/// What the experiment of whole answers is called.
pub const WHOLE: &str = "whole";

/// A cell as it is written; its fields are explained in `schema.md`.
#[derive(Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cell {
    schema: u32,
    sweep: String,
    sweep_kind: Kind,
    cell: String,
    order: Vec<usize>,
    cells: Option<usize>,
    templates: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    batch_halved_to: Option<usize>,
    experiment: Kind,
    model: String,
    style: String,
    operation: String,
    shape: Option<String>,
    #[cfg_attr(test, schemars(with = "String"))]
    step: Step,
    ablation: String,
    masking: Option<String>,
    estimator: Estimator,
    part: Part,
    inference: Inference,
    contexts_drawn: Option<usize>,
    contexts_seed: Option<u64>,
    wait: usize,
    transfer: Option<usize>,
    transfer_layers: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transfer_at: Option<BTreeSet<usize>>,
    knockout_layers: Option<String>,
    pruned_heads: Option<Vec<String>>,
    pruning: Option<PruningOrder>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chosen_by: Option<Criterion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chosen_holds: Option<bool>,
    layers: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heads: Option<usize>,
    prompts: usize,
    excluded: usize,
    undefined: usize,
    degenerate: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mixed: Option<usize>,
    base_correct: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    base_wrong: Vec<Said>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base_hint: Option<Hint>,
    correct: usize,
    correct_given_base: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effective_prompts: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effective_values: Option<f64>,
    lost: usize,
    gained: usize,
    constant_correct: usize,
    constant_answer: Option<i64>,
    empty_correct: Option<usize>,
    base_accuracy: f64,
    base_accuracy_low: f64,
    base_accuracy_high: f64,
    accuracy: f64,
    accuracy_low: f64,
    accuracy_high: f64,
    faithfulness: Option<f64>,
    faithfulness_low: f64,
    faithfulness_high: f64,
    normalised_faithfulness: Option<f64>,
    p_base_above_constant: f64,
    p_above_empty: Option<f64>,
    logit_difference: Option<f64>,
    logit_difference_low: Option<f64>,
    logit_difference_high: Option<f64>,
    base_logit_difference: Option<f64>,
    kl_divergence: Option<f64>,
    kl_divergence_low: Option<f64>,
    kl_divergence_high: Option<f64>,
    median_rank: Option<u32>,
    paired: Option<Paired>,
    claim: f64,
    level: f64,
    verdict: Option<Verdict>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    guess: bool,
    p_pass: Option<f64>,
    p_fail: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    over_draws: Option<OverDraws>,
    prompts_sha256: String,
    base_answers: String,
    answers: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    empty_answers: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evaluated_operands: Option<Vec<Vec<i64>>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    answer_words: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    strata: Vec<StratumWire>,
    all_prompts: usize,
    all_base_correct: usize,
    keys: usize,
    contexts_fewest: usize,
    contexts_median: usize,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    contexts_sampled: bool,
    operand_contexts_fewest: Option<usize>,
    mutual_information: Option<f64>,
    largest_relative_standard_error: f64,
    provenance: Provenance,
}

/// A mean that may have no value, with ends that may not be known.
type Optional = (Option<f64>, Option<f64>, Option<f64>);

fn optional(mean: Option<Mean>) -> Optional {
    let end = |end: fn(&Mean) -> f64| mean.as_ref().and_then(|mean| finite(end(mean)));
    let value = mean.map(|mean| mean.value);
    (value, end(|mean| mean.low), end(|mean| mean.high))
}

fn mean((value, low, high): Optional) -> Option<Mean> {
    Some(Mean {
        value: value?,
        low: low.unwrap_or(f64::NEG_INFINITY),
        high: high.unwrap_or(f64::INFINITY),
    })
}

impl From<&Measurement> for Cell {
    fn from(m: &Measurement) -> Self {
        let Measurement {
            place,
            subject,
            counts,
            test,
            answers,
            contexts,
            ..
        } = m;
        let heads = subject.pruned_heads();
        let hex = |bits: &[bool]| hex_bits(bits.iter().copied());
        Self {
            schema: SCHEMA,
            sweep: place.sweep.clone(),
            sweep_kind: place.kind.clone(),
            cell: place.cell.name.clone(),
            order: order(place),
            cells: place.cells,
            templates: place.templates,
            batch_halved_to: m.batch_halved_to,
            experiment: m.experiment.clone(),
            model: subject.model.clone(),
            style: subject.style.clone(),
            operation: subject.operation.clone(),
            shape: shape(place, &subject.operation),
            step: place.step,
            ablation: subject.ablation.clone(),
            masking: subject.masked_by(),
            estimator: subject.estimator,
            part: subject.part,
            inference: test.inference,
            contexts_drawn: subject.draw.map(|draw| draw.contexts),
            contexts_seed: subject.draw.map(|draw| draw.seed),
            wait: subject.wait(),
            transfer: subject.transfer(),
            transfer_layers: subject.transfer_layers(),
            transfer_at: subject.transfers_apart().cloned(),
            knockout_layers: subject.knockout_layers(),
            pruned_heads: heads.map(|heads| heads.iter().map(ToString::to_string).collect()),
            pruning: subject.pruning,
            chosen_by: m.choice.map(|choice| choice.by),
            chosen_holds: m.choice.map(|choice| choice.holds),
            layers: subject.layers,
            heads: (subject.heads > 0).then_some(subject.heads),
            paired: m.paired.clone(),
            claim: test.claim,
            level: test.level,
            verdict: test.verdict.clone(),
            guess: test.guess,
            p_pass: test.p_pass,
            p_fail: test.p_fail,
            over_draws: m.over_draws.clone(),
            prompts_sha256: answers.prompts_sha256.clone(),
            base_answers: hex(&answers.base),
            answers: hex(&answers.right),
            empty_answers: answers.empty.as_deref().map(hex),
            evaluated_operands: answers.operands.clone(),
            answer_words: m.words.clone(),
            strata: m.strata.iter().map(StratumWire::from).collect(),
            all_prompts: counts.all_prompts,
            all_base_correct: counts.all_base_correct,
            keys: contexts.keys,
            contexts_fewest: contexts.fewest,
            contexts_median: contexts.median,
            contexts_sampled: contexts.sampled,
            operand_contexts_fewest: contexts.fewest_of_operands,
            mutual_information: contexts.mutual_information,
            largest_relative_standard_error: contexts.largest_relative_error,
            provenance: m.provenance.clone(),
            ..Self::numbers(m)
        }
    }
}

impl Cell {
    /// How many prompts there are and how many of them are right, and the scores; nothing else.
    fn numbers(m: &Measurement) -> Self {
        let Measurement {
            counts,
            scores,
            test,
            ..
        } = m;
        let logits = optional(scores.logit_difference);
        let divergence = optional(scores.kl_divergence);
        Self {
            prompts: counts.prompts,
            excluded: counts.excluded,
            undefined: counts.undefined,
            degenerate: counts.degenerate,
            mixed: counts.mixed,
            base_correct: counts.base_correct,
            base_wrong: m.wrong.said.clone(),
            base_hint: m.wrong.hint,
            correct: counts.correct,
            correct_given_base: counts.correct_given_base,
            effective_prompts: scores.design.map(|design| design.effective),
            effective_values: scores.design.map(|design| design.units),
            lost: counts.lost(),
            gained: counts.gained(),
            constant_correct: counts.constant_correct,
            constant_answer: counts.constant_answer,
            empty_correct: counts.empty_correct,
            base_accuracy: scores.base_accuracy.value.unwrap_or(0.0),
            base_accuracy_low: scores.base_accuracy.low,
            base_accuracy_high: scores.base_accuracy.high,
            accuracy: scores.accuracy.value.unwrap_or(0.0),
            accuracy_low: scores.accuracy.low,
            accuracy_high: scores.accuracy.high,
            faithfulness: scores.faithfulness.value,
            faithfulness_low: scores.faithfulness.low,
            faithfulness_high: scores.faithfulness.high,
            normalised_faithfulness: scores.normalised_faithfulness,
            p_base_above_constant: test.p_base_above_constant,
            p_above_empty: test.p_above_empty,
            logit_difference: logits.0,
            logit_difference_low: logits.1,
            logit_difference_high: logits.2,
            base_logit_difference: scores.base_logit_difference,
            kl_divergence: divergence.0,
            kl_divergence_low: divergence.1,
            kl_divergence_high: divergence.2,
            median_rank: scores.median_rank,
            ..Self::default()
        }
    }
}

impl TryFrom<Cell> for Measurement {
    type Error = String;

    fn try_from(line: Cell) -> Result<Self, String> {
        Ok(Self {
            place: Place {
                sweep: line.sweep.clone(),
                kind: line.sweep_kind.clone(),
                shape: line.shape.as_deref().map(str::parse).transpose()?,
                step: line.step,
                template: line.order.first().copied().unwrap_or(0),
                cell: CellName::new(line.order.get(1..).unwrap_or_default(), line.cell.clone()),
                cells: line.cells,
                templates: line.templates,
            },
            experiment: line.experiment.clone(),
            subject: line.subject()?,
            counts: line.counts(),
            scores: line.scores(),
            answers: line.answers()?,
            words: line.answer_words,
            strata: (line.strata.into_iter())
                .map(Stratum::try_from)
                .collect::<Result<_, _>>()?,
            contexts: ContextCounts {
                keys: line.keys,
                fewest: line.contexts_fewest,
                median: line.contexts_median,
                sampled: line.contexts_sampled,
                fewest_of_operands: line.operand_contexts_fewest,
                mutual_information: line.mutual_information,
                largest_relative_error: line.largest_relative_standard_error,
            },
            test: Test {
                inference: line.inference,
                claim: line.claim,
                level: line.level,
                guess: line.guess,
                p_base_above_constant: line.p_base_above_constant,
                p_above_empty: line.p_above_empty,
                p_pass: line.p_pass,
                p_fail: line.p_fail,
                verdict: line.verdict,
            },
            wrong: Wrong {
                said: line.base_wrong,
                hint: line.base_hint,
            },
            choice: match (line.chosen_by, line.chosen_holds) {
                (Some(by), Some(holds)) => Some(Chosen { by, holds }),
                _ => None,
            },
            paired: line.paired,
            over_draws: line.over_draws,
            batch_halved_to: line.batch_halved_to,
            provenance: line.provenance,
        })
    }
}

impl Cell {
    fn counts(&self) -> Counts {
        Counts {
            prompts: self.prompts,
            excluded: self.excluded,
            undefined: self.undefined,
            degenerate: self.degenerate,
            mixed: self.mixed,
            base_correct: self.base_correct,
            correct: self.correct,
            correct_given_base: self.correct_given_base,
            constant_correct: self.constant_correct,
            constant_answer: self.constant_answer,
            empty_correct: self.empty_correct,
            all_prompts: self.all_prompts,
            all_base_correct: self.all_base_correct,
        }
    }

    fn scores(&self) -> Scores {
        let share = |successes: usize, trials: usize, value: f64, low: f64, high: f64| Proportion {
            successes,
            trials,
            value: (trials > 0).then_some(value),
            low,
            high,
        };
        Scores {
            base_accuracy: share(
                self.base_correct,
                self.prompts,
                self.base_accuracy,
                self.base_accuracy_low,
                self.base_accuracy_high,
            ),
            accuracy: share(
                self.correct,
                self.prompts,
                self.accuracy,
                self.accuracy_low,
                self.accuracy_high,
            ),
            faithfulness: Proportion {
                successes: self.correct_given_base,
                trials: self.base_correct,
                value: self.faithfulness,
                low: self.faithfulness_low,
                high: self.faithfulness_high,
            },
            design: (self.effective_prompts.zip(self.effective_values))
                .map(|(effective, units)| Design { effective, units }),
            normalised_faithfulness: self.normalised_faithfulness,
            logit_difference: mean((
                self.logit_difference,
                self.logit_difference_low,
                self.logit_difference_high,
            )),
            base_logit_difference: self.base_logit_difference,
            kl_divergence: mean((
                self.kl_divergence,
                self.kl_divergence_low,
                self.kl_divergence_high,
            )),
            median_rank: self.median_rank,
        }
    }

    fn answers(&self) -> Result<Answers, String> {
        // Pooled rows have none.
        let bits = |field: &str, text: &str| match text {
            "" => Ok(Vec::new()),
            text => bits_of_hex(text, self.prompts).ok_or_else(|| {
                format!(
                    "{field} is not {} hexadecimal digits, four prompts a digit",
                    self.prompts.div_ceil(4)
                )
            }),
        };
        let empty = self.empty_answers.as_deref();
        Ok(Answers {
            prompts_sha256: self.prompts_sha256.clone(),
            base: bits("base_answers", &self.base_answers)?,
            right: bits("answers", &self.answers)?,
            empty: empty.map(|text| bits("empty_answers", text)).transpose()?,
            operands: self.evaluated_operands.clone(),
            each: Vec::new(),
        })
    }
}
