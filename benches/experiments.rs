//! What the experiments cost, a group a model and a group for each of prompts,
//! positions and layers: a full forward, the capture that means are made of, the waiting tail after CAMA,
//! mean and zero ablation, and AF1 by masks and compiled. Every result is checked before it is timed; a table at the end sums up.

use std::hint::black_box;
use std::path::Path;

use af1::fetch::Cache;
use af1::intervene::{Ablation, Estimator, Plan, ablation};
use af1::measure::{
    Biases, Evaluated, Request, Way, base_forward, evaluate, first_maximum, prepare,
};
use af1::model::{BosChoice, CONTRAST, Model};
use af1::prompt::{ContextsFrom, PromptSet, Selection, Styles};
use af1::runtime::{Device, Engine, Library, Runtime, default_threads};
use criterion::{BenchmarkId, Criterion, Throughput};

mod common;

/// A model, a template of it, an AF1, and what is known of them.
struct Case {
    model: &'static str,
    style: &'static str,
    largest: i64,
    af1: (usize, usize),
    prompts: usize,
    base_correct: usize,
    /// Right answers of the base that are kept when every token waits to `W` with CAMA, mean and zero, and under AF1 with CAMA;
    /// all plug-in, over all prompts.
    kept: [usize; 4],
}

/// The real model's numbers are those of the independent implementation in `fixtures/reference`, the planted one's follow from
/// its construction.
const CASES: [Case; 2] = [
    Case {
        model: CONTRAST,
        style: "calculate",
        largest: 9,
        af1: (20, 6),
        prompts: 55,
        base_correct: 50,
        kept: [41, 2, 0, 42],
    },
    Case {
        model: "planted-af1",
        style: "symbolic",
        largest: 9,
        af1: (3, 2),
        prompts: 100,
        base_correct: 100,
        kept: [100, 0, 0, 100],
    },
];

const METHODS: [&str; 3] = ["cama", "mean", "zero"];

fn named(name: &str) -> &'static dyn Ablation {
    ablation::named(name).expect("it is built in")
}

fn kept(found: &Evaluated) -> Vec<usize> {
    let kept = |cell| found.evaluation.kept(cell).1;
    found.cells.iter().map(kept).collect()
}

/// The sessions of a case's model, and the prompts of its template.
fn loaded(case: &Case) -> (Engine, PromptSet) {
    let cache = Cache::of_user().expect("a cache folder");
    let library = Library::find_or_fetch(&cache, &Device::Cpu).expect("an ONNX Runtime library");
    let runtime = Runtime::start(&library, default_threads()).expect("a runtime");
    let model = Model::load(case.model, &BosChoice::Default, &cache).expect("the model");
    let engine = Engine::new(runtime, &Device::Cpu, &model).expect("sessions");
    let operation = "A+B".parse().expect("an operation");
    let template = Styles::built_in()
        .select(&[case.style.to_owned()], &[operation])
        .expect("a built-in template")
        .remove(0);
    let results = if case.model.starts_with("planted") {
        198
    } else {
        9
    };
    let selection = Selection {
        operands: 0..=case.largest,
        results: 0..=results,
        contexts: 100,
        contexts_from: ContextsFrom::Answerable,
        seed: 42,
        listed: None,
    };
    let bos = model.bos();
    let set = PromptSet::build(&template, &model.tokenizer, bos, &selection).expect("prompts");
    (engine, set)
}

/// What is timed gives the case's numbers.
fn check(
    engine: &mut Engine,
    set: &PromptSet,
    case: &Case,
    requests: [&Request<'_>; 2],
    af1: &[Plan],
) {
    let all: Vec<usize> = (0..set.len()).collect();
    let biases = Biases::new(set.positions()).expect("masks");
    let (_, logits) = base_forward(engine, set.ids(&all), &biases, &[]).expect("a forward");
    let correct = logits
        .outer_iter()
        .zip(&set.prompts)
        .filter(|(row, prompt)| prompt.answers.contains(&first_maximum(row.view())));
    assert_eq!(
        (set.len(), correct.count()),
        (case.prompts, case.base_correct),
        "the forward is wrong"
    );
    for request in requests {
        let mut checked = evaluate(engine, set.clone(), request).expect("an evaluation");
        let af1 = (checked.evaluation).sweep(engine, af1, &request.ablations[..1]);
        checked.cells.extend(af1.expect("an evaluation"));
        assert_eq!(
            kept(&checked),
            case.kept,
            "the experiments are wrong: they must not be timed"
        );
    }
}

fn bench(c: &mut Criterion, case: &Case) {
    let (mut engine, set) = loaded(case);
    let (wait, transfer) = case.af1;
    let (waiting, af1) = ([Plan::waiting(wait)], [Plan::af1(wait, transfer)]);
    let methods = METHODS.map(named);
    let request = Request {
        estimator: Estimator::PlugIn,
        batch: set.len(),
        ..Request::new(&waiting, &methods)
    };
    let masked = Request {
        way: Way::Masked,
        ..request
    };
    check(&mut engine, &set, case, [&request, &masked], &af1);

    let all: Vec<usize> = (0..set.len()).collect();
    let biases = Biases::new(set.positions()).expect("masks");
    let mut group = c.benchmark_group(case.model);
    group.sample_size(10);
    group.throughput(Throughput::Elements(set.len() as u64));
    group.bench_function("forward", |b| {
        b.iter(|| {
            base_forward(&mut engine, black_box(set.ids(&all)), &biases, &[]).expect("a forward")
        });
    });
    group.bench_function("capture", |b| {
        b.iter(|| prepare(&mut engine, black_box(set.clone()), &request, &[wait]).expect("means"));
    });
    let mut run =
        |name: &str, request: &Request<'_>, plans: &[Plan], method: &'static dyn Ablation| {
            let mut evaluation =
                prepare(&mut engine, set.clone(), request, &[wait]).expect("means");
            group.bench_function(name, |b| {
                b.iter(|| {
                    evaluation
                        .sweep(&mut engine, black_box(plans), &[method])
                        .expect("an evaluation");
                });
            });
        };
    for method in methods {
        run(method.name(), &request, &waiting, method);
    }
    run("masked AF1", &masked, &af1, methods[0]);
    run("compiled AF1", &request, &af1, methods[0]);
    group.finish();
}

/// How the stages grow with prompts, positions and layers, one of the three at a time, on planted models.
fn scaling(c: &mut Criterion) {
    let rows = [
        ("prompts", 10, "symbolic", 8),
        ("prompts", 100, "symbolic", 8),
        ("prompts", 1000, "symbolic", 8),
        ("positions", 100, "symbolic", 8),
        ("positions", 100, "calculate", 8),
        ("positions", 100, "word-problem", 8),
        ("layers", 100, "symbolic", 8),
        ("layers", 100, "symbolic", 16),
        ("layers", 100, "symbolic", 32),
    ];
    let cama = [named("cama")];
    let plans = [Plan::af1(3, 2)];
    let request = Request {
        estimator: Estimator::PlugIn,
        ..Request::new(&plans, &cama)
    };
    for (what, prompts, style, layers) in rows {
        let (mut engine, set) = common::planted(layers, style, prompts);
        let size = match what {
            "prompts" => prompts,
            "positions" => set.positions(),
            _ => layers,
        };
        let mut found = evaluate(&mut engine, set.clone(), &request).expect("an evaluation");
        assert_eq!(kept(&found), [prompts], "AF1(3, 2) keeps all sums");
        let all: Vec<usize> = (0..set.len()).collect();
        let biases = Biases::new(set.positions()).expect("masks");
        let mut group = c.benchmark_group(format!("by {what}"));
        group.sample_size(10);
        group.throughput(Throughput::Elements(prompts as u64));
        group.bench_function(BenchmarkId::new("forward", size), |b| {
            b.iter(|| base_forward(&mut engine, set.ids(&all), &biases, &[]).expect("a forward"));
        });
        group.bench_function(BenchmarkId::new("capture", size), |b| {
            b.iter(|| prepare(&mut engine, set.clone(), &request, &[3]).expect("means"));
        });
        group.bench_function(BenchmarkId::new("compiled AF1", size), |b| {
            b.iter(|| {
                let evaluation = &mut found.evaluation;
                evaluation
                    .sweep(&mut engine, &plans, &cama)
                    .expect("answers")
            });
        });
        group.finish();
    }
}

/// The mean times of this run beside each other, and how many prompts a second they are; nothing where nothing was timed.
fn summary() {
    let folder = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let folder = Path::new(&folder).join("criterion");
    let names = [
        "forward",
        "capture",
        "cama",
        "mean",
        "zero",
        "masked AF1",
        "compiled AF1",
    ];
    println!("| model | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    for case in &CASES {
        let cell = |name: &str| {
            let path = folder
                .join(case.model)
                .join(name)
                .join("new/estimates.json");
            let text = std::fs::read_to_string(path).ok()?;
            let json: serde_json::Value = serde_json::from_str(&text).ok()?;
            let seconds = json["mean"]["point_estimate"].as_f64()? / 1e9;
            Some(format!(
                "{:.0} ms, {:.0} prompts/s",
                1e3 * seconds,
                case.prompts as f64 / seconds
            ))
        };
        let cells: Vec<String> = names
            .iter()
            .map(|name| cell(name).unwrap_or_default())
            .collect();
        println!("| {} | {} |", case.model, cells.join(" | "));
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for case in &CASES {
        bench(&mut criterion, case);
    }
    scaling(&mut criterion);
    criterion.final_summary();
    if !std::env::args().any(|argument| argument == "--test") {
        summary();
    }
}
