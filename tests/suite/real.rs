//! Real models against an independent implementation in PyTorch, prompt by prompt, under every condition that its files have: the
//! cases are read from them.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use af1::intervene::ablation::{self, Ablation};
use af1::intervene::masking::MaskedBy;
use af1::intervene::{Estimator, Plan};
use af1::measure::{Cell, Evaluated, Evaluation, Request, evaluate};
use af1::model::Model;
use af1::prompt::{ContextsFrom, PromptSet, Styles};
use af1::runtime::Engine;
use rstest::rstest;
use serde_json::Value;

use super::fixtures::{build_from, ints, json, load, one, path, smollm2, template};

/// Where the two largest logits of the reference are closer than this, either may be the answer: those of two implementations differ.
pub const CLEAR_MARGIN: f64 = 1e-3;

pub type Loaded = Arc<(Model, Mutex<Engine>)>;

/// The main real model, loaded once; tests that run it take turns.
pub fn qwen() -> Loaded {
    static LOADED: LazyLock<Loaded> = LazyLock::new(|| {
        let (model, engine) = load("qwen2.5-coder-0.5b-instruct");
        Arc::new((model, Mutex::new(engine)))
    });
    LOADED.clone()
}

/// What a condition's name says: `wait METHOD [leave-one-out] W`, `af1 METHOD [leave-one-out] W K [MASKING]`.
struct Condition {
    plan: Plan,
    ablation: &'static dyn Ablation,
    estimator: Estimator,
}

impl Condition {
    fn parse(name: &str) -> Self {
        let mut words = name.split(' ').peekable();
        let kind = words.next().unwrap();
        let ablation = ablation::named(words.next().unwrap()).unwrap();
        let estimator = match words.next_if_eq(&"leave-one-out") {
            Some(_) => Estimator::LeaveOneOut,
            None => Estimator::PlugIn,
        };
        let mut number = || words.next().unwrap().parse().unwrap();
        let wait = number();
        let plan = match kind {
            "wait" => Plan::waiting(wait),
            _ => Plan::af1(wait, number()),
        };
        let masking = words.next().map(|name| MaskedBy::named(name).unwrap());
        let plan = masking.into_iter().fold(plan, Plan::with);
        assert_eq!(words.next(), None, "{name}");
        Self {
            plan,
            ablation,
            estimator,
        }
    }
}

/// The prompts of a set of the reference.
fn prompts(model: &Model, name: &str, contexts_from: ContextsFrom) -> PromptSet {
    let (style, operation) = name.split_once('/').unwrap();
    let operation = if operation == "add" { "A+B" } else { "A-B" };
    let template = match style {
        "four-shot" => one(
            &Styles::read(&path("styles/four-shot.toml")).unwrap(),
            style,
            operation,
        ),
        _ => template(style, operation),
    };
    build_from(contexts_from, model, &template, 0..=9, 0..=9)
}

/// Compares answers, each with the index of its prompt, with those of the reference.
fn same(answers: &BTreeMap<usize, u32>, expected: &Value, condition: &str) {
    let mut unclear = 0;
    for (&prompt, &token) in answers {
        let right = expected["tokens"][prompt].as_u64();
        if expected["margins"][prompt].as_f64().unwrap() < CLEAR_MARGIN {
            unclear += 1;
        } else {
            assert_eq!(
                Some(u64::from(token)),
                right,
                "{condition}, prompt {prompt}"
            );
        }
    }
    // A wrong answer that is one of two equals is no agreement.
    assert!(
        unclear <= 2 || condition.contains("zero"),
        "{condition}: {unclear} near ties"
    );
}

/// Runs all conditions of a set that have an estimator.
fn check(
    loaded: &Loaded,
    set: PromptSet,
    conditions: &Value,
    estimator: Estimator,
    reference: &Value,
) -> usize {
    let base = &reference["conditions"]["base"];
    // Prompts with a token that no other context has there; over all operands there are none.
    let undefined = match set.len() == set.asked().len() {
        true => reference["undefined_leave_one_out"]
            .as_array()
            .unwrap()
            .len(),
        false => 0,
    };
    let asked = set.asked();
    let named = conditions.as_object().unwrap().iter();
    let wanted: Vec<(&String, &Value, Condition)> = named
        .filter(|(name, _)| *name != "base")
        .map(|(name, expected)| (name, expected, Condition::parse(name)))
        // Zero has no contexts and so no estimator: it is run with the plug-in one.
        .filter(|(_, _, condition)| condition.estimator == estimator)
        .collect();
    let mut plans: Vec<Plan> = Vec::new();
    let mut ablations: Vec<&'static dyn Ablation> = Vec::new();
    for (_, _, condition) in &wanted {
        if !plans.contains(&condition.plan) {
            plans.push(condition.plan.clone());
        }
        if ablations
            .iter()
            .all(|a| a.name() != condition.ablation.name())
        {
            ablations.push(condition.ablation);
        }
    }
    let request = Request {
        estimator,
        ..Request::new(&plans, &ablations)
    };
    let Evaluated {
        evaluation: found,
        cells,
    } = evaluate(&mut loaded.1.lock().unwrap(), set, &request).unwrap();
    let alone = match estimator {
        Estimator::LeaveOneOut => undefined,
        Estimator::PlugIn | Estimator::Split => 0,
    };
    assert_eq!(found.evaluated.len() + alone, asked.len());
    let place = |prompt: &usize| asked.binary_search(prompt).unwrap();
    let of_base = asked.iter().map(|p| (place(p), found.base[*p]));
    same(&of_base.collect(), base, "base");
    for (name, expected, condition) in &wanted {
        let cell = cells
            .iter()
            .find(|cell| {
                cell.plan == condition.plan && cell.ablation.name() == condition.ablation.name()
            })
            .unwrap();
        let answers = found
            .evaluated
            .iter()
            .map(place)
            .zip(cell.predicted.iter().copied());
        same(&answers.collect(), expected, name);
        kept(&found, cell, (base, expected), name);
    }
    wanted.len()
}

/// The count that tables show is the reference's on the same prompts within one, for near ties.
fn kept(found: &Evaluation, cell: &Cell, (base, expected): (&Value, &Value), condition: &str) {
    let asked = found.set.asked();
    let right = |of: &Value, prompt: &usize| {
        let place = asked.binary_search(prompt).unwrap();
        let token = of["tokens"][place].as_u64();
        let answers = &found.set.prompts[*prompt].answers;
        answers.iter().any(|&answer| token == Some(answer.into()))
    };
    let of_base = found.evaluated.iter().filter(|prompt| right(base, prompt));
    let of_both = of_base.clone().filter(|prompt| right(expected, prompt));
    let (base, kept) = found.kept(cell);
    assert!(base.abs_diff(of_base.count()) <= 1, "{condition}: {base}");
    assert!(kept.abs_diff(of_both.count()) <= 1, "{condition}: {kept}");
}

/// Every answer of a real model under every condition is the one that PyTorch finds, with means over prompts that can be asked and with
/// means over all operands, whatever the result is.
#[rstest]
#[case::smollm2("smollm2_af1", smollm2, 1, ContextsFrom::All)]
// Its answers with the other contexts are compared in `experiments`.
#[case::qwen("qwen25_coder_af1", qwen, 2, ContextsFrom::All)]
#[case::qwen_cut("qwen25_coder_af1", qwen, 2, ContextsFrom::Answerable)]
#[case::styles("qwen25_coder_styles", qwen, 1, ContextsFrom::All)]
#[case::styles_cut("qwen25_coder_styles", qwen, 1, ContextsFrom::Answerable)]
fn answers_equal_pytorchs(
    #[case] file: &str,
    #[case] model: fn() -> Loaded,
    #[case] estimators: usize,
    #[case] contexts_from: ContextsFrom,
) {
    let fixture = json(&format!("reference/{file}.json"));
    let loaded = model();
    let mut compared = 0;
    for reference in fixture["sets"].as_array().unwrap() {
        let name = reference["name"].as_str().unwrap();
        let conditions = match contexts_from {
            ContextsFrom::All => &reference["contexts_all"]["conditions"],
            ContextsFrom::Answerable => &reference["conditions"],
        };
        let set = prompts(&loaded.0, name, contexts_from);
        let asked = set.asked().into_iter();
        for (prompt, expected) in asked.zip(reference["ids"].as_array().unwrap()) {
            let ids: Vec<i64> = set.prompts[prompt]
                .ids
                .iter()
                .map(|&id| id.into())
                .collect();
            assert_eq!(ids, ints(expected), "{}", set.prompts[prompt].text);
        }
        let both = [Estimator::PlugIn, Estimator::LeaveOneOut];
        for estimator in &both[..estimators] {
            compared += check(&loaded, set.clone(), conditions, *estimator, reference);
        }
    }
    assert!(compared > 0);
}
