//! One measurement: a template under one intervention.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::about::About;
use super::draws::OverDraws;
use super::said::{Hint, Said, Wrong};
use super::{HeadAttention, Kind, Verdict, Weight, judge, tests};
use crate::file::sha256_bytes;
use crate::intervene::{Estimator, Tail, layer_range};
use crate::measure::{Attended, Cell, Compared, Evaluation};
use crate::prompt::{ContextsFrom, PromptSet, Tokenizer};
use crate::stats::{Criterion, Design, Evidence, Inference, LEVEL, discordant};

/// The version of the schema; raised when a field changes its meaning or goes.
pub const SCHEMA: u32 = 2;

/// One line of results. The fields are explained in the schema (module documentation).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // documented once, in schema.md
pub struct Measurement {
    pub schema: u32,
    /// What the sweep is, and which of its cells this is; filled in by whoever runs the sweep.
    pub sweep: String,
    pub cell: usize,
    #[serde(default)]
    pub cells: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_halved_to: Option<usize>,
    pub experiment: String,
    pub model: String,
    pub style: String,
    pub operation: String,
    pub ablation: String,
    pub masking: Option<String>,
    pub estimator: String,
    pub part: String,
    #[serde(default)]
    pub inference: Inference,
    pub contexts_drawn: Option<usize>,
    pub contexts_seed: Option<u64>,
    pub wait: usize,
    pub transfer: Option<usize>,
    pub transfer_layers: Option<String>,
    pub knockout_layers: Option<String>,
    pub pruned_heads: Option<Vec<String>>,
    pub pruning: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_by: Option<Criterion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_holds: Option<bool>,
    pub layers: usize,
    pub prompts: usize,
    pub excluded: usize,
    pub undefined: usize,
    pub degenerate: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixed: Option<usize>,
    pub base_correct: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base_wrong: Vec<Said>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_hint: Option<Hint>,
    pub correct: usize,
    pub correct_given_base: usize,
    /// Of `base_correct`: what they are worth about other operands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_prompts: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_values: Option<f64>,
    #[serde(default)]
    pub lost: usize,
    #[serde(default)]
    pub gained: usize,
    pub constant_correct: usize,
    pub constant_answer: i64,
    pub empty_correct: Option<usize>,
    pub base_accuracy: f64,
    pub base_accuracy_low: f64,
    pub base_accuracy_high: f64,
    pub accuracy: f64,
    pub accuracy_low: f64,
    pub accuracy_high: f64,
    pub faithfulness: Option<f64>,
    pub faithfulness_low: f64,
    pub faithfulness_high: f64,
    pub normalised_faithfulness: Option<f64>,
    pub p_base_above_constant: f64,
    pub p_above_empty: Option<f64>,
    pub logit_difference: Option<f64>,
    pub logit_difference_low: Option<f64>,
    pub logit_difference_high: Option<f64>,
    pub base_logit_difference: Option<f64>,
    pub kl_divergence: Option<f64>,
    pub kl_divergence_low: Option<f64>,
    pub kl_divergence_high: Option<f64>,
    pub median_rank: Option<u32>,
    pub paired: Option<Paired>,
    pub claim: f64,
    #[serde(default = "level")]
    pub level: f64,
    pub verdict: Option<Verdict>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guess: bool,
    #[serde(default)]
    pub p_pass: Option<f64>,
    #[serde(default)]
    pub p_fail: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_draws: Option<OverDraws>,
    pub prompts_sha256: String,
    pub base_answers: String,
    pub answers: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_answers: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluated_operands: Option<Vec<Vec<i64>>>,
    pub all_prompts: usize,
    pub all_base_correct: usize,
    pub keys: usize,
    pub contexts_fewest: usize,
    pub contexts_median: usize,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub contexts_sampled: bool,
    #[serde(default)]
    pub operand_contexts_fewest: Option<usize>,
    #[serde(default)]
    pub mutual_information: Option<f64>,
    pub largest_relative_standard_error: f64,
    pub provenance: Provenance,
}

/// A cell against the reference of its plan, on the same prompts: the first ablation, with ABP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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

/// Under what a measurement was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // documented once, in schema.md
pub struct Provenance {
    pub crate_version: String,
    pub model_sha256: String,
    pub graph_sha256: String,
    pub tokenizer_sha256: String,
    pub styles_sha256: String,
    pub runtime: String,
    pub runtime_version: String,
    pub runtime_sha256: String,
    pub device: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tf32: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mapped_weights: bool,
    pub providers: BTreeMap<String, usize>,
    pub dtype: String,
    pub threads: usize,
    pub batch: usize,
    #[serde(default = "yes")]
    pub masked: bool,
    pub seed: u64,
    pub operands: [i64; 2],
    pub results: [i64; 2],
    pub limit: Option<usize>,
    pub contexts: usize,
    #[serde(default = "answerable")]
    pub contexts_from: String,
    pub bos: Option<String>,
    pub bos_id: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos_rule: Option<String>,
}

impl Provenance {
    /// Where it ran, in words: the device, and where several providers executed nodes, how many each.
    pub fn ran_on(&self) -> String {
        if self.providers.len() < 2 {
            return self.device.clone();
        }
        let each: Vec<String> = (self.providers.iter())
            .map(|(provider, nodes)| format!("{nodes} nodes on {provider}"))
            .collect();
        format!("{}: {}", self.device, each.join(", "))
    }
}

/// Records before there was another way do not say that they were masked.
fn yes() -> bool {
    true
}

/// Records before contexts were the whole rectangle of operands do not say that they were not.
fn answerable() -> String {
    ContextsFrom::Answerable.name().to_owned()
}

/// Records in which verdicts had no other level do not say it.
fn level() -> f64 {
    LEVEL
}

/// What all measurements of a run have in common.
pub struct Run<'a> {
    /// The experiment; plans of another kind than AF1 are measured as their own.
    pub experiment: Kind,
    /// How means are estimated.
    pub estimator: Estimator,
    /// The model's name.
    pub model: &'a str,
    /// Its tokenizer, for the text of what it says.
    pub tokenizer: &'a Tokenizer,
    /// Its number of layers.
    pub layers: usize,
    /// The subgraph `(W, K)` that is only a guess of the model's preset, if it is one.
    pub guess: Option<(usize, usize)>,
    /// The faithfulness that verdicts are about.
    pub claim: f64,
    /// The level of their tests.
    pub level: f64,
    /// What intervals, tests and verdicts are about.
    pub inference: Inference,
    /// Under what the run is made.
    pub provenance: &'a Provenance,
}

/// The measurements of cells of one evaluation, in their order.
pub fn measure<'a>(
    evaluation: &Evaluation,
    run: &Run<'_>,
    cells: impl IntoIterator<Item = Compared<'a>>,
) -> Vec<Measurement> {
    let about = About::of(&evaluation.set, &evaluation.evaluated, run.inference);
    let facts = Facts::of(evaluation, &about);
    let asked = evaluation.set.asked();
    let wrong = wrong(evaluation, &facts, run);
    let mut measurements: Vec<Measurement> = cells
        .into_iter()
        .map(
            |Compared {
                 cell,
                 empty,
                 reference,
             }| {
                let numbers = Numbers::of(evaluation, cell, empty, &about);
                let set = &evaluation.set;
                let contexts = &evaluation.contexts[&cell.plan.wait];
                let transfer = cell.plan.tail.transfer();
                let n = evaluation.evaluated.len();
                let right: Vec<bool> = evaluation.correct(cell).collect();
                let base = about.share(&facts.base).interval();
                let accuracy = about.share(&right).interval();
                let kept = about.share_of(&right, &facts.base);
                let faithfulness = kept.interval();
                let differences = about.mean(&floats(&cell.logit_difference));
                let divergences = about.mean(&floats(&cell.kl));
                Measurement {
                    schema: SCHEMA,
                    experiment: match cell.plan.tail {
                        Tail::Causal => Kind::WAITING,
                        Tail::Knockout { .. } => Kind::NECESSITY,
                        Tail::Pruned { .. } => Kind::HEADS,
                        Tail::Af1 { .. } => run.experiment.clone(),
                    }
                    .to_string(),
                    model: run.model.to_owned(),
                    style: set.template.style.clone(),
                    operation: set.template.operation.to_string(),
                    sweep: String::new(),
                    cell: 0,
                    cells: None,
                    batch_halved_to: (evaluation.batch() != run.provenance.batch)
                        .then_some(evaluation.batch()),
                    ablation: cell.ablation.name().to_owned(),
                    masking: transfer.map(|_| cell.plan.masking.name()),
                    part: evaluation.part.name().to_owned(),
                    inference: run.inference,
                    effective_prompts: kept.design.map(|design| design.effective),
                    effective_values: kept.design.map(|design| design.units),
                    contexts_drawn: evaluation.draw.map(|draw| draw.contexts),
                    contexts_seed: evaluation.draw.map(|draw| draw.seed),
                    pruning: None,
                    chosen_by: None,
                    chosen_holds: None,
                    logit_difference: differences.map(|mean| mean.value),
                    logit_difference_low: differences.and_then(|mean| finite(mean.low)),
                    logit_difference_high: differences.and_then(|mean| finite(mean.high)),
                    base_logit_difference: average(&evaluation.base_logit_difference),
                    kl_divergence: divergences.map(|mean| mean.value),
                    kl_divergence_low: divergences.and_then(|mean| finite(mean.low)),
                    kl_divergence_high: divergences.and_then(|mean| finite(mean.high)),
                    median_rank: median(&cell.rank),
                    paired: reference.map(|reference| pair(evaluation, cell, reference, &about)),
                    prompts_sha256: facts.prompts_sha256.clone(),
                    base_answers: facts.base_answers.clone(),
                    answers: hex_bits(evaluation.correct(cell)),
                    empty_answers: numbers.empty_answers,
                    evaluated_operands: None,
                    estimator: run.estimator.name().to_owned(),
                    wait: cell.plan.wait,
                    transfer,
                    transfer_layers: transfer.map(|k| layer_range(cell.plan.wait, k)),
                    knockout_layers: match cell.plan.tail {
                        Tail::Knockout { layers } => Some(layer_range(cell.plan.wait, layers)),
                        _ => None,
                    },
                    pruned_heads: match &cell.plan.tail {
                        Tail::Pruned { without, .. } => {
                            Some(without.iter().map(ToString::to_string).collect())
                        }
                        _ => None,
                    },
                    layers: run.layers,
                    prompts: n,
                    excluded: set.excluded.total(),
                    undefined: evaluation.undefined,
                    degenerate: evaluation.degenerate,
                    mixed: evaluation.mixed,
                    base_correct: facts.base_correct,
                    base_wrong: wrong.said.clone(),
                    base_hint: wrong.hint,
                    correct: numbers.correct,
                    correct_given_base: numbers.correct_given_base,
                    lost: facts.base_correct - numbers.correct_given_base,
                    gained: numbers.correct - numbers.correct_given_base,
                    constant_correct: facts.constant_correct,
                    constant_answer: facts.constant_answer,
                    empty_correct: numbers.empty_correct,
                    base_accuracy: base.value.unwrap_or(0.0),
                    base_accuracy_low: base.low,
                    base_accuracy_high: base.high,
                    accuracy: accuracy.value.unwrap_or(0.0),
                    accuracy_low: accuracy.low,
                    accuracy_high: accuracy.high,
                    faithfulness: faithfulness.value,
                    faithfulness_low: faithfulness.low,
                    faithfulness_high: faithfulness.high,
                    normalised_faithfulness: numbers.empty_correct.and_then(|empty| {
                        // What takes no subgraph at all, whichever is more.
                        let floor = empty.max(facts.constant_correct);
                        normalised(numbers.correct, facts.base_correct, floor)
                    }),
                    p_base_above_constant: facts.p_base_above_constant,
                    p_above_empty: numbers.p_above_empty,
                    claim: run.claim,
                    level: run.level,
                    verdict: None,
                    over_draws: None,
                    guess: transfer.is_some_and(|k| run.guess == Some((cell.plan.wait, k))),
                    p_pass: None,
                    p_fail: None,
                    all_prompts: asked.len(),
                    all_base_correct: (asked.iter())
                        .filter(|&&i| evaluation.base_correct(i))
                        .count(),
                    keys: contexts.keys,
                    contexts_fewest: contexts.fewest,
                    contexts_median: contexts.median,
                    contexts_sampled: set.drawn,
                    operand_contexts_fewest: Some(evaluation.dependence.fewest),
                    mutual_information: Some(evaluation.dependence.bits),
                    largest_relative_standard_error: contexts.largest_relative_error,
                    provenance: run.provenance.clone(),
                }
            },
        )
        .collect();
    // Once for all cells of these prompts: with them claims over several templates follow from the record.
    if let Some(first) = measurements.first_mut()
        && run.experiment == Kind::AF1
    {
        let operands = |&prompt: &usize| evaluation.set.prompts[prompt].operands.clone();
        first.evaluated_operands = Some(evaluation.evaluated.iter().map(operands).collect());
    }
    for measurement in &mut measurements {
        measurement.verdict = judge(measurement);
        let tests = tests(measurement);
        measurement.p_pass = tests.map(|tests| tests.pass);
        measurement.p_fail = tests.map(|tests| tests.fail);
    }
    measurements
}

/// What the unmodified model says where it is wrong, if it is wrong so often that the claim could not be about anything.
fn wrong(evaluation: &Evaluation, facts: &Facts, run: &Run<'_>) -> Wrong {
    let prompts = &evaluation.evaluated;
    if facts.base_correct as f64 >= run.claim * prompts.len() as f64 {
        return Wrong::default();
    }
    Wrong::of(&evaluation.set, prompts, &evaluation.base, run.tokenizer)
}

impl Measurement {
    /// The share of the model's right answers that are kept, as evidence about the target.
    pub fn evidence(&self) -> Evidence {
        let design = self.effective_prompts.zip(self.effective_values);
        Evidence {
            inference: self.inference,
            successes: self.correct_given_base,
            trials: self.base_correct,
            design: design.map(|(effective, units)| Design { effective, units }),
        }
    }
}

/// What all cells of an evaluation share.
struct Facts {
    /// Whether the unmodified model is right, for every evaluated prompt.
    base: Vec<bool>,
    base_correct: usize,
    constant_answer: i64,
    constant_correct: usize,
    p_base_above_constant: f64,
    prompts_sha256: String,
    base_answers: String,
}

impl Facts {
    fn of(evaluation: &Evaluation, about: &About) -> Self {
        let result = |prompt: usize| evaluation.set.prompts[prompt].result.unwrap_or_default();
        let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
        for &prompt in &evaluation.evaluated {
            *counts.entry(result(prompt)).or_insert(0) += 1;
        }
        // The best constant answer; the smallest of equals.
        let best = counts
            .iter()
            .max_by_key(|&(&answer, &count)| (count, std::cmp::Reverse(answer)));
        let (constant_answer, constant_correct) = best.map_or((0, 0), |(&a, &count)| (a, count));
        let evaluated = || evaluation.evaluated.iter();
        let base: Vec<bool> = evaluated().map(|&p| evaluation.base_correct(p)).collect();
        let constant: Vec<bool> = evaluated().map(|&p| result(p) == constant_answer).collect();
        let texts: Vec<&str> = evaluation
            .evaluated
            .iter()
            .map(|&prompt| evaluation.set.prompts[prompt].text.as_str())
            .collect();
        Self {
            prompts_sha256: sha256_bytes(texts.join("\0").as_bytes()).to_string(),
            base_answers: hex_bits(base.iter().copied()),
            base_correct: base.iter().filter(|right| **right).count(),
            constant_answer,
            constant_correct,
            p_base_above_constant: about.greater(&base, &constant),
            base,
        }
    }
}

/// The records of all heads' attention on the evaluated prompts of a set.
pub fn attended(
    heads: &[Attended],
    set: &PromptSet,
    evaluated: &[usize],
    run: &Run<'_>,
) -> Vec<HeadAttention> {
    let about = About::of(set, evaluated, run.inference);
    let weight = |values: &Vec<f64>| {
        let mean = about.mean(values);
        Weight {
            mean: mean.map_or(0.0, |mean| mean.value),
            low: mean.and_then(|mean| finite(mean.low)),
            high: mean.and_then(|mean| finite(mean.high)),
        }
    };
    let record = |head: &Attended| HeadAttention {
        schema: SCHEMA,
        sweep: String::new(),
        cell: 0,
        experiment: Kind::ATTENTION.to_string(),
        model: run.model.to_owned(),
        style: set.template.style.clone(),
        operation: set.template.operation.to_string(),
        inference: run.inference,
        layers: run.layers,
        layer: head.layer,
        head: head.head,
        prompts: evaluated.len(),
        weights: (head.weights.iter())
            .map(|(name, values)| (name.clone(), weight(values)))
            .collect(),
        provenance: run.provenance.clone(),
    };
    heads.iter().map(record).collect()
}

/// A cell against the reference of its plan.
fn pair(evaluation: &Evaluation, cell: &Cell, reference: &Cell, about: &About) -> Paired {
    let (here, there): (Vec<bool>, Vec<bool>) = (
        evaluation.correct(cell).collect(),
        evaluation.correct(reference).collect(),
    );
    let (only_here, only_there) = discordant(here.iter().copied().zip(there.iter().copied()));
    let minus =
        |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
    let accuracy = about.difference(&here, &there);
    let logits = about.mean(&minus(
        &floats(&cell.logit_difference),
        &floats(&reference.logit_difference),
    ));
    Paired {
        ablation: reference.ablation.name().to_owned(),
        masking: reference
            .plan
            .tail
            .transfer()
            .map(|_| reference.plan.masking.name()),
        only_here,
        only_there,
        p: about.different(&here, &there),
        accuracy_difference: accuracy.map_or(0.0, |mean| mean.value),
        accuracy_difference_low: accuracy.and_then(|mean| finite(mean.low)),
        accuracy_difference_high: accuracy.and_then(|mean| finite(mean.high)),
        logit_difference: logits.map(|mean| mean.value),
        logit_difference_low: logits.and_then(|mean| finite(mean.low)),
        logit_difference_high: logits.and_then(|mean| finite(mean.high)),
    }
}

fn floats(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

/// The share of what lies between the floor and the unmodified model that is kept; below 0 under the floor. `None` where the
/// unmodified model is not above it.
pub(super) fn normalised(correct: usize, base_correct: usize, floor: usize) -> Option<f64> {
    let room = base_correct.checked_sub(floor).filter(|&room| room > 0)?;
    Some((correct as f64 - floor as f64) / room as f64)
}

/// JSON has no infinity: an end of an interval that is not known is null.
fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

fn average(values: &[f32]) -> Option<f64> {
    let sum: f64 = floats(values).iter().sum();
    (!values.is_empty()).then(|| sum / values.len() as f64)
}

/// The lower median.
fn median(values: &[u32]) -> Option<u32> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(values.len().checked_sub(1)? / 2).copied()
}

/// Booleans as hexadecimal digits, four a digit, the first the highest bit; the last digit is filled up with zeros.
pub fn hex_bits(bits: impl Iterator<Item = bool>) -> String {
    let bits: Vec<bool> = bits.collect();
    let digit = |four: &[bool]| {
        let value = (0..4).fold(0, |value, i| {
            2 * value + u32::from(four.get(i).copied().unwrap_or(false))
        });
        char::from_digit(value, 16).expect("four bits are a digit")
    };
    bits.chunks(4).map(digit).collect()
}

/// The first `count` booleans of [`hex_bits`]; `None` where the text is another's.
pub fn bits_of_hex(text: &str, count: usize) -> Option<Vec<bool>> {
    if text.len() != count.div_ceil(4) {
        return None;
    }
    let mut bits = Vec::with_capacity(text.len() * 4);
    for digit in text.chars() {
        let value = digit.to_digit(16)?;
        bits.extend((0..4).map(|i| value >> (3 - i) & 1 == 1));
    }
    bits.truncate(count);
    Some(bits)
}

/// What one cell adds.
struct Numbers {
    correct: usize,
    correct_given_base: usize,
    empty_correct: Option<usize>,
    empty_answers: Option<String>,
    p_above_empty: Option<f64>,
}

impl Numbers {
    fn of(evaluation: &Evaluation, cell: &Cell, empty: Option<&Cell>, about: &About) -> Self {
        let correct: Vec<bool> = evaluation.correct(cell).collect();
        let base = evaluation
            .evaluated
            .iter()
            .map(|&p| evaluation.base_correct(p));
        let both = correct
            .iter()
            .zip(base)
            .filter(|(correct, base)| **correct && *base);
        let empty: Option<Vec<bool>> = empty.map(|empty| evaluation.correct(empty).collect());
        Self {
            correct: correct.iter().filter(|c| **c).count(),
            correct_given_base: both.count(),
            p_above_empty: (empty.as_ref()).map(|empty| about.greater(&correct, empty)),
            empty_answers: (empty.as_ref()).map(|empty| hex_bits(empty.iter().copied())),
            empty_correct: empty.map(|empty| empty.iter().filter(|c| **c).count()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_back() {
        for count in 0..10 {
            let bits: Vec<bool> = (0..count).map(|i| i % 3 == 0).collect();
            let text = hex_bits(bits.iter().copied());
            assert_eq!(bits_of_hex(&text, count), Some(bits));
        }
        assert_eq!(hex_bits([true, false, false, true, true].into_iter()), "98");
        assert_eq!(bits_of_hex("98", 9), None);
        assert_eq!(bits_of_hex("9x", 8), None);
    }

    #[test]
    fn the_median_is_one_of_the_values() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[5, 1, 3]), Some(3));
        assert_eq!(median(&[4, 1, 3, 2]), Some(2));
    }
}
