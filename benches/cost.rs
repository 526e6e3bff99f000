//! How time and memory grow: with prompts, from 10 to 100,000, with positions, and with layers. `cargo bench --bench cost` prints a table;
//! every row is a process of its own, so that its peak memory is its own, and checks what it answers.

use std::process::Command;
use std::time::Instant;

use af1::intervene::{Estimator, Plan, ablation};
use af1::measure::{Request, Way, prepare};

mod common;

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
    let (mut engine, set) = common::planted(layers, style, prompts);
    let cama = ablation::named("cama").expect("it is built in");
    let plans = [Plan::af1(3, 2)];
    let request = |way| Request {
        estimator: Estimator::PlugIn,
        way,
        ..Request::new(&plans, std::slice::from_ref(&cama))
    };
    let mut seconds = Vec::new();
    for way in [Way::Compiled, Way::Masked] {
        let start = Instant::now();
        let mut found = prepare(&mut engine, set.clone(), &request(way), &[3]).expect("means");
        let prepared = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let cells = found.sweep(&mut engine, &plans, &[cama]).expect("answers");
        seconds.push((prepared, start.elapsed().as_secs_f64()));
        // The planted model knows its sums up to 99 + 99, and AF1(3, 2) keeps them all.
        let known = |&p: &usize| set.prompts[p].operands.iter().all(|&x| x < 100);
        for (p, correct) in (0..set.len()).zip(found.correct(&cells[0])) {
            assert!(
                !known(&p) || (correct && found.base_correct(p)),
                "{}",
                set.prompts[p].text
            );
        }
    }
    let peak = common::peak_rss_mb().map(|peak| format!("{peak:.0} MB"));
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
