//! The harness against models whose answer is known by construction: it must find what was planted, without a hint.

use af1::experiment::{Request, evaluate};
use af1::intervene::{Estimator, Plan, Tail, ablation};
use af1::model::planted::{Plant, Route};
use af1::model::{BosChoice, Model};
use af1::prompt::{PromptSet, Selection, Styles};
use af1::runtime::{Device, Engine};
use rstest::rstest;
use serde_json::Value;

use super::fixtures::{cache, runtime};
use super::program::{af1, stdout};

/// A planted model, written to a folder that goes when it is loaded: the sessions have read the weights by then.
fn plant(layers: usize, wait: usize, transfer: usize, route: Route) -> (Model, Engine) {
    let folder = tempfile::tempdir().unwrap();
    let plant = Plant {
        layers,
        wait,
        transfer,
        route,
        seed: 1,
    };
    plant.write(folder.path()).unwrap();
    let path = folder.path().to_string_lossy();
    let model = Model::load(&path, &BosChoice::Default, &cache()).unwrap();
    let engine = Engine::new(runtime(), &Device::Cpu, &model).unwrap();
    (model, engine)
}

fn prompts(model: &Model, style: &str, operation: &str, most: i64) -> PromptSet {
    let template = Styles::built_in()
        .select(&[style.to_owned()], &[operation.parse().unwrap()])
        .unwrap()
        .remove(0);
    let selection = Selection {
        operands: 0..=most,
        results: 0..=198,
        contexts: 100,
        seed: 42,
    };
    let bos = model.bos.as_ref().map(|bos| bos.id);
    PromptSet::build(&template, &model.tokenizer, bos, &selection).unwrap()
}

/// The accuracy of each plan with CAMA on a drawn part of the prompts.
fn accuracies(engine: &mut Engine, set: PromptSet, plans: &[Plan], method: &str) -> Vec<f64> {
    let ablations = [ablation::named(method).unwrap()];
    let request = Request {
        plans,
        ablations: &ablations,
        estimator: Estimator::LeaveOneOut,
        limit: Some(100),
        seed: 42,
        batch: 100,
    };
    let found = evaluate(engine, set, &request).unwrap();
    let share = |cell| {
        let correct = found.correct(cell).filter(|correct| *correct).count();
        correct as f64 / found.evaluated.len() as f64
    };
    found.cells.iter().map(share).collect()
}

fn waiting(wait: usize) -> Plan {
    let tail = Tail::Causal;
    Plan { wait, tail }
}

fn subgraph(wait: usize, transfer: usize) -> Plan {
    let tail = Tail::Af1 { transfer };
    Plan { wait, tail }
}

/// The model adds and subtracts without a mistake, in every style, over the whole universe.
#[rstest]
fn the_planted_model_makes_no_mistake(
    #[values(
        "symbolic",
        "verbal",
        "question",
        "instruction",
        "word-problem",
        "python",
        "calculate"
    )]
    style: &str,
    #[values("A+B", "A-B")] operation: &str,
) {
    let (model, mut engine) = plant(8, 3, 2, Route::Direct);
    let set = prompts(&model, style, operation, 99);
    let universe = if operation == "A+B" { 10_000 } else { 5_050 };
    assert_eq!((set.len(), set.excluded.total()), (universe, 0));
    let ablations = [ablation::named("cama").unwrap()];
    let request = Request {
        plans: &[waiting(3), subgraph(3, 2), subgraph(3, 1)],
        ablations: &ablations,
        estimator: Estimator::LeaveOneOut,
        limit: Some(200),
        seed: 42,
        batch: 500,
    };
    let found = evaluate(&mut engine, set, &request).unwrap();
    assert!((0..universe).all(|prompt| found.base_correct(prompt)));
    let correct = |cell: usize| found.correct(&found.cells[cell]).filter(|c| *c).count();
    let evaluated = found.evaluated.len();
    assert_eq!(
        (correct(0), correct(1), correct(2)),
        (evaluated, evaluated, 0),
        "of {evaluated}"
    );
}

/// The sweeps hold exactly as far as was planted.
#[rstest]
#[case(4, 1, 1)]
#[case(8, 3, 2)]
#[case(10, 2, 4)]
#[case(16, 9, 3)]
#[case(32, 20, 2)]
fn what_was_planted_is_found(
    #[case] layers: usize,
    #[case] wait: usize,
    #[case] transfer: usize,
    #[values("A+B", "A-B")] operation: &str,
) {
    let (model, mut engine) = plant(layers, wait, transfer, Route::Direct);
    let set = || prompts(&model, "symbolic", operation, 19);

    let sweep: Vec<Plan> = (0..=layers).map(waiting).collect();
    let found = accuracies(&mut engine, set(), &sweep, "cama");
    let held = found
        .iter()
        .take_while(|accuracy| **accuracy == 1.0)
        .count();
    assert_eq!(held, wait + 1, "CAMA holds to W = {wait}: {found:?}");
    assert!(
        found[held..].iter().all(|accuracy| *accuracy == 0.0),
        "{found:?}"
    );

    let grid: Vec<Plan> = (0..=layers - wait).map(|k| subgraph(wait, k)).collect();
    let found = accuracies(&mut engine, set(), &grid, "cama");
    let lost = found
        .iter()
        .take_while(|accuracy| **accuracy == 0.0)
        .count();
    assert_eq!(
        lost, transfer,
        "AF1({wait}, K) needs K = {transfer}: {found:?}"
    );
    assert!(
        found[lost..].iter().all(|accuracy| *accuracy == 1.0),
        "{found:?}"
    );

    // What knows nothing of the tokens loses the answer at once.
    for method in ["mean", "zero"] {
        let found = accuracies(
            &mut engine,
            set(),
            &[waiting(1), subgraph(wait, transfer)],
            method,
        );
        assert_eq!(found, [0.0, 0.0], "{method}");
    }
}

/// Through another token: every token can wait as long as in the true model, and still no AF1 is true.
#[rstest]
fn a_route_through_another_token_is_no_af1(#[values("A+B", "A-B")] operation: &str) {
    let (model, mut engine) = plant(10, 4, 3, Route::TwoHop);
    let set = || prompts(&model, "symbolic", operation, 19);
    let sweep: Vec<Plan> = (0..=10).map(waiting).collect();
    let found = accuracies(&mut engine, set(), &sweep, "cama");
    assert!(
        found[..=4].iter().all(|a| *a == 1.0) && found[5..].iter().all(|a| *a == 0.0),
        "{found:?}"
    );
    let grid: Vec<Plan> = (0..=10)
        .flat_map(|w| (0..=10 - w).map(move |k| subgraph(w, k)))
        .collect();
    let found = accuracies(&mut engine, set(), &grid, "cama");
    assert!(found.iter().all(|accuracy| *accuracy == 0.0), "{found:?}");
}

/// The claim AF1(3, 2) passes where it is true and nowhere else.
#[rstest]
#[case("planted-af1", "pass", "begins at")]
#[case("planted-late", "fail", "below the claim")]
#[case("planted-spread", "fail", "below the claim")]
#[case("planted-two-hop", "fail", "below the claim")]
#[case("planted-constant", "inconclusive", "cannot do the task")]
fn verdicts_are_right(#[case] model: &str, #[case] outcome: &str, #[case] reason: &str) {
    let args = [
        "run",
        "--model",
        model,
        "--operands",
        "0..=29",
        "--limit",
        "200",
        "--ablation",
        "cama",
    ];
    let text = stdout(af1().args(args).args(["--format", "json"]));
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 4, "two styles, two operations");
    for row in rows {
        assert_eq!(row["verdict"]["outcome"], outcome, "{row}");
        assert!(
            row["verdict"]["reason"].as_str().unwrap().contains(reason),
            "{row}"
        );
        assert_eq!(
            row["base_accuracy"] == 1.0,
            model != "planted-constant",
            "{row}"
        );
    }
}

/// Equal seeds write equal bytes, other seeds other distractors.
#[test]
fn plants_are_deterministic() {
    let write = |seed| {
        let folder = tempfile::tempdir().unwrap();
        let plant = Plant {
            layers: 8,
            wait: 3,
            transfer: 2,
            route: Route::Direct,
            seed,
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
