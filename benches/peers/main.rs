//! One task of the comparison with other tools, as `benches/peers/run` runs it: `cargo bench --bench peers -- --task NAME`. Prints
//! one JSON object: how fast it was, the largest resident memory of the process, and what was counted.

use std::time::{Duration, Instant};

use af1::fetch::Cache;
use af1::intervene::{Estimator, Plan, ablation};
use af1::measure::{Biases, Request, base_forward, first_maximum, prepare};
use af1::model::{BosChoice, CONTRAST, Model};
use af1::prompt::{ContextsFrom, PromptSet, Selection, Styles};
use af1::runtime::{Device, Engine, Library, Runtime, default_threads};

#[path = "../common/mod.rs"]
mod common;

/// The subgraph of all tasks.
const AF1: (usize, usize) = (20, 6);

/// The largest `K` of the grid.
const MOST_TRANSFER: usize = 8;

/// A task is repeated for as long as this, and at least three times.
const LONG_ENOUGH: Duration = Duration::from_secs(4);

fn main() {
    let mut args = std::env::args().skip_while(|arg| arg != "--task").skip(1);
    let Some(task) = args.next() else {
        // `cargo bench` without a task has nothing to compare with.
        println!("benches/peers/run compares af1 with other tools");
        return;
    };
    let cache = Cache::of_user().expect("a cache folder");
    let library = Library::find_or_fetch(&cache, &Device::Cpu).expect("an ONNX Runtime library");
    let runtime = Runtime::start(&library, default_threads()).expect("a runtime");
    let model = Model::load(CONTRAST, &BosChoice::Default, &cache).expect("the model");
    if task == "folder" {
        // As the other tools read it.
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/model");
        std::fs::create_dir_all(&folder).expect("a folder");
        model.write_folder(&folder).expect("the model's files");
        println!("{}", serde_json::json!({ "folder": folder }));
        return;
    }
    let mut engine = Engine::new(runtime, &Device::Cpu, &model).expect("sessions");
    let set = prompts(&model, task.ends_with("-fewshot"));
    let done = run(&task, &mut engine, &set);
    let line = serde_json::json!({
        "task": task, "tool": "af1",
        "prompts_per_second": (set.len() * done.cells) as f64 / done.seconds,
        "peak_rss_mb": common::peak_rss_mb(), "counts": done.counts,
    });
    println!("{line}");
}

fn prompts(model: &Model, fewshot: bool) -> PromptSet {
    let style = if fewshot { "four-shot" } else { "symbolic" };
    let styles = match fewshot {
        true => Styles::read("four-shot".as_ref()).expect("built in"),
        false => Styles::built_in(),
    };
    let operation = "A+B".parse().expect("an operation");
    let template = styles.select(&[style.to_owned()], &[operation]);
    let template = template.expect("a built-in template").remove(0);
    let selection = Selection {
        operands: 0..=9,
        results: 0..=9,
        contexts: 100,
        contexts_from: ContextsFrom::Answerable,
        seed: 42,
    };
    let bos = model.bos();
    PromptSet::build(&template, &model.tokenizer, bos, &selection).expect("prompts")
}

/// A task that was run.
struct Done {
    /// Cells that were measured each time.
    cells: usize,
    /// The median time.
    seconds: f64,
    /// What was counted.
    counts: Vec<usize>,
}

fn run(task: &str, engine: &mut Engine, set: &PromptSet) -> Done {
    let ablations = [ablation::named("cama").expect("it is built in")];
    let af1 = [Plan::af1(AF1.0, AF1.1)];
    let request = Request {
        estimator: Estimator::PlugIn,
        ..Request::new(&af1, &ablations)
    };
    let all: Vec<usize> = (0..set.len()).collect();
    let (seconds, counts) = match task {
        "forward-fewshot" | "forward-symbolic" => {
            let biases = Biases::new(set.positions()).expect("masks");
            measure(|| {
                let ids = set.ids(&all);
                let (_, logits) = base_forward(engine, ids, &biases, &[]).expect("a forward");
                let tokens: Vec<u32> = logits.outer_iter().map(first_maximum).collect();
                vec![right(set, &tokens)]
            })
        }
        "base-fewshot" => measure(|| {
            let found = prepare(engine, set.clone(), &request, &[]).expect("a base");
            vec![right(set, &found.base)]
        }),
        "capture-fewshot" => measure(|| {
            let found = prepare(engine, set.clone(), &request, &[AF1.0]).expect("means");
            vec![found.contexts[&AF1.0].keys]
        }),
        "af1-fewshot" | "af1-symbolic" => {
            let mut found = prepare(engine, set.clone(), &request, &[AF1.0]).expect("means");
            measure(|| {
                let cells = found.sweep(engine, &af1, &ablations).expect("answers");
                vec![right(set, &cells[0].predicted)]
            })
        }
        "grid-fewshot" => return grid(engine, set, &request),
        other => panic!("no task is called {other:?}"),
    };
    Done {
        cells: 1,
        seconds,
        counts,
    }
}

/// All of `W` and `K`; it counts those cells that the other tools are asked for.
fn grid(engine: &mut Engine, set: &PromptSet, request: &Request<'_>) -> Done {
    let layers = engine.layers();
    let grid: Vec<Plan> = (0..=layers)
        .flat_map(|wait| (0..=MOST_TRANSFER).map(move |transfer| Plan::af1(wait, transfer)))
        .filter(|plan| plan.fits(layers))
        .collect();
    let waits: Vec<usize> = (0..=layers).collect();
    let (seconds, all) = measure(|| {
        let mut found = prepare(engine, set.clone(), request, &waits).expect("means");
        let cells = found.sweep(engine, &grid, request.ablations);
        let cells = cells.expect("answers");
        cells
            .iter()
            .map(|cell| right(set, &cell.predicted))
            .collect()
    });
    let sampled = std::env::args().skip_while(|arg| arg != "--cells").nth(1);
    let sampled = sampled.unwrap_or_default();
    let pairs = sampled.split(' ').filter_map(|pair| pair.split_once(','));
    let counts = pairs.map(|(wait, transfer)| {
        let number = |text: &str| text.parse().expect("a number");
        let plan = Plan::af1(number(wait), number(transfer));
        let at = grid.iter().position(|p| *p == plan);
        all[at.expect("a cell of the grid")]
    });
    Done {
        cells: grid.len(),
        seconds,
        counts: counts.collect(),
    }
}

/// Right answers.
fn right(set: &PromptSet, tokens: &[u32]) -> usize {
    let pairs = tokens.iter().zip(&set.prompts);
    pairs
        .filter(|(token, prompt)| prompt.answers.contains(token))
        .count()
}

/// The median time of a task in seconds, and what it counts; the same every time.
fn measure(mut task: impl FnMut() -> Vec<usize>) -> (f64, Vec<usize>) {
    let counts = task();
    let (begin, mut times) = (Instant::now(), Vec::new());
    while times.len() < 3 || begin.elapsed() < LONG_ENOUGH {
        let start = Instant::now();
        assert_eq!(task(), counts, "a task counts the same every time");
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], counts)
}
