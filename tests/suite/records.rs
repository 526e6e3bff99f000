//! Records: a run that is killed goes on where it was, parts of a sweep are the sweep, and what is written is shown again
//! without a model.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use af1::error::exit;
use af1::record::{self, Address, Line, Row};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rstest::rstest;

use super::fixtures::CLOSE;
use super::program::{Words, af1, experiments, planted, stdout, verb_of};

/// Sweeps of a planted model, of experiments that are asked for more here than elsewhere; `instruction` has operations with text at
/// other positions, so that two controls are not defined on it.
const SWEEPS: &[&str] = &[
    "run --style symbolic --masking abp,no-sink",
    "waiting --style symbolic",
    "transfer --style symbolic --wait 2..=4 --transfer 0..=3 --ablation cama,mean",
    "necessity --style symbolic --window 2",
    "heads --style symbolic --controls 3 --held-out",
    "alternatives --style symbolic,instruction",
    "contexts --style symbolic --numbers 1,2 --draws 2",
];

/// The words of the sweep of an experiment.
fn sweep(verb: &str) -> String {
    let of_verb = |words: &&&str| verb_of(words) == verb;
    let model = "--model planted-operator --operands 0..=6";
    match SWEEPS.iter().find(of_verb) {
        Some(words) => format!("{words} {model}"),
        None => {
            let words = experiments().iter().find(of_verb);
            let words = words.expect("it is an experiment of this program");
            format!("{words} --style symbolic {model}")
        }
    }
}

/// What a sweep writes into a new record.
fn whole(verb: &str, folder: &Path) -> (PathBuf, String) {
    let path = folder.join("whole.jsonl");
    stdout(af1(&sweep(verb)).arg("--record").arg(&path));
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

/// The shards of every experiment that the program has are its sweep.
#[test]
fn shards_are_the_sweep() {
    for words in experiments() {
        shards_are_the_sweep_of(verb_of(words));
    }
}

fn shards_are_the_sweep_of(verb: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (path, expected) = whole(verb, folder.path());
    let lines = record::read(&path).unwrap();
    let order = |line: &Line| {
        let place = line.place().unwrap();
        (place.template, place.cell.order.clone())
    };
    let cells: Vec<_> = lines.iter().map(order).collect();
    assert!(cells.is_sorted(), "{verb}: cells have an order");
    let names: BTreeSet<Address<'_>> = lines.iter().map(|line| line.address().unwrap()).collect();
    assert_eq!(names.len(), cells.len(), "{verb}: every cell, once");
    assert!(cells.len() > 3);

    let shard = |i: usize| {
        let path = folder.path().join(format!("{i}.jsonl"));
        let mut run = af1("");
        run.words(&sweep(verb)).arg("--record").arg(&path);
        stdout(run.args(["--shard", &format!("{i}/3")]));
        path
    };
    // In any order.
    let parts = [3, 1, 2].map(shard);
    let merged = stdout(af1("merge").args(&parts));
    assert!(
        merged == expected,
        "{verb}: the merged shards are other bytes"
    );
    // What is merged again, and with itself, stays what it is. With some of the shards alone a pruning would change: its cells cannot be
    // counted, and the other shards have yet to say that they have ended.
    let [third, first, second] = &parts;
    let again = stdout(af1("merge").args([&path, first, third, &path, second]));
    assert!(again == expected);
}

/// A template that cannot be evaluated is one line, however the sweep is split; a missing shard is said to be missing.
#[test]
fn shards_with_a_failing_template_are_the_sweep() {
    let folder = tempfile::tempdir().unwrap();
    // No difference of 5 to 9 is 10 or more.
    let run = |more: &[&str], name: &str| {
        let path = folder.path().join(name);
        let mut run = planted("waiting --results 10..=18 --ablation cama")
            .operation("A+B,A-B")
            .operands("5..=9")
            .run();
        run.args(more).arg("--record").arg(&path);
        assert_eq!(
            run.output().unwrap().status.code(),
            Some(exit::NO_PROMPTS.into())
        );
        path
    };
    let expected = std::fs::read_to_string(run(&[], "whole")).unwrap();
    assert_eq!(expected.matches("\"error\":").count(), 1);
    let parts = ["1/3", "2/3", "3/3"].map(|shard| run(&["--shard", shard], &shard[..1]));
    assert!(stdout(af1("merge").args(&parts)) == expected);

    let path = folder.path().join("part");
    let mut run = af1("");
    run.words(&sweep("run")).arg("--record").arg(&path);
    stdout(run.words("--shard 1/3"));
    for (verb, code) in [("merge", exit::INCOMPLETE), ("report", exit::SUCCESS)] {
        let output = af1(verb).arg(&path).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code.into()));
        assert!(
            said.contains("shards 2/3, 3/3 are missing or have not ended"),
            "{said}"
        );
    }
}

/// A line that was taken out of the middle is measured again.
#[test]
fn a_gap_is_filled() {
    let folder = tempfile::tempdir().unwrap();
    for verb in ["waiting", "heads"] {
        let (path, expected) = whole(verb, folder.path());
        let mut lines: Vec<&str> = expected.lines().collect();
        lines.remove(2);
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let mut run = af1("");
        stdout(run.words(&sweep(verb)).arg("--record").arg(&path));
        assert!(stdout(af1("merge").arg(&path)) == expected);
        std::fs::remove_file(&path).unwrap();
    }
}

#[rstest]
fn a_finished_sweep_is_not_measured_again(
    #[values("waiting", "heads", "alternatives")] verb: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let (path, expected) = whole(verb, folder.path());
    let json = |record: bool| {
        let mut run = af1("");
        run.words(&sweep(verb)).words("--format json");
        if record {
            run.arg("--record").arg(&path);
        }
        stdout(&mut run)
    };
    assert!(json(true) == expected);
    assert!(std::fs::read_to_string(&path).unwrap() == expected);
    // Without a record the same is printed.
    assert!(json(false) == expected);
}

/// A run that was stopped anywhere goes on there: the record is cut after any line, and within the next one.
#[rstest]
fn any_beginning_is_gone_on_with(
    #[values(
        "waiting",
        "transfer",
        "heads",
        "attention",
        "contexts",
        "patch",
        "windows",
        "lens"
    )]
    verb: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let (path, expected) = whole(verb, folder.path());
    let ends: Vec<usize> = expected.match_indices('\n').map(|(at, _)| at + 1).collect();
    let mut random = ChaCha8Rng::seed_from_u64(sweep(verb).len() as u64);
    for _ in 0..4 {
        let end = ends[random.random_range(0..ends.len() - 1)];
        let cut = end + random.random_range(0..20);
        std::fs::write(&path, &expected[..cut]).unwrap();
        stdout(af1(&sweep(verb)).arg("--record").arg(&path));
        assert!(
            std::fs::read_to_string(&path).unwrap() == expected,
            "cut at {cut} of {}",
            expected.len()
        );
    }
}

/// A last line that lacks nothing but its end is kept, also where another sweep goes on in the file.
#[test]
fn a_whole_line_without_its_end_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (path, expected) = whole("waiting", folder.path());
    std::fs::write(&path, expected.trim_end()).unwrap();
    stdout(af1(&sweep("run")).arg("--record").arg(&path));
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found.starts_with(&expected) && found.len() > expected.len());
}

/// Killed again and again, at moments that are drawn, until a run comes to its end.
#[rstest]
fn a_killed_run_loses_nothing_and_repeats_nothing(
    #[values("waiting", "transfer", "heads")] verb: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let (_, expected) = whole(verb, folder.path());
    let path = folder.path().join("killed.jsonl");
    let mut random = ChaCha8Rng::seed_from_u64(sweep(verb).len() as u64);
    let (mut kills, mut most) = (0, 100u64);
    loop {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_af1"))
            .args(sweep(verb).split(' '))
            .arg("--record")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(random.random_range(1..most)));
        // On Unix this is SIGKILL.
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            break;
        }
        kills += 1;
        let so_far = std::fs::read_to_string(&path).unwrap_or_default();
        let lines = so_far.rfind('\n').map_or(0, |at| at + 1);
        assert!(
            expected.starts_with(&so_far[..lines]),
            "another order or other cells"
        );
        // Slow machines need longer before anything is written at all.
        most += most / 4;
    }
    assert!(kills > 0);
    assert!(std::fs::read_to_string(&path).unwrap() == expected);
}

/// Records of two sweeps in one file do not touch each other; another seed is another sweep.
#[test]
fn one_file_holds_many_sweeps() {
    let folder = tempfile::tempdir().unwrap();
    let (path, first) = whole("run", folder.path());
    stdout(af1(&sweep("necessity")).arg("--record").arg(&path));
    let two = std::fs::read_to_string(&path).unwrap();
    assert!(two.starts_with(&first) && two.len() > first.len());
    stdout(
        af1(&sweep("run"))
            .words("--seed 7")
            .arg("--record")
            .arg(&path),
    );
    let three = record::read(&path).unwrap();
    let sweeps: std::collections::BTreeSet<&str> = three
        .iter()
        .map(|line| line.address().unwrap().sweep)
        .collect();
    assert_eq!(sweeps.len(), 3);
}

/// Every undefined cell says so, and why; the others are there.
#[test]
fn what_is_not_defined_is_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = whole("alternatives", folder.path());
    let lines = record::read(&path).unwrap();
    let failed: Vec<&Line> = lines.iter().filter(|line| line.failed()).collect();
    assert_eq!(failed.len(), 4, "two controls, two operations");
    for line in failed {
        assert!(
            line.text.contains("takes the means of another operation"),
            "{}",
            line.text
        );
        assert!(!line.failed_as_a_whole());
    }
}

/// A report works without a model, a cache and a runtime, and the table is the run's own.
#[test]
fn records_are_shown_again() {
    for words in experiments() {
        records_of(verb_of(words));
    }
}

fn records_of(verb: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.jsonl");
    let printed = stdout(af1(&sweep(verb)).arg("--record").arg(&path));
    let report = |format: &str| {
        let nothing = folder.path().join("nothing");
        let mut report = af1("report");
        report
            .env("AF1_CACHE", &nothing)
            .env("ORT_DYLIB_PATH", &nothing);
        stdout(report.arg(&path).args(["--format", format]))
    };
    assert_eq!(report("table"), printed);
    let json = report("json");
    let recorded = std::fs::read_to_string(&path).unwrap();
    let follows = json
        .strip_prefix(&recorded)
        .expect("the records come first");
    assert!(!follows.is_empty(), "{verb} concludes nothing");
    assert!((follows.lines()).all(|line| line.contains(r#""experiment":"conclusion""#)));
    // What was written so is read again, and said once.
    let again = folder.path().join("again.jsonl");
    std::fs::write(&again, &json).unwrap();
    assert_eq!(stdout(af1("report --format json").arg(&again)), json);
    let lines = record::read(&path).unwrap();
    let markdown = report("markdown");
    assert!(
        markdown.contains("\n| ") && !markdown.contains("<bos>"),
        "{markdown}"
    );

    // Every value of the first line is in the table of values, under its name.
    let csv = report("csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), lines.len());
    let column = |name: &str| header.iter().position(|found| found == name).unwrap();
    for (row, line) in rows.iter().zip(&lines) {
        let value: serde_json::Value = serde_json::from_str(&line.text).unwrap();
        assert_eq!(row[column("cell")], *value["cell"].as_str().unwrap());
        assert_eq!(row[column("style")], *value["style"].as_str().unwrap());
        if let Row::Measured(m) = &line.row {
            assert_eq!(row[column("accuracy")], value["accuracy"].to_string());
            assert_eq!(
                row[column("provenance.seed")],
                m.provenance.seed.to_string()
            );
        }
    }

    // A test for every claim of the first method: none of them can look like a pass that is not one.
    let junit = report("junit");
    let failures = junit.matches("<failure").count() + junit.matches("<error").count();
    let tests = junit.matches("<testcase").count();
    let passes = lines.iter().filter(|line| match &line.row {
        Row::Measured(m) => m
            .test
            .verdict
            .as_ref()
            .is_some_and(|v| v.outcome == record::Outcome::Pass),
        _ => false,
    });
    assert!(tests - failures <= passes.count(), "{junit}");
}

/// The lower end of a difference of all answers of 100 prompts.
const NEARLY_ALL: f64 = 0.9;

/// Two runs beside each other: what the later layers of `planted-late` cost is found, what is the same is not.
#[test]
fn two_runs_are_compared_on_the_same_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let run = |model: &str, operands: &str| {
        let path = folder.path().join(format!("{model}-{operands}.jsonl"));
        let mut run = planted("run").model(model).operands(operands).run();
        stdout(run.arg("--record").arg(&path));
        path
    };
    let compare = |new: &Path, old: &Path, format: &str| {
        let mut report = af1("report");
        report.arg(new).arg("--against").arg(old);
        stdout(report.args(["--format", format]))
    };
    let (late, sound) = (run("planted-late", "0..=9"), run("planted-af1", "0..=9"));
    let table = compare(&late, &sound, "table");
    assert!(
        table.contains("1 worse, 3 no significant change") && table.contains("unmodified"),
        "{table}"
    );
    let lines = compare(&sound, &late, "json");
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let line = &lines[1];
    assert_eq!(line["difference"], 1.0);
    assert!(line["difference_low"].as_f64().unwrap() > NEARLY_ALL);
    assert_eq!(lines.last().unwrap()["not_compared"]["other_prompts"], 0);
    assert_eq!(
        (&line["change"], &line["only_now"]),
        (&"better".into(), &100.into())
    );
    // By chance each of 100 pairs is in this direction, or each in the other.
    let by_chance = 2.0 * 0.5f64.powi(100);
    assert!(CLOSE.holds(line["p"].as_f64().unwrap() / by_chance, 1.0));
    let others = compare(&run("planted-late", "1..=10"), &sound, "table");
    assert!(others.contains("3 on other prompts"), "{others}");
}

#[test]
fn what_is_no_record_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, text) = whole("run", folder.path());
    let refuse = |text: &str, parts: &[&str]| {
        std::fs::write(&path, text).unwrap();
        for args in [vec!["report"], vec!["merge"]] {
            let output = af1("").args(args).arg(&path).output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(exit::RECORD.into()), "{stderr}");
            for part in parts {
                assert!(stderr.contains(part), "{stderr}");
            }
        }
        let mut run = af1("");
        let output = run
            .words(&sweep("run"))
            .arg("--record")
            .arg(&path)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(exit::RECORD.into()));
        // It is left as it is.
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    };
    let first = text.lines().next().unwrap();
    refuse("hello\n", &["line 1", "expected value"]);
    // Not even where its last line has no end, as that of a killed run.
    refuse("{\"my\": \"configuration\"}", &["line 1"]);
    refuse(&format!("{first}\nhello"), &["line 2"]);
    refuse(&format!("{first}\n{{}}\n"), &["line 2", "no schema"]);
    let other = |number: u32| {
        let this = format!("\"schema\":{}", record::SCHEMA);
        first.replace(&this, &format!("\"schema\":{number}")) + "\n"
    };
    refuse(&other(1), &["line 1", "schema 1", "measure again"]);
    refuse(&other(record::SCHEMA + 1), &["newer af1"]);
    refuse(
        &(first.replace("\"wait\"", "\"weight\"") + "\n"),
        &["unknown field `weight`"],
    );

    // The same cell twice, with another content.
    let changed = first.replace("\"keys\":", "\"keys\":1");
    std::fs::write(&path, format!("{first}\n")).unwrap();
    let second = folder.path().join("second.jsonl");
    std::fs::write(&second, changed + "\n").unwrap();
    let output = af1("merge").args([&path, &second]).output().unwrap();
    assert_eq!(output.status.code(), Some(exit::RECORD.into()));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("second.jsonl: line 1") && stderr.contains("by cama"),
        "{stderr}"
    );
}

/// Two runs must not write into each other's lines.
#[test]
fn a_record_is_one_runs_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.jsonl");
    let _held = record::Journal::open(&path).unwrap();
    let mut run = af1("");
    let output = run
        .words(&sweep("run"))
        .arg("--record")
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(exit::WRITE.into()));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("another run appends to it"), "{stderr}");
}
