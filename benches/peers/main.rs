//! One task of the comparison with other tools, as `benches/peers/run` runs it: `cargo bench --bench peers -- --task NAME`. Prints
//! one JSON object: how fast it was, the largest resident memory of the process, and what was counted.

use af1::fetch::Cache;
use af1::graph::Precision;
use af1::intervene::{Estimator, Plan, ablation};
use af1::measure::{Biases, Request, base_forward, first_maximum, prepare};
use af1::model::{BosChoice, CONTRAST, Model};
use af1::prompt::{ContextsFrom, PromptSet, Selection, Styles};
use af1::runtime::{Device, Engine, Placement, Work, default_threads, start};

use timing::{Runs, gflop, timed};

#[path = "../common/mod.rs"]
mod common;
mod digits;
mod rates;
mod text;
mod timing;

/// The subgraph of the tasks on SmolLM2.
const AF1: (usize, usize) = (20, 6);

/// The largest `K` of the grid.
const MOST_TRANSFER: usize = 8;

fn main() {
    let Some(task) = option("--task") else {
        // `cargo bench` without a task has nothing to compare with.
        println!("benches/peers/run compares af1 with other tools");
        return;
    };
    let cache = Cache::of_user().expect("a cache folder");
    let device: Device =
        option("--device").map_or(Device::Cpu, |name| name.parse().expect("a device"));
    let (runtime, placement) =
        start(Placement::from(&device), default_threads(), true).expect("a device that runs");
    if task == "rates" {
        let shapes = option("--shapes").expect("--shapes, rows x inner x outer");
        println!("{}", rates::rates(runtime, &placement, &shapes));
        return;
    }
    let of_digits = digits::Task::named(&task);
    let folder = option("--folder");
    let given = folder.clone().or_else(|| option("--model"));
    let named = match (&given, of_digits) {
        (Some(name), _) => name,
        (None, Some(_)) => digits::MODEL,
        (None, None) => CONTRAST,
    };
    let mut model = Model::load(named, &BosChoice::Default, &cache).expect("the model");
    if let Some(precision) = option("--precision") {
        model.precision = match &*precision {
            "f32" => Precision::F32,
            "f16" => Precision::F16,
            "bf16" => Precision::Bf16,
            other => panic!("no precision is called {other:?}"),
        };
    }
    if folder.is_some() {
        println!("{}", write_folder(&model));
        return;
    }
    let mut engine = Engine::new(runtime, &placement, &model).expect("sessions");
    let done = match of_digits {
        Some(task) => {
            let largest = option("--largest").map(|n| n.parse().expect("a number"));
            task.run(&mut engine, &model, largest)
        }
        None => run(
            &task,
            &mut engine,
            &prompts(&model, task.ends_with("-fewshot")),
        ),
    };
    let spec = &model
        .decoder("counting its products")
        .expect("a shape")
        .spec;
    let mut line = serde_json::json!({
        "task": task, "tool": "af1",
        "prompts_per_second": done.prompts as f64 / done.seconds,
        "peak_rss_mb": common::peak_rss_mb(), "counts": done.counts,
        "seconds": done.seconds, "gflop": gflop(spec, done.work),
    });
    if option("--said").is_some() {
        line["said"] = done.said.into();
        line["prompts"] = done.prompts.into();
        line["providers"] = serde_json::json!(engine.providers());
        line["runtime"] = runtime.version().into();
    }
    println!("{line}");
}

/// What stands behind an option.
fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|arg| arg != name).nth(1)
}

/// Writes a model as the other tools read it, below the folder that `--out` names.
fn write_folder(model: &Model) -> serde_json::Value {
    let out = option("--out").map(std::path::PathBuf::from);
    let ours = || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    let folder = out.unwrap_or_else(ours).join(&model.name);
    std::fs::create_dir_all(&folder).expect("a folder");
    model.write_folder(&folder).expect("the model's files");
    serde_json::json!({ "folder": folder })
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
        listed: None,
    };
    let bos = model.bos();
    PromptSet::build(&template, &model.tokenizer, bos, &selection).expect("prompts")
}

/// A task that was run.
struct Done {
    /// Prompts that were measured each time, those of every cell.
    prompts: usize,
    /// The median time.
    seconds: f64,
    /// What was run in that time.
    work: Work,
    /// What was counted.
    counts: Vec<usize>,
    /// What was answered, prompt by prompt and cell by cell, where that is compared.
    said: Vec<u32>,
}

fn run(task: &str, engine: &mut Engine, set: &PromptSet) -> Done {
    let ablations = [ablation::named("cama").expect("it is built in")];
    let af1 = [Plan::af1(AF1.0, AF1.1)];
    let request = Request {
        estimator: Estimator::PlugIn,
        ..Request::new(&af1, &ablations)
    };
    let all: Vec<usize> = (0..set.len()).collect();
    let done = match task {
        "forward-fewshot" | "forward-symbolic" => {
            let biases = Biases::new(set.positions()).expect("masks");
            timed(engine, Runs::Several, |engine| {
                let ids = set.ids(&all);
                let (_, logits) = base_forward(engine, ids, &biases, &[]).expect("a forward");
                let tokens: Vec<u32> = logits.outer_iter().map(first_maximum).collect();
                vec![right(set, &tokens)]
            })
        }
        "base-fewshot" => timed(engine, Runs::Several, |engine| {
            let found = prepare(engine, set.clone(), &request, &[]).expect("a base");
            vec![right(set, &found.base)]
        }),
        "capture-fewshot" => timed(engine, Runs::Several, |engine| {
            let found = prepare(engine, set.clone(), &request, &[AF1.0]).expect("means");
            vec![found.contexts[&AF1.0].keys]
        }),
        "af1-fewshot" | "af1-symbolic" => {
            let mut found = prepare(engine, set.clone(), &request, &[AF1.0]).expect("means");
            timed(engine, Runs::Several, |engine| {
                let cells = found.sweep(engine, &af1, &ablations).expect("answers");
                vec![right(set, &cells[0].predicted)]
            })
        }
        "grid-fewshot" => return grid(engine, set, &request),
        other => panic!("no task is called {other:?}"),
    };
    Done {
        prompts: set.len(),
        seconds: done.seconds,
        work: done.work,
        counts: done.found,
        said: Vec::new(),
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
    let run = timed(engine, Runs::Several, |engine| {
        let mut found = prepare(engine, set.clone(), request, &waits).expect("means");
        let cells = found.sweep(engine, &grid, request.ablations);
        let cells = cells.expect("answers");
        cells
            .iter()
            .map(|cell| right(set, &cell.predicted))
            .collect::<Vec<usize>>()
    });
    let sampled = option("--cells").unwrap_or_default();
    let pairs = sampled.split(' ').filter_map(|pair| pair.split_once(','));
    let counts = pairs.map(|(wait, transfer)| {
        let number = |text: &str| text.parse().expect("a number");
        let plan = Plan::af1(number(wait), number(transfer));
        let at = grid.iter().position(|p| *p == plan);
        run.found[at.expect("a cell of the grid")]
    });
    Done {
        prompts: set.len() * grid.len(),
        seconds: run.seconds,
        work: run.work,
        counts: counts.collect(),
        said: Vec::new(),
    }
}

/// Right answers.
fn right(set: &PromptSet, tokens: &[u32]) -> usize {
    let pairs = tokens.iter().zip(&set.prompts);
    pairs
        .filter(|(token, prompt)| prompt.answers.contains(token))
        .count()
}
