//! How time and memory grow: with prompts, from 10 to 100,000, with positions, and with layers. `cargo bench --bench cost` prints a table;
//! every row is a process of its own, so that its peak memory is its own, and checks what it answers.

use std::process::Command;
use std::time::Instant;

use af1::experiment::{Part, Request, Way, prepare};
use af1::fetch::Cache;
use af1::intervene::{Estimator, Plan, ablation};
use af1::model::planted::{Plant, Route};
use af1::model::{BosChoice, Model};
use af1::prompt::{PromptSet, Selection, Styles};
use af1::runtime::{Device, Engine, Library, Runtime, default_threads};

/// Prompts, style, layers of the planted model.
type Row = (usize, &'static str, usize);

/// One of the three grows at a time.
const ROWS: [Row; 12] = [
    (10, "symbolic", 8),
    (100, "symbolic", 8),
    (1_000, "symbolic", 8),
    (10_000, "symbolic", 8),
    (100_000, "symbolic", 8),
    (1_000, "calculate", 8),
    (1_000, "verbal", 8),
    (1_000, "word-problem", 8),
    (1_000, "symbolic", 16),
    (1_000, "symbolic", 32),
    (1_000, "symbolic", 64),
    (100_000, "word-problem", 8),
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--row") {
        let row = args.get(at + 1).and_then(|row| row.parse::<usize>().ok());
        return one(ROWS[row.expect("the number of a row")]);
    }
    // A pass without timing has nothing to show: the rows check themselves.
    let rows = if args.iter().any(|arg| arg == "--test") {
        0..2
    } else {
        0..ROWS.len()
    };
    println!(
        "| prompts | style | tokens | layers | base and means | AF1(3, 2), compiled | AF1(3, 2), masked | peak memory |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for row in rows {
        let program = std::env::current_exe().expect("this program");
        let status = Command::new(program)
            .args(["--row", &row.to_string()])
            .status();
        assert!(status.expect("a process").success(), "row {row}");
    }
}

fn one((prompts, style, layers): Row) {
    let cache = Cache::of_user().expect("a cache folder");
    let library = Library::find_or_fetch(&cache).expect("an ONNX Runtime library");
    let runtime = Runtime::start(&library, default_threads()).expect("a runtime");
    let plant = Plant {
        layers,
        wait: 3,
        transfer: 2,
        route: Route::Direct,
        seed: 42,
    };
    let folder = tempfile::tempdir().expect("a folder");
    plant.write(folder.path()).expect("a planted model");
    let reference = folder.path().to_string_lossy();
    let bos = BosChoice::Token("<bos>".to_owned());
    let model = Model::load(&reference, &bos, &cache).expect("the model");
    let mut engine = Engine::new(runtime, &Device::Cpu, &model).expect("sessions");
    let operation = "A+B".parse().expect("an operation");
    let template = Styles::built_in()
        .select(&[style.to_owned()], &[operation])
        .expect("a built-in template")
        .remove(0);
    // A square of operands with at least so many prompts.
    let side = (1..).find(|side| side * side >= prompts).expect("a square") as i64;
    let selection = Selection {
        operands: 0..=side - 1,
        results: 0..=2 * side,
        contexts: 100,
        seed: 42,
    };
    let id = model.bos.as_ref().map(|bos| bos.id);
    let mut set = PromptSet::build(&template, &model.tokenizer, id, &selection).expect("prompts");
    set.prompts.truncate(prompts);
    assert_eq!(set.len(), prompts);
    let cama = ablation::named("cama").expect("it is built in");
    let plans = [Plan::af1(3, 2)];
    let request = |way| Request {
        plans: &plans,
        ablations: std::slice::from_ref(&cama),
        estimator: Estimator::PlugIn,
        limit: None,
        seed: 42,
        batch: 64,
        way,
        part: Part::All,
        draw: None,
        operations: &[],
    };
    let mut seconds = Vec::new();
    for way in [Way::Compiled, Way::Masked] {
        let start = Instant::now();
        let mut found = prepare(&mut engine, set.clone(), &request(way), &[3]).expect("means");
        let prepared = start.elapsed().as_secs_f64();
        let start = Instant::now();
        found.add(&mut engine, &plans, &[cama]).expect("answers");
        seconds.push((prepared, start.elapsed().as_secs_f64()));
        // The planted model knows its sums up to 99 + 99, and AF1(3, 2) keeps them all.
        let known = |&p: &usize| set.prompts[p].operands.iter().all(|&x| x < 100);
        for (p, correct) in (0..set.len()).zip(found.correct(&found.cells[0])) {
            assert!(
                !known(&p) || (correct && found.base_correct(p)),
                "{}",
                set.prompts[p].text
            );
        }
    }
    let peak = std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))?;
            let kb: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
            Some(format!("{:.0} MB", kb / 1024.0))
        });
    let per_second = |seconds: f64| format!("{:.0} prompts/s", prompts as f64 / seconds);
    println!(
        "| {prompts} | {style} | {} | {layers} | {} | {} | {} | {} |",
        set.positions(),
        per_second(seconds[0].0),
        per_second(seconds[0].1),
        per_second(seconds[1].1),
        peak.unwrap_or_default()
    );
}
