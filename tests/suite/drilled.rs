//! The prompts behind the marks of a page's pictures: they are those that break, whichever way the page came to know them.

use std::collections::BTreeMap;
use std::path::Path;

use af1::error::exit;
use serde_json::Value;

use super::bad_input::refused;
use super::fixtures::ints;
use super::program::{Words, af1, json_lines, planted, stdout};

/// What a page has of its cells, by their keys.
fn cells(page: &str) -> BTreeMap<String, Value> {
    let data = page.split("id=\"prompts\">").nth(1).unwrap();
    let data: Value = serde_json::from_str(data.split("</script>").next().unwrap()).unwrap();
    let cells = data["cells"].as_object().unwrap();
    cells.clone().into_iter().collect()
}

/// The bits of hexadecimal digits, the first the highest.
fn bits(text: &Value) -> Vec<bool> {
    let digits = text.as_str().unwrap().chars();
    let four = |digit: char| {
        let value = digit.to_digit(16).unwrap();
        (0..4).rev().map(move |i| value >> i & 1 == 1)
    };
    digits.flat_map(four).collect()
}

/// The numbers of the prompts that break in a cell.
fn broken(row: &Value) -> Vec<usize> {
    let (base, right) = (bits(&row["base_answers"]), bits(&row["answers"]));
    (0..base.len()).filter(|&i| base[i] && !right[i]).collect()
}

fn key(row: &Value) -> String {
    let of = |name: &str| row[name].as_str().unwrap();
    format!(
        "{} {} {}: {}",
        of("sweep"),
        of("style"),
        of("operation"),
        of("cell")
    )
}

/// The first values of a row of a page.
fn operands(row: &Value, count: usize) -> Vec<i64> {
    let of = |value: &Value| value.as_str().unwrap().parse().unwrap();
    row.as_array().unwrap()[..count].iter().map(of).collect()
}

fn page(record: &Path, words: &str) -> String {
    stdout(af1("report --format html").arg(record).words(words))
}

/// Whether the record has the operands of its prompts, as that of AF1 does, or only the hash of their texts, as that of waiting does.
#[test]
fn prompts_are_known_from_the_record() {
    for verb in ["run --wait 2,3", "waiting --wait 3,4"] {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("record.jsonl");
        let run = planted(verb).model("planted-noisy").operands("0..=9");
        let rows = json_lines(run.run().arg("--record").arg(&record));
        let shown = cells(&page(&record, ""));
        // All pairs of 0..=9, the last operand fastest: the sums are all in range.
        let all: Vec<Vec<i64>> = (0..10)
            .flat_map(|a| (0..10).map(move |b| vec![a, b]))
            .collect();
        let mut some = 0;
        for row in rows.iter().filter(|row| row["answers"].is_string()) {
            let lost = broken(row);
            let Some(cell) = shown.get(&key(row)) else {
                assert!(lost.is_empty(), "{} is not there", key(row));
                continue;
            };
            some += 1;
            let says = cell["says"][0].as_str().unwrap();
            let due = format!(
                "{} of the {} right answers are lost",
                lost.len(),
                row["base_correct"]
            );
            assert_eq!(says, due);
            let rows = cell["rows"].as_array().unwrap();
            assert_eq!(rows.len(), lost.len().min(40), "{verb}: {cell}");
            let due: Vec<&Vec<i64>> = lost.iter().map(|i| &all[*i]).collect();
            for row in rows {
                let of = operands(row, 2);
                assert!(due.contains(&&of), "{of:?} did not break");
                assert_eq!(row[2], (of[0] + of[1]).to_string());
                // 9 + 9 carries into the tens, 4 + 4 nowhere.
                let carry = if of[0] + of[1] > 9 { "tens" } else { "none" };
                assert_eq!(row[3], carry);
            }
        }
        assert!(some > 1, "{verb}");
    }
}

/// With the file of a run's `--answers` a page says what was said instead.
#[test]
fn what_was_said_is_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = planted("run --ablation cama,zero")
        .model("planted-noisy")
        .operands("0..=9");
    let mut command = run.run();
    command.arg("--record").arg(path("record.jsonl"));
    stdout(command.arg("--answers").arg(path("answers.jsonl")));
    let words = format!("--answers {}", path("answers.jsonl").display());
    let shown = cells(&page(&path("record.jsonl"), &words));
    let text = std::fs::read_to_string(path("answers.jsonl")).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut checked = 0;
    for (key, cell) in &shown {
        let columns: Vec<&str> = cell["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c.as_str().unwrap())
            .collect();
        assert_eq!(
            columns[4..],
            ["said", "margin", "the model's margin", "prompt"]
        );
        for row in cell["rows"].as_array().unwrap() {
            let is_it = |line: &&Value| {
                key.ends_with(&format!(": {}", line["cell"].as_str().unwrap()))
                    && ints(&line["operands"]) == operands(row, 2)
            };
            let line = lines.iter().find(is_it).unwrap();
            assert_eq!(
                (&line["right"], &line["base_right"]),
                (&Value::Bool(false), &Value::Bool(true))
            );
            assert_eq!(row[4], format!("{:?}", line["text"].as_str().unwrap()));
            assert_eq!(
                row[5],
                format!("{:+.2}", line["logit_difference"].as_f64().unwrap() as f32)
            );
            assert_eq!(row[7], line["prompt"]);
            checked += 1;
        }
    }
    assert!(checked > 10);
}

/// Answers of another run, of half a run and of no run are told apart from those of the record.
#[test]
fn answers_that_are_not_of_the_record_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = planted("run --ablation zero").operands("0..=4");
    let mut command = run.run();
    command.arg("--record").arg(path("record.jsonl"));
    stdout(command.arg("--answers").arg(path("answers.jsonl")));
    let text = std::fs::read_to_string(path("answers.jsonl")).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let other = first.replace("\"base_right\":true", "\"base_right\":false");
    assert_ne!(first, other);
    let unknown = first.replace("\"sweep\":\"", "\"sweep\":\"f");
    for (text, code, reason) in [
        (
            format!("{other}\n{rest}"),
            exit::RECORD,
            "the two files are of different runs",
        ),
        (
            rest.to_owned(),
            exit::USAGE,
            "there are 24 lines of the cell",
        ),
        (
            format!("{text}{first}\n"),
            exit::RECORD,
            "is not the one that the record has",
        ),
        (
            unknown,
            exit::USAGE,
            "no line is of a cell of these records",
        ),
        (
            "{}\n".to_owned(),
            exit::RECORD,
            "it is not a line of a file that --answers",
        ),
    ] {
        std::fs::write(path("other.jsonl"), text).unwrap();
        let mut report = af1("report --format html");
        report.arg(path("record.jsonl"));
        refused(
            report.arg("--answers").arg(path("other.jsonl")),
            code,
            &[reason],
        );
    }
    let mut report = af1("report --format csv");
    report.arg(path("record.jsonl"));
    refused(
        report.arg("--answers").arg(path("answers.jsonl")),
        exit::USAGE,
        &["--answers is shown as html"],
    );
}
