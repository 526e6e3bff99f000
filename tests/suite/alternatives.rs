//! What stands in for CAMA and for ABP: against an independent implementation, against what was planted, and beside each other.

use std::collections::{BTreeMap, BTreeSet};

use af1::intervene::masking::{self, MaskedBy};
use af1::intervene::{Ablation, Plan, ablation};
use af1::measure::{Evaluated, Request, evaluate, prepare};
use af1::model::Model;
use af1::prompt::{Operation, PromptSet};
use af1::runtime::Engine;
use rstest::rstest;

use super::fixtures::{PARITY, QWEN, SMOLLM2, build, distance, floats, json, load, template, tiny};
use super::program::{af1, stdout};

fn named(name: &str) -> &'static dyn Ablation {
    ablation::named(name).unwrap()
}

fn request<'a>(
    plans: &'a [Plan],
    ablations: &'a [&'static dyn Ablation],
    operations: &'a [PromptSet],
) -> Request<'a> {
    Request {
        limit: Some(200),
        operations,
        ..Request::new(plans, ablations)
    }
}

/// What is drawn at random, which no other program draws again.
const DRAWN: [&str; 4] = ["resample", "token-resample", "gaussian", "shuffled-key"];

/// The conditions that an independent implementation can compute: every ablation that draws nothing, and every masking with CAMA and
/// with nothing replaced.
fn computable() -> BTreeSet<String> {
    let names = ablation::ALL.iter().filter(|ablation| ablation.replaces());
    let names = names
        .map(|ablation| ablation.name())
        .filter(|name| !DRAWN.contains(name));
    let maskings = masking::ALL.iter().skip(1).map(|masking| masking.name());
    // The view of chosen positions is in no list, because it is another one for every prompt.
    let maskings = maskings.chain([masking::sees([1, 3])]);
    let maskings =
        maskings.flat_map(|masking| ["cama", "identity"].map(|name| format!("{name} {masking}")));
    names
        .map(|name| format!("{name} abp"))
        .chain(maskings)
        .collect()
}

/// Logits of AF1(1, 1) of the tiny model under every alternative that draws nothing at random.
#[test]
fn logits_equal_numpys() {
    let (model, mut engine) = tiny("f32");
    let set = |operation| build(&model, &template("symbolic", operation), 0..=9, 0..=9);
    let fixture = json("reference/alternatives.json");
    let conditions = fixture["logits"].as_object().unwrap();
    assert_eq!(
        conditions.keys().cloned().collect::<BTreeSet<_>>(),
        computable()
    );
    let operations = [set("A-B")];
    for (condition, expected) in conditions {
        let (ablation, technique) = condition.split_once(' ').unwrap();
        let plans = [Plan::af1(1, 1).with(MaskedBy::named(technique).unwrap())];
        let ablations = [named(ablation)];
        let request = request(&plans, &ablations, &operations);
        let mut evaluation = prepare(&mut engine, set("A+B"), &request, &[1]).unwrap();
        let logits = evaluation
            .logits(&mut engine, &plans, ablations[0])
            .unwrap();
        for (row, &prompt) in evaluation.evaluated.iter().enumerate() {
            let text = evaluation.set.prompts[prompt].text.trim_end_matches('=');
            let Some(expected) = expected.get(text) else {
                continue;
            };
            let found = logits[0].row(row).to_vec();
            let apart = distance(&found, &floats(expected));
            assert!(apart <= PARITY, "{condition}, {text}: {apart}");
        }
    }
}

/// The accuracy of AF1(3, 2) of a planted model by ablation and masking, and what it answers with the means of the other
/// operation.
fn accuracies(model: &Model, engine: &mut Engine, operation: &str) -> BTreeMap<String, f64> {
    let set = |operation| build(model, &template("symbolic", operation), 0..=19, 0..=198);
    let other = if operation == "A+B" { "A-B" } else { "A+B" };
    let operations = [set(other)];
    let af1 = Plan::af1(3, 2);
    let mut found = BTreeMap::new();
    let mut add = |Evaluated { evaluation, cells }: &Evaluated| {
        for cell in cells {
            let right = evaluation.correct(cell).filter(|correct| *correct).count();
            let name = format!("{} {}", cell.ablation.name(), cell.plan.masking.name());
            found.insert(name, right as f64 / evaluation.evaluated.len() as f64);
        }
    };
    let plans = [af1.clone()];
    let all = request(&plans, ablation::ALL, &operations);
    add(&evaluate(engine, set(operation), &all).unwrap());
    let with = |masking: &&'static dyn masking::Masking| af1.clone().with(MaskedBy(*masking));
    let plans: Vec<Plan> = masking::ALL.iter().map(with).collect();
    let cama = [named("cama")];
    add(&evaluate(engine, set(operation), &request(&plans, &cama, &[])).unwrap());
    found
}

/// Which of them keep the answer follows from what was planted: nothing but the token and the context that all prompts of a
/// template share. In `planted-operator` the operation is part of that context: means of the other operation, or of both, lose
/// it.
#[rstest]
fn the_planted_truth_is_found(
    #[values("planted-af1", "planted-heads", "planted-operator")] name: &str,
    #[values("A+B", "A-B")] operation: &str,
) {
    let (model, mut engine) = load(name);
    let found = accuracies(&model, &mut engine, operation);
    assert_eq!(found.len(), ablation::ALL.len() + masking::ALL.len() - 1);
    let carried = name == "planted-operator";
    for (method, accuracy) in found {
        match keeps(&method, carried) {
            true => assert_eq!(accuracy, 1.0, "{method}"),
            false => assert!(accuracy <= LOST, "{method}: {accuracy}"),
        }
    }
}

/// Another prompt's answer, or the other operation's, can be the same by chance.
const LOST: f64 = 0.12;

/// Whether a method keeps the answers, where the operation is `carried` by the context or not. A new one is named here.
fn keeps(method: &str, carried: bool) -> bool {
    match method {
        "cama abp" | "token-resample abp" | "identity abp" => true,
        "cama no-sink" | "cama value-zero" | "cama attention-mean" => true,
        // The prompts are shorter than the window; of two tokens only the last operand is in sight.
        "cama window-10" => true,
        "cama window-2" => false,
        "wrong-operator abp" | "operator-pooled abp" => !carried,
        "mean abp" | "zero abp" | "global-mean abp" | "gaussian abp" => false,
        "resample abp" | "embedding abp" | "self-peek abp" | "shuffled-key abp" => false,
        _ => panic!("{method}: nothing says what it does to what was planted"),
    }
}

/// With the means of the other operation the model does the other operation.
#[test]
fn the_wrong_operators_means_make_the_wrong_operation() {
    let (model, mut engine) = load("planted-operator");
    let set = |operation| build(&model, &template("symbolic", operation), 0..=19, 0..=198);
    let operations = [set("A-B")];
    let (plans, ablations) = ([Plan::af1(3, 2)], [named("wrong-operator")]);
    let request = request(&plans, &ablations, &operations);
    let Evaluated {
        evaluation: found,
        cells,
    } = evaluate(&mut engine, set("A+B"), &request).unwrap();
    let minus: Operation = "A-B".parse().unwrap();
    let mut compared = 0;
    for (&prompt, &token) in found.evaluated.iter().zip(&cells[0].predicted) {
        let result = minus.evaluate(&found.set.prompts[prompt].operands).unwrap();
        if result >= 0 {
            assert_eq!(model.tokenizer.decode(token), result.to_string());
            compared += 1;
        }
    }
    assert!(compared > 50);
}

/// The drawn ones are the same for the same seed and others for another.
#[test]
fn draws_follow_the_seed() {
    for name in DRAWN {
        draw_follows_the_seed(name);
    }
}

fn draw_follows_the_seed(name: &str) {
    let (model, mut engine) = tiny("f32");
    let set = build(&model, &template("symbolic", "A+B"), 0..=9, 0..=9);
    let (plans, ablations) = ([Plan::af1(1, 1)], [named(name)]);
    let mut logits = |seed| {
        let request = Request {
            seed,
            ..request(&plans, &ablations, &[])
        };
        let mut evaluation = prepare(&mut engine, set.clone(), &request, &[1]).unwrap();
        evaluation
            .logits(&mut engine, &plans, ablations[0])
            .unwrap()
    };
    let (one, again, other) = (logits(1), logits(1), logits(2));
    assert_eq!(one, again);
    assert!(one != other);
}

/// Divergences of the unmodified model from itself, which are rounding alone.
const CLOSE_TO_ITSELF: f32 = 1e-5;

/// Nothing is larger than nothing: the unmodified model diverges from itself by rounding alone, its answers rank as they are
/// right, and the logit difference is the base's.
#[test]
fn measures_of_the_unmodified_model() {
    let (model, mut engine) = load("planted-af1");
    let set = build(&model, &template("symbolic", "A+B"), 0..=9, 0..=198);
    let (plans, ablations) = ([Plan::waiting(3)], [named("identity")]);
    let Evaluated {
        evaluation: found,
        cells,
    } = evaluate(&mut engine, set, &request(&plans, &ablations, &[])).unwrap();
    let cell = &cells[0];
    assert!(cell.kl.iter().all(|kl| (0.0..CLOSE_TO_ITSELF).contains(kl)));
    assert!(cell.rank.iter().all(|rank| *rank == 1));
    let pairs = cell
        .logit_difference
        .iter()
        .zip(&found.base_logit_difference);
    assert!(
        pairs
            .clone()
            .all(|(a, b)| (a - b).abs() <= PARITY * b.abs()),
        "{:?}",
        pairs.max_by(|a, b| a.0.total_cmp(b.0))
    );
}

/// The comparison tables of real models, CAMA against every other ablation and ABP against every other masking.
#[rstest]
fn comparison_tables(#[values(QWEN, SMOLLM2)] model: &str) {
    let words = format!("alternatives --model {model} --style calculate --operands 0..=9");
    let text = stdout(&mut af1(&words));
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"ONNX Runtime \d+\.\d+\.\d+", "ONNX Runtime [version]");
    settings.set_snapshot_suffix(model);
    settings.bind(|| insta::assert_snapshot!(text));
}

/// Where most answers differ, it is no matter of level.
const SURE: f64 = 0.001;

/// Whether an ablation takes away what CAMA keeps, so that the real model must keep less with it. A new one is named here.
fn takes_it_away(name: &str) -> bool {
    match name {
        "mean" | "zero" | "global-mean" | "resample" | "gaussian" | "shuffled-key" => true,
        "cama" | "token-resample" | "identity" => false,
        // How much these leave is a result.
        "embedding" | "self-peek" | "wrong-operator" | "operator-pooled" => false,
        _ => panic!("{name}: nothing says whether it takes away what CAMA keeps"),
    }
}

/// The real model, too, keeps more with CAMA than with what takes the context away, on the same prompts.
#[test]
fn cama_keeps_more_than_the_others() {
    let args = "alternatives --model smollm2-135m-instruct --style calculate --operation A+B --format json";
    let text = stdout(af1(args));
    let rows: Vec<af1::record::Line> = text
        .lines()
        .map(|line| af1::record::Line::read(line).unwrap())
        .collect();
    let mut compared = 0;
    for row in &rows {
        let af1::record::Row::Measured(m) = &row.row else {
            panic!("{}", row.text)
        };
        let Some(paired) = &m.paired else { continue };
        if takes_it_away(&m.subject.ablation) {
            assert!(
                paired.only_here < paired.only_there && paired.p < SURE,
                "{}",
                row.text
            );
            assert!(
                paired.accuracy_difference_high.unwrap() < 0.0,
                "{}",
                row.text
            );
            compared += 1;
        }
    }
    let all = ablation::ALL.iter().filter(|of| takes_it_away(of.name()));
    assert_eq!(compared, all.count());
}
