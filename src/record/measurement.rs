//! One measurement: a template under one intervention.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Verdict, judge};
use crate::experiment::{Cell, Evaluation, Experiment};
use crate::intervene::{Estimator, Tail, layer_range};
use crate::stats::{Proportion, discordant, mcnemar_greater};

/// The version of the schema; raised when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// One line of results. The fields are explained in the schema (module documentation).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // documented once, in schema.md
pub struct Measurement {
    pub schema: u32,
    pub experiment: String,
    pub model: String,
    pub style: String,
    pub operation: String,
    pub ablation: String,
    pub estimator: String,
    pub wait: usize,
    pub transfer: Option<usize>,
    pub transfer_layers: Option<String>,
    pub knockout_layers: Option<String>,
    pub pruned_heads: Option<Vec<String>>,
    pub layers: usize,
    pub prompts: usize,
    pub excluded: usize,
    pub undefined: usize,
    pub degenerate: usize,
    pub base_correct: usize,
    pub correct: usize,
    pub correct_given_base: usize,
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
    pub claim: f64,
    pub verdict: Option<Verdict>,
    pub all_prompts: usize,
    pub all_base_correct: usize,
    pub keys: usize,
    pub contexts_fewest: usize,
    pub contexts_median: usize,
    pub largest_relative_standard_error: f64,
    pub provenance: Provenance,
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
    pub providers: BTreeMap<String, usize>,
    pub dtype: String,
    pub threads: usize,
    pub batch: usize,
    pub seed: u64,
    pub operands: [i64; 2],
    pub results: [i64; 2],
    pub limit: Option<usize>,
    pub contexts: usize,
    pub bos: Option<String>,
    pub bos_id: Option<u32>,
}

/// What all measurements of a run have in common.
pub struct Run<'a> {
    /// The experiment; plans of another kind than AF1 are measured as their own.
    pub experiment: Experiment,
    /// How means are estimated.
    pub estimator: Estimator,
    /// The model's name.
    pub model: &'a str,
    /// Its number of layers.
    pub layers: usize,
    /// The faithfulness that verdicts are about.
    pub claim: f64,
    /// Under what the run is made.
    pub provenance: &'a Provenance,
}

/// The measurements of one evaluation, cell by cell. Cells that only serve as the empty subgraph of others are left out
/// where `shown` says so.
pub fn measure(
    evaluation: &Evaluation,
    run: &Run<'_>,
    shown: impl Fn(&Cell) -> bool,
) -> Vec<Measurement> {
    let facts = Facts::of(evaluation);
    let cells = evaluation.cells.iter().filter(|cell| shown(cell));
    let mut measurements: Vec<Measurement> = cells
        .map(|cell| {
            let numbers = Numbers::of(evaluation, cell);
            let set = &evaluation.set;
            let contexts = &evaluation.contexts[&cell.plan.wait];
            let transfer = cell.plan.tail.transfer();
            let n = evaluation.evaluated.len();
            let base = Proportion::wilson(facts.base_correct, n);
            let accuracy = Proportion::wilson(numbers.correct, n);
            let faithfulness = Proportion::wilson(numbers.correct_given_base, facts.base_correct);
            Measurement {
                schema: SCHEMA,
                experiment: match cell.plan.tail {
                    Tail::Causal => Experiment::Waiting,
                    Tail::Knockout { .. } => Experiment::Necessity,
                    Tail::Pruned { .. } => Experiment::Heads,
                    Tail::Af1 { .. } => run.experiment,
                }
                .to_string(),
                model: run.model.to_owned(),
                style: set.template.style.clone(),
                operation: set.template.operation.to_string(),
                ablation: cell.ablation.name().to_owned(),
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
                base_correct: facts.base_correct,
                correct: numbers.correct,
                correct_given_base: numbers.correct_given_base,
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
                    let room = facts.base_correct as f64 - empty as f64;
                    (room != 0.0).then(|| (numbers.correct as f64 - empty as f64) / room)
                }),
                p_base_above_constant: facts.p_base_above_constant,
                p_above_empty: numbers.p_above_empty,
                claim: run.claim,
                verdict: None,
                all_prompts: set.len(),
                all_base_correct: (0..set.len())
                    .filter(|&i| evaluation.base_correct(i))
                    .count(),
                keys: contexts.keys,
                contexts_fewest: contexts.fewest,
                contexts_median: contexts.median,
                largest_relative_standard_error: contexts.largest_relative_error,
                provenance: run.provenance.clone(),
            }
        })
        .collect();
    for measurement in &mut measurements {
        measurement.verdict = judge(measurement);
    }
    measurements
}

/// What all cells of an evaluation share.
struct Facts {
    base_correct: usize,
    constant_answer: i64,
    constant_correct: usize,
    p_base_above_constant: f64,
}

impl Facts {
    fn of(evaluation: &Evaluation) -> Self {
        let result = |prompt: usize| evaluation.set.prompts[prompt].result;
        let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
        for &prompt in &evaluation.evaluated {
            *counts.entry(result(prompt)).or_insert(0) += 1;
        }
        // The best constant answer; the smallest of equals.
        let best = counts
            .iter()
            .max_by_key(|&(&answer, &count)| (count, std::cmp::Reverse(answer)));
        let (constant_answer, constant_correct) = best.map_or((0, 0), |(&a, &count)| (a, count));
        let pairs = evaluation.evaluated.iter().map(|&prompt| {
            (
                evaluation.base_correct(prompt),
                result(prompt) == constant_answer,
            )
        });
        let (wins, losses) = discordant(pairs);
        let base = evaluation
            .evaluated
            .iter()
            .filter(|&&p| evaluation.base_correct(p));
        Self {
            base_correct: base.count(),
            constant_answer,
            constant_correct,
            p_base_above_constant: mcnemar_greater(wins, losses),
        }
    }
}

/// What one cell adds.
struct Numbers {
    correct: usize,
    correct_given_base: usize,
    empty_correct: Option<usize>,
    p_above_empty: Option<f64>,
}

impl Numbers {
    fn of(evaluation: &Evaluation, cell: &Cell) -> Self {
        let correct: Vec<bool> = evaluation.correct(cell).collect();
        let base = evaluation
            .evaluated
            .iter()
            .map(|&p| evaluation.base_correct(p));
        let both = correct
            .iter()
            .zip(base)
            .filter(|(correct, base)| **correct && *base);
        // The empty subgraph of AF1(W, K) is AF1(W, 0) with the same ablation.
        let empty = evaluation.cells.iter().find(|other| {
            cell.plan.tail.transfer().is_some()
                && other.plan.tail == (Tail::Af1 { transfer: 0 })
                && other.plan.wait == cell.plan.wait
                && other.ablation.name() == cell.ablation.name()
        });
        let empty: Option<Vec<bool>> = empty.map(|empty| evaluation.correct(empty).collect());
        Self {
            correct: correct.iter().filter(|c| **c).count(),
            correct_given_base: both.count(),
            p_above_empty: empty.as_ref().map(|empty| {
                let pairs = correct.iter().copied().zip(empty.iter().copied());
                let (wins, losses) = discordant(pairs);
                mcnemar_greater(wins, losses)
            }),
            empty_correct: empty.map(|empty| empty.iter().filter(|c| **c).count()),
        }
    }
}
