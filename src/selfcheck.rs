//! The self-check: every experiment on models whose answer is known by construction, compared with what was planted. Which
//! models there are is [`crate::model`]'s business, how the rows are shown [`crate::report`]'s.

mod asked;

use std::sync::LazyLock;

use serde::Serialize;

use self::asked::{Ask, asked, operations_of, styles};
use crate::experiment::{Found, recover_on};
use crate::fetch::Cache;
use crate::intervene::{Estimator, Head, Plan, ablation};
use crate::measure::{Asked, Evaluation, Request, preflight, prepare_steps, with_references};
use crate::model::planted::{Digits, Plant, Route, Truth};
use crate::model::{BosChoice, Model, Preset, Supply};
use crate::prompt::{
    ContextsFrom, KeyedBy, Numbers, Operation, PromptSet, Selection, Step, Styles, Template,
};
use crate::record::{
    Address, Checked, Kind, Outcome, Planted, Provenance, Recovered, Run, measure,
};
use crate::runtime::{Engine, Placement, Runtime};
use crate::stats::{Inference, LEVEL};
use crate::{Error, Result};

/// The faithfulness that is claimed.
pub const CLAIM: f64 = 0.95;

/// Prompts of a template that are evaluated: enough for a verdict, and few, so that the check is quick.
const LIMIT: usize = 150;
/// The same where all answers are right: 72 right answers are the fewest of which the lower bound is above [`CLAIM`].
const FEW: usize = 75;
/// The same where no verdict is due.
const FEWEST: usize = 30;

/// Prompts in a batch.
const BATCH: usize = 256;

/// The seed of the draw.
const SEED: u64 = 42;

/// One template of one planted model, at one step of its answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The model.
    pub model: String,
    /// The style.
    pub style: String,
    /// The operation.
    pub operation: String,
    /// How many tokens the numbers have, the step of the answer, and what means are conditioned on.
    #[serde(skip)]
    pub numbers: Numbers,
    /// The token in front of every prompt, if there is one.
    pub bos: Option<String>,
    /// What decided that, in words.
    pub bos_rule: String,
    /// What was planted; `None` where the model cannot do the task.
    pub planted: Option<Truth>,
    /// How many of the prompts on which the experiments look are right by construction.
    pub right_planted: usize,
    /// The prompts, of all that can be asked, that are right and should not be, or the other way round.
    pub unlike: usize,
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
            shape: self.numbers.shape.clone(),
            step: self.numbers.step,
            key: self.numbers.keyed_by,
            bos: self.bos.clone(),
            bos_rule: self.bos_rule.clone(),
            planted: self.planted.as_ref().map(|truth| Planted {
                base_correct: self.right_planted,
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

    /// The template, the step where numbers have several tokens, and before them the key of means where it is not the default one.
    pub fn template(&self) -> String {
        self.template_at(self.numbers.step)
    }

    /// The same at another step.
    pub fn template_at(&self, step: Step) -> String {
        let address = Address {
            sweep: "",
            style: &self.style,
            operation: &self.operation,
            shape: Some(&self.numbers.shape),
            step,
            cell: "",
        };
        match self.numbers.keyed_by {
            KeyedBy::Span => address.template(),
            KeyedBy::Token => format!("by token: {}", address.template()),
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
        // In a model that fails at the task there is nothing to find: that it fails is the verdict.
        if let Some(truth) = &self.planted {
            if let Some(planted) = self.kept_planted {
                compare("answers kept", planted.to_string(), self.kept.to_string());
            }
            compare(
                "right answers",
                self.right_planted.to_string(),
                self.found.base_correct.to_string(),
            );
            compare("others than those", "0".into(), self.unlike.to_string());
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
fn due(
    plant: &Plant,
    truth: Option<&Truth>,
    set: &PromptSet,
    (wait, transfer): (usize, usize),
) -> Outcome {
    let Some(truth) = truth else {
        return Outcome::Inconclusive;
    };
    if one_answer_will_do(set) {
        return Outcome::Inconclusive;
    }
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

/// Whether one answer is right to every prompt, so that nothing shows that a model can do the task: behind a whole answer any token that
/// begins with no digit is.
fn one_answer_will_do(set: &PromptSet) -> bool {
    let mut answers = set.prompts.iter().filter(|prompt| prompt.asked());
    let Some(first) = answers.next() else {
        return true;
    };
    let mut rest = answers.map(|prompt| &prompt.answers);
    let of_all = |answer: &u32| rest.all(|answers| answers.contains(answer));
    first.answers.first().is_some_and(of_all)
}

/// The operations that planted models are asked for.
pub const OPERATIONS: [&str; 2] = ["A+B", "A-B"];

/// Checks one planted model: a row for every template and step.
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
    let engine = Engine::new(runtime, placement, &model)?;
    let mut subject = Subject {
        preset,
        plant: &plant,
        model: &model,
        engine,
    };
    let mut rows = Vec::new();
    for style in styles(preset) {
        for operation in operations_of(&plant, operations) {
            let operation: Operation = operation.parse().expect("an operation");
            let template = Styles::built_in()
                .select(&[(*style).to_owned()], std::slice::from_ref(&operation))?
                .remove(0);
            // The steps of an answer go through the first pass together.
            let asked = asked(&plant, &operation);
            for steps in asked.chunk_by(|a, b| a.numbers.keyed_by == b.numbers.keyed_by) {
                rows.extend(subject.check(&template, steps)?);
            }
        }
    }
    Ok(rows)
}

/// A planted model that is checked.
struct Subject<'a> {
    preset: &'static Preset,
    plant: &'a Plant,
    model: &'a Model,
    engine: Engine,
}

impl Subject<'_> {
    /// Checks the steps of a template, with means of one key.
    fn check(&mut self, template: &Template, steps: &[Ask]) -> Result<Vec<Row>> {
        let sets = steps.iter().map(|ask| self.set(template, ask));
        let sets = sets.collect::<Result<Vec<PromptSet>>>()?;
        let (wait, transfer) = self.preset.af1;
        let plans = with_references(&[Plan::af1(wait, transfer)]);
        let ablations = [ablation::CAMA];
        let request = Request {
            seed: SEED,
            batch: BATCH,
            ..Request::new(&plans, &ablations)
        };
        // The other steps and keys are of the same template.
        if let [set, ..] = &*sets
            && set.numbers.keyed_by == KeyedBy::Span
        {
            preflight(&mut self.engine, self.model, set, &request)?;
        }
        let asked = |set| Asked {
            set,
            request: Request {
                limit: self.limit(set),
                ..request
            },
            wanted: true,
        };
        let asked: Vec<Asked<'_>> = sets.iter().map(asked).collect();
        let boundaries: Vec<usize> = (0..=self.engine.layers()).collect();
        let evaluations = prepare_steps(&mut self.engine, &asked, &boundaries)?;
        let evaluations = evaluations.into_iter().flatten();
        evaluations
            .map(|evaluation| self.row(template, evaluation?))
            .collect()
    }

    fn set(&self, template: &Template, ask: &Ask) -> Result<PromptSet> {
        let (first, last) = self.preset.results;
        let selection = Selection {
            operands: ask.operands.clone(),
            results: first..=last,
            contexts: 100,
            contexts_from: ContextsFrom::All,
            seed: SEED,
            listed: None,
        };
        let (tokenizer, bos) = (&self.model.tokenizer, self.model.bos());
        PromptSet::of_numbers(template, tokenizer, bos, &selection, &ask.numbers)
    }

    /// At most how many prompts of a set are evaluated.
    fn limit(&self, set: &PromptSet) -> Option<usize> {
        match self.plant.route {
            // A subgraph that keeps 90% must be seen to fail a claim of 95%.
            Route::Noisy { .. } => None,
            // Where it is wrong about some prompts.
            Route::Digits {
                by: Digits::Copy, ..
            } if set.numbers.step == Step::At(0) => Some(LIMIT),
            // Behind the last digit one answer is right to every prompt.
            Route::Digits { .. } if set.numbers.step == Step::Stop => Some(FEWEST),
            Route::Digits { .. } => Some(FEW),
            _ => Some(LIMIT),
        }
    }

    /// What is planted and found at a step that was prepared at every boundary.
    fn row(&mut self, template: &Template, mut evaluation: Evaluation) -> Result<Row> {
        let (preset, model) = (self.preset, self.model);
        let (wait, transfer) = preset.af1;
        let claimed = [Plan::af1(wait, transfer)];
        let compared = evaluation.compare(&mut self.engine, &claimed, &[ablation::CAMA])?;
        let run = self.run(Estimator::default());
        let measured = measure(&evaluation, &run, compared.cells());
        let verdict = measured.first().and_then(|m| m.test.verdict.as_ref());
        let numbers = evaluation.set.numbers.clone();
        let planted = (self.plant).truth(&template.style, numbers.keyed_by, CLAIM);
        let due = due(self.plant, planted.as_ref(), &evaluation.set, preset.af1);
        let found = recover_on(&mut self.engine, &mut evaluation, CLAIM)?;
        let set = &evaluation.set;
        let right = |prompt: &usize| self.plant.is_right(set, *prompt);
        let unlike = (set.asked().into_iter())
            .filter(|prompt| evaluation.base_correct(*prompt) != right(prompt))
            .count();
        Ok(Row {
            model: preset.name.to_owned(),
            style: template.style.clone(),
            operation: template.operation.to_string(),
            bos: model.front.bos.as_ref().map(|bos| bos.token.clone()),
            bos_rule: model.front.rule.to_string(),
            right_planted: evaluation.evaluated.iter().filter(|p| right(p)).count(),
            unlike,
            found,
            claim: preset.af1,
            due,
            verdict: verdict.map_or(Outcome::Inconclusive, |verdict| verdict.outcome),
            kept_planted: self.kept(&evaluation),
            kept: measured.first().map_or(0, |m| m.counts.correct_given_base),
            planted,
            numbers,
        })
    }

    /// What the measurements of the claim have in common.
    fn run(&self, estimator: Estimator) -> Run<'_> {
        static PROVENANCE: LazyLock<Provenance> = LazyLock::new(Provenance::default);
        Run {
            experiment: Kind::AF1,
            estimator,
            model: &self.model.name,
            tokenizer: &self.model.tokenizer,
            layers: self.model.sizes.layers,
            heads: self.model.sizes.heads,
            guess: None,
            claim: CLAIM,
            level: LEVEL,
            inference: Inference::Prompts,
            provenance: &PROVENANCE,
            each: false,
        }
    }

    /// How many answers the claim keeps by construction, where that is neither all nor few.
    fn kept(&self, evaluation: &Evaluation) -> Option<usize> {
        let first = |prompt: &usize| evaluation.set.prompts[*prompt].operands[0] as usize;
        let kept = evaluation.evaluated.iter().map(first);
        let kept = kept.filter(|&first| self.plant.keeps(first));
        matches!(self.plant.route, Route::Noisy { .. }).then(|| kept.count())
    }
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
                    "{}, {}: {}",
                    row.model,
                    row.template(),
                    differences.join("; ")
                ),
            });
        }
    }
    Ok(())
}
