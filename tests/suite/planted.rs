//! The harness against models whose answer is known by construction: it must find what was planted, without a hint.

mod digits;

use af1::experiment::{knockouts_upward, recover, waiting};
use af1::intervene::{Ablation, Estimator, Plan, ablation};
use af1::measure::{Compared, Evaluated, Request, evaluate, preflight, prepare};
use af1::model::planted::{Plant, Route};
use af1::model::{BosChoice, Model, Preset};
use af1::prompt::{KeyedBy, PromptSet};
use af1::record::{Measurement, Outcome, Provenance, Run, measure};
use af1::runtime::{Device, Engine};
use af1::selfcheck;
use af1::stats::Proportion;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rstest::rstest;

use super::fixtures::{
    CHANCE, build, cache, few, load, part, planted_models, runtime, styles, template,
};
use super::program::{Words, af1, json_lines};

fn plant(layers: usize, wait: usize, transfer: usize, route: Route) -> Plant {
    Plant {
        layers,
        wait,
        transfer,
        route,
        seed: 1,
    }
}

/// A planted model, written to a folder that goes when it is loaded: the sessions have read the weights by then.
fn grow(plant: &Plant) -> (Model, Engine) {
    let folder = tempfile::tempdir().unwrap();
    plant.write(folder.path()).unwrap();
    let path = folder.path().to_string_lossy();
    let model = Model::load(&path, &BosChoice::Default, &cache()).unwrap();
    let engine = Engine::new(runtime(), &Device::Cpu, &model).unwrap();
    (model, engine)
}

fn prompts(model: &Model, style: &str, operation: &str, most: i64) -> PromptSet {
    build(model, &template(style, operation), 0..=most, 0..=198)
}

fn named(name: &str) -> &'static dyn Ablation {
    ablation::named(name).unwrap()
}

fn request<'a>(
    plans: &'a [Plan],
    ablations: &'a [&'static dyn Ablation],
    limit: usize,
) -> Request<'a> {
    Request {
        limit: Some(limit),
        batch: 256,
        ..Request::new(plans, ablations)
    }
}

/// The accuracy of each cell.
fn accuracies(
    Evaluated {
        evaluation: found,
        cells,
    }: &Evaluated,
) -> Vec<f64> {
    let share = |cell| {
        let correct = found.correct(cell).filter(|correct| *correct).count();
        correct as f64 / found.evaluated.len() as f64
    };
    cells.iter().map(share).collect()
}

/// The accuracy of each plan on a drawn part of the prompts.
fn accuracy(engine: &mut Engine, set: PromptSet, plans: &[Plan], method: &str) -> Vec<f64> {
    let ablations = [named(method)];
    accuracies(&evaluate(engine, set, &request(plans, &ablations, 100)).unwrap())
}

/// The measurement of AF1(3, 2) with CAMA.
fn measured(model: &Model, found: &Evaluated, claim: f64) -> Measurement {
    let run = Run {
        guess: None,
        experiment: af1::record::Kind::AF1,
        estimator: Estimator::LeaveOneOut,
        model: "planted",
        tokenizer: &model.tokenizer,
        layers: 8,
        heads: model.sizes.heads,
        claim,
        level: af1::stats::LEVEL,
        inference: af1::stats::Inference::Prompts,
        provenance: &Provenance::default(),
        each: false,
    };
    let [cell, empty] = &found.cells[..] else {
        panic!("AF1(3, 2) and AF1(3, 0)");
    };
    let compared = Compared {
        cell,
        empty: Some(empty),
        reference: None,
    };
    measure(&found.evaluation, &run, [compared]).remove(0)
}

/// The model adds and subtracts without a mistake, in one style over the whole universe, in every other, which changes nothing of its
/// arithmetic, over a part of it; so does AF1(W*, K*).
#[rstest]
fn the_planted_model_makes_no_mistake(#[values("A+B", "A-B")] operation: &str) {
    let (model, mut engine) = grow(&plant(8, 3, 2, Route::Direct));
    for style in styles() {
        let most = if style == "symbolic" { 99 } else { 39 };
        no_mistake_in(&model, &mut engine, &style, operation, most);
    }
}

fn no_mistake_in(model: &Model, engine: &mut Engine, style: &str, operation: &str, most: usize) {
    let set = prompts(model, style, operation, most as i64);
    let numbers = most + 1;
    let universe = match operation {
        "A+B" => numbers * numbers,
        // No result is negative.
        _ => numbers * (numbers + 1) / 2,
    };
    assert_eq!((set.len(), set.excluded.total()), (universe, 0));
    let ablations = [named("cama")];
    let plans = [Plan::waiting(3), Plan::af1(3, 2), Plan::af1(3, 1)];
    let found = evaluate(engine, set, &request(&plans, &ablations, 200)).unwrap();
    assert!((0..universe).all(|prompt| found.evaluation.base_correct(prompt)));
    assert_eq!(accuracies(&found), [1.0, 1.0, 0.0]);
}

/// So do the other models that are not planted to make mistakes, on a part of the universe. Each is made once: that takes longer than its
/// answers.
#[rstest]
#[case(3, Route::Relay)]
#[case(2, Route::TwoHop)]
#[case(2, Route::Noisy { lost: 30 })]
#[case(2, Route::Operator)]
#[case(2, Route::Heads)]
#[case(2, Route::Style)]
#[case(2, Route::Leak)]
fn other_routes_make_no_mistake(#[case] transfer: usize, #[case] route: Route) {
    let (model, mut engine) = grow(&plant(10, 3, transfer, route));
    let nothing = [named("identity")];
    let plans = [Plan::waiting(0)];
    for style in ["symbolic", "instruction", "word-problem", "python"] {
        for operation in ["A+B", "A-B"] {
            let set = prompts(&model, style, operation, 14);
            let found = evaluate(&mut engine, set, &request(&plans, &nothing, 10_000)).unwrap();
            assert_eq!(accuracies(&found), [1.0], "{style} {operation}");
        }
    }
}

/// Over the whole universe, so do the presets.
#[rstest]
fn presets_make_no_mistake(#[values("A+B", "A-B")] operation: &str) {
    for (preset, plant) in part(planted_models().into_iter()) {
        if !answers_everything(plant.route) {
            continue;
        }
        let (model, mut engine) = load(preset.name);
        let set = prompts(&model, "symbolic", operation, 99);
        let found = prepare(&mut engine, set, &request(&[], &[], 10_000), &[]).unwrap();
        let wrong = (0..found.set.len()).filter(|&prompt| !found.base_correct(prompt));
        assert_eq!(wrong.count(), 0, "{}", preset.name);
    }
}

/// Whether a model of a route is right on every prompt of every style. A new route is named here.
fn answers_everything(route: Route) -> bool {
    match route {
        Route::Direct | Route::Operator | Route::Heads | Route::Style | Route::Leak => true,
        Route::TwoHop | Route::Relay | Route::Noisy { .. } => true,
        // Most answers lose, or there is one only; the first word of some styles is what it takes for another token.
        Route::Weak | Route::Constant | Route::NoBos => false,
        // Their numbers are not one token each.
        Route::Digits { .. } => false,
    }
}

/// Every experiment finds what was planted, whatever its size.
#[rstest]
#[case(plant(4, 1, 1, Route::Direct))]
#[case(plant(8, 3, 2, Route::Direct))]
#[case(plant(10, 2, 4, Route::Direct))]
#[case(plant(12, 3, 6, Route::Direct))]
#[case(plant(16, 9, 3, Route::Direct))]
#[case(plant(32, 20, 2, Route::Direct))]
#[case(plant(9, 4, 1, Route::Operator))]
#[case(plant(9, 2, 3, Route::Heads))]
#[case(plant(12, 2, 4, Route::TwoHop))]
#[case(plant(12, 2, 5, Route::Relay))]
#[case(plant(12, 2, 3, Route::Noisy { lost: 20 }))]
#[case(plant(12, 2, 3, Route::Noisy { lost: 1 }))]
fn what_was_planted_is_found(#[case] plant: Plant, #[values("A+B", "A-B")] operation: &str) {
    let (model, mut engine) = grow(&plant);
    let set = prompts(&model, "symbolic", operation, 29);
    let found = recover(&mut engine, set, &request(&[], &[], 60), 0.95).unwrap();
    let truth = plant
        .truth("symbolic", KeyedBy::Span, selfcheck::CLAIM)
        .unwrap();
    assert_eq!(found.base_correct, found.prompts);
    assert_eq!((found.waits, found.af1), (Some(truth.waits), truth.af1));
    assert_eq!(found.knockouts, truth.knockouts);
    let heads: Vec<(usize, usize)> = found.heads.iter().map(|h| (h.layer, h.head)).collect();
    assert_eq!(heads, truth.heads);
}

/// Waiting and transfer are sharp: right up to the planted layer, wrong from there on; and cutting the last token off
/// from some layer upward costs everything up to the last transfer, nothing after it.
#[rstest]
fn the_edges_are_sharp(#[values("A+B", "A-B")] operation: &str) {
    let (layers, wait, transfer) = (16, 9, 3);
    let (model, mut engine) = grow(&plant(layers, wait, transfer, Route::Direct));
    let set = || prompts(&model, "symbolic", operation, 29);
    let step = |ones: usize, zeros: usize| [vec![1.0; ones], vec![0.0; zeros]].concat();

    let boundaries: Vec<usize> = (0..=layers).collect();
    let found = accuracy(&mut engine, set(), &waiting(&boundaries), "cama");
    assert_eq!(found, step(wait + 1, layers - wait));

    let grid: Vec<Plan> = (0..=layers - wait).map(|k| Plan::af1(wait, k)).collect();
    let mut found = accuracy(&mut engine, set(), &grid, "cama");
    found.reverse();
    assert_eq!(found, step(layers - wait - transfer + 1, transfer));

    let mut found = accuracy(&mut engine, set(), &knockouts_upward(layers), "identity");
    found.reverse();
    assert_eq!(found, step(layers - wait - transfer, wait + transfer));
}

/// What distractors move, relative to a stream whose constant is 100: rounding would be a thousand times less.
const MOVES: f64 = 2e-4;

/// The distractors move something while all tokens wait: what stands at a token differs from context to context, and CAMA,
/// which takes that away, keeps every answer.
#[test]
fn distractors_are_there_and_do_not_matter() {
    let (model, mut engine) = grow(&plant(8, 3, 2, Route::Direct));
    let set = prompts(&model, "symbolic", "A+B", 29);
    let ablations = [named("cama")];
    let plans = waiting(&[0, 1, 2, 3]);
    let found = evaluate(&mut engine, set, &request(&plans, &ablations, 100)).unwrap();
    assert_eq!(accuracies(&found), [1.0; 4]);
    let spread: Vec<f64> = (0..4)
        .map(|wait| found.evaluation.contexts[&wait].largest_relative_error)
        .collect();
    assert_eq!(spread[0], 0.0, "an embedding depends on its token alone");
    assert!(spread[1..].iter().all(|s| *s > MOVES), "{spread:?}");
}

/// Of 900 prompts another one has the same result in about 2 of 100 cases.
const SAME_RESULT: f64 = 0.05;

/// What does not keep the context that tokens of a template share loses the answer at once: another prompt's answer may
/// by chance be the same.
#[rstest]
fn what_is_no_cama_loses_the_answer(
    #[values("mean", "zero", "resample", "embedding", "self-peek")] method: &str,
    #[values("A+B", "A-B")] operation: &str,
) {
    let (model, mut engine) = grow(&plant(8, 3, 2, Route::Direct));
    let set = prompts(&model, "symbolic", operation, 29);
    let plans = [Plan::waiting(1), Plan::waiting(3), Plan::af1(3, 2)];
    let found = accuracy(&mut engine, set, &plans, method);
    let chance = if method == "resample" {
        SAME_RESULT
    } else {
        0.0
    };
    assert!(
        found.iter().all(|accuracy| *accuracy <= chance),
        "{found:?}"
    );
}

/// Resampling is not noise: every answer is that of another prompt, each prompt's once, because the others form one cycle.
#[test]
fn resampling_answers_another_prompt() {
    let (model, mut engine) = grow(&plant(8, 3, 2, Route::Direct));
    let set = prompts(&model, "symbolic", "A+B", 9);
    let mut results: Vec<String> = set
        .prompts
        .iter()
        .map(|p| p.result.unwrap().to_string())
        .collect();
    let ablations = [named("resample")];
    let plans = [Plan::waiting(3)];
    let found = evaluate(&mut engine, set, &request(&plans, &ablations, 100)).unwrap();
    let predicted = found.cells[0].predicted.iter();
    let mut answers: Vec<String> = predicted.map(|&t| model.tokenizer.decode(t)).collect();
    answers.sort();
    results.sort();
    assert_eq!(answers, results);
    // Another prompt has the same result by chance in 7 of 100 cases.
    assert!(accuracies(&found)[0] < CHANCE);
}

/// Where the operation reaches the last token while all tokens wait, the means of one operation carry it: with those of
/// both operations together the answer is lost.
#[test]
fn means_carry_the_operation() {
    let (model, mut engine) = grow(&plant(8, 3, 2, Route::Operator));
    for operation in ["A+B", "A-B"] {
        let set = prompts(&model, "symbolic", operation, 29);
        let found = accuracy(&mut engine, set, &[Plan::af1(3, 2)], "cama");
        assert_eq!(found, [1.0], "{operation}");
    }
}

/// The mean that leaves the prompt out is the other prompts': with two values an operand there is one other, so when the
/// second number of a relay waits after it has fetched the first, the answer is that of the other first operand.
#[test]
fn leaving_one_out_leaves_the_prompt_out() {
    let (model, mut engine) = grow(&plant(8, 3, 3, Route::Relay));
    let set = prompts(&model, "symbolic", "A+B", 1);
    let ablations = [named("cama")];
    let plans = [Plan::waiting(4)];
    let found = evaluate(&mut engine, set, &request(&plans, &ablations, 100)).unwrap();
    assert_eq!(found.evaluation.evaluated.len(), 4);
    for (&prompt, &token) in found
        .evaluation
        .evaluated
        .iter()
        .zip(&found.cells[0].predicted)
    {
        let operands = &found.evaluation.set.prompts[prompt].operands;
        let other = 1 - operands[0] + operands[1];
        assert_eq!(model.tokenizer.decode(token), other.to_string());
    }
}

/// By construction AF1(3, 2) is right on exactly so many of a hundred; the interval of a thousand drawn answers covers that
/// share for 95% of the draws, and the verdict is that of the share.
#[rstest]
#[case(0, Outcome::Pass)]
#[case(10, Outcome::Fail)]
#[case(30, Outcome::Fail)]
fn faithfulness_is_what_was_planted(#[case] lost: usize, #[case] outcome: Outcome) {
    let plant = plant(8, 3, 2, Route::Noisy { lost });
    let (model, mut engine) = grow(&plant);
    let planted = plant
        .truth("symbolic", KeyedBy::Span, 0.95)
        .unwrap()
        .faithful;
    assert_eq!(planted, 1.0 - lost as f64 / 100.0);
    let set = prompts(&model, "symbolic", "A+B", 49);
    let ablations = [named("cama")];
    let plans = [Plan::af1(3, 2), Plan::af1(3, 0)];
    let found = evaluate(&mut engine, set, &request(&plans, &ablations, 10_000)).unwrap();
    let whole = measured(&model, &found, 0.95);
    assert_eq!(whole.scores.faithfulness.value, Some(planted));
    assert_eq!(whole.test.verdict.unwrap().outcome, outcome);

    let correct: Vec<bool> = found.evaluation.correct(&found.cells[0]).collect();
    let mut random = ChaCha8Rng::seed_from_u64(42);
    let covers = |_: &usize| {
        let part = (0..1000).map(|_| correct[random.random_range(0..correct.len())]);
        let p = Proportion::wilson(part.filter(|c| *c).count(), 1000);
        (p.low..=p.high).contains(&planted)
    };
    let covered = (0..10_000).filter(covers).count() as f64 / 10_000.0;
    match lost {
        0 => assert_eq!(covered, 1.0, "there is nothing else to draw"),
        _ => assert!(super::statistics::COVERS.contains(&covered), "{covered}"),
    }
}

/// The self-check's own verdict on every built-in planted model.
#[test]
fn every_preset_is_as_planted() {
    for (preset, _) in part(planted_models().into_iter()) {
        is_as_planted(preset);
    }
}

fn is_as_planted(preset: &'static Preset) {
    let operations = &selfcheck::OPERATIONS[..1];
    let rows = selfcheck::check(
        preset,
        runtime(),
        &(&Device::Cpu).into(),
        &cache(),
        operations,
    )
    .unwrap();
    for row in &rows {
        assert_eq!(row.differences(), Vec::<String>::new(), "{row:?}");
    }
    selfcheck::judge(&rows).unwrap();
    // A row that is not as planted is an error that names it.
    let mut wrong = rows[0].clone();
    wrong.verdict = match wrong.verdict {
        Outcome::Pass => Outcome::Fail,
        Outcome::Fail | Outcome::Inconclusive => Outcome::Pass,
    };
    let error = selfcheck::judge(&[wrong]).unwrap_err();
    assert_eq!(error.exit_code(), af1::error::exit::SELFCHECK);
    assert!(error.to_string().contains(preset.name), "{error}");
}

/// The verdict of the program itself, for the three outcomes and their reasons.
#[rstest]
#[case("planted-af1", "pass", "begins at")]
#[case("planted-relay", "fail", "below the claim")]
#[case("planted-weak", "inconclusive", "cannot do the task")]
fn verdicts_are_right(#[case] model: &str, #[case] outcome: &str, #[case] reason: &str) {
    let args = format!("run --model {model} --operands 0..=29 --limit 200");
    let rows = json_lines(af1(&args).words("--ablation cama"));
    assert_eq!(
        rows.len(),
        4 + 3,
        "two styles, two operations; each operation and both pooled"
    );
    for row in rows {
        assert_eq!(row["verdict"]["outcome"], outcome, "{row}");
        let found = row["verdict"]["reason"].as_str().unwrap();
        assert!(found.contains(reason), "{row}");
    }
}

/// Preflight passes on every planted model, and with every ablation.
#[test]
fn preflight_passes_on_plants() {
    for (preset, plant) in planted_models() {
        let (model, mut engine) = load(preset.name);
        let first = if preset.bos.is_some() {
            "symbolic"
        } else {
            "calculate"
        };
        let sets = [first, "instruction"].map(|style| few(&model, &plant, style, "A-B", 19));
        for set in sets.into_iter().flatten() {
            let mut plans = waiting(&[0, 3, 8]);
            // Where there is nothing to transfer any more, too.
            plans.extend([Plan::af1(3, 2), Plan::af1(8, 0), Plan::knockout(8, 1)]);
            plans.push(Plan::pruned(3, 2, Default::default()));
            let request = request(&plans, ablation::ALL, 10);
            preflight(&mut engine, &model, &set, &request).unwrap();
        }
    }
}

/// Equal seeds write equal bytes, other seeds other distractors.
#[test]
fn plants_are_deterministic() {
    let write = |seed| {
        let folder = tempfile::tempdir().unwrap();
        let plant = Plant {
            seed,
            ..plant(8, 3, 2, Route::Heads)
        };
        plant.write(folder.path()).unwrap();
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        (
            read("model.safetensors"),
            read("tokenizer.json"),
            read("config.json"),
        )
    };
    let (one, again, other) = (write(1), write(1), write(2));
    assert!(one == again);
    assert!(one.0 != other.0 && one.1 == other.1);
}
