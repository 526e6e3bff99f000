//! Records in the forms of collections of results: every number is that of the record.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use af1::error::exit;
use rstest::rstest;
use serde_json::Value;

use super::bad_input::refused;
use super::program::{Words, af1, planted, stdout};

const DIGITS: &str =
    "run --model planted-digits --style symbolic --operation A+B --operands 10..=19 --limit 40 -q";

/// A record with its answers.
fn record(folder: &Path) -> (PathBuf, PathBuf) {
    let (record, answers) = (folder.join("run.jsonl"), folder.join("answers.jsonl"));
    let mut run = af1(DIGITS);
    run.arg("--record").arg(&record);
    stdout(run.arg("--answers").arg(&answers));
    (record, answers)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The shared results, and the files that were written.
fn shared(record: &Path, words: &str, out: &Path) -> (Value, Vec<PathBuf>) {
    let words = format!("--as every-eval-ever --model-id lab/planted {words} --out");
    let said = stdout(af1("share").arg(record).words(&words).arg(out));
    let paths: Vec<PathBuf> = said.lines().map(PathBuf::from).collect();
    (
        serde_json::from_str(&std::fs::read_to_string(&paths[0]).unwrap()).unwrap(),
        paths,
    )
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap()
}

/// Shares, intervals and numbers of prompts are the record's; whole answers, which follow from the steps, are there, too.
#[test]
fn results_are_those_of_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let (record, _) = record(folder.path());
    let (whole, paths) = shared(&record, "", folder.path());
    assert_eq!(paths.len(), 1);
    let results = whole["evaluation_results"].as_array().unwrap();
    let mut ids: Vec<&str> = results
        .iter()
        .map(|of| text(of, "evaluation_result_id"))
        .collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "no two results have the same key");
    let mut compared = 0;
    for line in lines(&record)
        .iter()
        .filter(|line| line["answers"].is_string())
    {
        for (name, metric) in [
            ("faithfulness", "faithfulness"),
            ("accuracy", "accuracy under the intervention"),
            ("base_accuracy", "accuracy of the unmodified model"),
        ] {
            let Some(value) = line[name].as_f64() else {
                continue;
            };
            let (cell, step) = (text(line, "cell"), &line["step"]);
            let named = |result: &&Value| {
                let id = text(result, "evaluation_result_id");
                let of_cell = match name {
                    "base_accuracy" => id.contains(": model: "),
                    _ => id.contains(&format!(": {cell}: ")),
                };
                let step = step
                    .as_str()
                    .map_or_else(|| step.to_string(), str::to_owned);
                of_cell && id.contains(&format!(" step {step}: ")) && id.ends_with(metric)
            };
            let found: Vec<&Value> = results.iter().filter(named).collect();
            let [found] = *found else {
                panic!("{cell} {step} {name}: {} results of {ids:#?}", found.len());
            };
            let score = &found["score_details"];
            let interval = &score["uncertainty"]["confidence_interval"];
            assert_eq!(score["score"].as_f64(), Some(value));
            assert_eq!(interval["lower"], line[format!("{name}_low")]);
            assert_eq!(interval["upper"], line[format!("{name}_high")]);
            assert_eq!(
                found["generation_config"]["additional_details"]["model_sha256"],
                line["provenance"]["model_sha256"]
            );
            compared += 1;
        }
    }
    assert!(compared >= 9, "{compared}");
    let of_whole = |result: &&Value| {
        text(result, "evaluation_result_id").contains(" whole: ")
            && result["score_details"]["details"]["verdict"].is_string()
    };
    assert!(results.iter().any(|result| of_whole(&result)));
}

/// As many answers of a cell are right as its record says, each belongs to a result, and the same records have the same names.
#[test]
fn instances_are_those_of_the_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (record, answers) = record(folder.path());
    let words = format!("--answers {}", answers.display());
    let (whole, paths) = shared(&record, &words, folder.path());
    let rows = lines(&paths[1]);
    assert_eq!(rows.len(), lines(&answers).len());
    let detail = &whole["detailed_evaluation_results"];
    assert_eq!(detail["total_rows"], rows.len());
    assert_eq!(folder.path().join(text(detail, "file_path")), paths[1]);
    let mut right: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in &rows {
        assert_eq!(row["evaluation_id"], whole["evaluation_id"]);
        let of = right.entry(text(row, "evaluation_result_id")).or_default();
        of.0 += usize::from(row["evaluation"]["is_correct"] == true);
        of.1 += 1;
    }
    for (id, (right, all)) in &right {
        let results = whole["evaluation_results"].as_array().unwrap();
        let found = results
            .iter()
            .find(|result| result["evaluation_result_id"] == **id);
        let details = &found.unwrap()["score_details"]["details"];
        assert_eq!(
            (text(details, "successes"), text(details, "trials")),
            (&*right.to_string(), &*all.to_string()),
            "{id}"
        );
    }
    let again = folder.path().join("again");
    let (_, others) = shared(&record, &words, &again);
    for (path, other) in paths.iter().zip(&others) {
        assert_eq!(
            path.strip_prefix(folder.path()).unwrap(),
            other.strip_prefix(&again).unwrap()
        );
        assert_eq!(std::fs::read(path).unwrap(), std::fs::read(other).unwrap());
    }
}

/// Every verdict is an entry, with the share that it is about.
#[test]
fn verdicts_are_entries_of_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let (record, _) = record(folder.path());
    let words = "--as hugging-face --model-id lab/planted --dataset lab/sums --out";
    let said = stdout(af1("share").arg(&record).words(words).arg(folder.path()));
    let yaml = std::fs::read_to_string(said.trim_end()).unwrap();
    let verdicts = lines(&record)
        .iter()
        .filter(|line| !line["verdict"].is_null())
        .count();
    // Those of the steps, and those of whole answers: one an ablation.
    assert_eq!(yaml.matches("- dataset:").count(), verdicts + 3);
    assert_eq!(yaml.matches("id: \"lab/sums\"").count(), verdicts + 3);
    assert!(
        yaml.contains("task_id: \"symbolic A+B 2+2=2 whole: af1 3 2 abp by cama\""),
        "{yaml}"
    );
}

/// Where sweeps ask the same in two ways, no name is of two results, and no task has two values.
#[test]
fn results_of_several_sweeps_have_names_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let (record, _) = record(folder.path());
    stdout(af1(DIGITS).words("--seed 1 --record").arg(&record));
    let (whole, _) = shared(&record, "", folder.path());
    let results = whole["evaluation_results"].as_array().unwrap();
    let name = |of: &Value| {
        (
            text(of, "evaluation_name").to_owned(),
            text(&of["metric_config"], "metric_name").to_owned(),
        )
    };
    let names: BTreeSet<(String, String)> = results.iter().map(name).collect();
    assert_eq!(names.len(), results.len());
    let words = "--as hugging-face --model-id lab/planted --dataset lab/sums --out";
    let said = stdout(af1("share").arg(&record).words(words).arg(folder.path()));
    let yaml = std::fs::read_to_string(said.trim_end()).unwrap();
    let tasks = || yaml.lines().filter(|line| line.contains("task_id:"));
    assert_eq!(
        tasks().collect::<BTreeSet<&str>>().len(),
        tasks().count(),
        "{yaml}"
    );
}

#[rstest]
#[case::several("--as every-eval-ever --model-id a/b", "planted-af1, planted-late")]
#[case::another(
    "--as every-eval-ever --model-id a/b --of qwen",
    "--of qwen: these records are of planted-af1, planted-late"
)]
#[case::no_dataset(
    "--as hugging-face --model-id a/b --of planted-af1",
    "--dataset OWNER/NAME"
)]
fn what_cannot_be_shared(#[case] words: &str, #[case] reason: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (record, out) = (folder.path().join("one.jsonl"), folder.path().join("out"));
    for model in ["planted-af1", "planted-late"] {
        stdout(
            planted("run")
                .model(model)
                .run()
                .arg("--record")
                .arg(&record),
        );
    }
    let mut command = af1("share");
    command.arg(&record).words(words).arg("--out").arg(&out);
    refused(command, exit::USAGE, &[reason]);
    assert!(!out.exists(), "nothing is left behind");
}

#[rstest]
fn a_name_on_a_hub(#[values("a", "a/b/c", "../b", "a/", "a/.b", "a b/c", "a/b.")] name: &str) {
    let command = format!("share run.jsonl --as every-eval-ever --model-id '{name}' --out out");
    refused(af1(&command), exit::USAGE, &["owner/name"]);
}
