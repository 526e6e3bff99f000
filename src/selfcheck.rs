//! The self-check: every experiment on models whose answer is known by construction, compared with what was planted. Which
//! models there are is [`crate::model`]'s business, how the rows are shown [`crate::report`]'s.

use std::ops::RangeInclusive;

use serde::Serialize;

use crate::experiment::{Found, recover};
use crate::fetch::Cache;
use crate::intervene::{Head, Plan, ablation};
use crate::measure::{Request, preflight, prepare, with_references};
use crate::model::planted::{Plant, Route, Truth};
use crate::model::{BosChoice, Model, Preset, Supply};
use crate::prompt::{ContextsFrom, Operation, PromptSet, Selection, Styles};
use crate::record::{Checked, Kind, Outcome, Planted, Provenance, Recovered, Run, measure};
use crate::runtime::{Engine, Placement, Runtime};
use crate::stats::{Inference, LEVEL};
use crate::{Error, Result};

/// The faithfulness that is claimed.
pub const CLAIM: f64 = 0.95;

/// The values of the operands; few, so that the check is quick and every token still has many contexts.
const OPERANDS: RangeInclusive<i64> = 0..=29;

/// Prompts of a template on which the experiments look for what was planted; the verdict is on all of them, because a
/// subgraph that keeps 90%, as in `planted-noisy`, must be seen to fail a claim of 95%.
const LIMIT: usize = 150;

/// Prompts in a batch.
const BATCH: usize = 256;

/// The seed of the draw.
const SEED: u64 = 42;

/// One template of one planted model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The model.
    pub model: String,
    /// The style.
    pub style: String,
    /// The operation.
    pub operation: String,
    /// The token in front of every prompt, if there is one.
    pub bos: Option<String>,
    /// What decided that, in words.
    pub bos_rule: String,
    /// What was planted; `None` where the model cannot do the task.
    pub planted: Option<Truth>,
    /// What the experiments find, without a hint.
    pub found: Found,
    /// The subgraph that is claimed, `(W, K)`.
    pub claim: (usize, usize),
    /// The verdict that the claim deserves.
    pub due: Outcome,
    /// The verdict that it gets.
    pub verdict: Outcome,
    /// How many of the right answers the claimed subgraph keeps by construction, where that is neither all nor few.
    pub kept_planted: Option<usize>,
    /// How many it keeps.
    pub kept: usize,
}

impl Row {
    /// What is written down of it.
    pub fn checked(&self) -> Checked {
        let pair = |(wait, transfer): (usize, usize)| [wait, transfer];
        Checked {
            model: self.model.clone(),
            style: self.style.clone(),
            operation: self.operation.clone(),
            bos: self.bos.clone(),
            bos_rule: self.bos_rule.clone(),
            planted: self.planted.as_ref().map(|truth| Planted {
                waits: truth.waits,
                af1: truth.af1.map(pair),
                knockouts: truth.knockouts.clone(),
                heads: self.planted_heads(),
                faithful: truth.faithful,
            }),
            found: Recovered {
                prompts: self.found.prompts,
                base_correct: self.found.base_correct,
                waits: self.found.waits,
                af1: self.found.af1.map(pair),
                knockouts: self.found.knockouts.clone(),
                heads: self.found.heads.clone(),
            },
            claim: pair(self.claim),
            due: self.due,
            verdict: self.verdict,
            kept_planted: self.kept_planted,
            kept: self.kept,
            differences: self.differences(),
        }
    }

    /// The heads that were planted.
    pub fn planted_heads(&self) -> Vec<Head> {
        let heads = self.planted.iter().flat_map(|truth| &truth.heads);
        heads.map(|&(layer, head)| Head { layer, head }).collect()
    }

    /// What does not agree, in words; none where all is well.
    pub fn differences(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut compare = |what: &str, planted: String, found: String| {
            if planted != found {
                all.push(format!("{what}: planted {planted}, found {found}"));
            }
        };
        compare("verdict", self.due.to_string(), self.verdict.to_string());
        // A model that cannot do the task has nothing to find; that it cannot is the verdict.
        if let Some(truth) = &self.planted {
            if let Some(planted) = self.kept_planted {
                compare("answers kept", planted.to_string(), self.kept.to_string());
            }
            let n = self.found.prompts;
            compare(
                "right answers",
                n.to_string(),
                self.found.base_correct.to_string(),
            );
            let waits = self.found.waits;
            compare(
                "waits to",
                format!("{:?}", Some(truth.waits)),
                format!("{waits:?}"),
            );
            compare(
                "AF1",
                format!("{:?}", truth.af1),
                format!("{:?}", self.found.af1),
            );
            let (planted, found) = (&truth.knockouts, &self.found.knockouts);
            compare(
                "layers needed",
                format!("{planted:?}"),
                format!("{found:?}"),
            );
            let heads = |heads: &[Head]| {
                let names: Vec<String> = heads.iter().map(ToString::to_string).collect();
                names.join(" ")
            };
            let planted = heads(&self.planted_heads());
            compare("heads needed", planted, heads(&self.found.heads));
        }
        all
    }
}

/// The verdict that the claim AF1(W, K) deserves where this was planted.
fn due(plant: &Plant, truth: Option<&Truth>, (wait, transfer): (usize, usize)) -> Outcome {
    let Some(truth) = truth else {
        return Outcome::Inconclusive;
    };
    let holds = truth.af1.is_some_and(|(waits, transfers)| {
        (1..=waits).contains(&wait)
            && wait + transfer >= waits + transfers
            && wait + transfer <= plant.layers
    });
    match holds {
        true => Outcome::Pass,
        false => Outcome::Fail,
    }
}

/// The styles in which a planted model is checked: those of which its preset says something of its own.
fn styles(preset: &Preset) -> &'static [&'static str] {
    match preset.name {
        // The only one in which the route depends on the style.
        "planted-style" => &["symbolic", "python"],
        // No style whose first operand is the first token can be asked.
        "planted-no-bos" => &["calculate"],
        _ => &["symbolic"],
    }
}

/// The operations that planted models are asked for.
pub const OPERATIONS: [&str; 2] = ["A+B", "A-B"];

/// Checks one planted model: a row for every template.
///
/// # Errors
/// The runtime's reason; preflight.
///
/// # Panics
/// For a preset that is not planted.
pub fn check(
    preset: &'static Preset,
    runtime: &'static Runtime,
    placement: &Placement,
    cache: &Cache,
    operations: &[&str],
) -> Result<Vec<Row>> {
    let Supply::Planted(plant) = preset.supply else {
        panic!("{} is not planted", preset.name);
    };
    let model = Model::load(preset.name, &BosChoice::Default, cache)?;
    let mut engine = Engine::new(runtime, placement, &model)?;
    let mut rows = Vec::new();
    for style in styles(preset) {
        for operation in operations {
            let row = check_template(preset, &plant, &model, &mut engine, style, operation)?;
            rows.push(row);
        }
    }
    Ok(rows)
}

fn check_template(
    preset: &Preset,
    plant: &Plant,
    model: &Model,
    engine: &mut Engine,
    style: &str,
    operation: &str,
) -> Result<Row> {
    let operation: Operation = operation.parse().expect("an operation");
    let template = Styles::built_in()
        .select(&[style.to_owned()], &[operation])?
        .remove(0);
    let selection = Selection {
        operands: OPERANDS,
        results: preset.results.0..=preset.results.1,
        contexts: 100,
        contexts_from: ContextsFrom::All,
        seed: SEED,
    };
    let bos = model.bos();
    let set = PromptSet::build(&template, &model.tokenizer, bos, &selection)?;
    let operation = set.template.operation.to_string();
    let ablations = [ablation::CAMA];
    let (wait, transfer) = preset.af1;
    let claimed = Plan::af1(wait, transfer);
    let plans = with_references(std::slice::from_ref(&claimed));
    let request = Request {
        seed: SEED,
        batch: BATCH,
        ..Request::new(&plans, &ablations)
    };
    preflight(engine, model, &set, &request)?;
    let mut evaluation = prepare(engine, set.clone(), &request, &[wait])?;
    let compared = evaluation.compare(engine, std::slice::from_ref(&claimed), &ablations)?;
    let run = Run {
        experiment: Kind::AF1,
        estimator: request.estimator,
        model: &model.name,
        tokenizer: &model.tokenizer,
        layers: model.sizes.layers,
        guess: None,
        claim: CLAIM,
        level: LEVEL,
        inference: Inference::Prompts,
        provenance: &Provenance::default(),
    };
    let measured = measure(&evaluation, &run, compared.cells());
    let verdict = measured.first().and_then(|m| m.test.verdict.as_ref());
    let first_operands = evaluation
        .evaluated
        .iter()
        .map(|&p| set.prompts[p].operands[0]);
    let planted_to_keep = first_operands
        .filter(|&first| plant.keeps(first as usize))
        .count();
    let noisy = matches!(plant.route, Route::Noisy { .. });
    let request = Request {
        limit: Some(LIMIT),
        ..request
    };
    let found = recover(engine, set, &request, CLAIM)?;
    let planted = plant.truth(style, CLAIM);
    Ok(Row {
        model: preset.name.to_owned(),
        style: style.to_owned(),
        operation,
        bos: model.front.bos.as_ref().map(|bos| bos.token.clone()),
        bos_rule: model.front.rule.to_string(),
        found,
        claim: preset.af1,
        due: due(plant, planted.as_ref(), preset.af1),
        verdict: verdict.map_or(Outcome::Inconclusive, |verdict| verdict.outcome),
        kept_planted: noisy.then_some(planted_to_keep),
        kept: measured.first().map_or(0, |m| m.counts.correct_given_base),
        planted,
    })
}

/// Passes if every row is as planted.
///
/// # Errors
/// [`Error::Selfcheck`] names the first that is not.
pub fn judge(rows: &[Row]) -> Result<()> {
    for row in rows {
        let differences = row.differences();
        if !differences.is_empty() {
            return Err(Error::Selfcheck {
                reason: format!(
                    "{}, {} {}: {}",
                    row.model,
                    row.style,
                    row.operation,
                    differences.join("; ")
                ),
            });
        }
    }
    Ok(())
}
