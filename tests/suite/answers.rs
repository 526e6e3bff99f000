//! Prompts that are drawn until so many answers are right, and files of what was said to every prompt.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use af1::error::exit;
use af1::prompt::Step;
use af1::record::{self, Measurement};
use rstest::rstest;
use serde_json::Value;

use super::bad_input::refused;
use super::fixtures::ints;
use super::lists::cells;
use super::program::{Words, json_lines, planted, stdout};

/// A model that is right on some prompts is asked until it was right so often; what it got wrong on the way counts.
#[test]
fn prompts_are_drawn_until_so_many_are_right() {
    let run = |words: &str| {
        let run = planted("run").model("planted-constant").operands("0..=20");
        cells(&stdout(
            run.run()
                .words("--ablation cama --format json")
                .words(words),
        ))
    };
    let all = run("--limit 100000").remove(0);
    assert!(
        all.counts.base_correct < all.counts.prompts,
        "{:?}",
        all.counts
    );
    let drawn = run("--right-answers 5").remove(0);
    assert_eq!(drawn.counts.base_correct, 5);
    assert!(drawn.counts.prompts > 5 && drawn.counts.prompts < all.counts.prompts);
    assert_eq!(drawn.counts.all_prompts, drawn.counts.prompts);
    assert_eq!(
        (drawn.provenance.right_answers, drawn.provenance.limit),
        (Some(5), None)
    );
    // The last one that was tried was right: a draw of fewer is the beginning of a draw of more.
    let fewer = run("--right-answers 4").remove(0);
    assert!(fewer.counts.prompts < drawn.counts.prompts);
    let operands = |m: &Measurement| {
        m.answers
            .operands
            .clone()
            .unwrap()
            .into_iter()
            .collect::<BTreeSet<_>>()
    };
    assert!(operands(&fewer).is_subset(&operands(&drawn)));
    // The same draw, and another one.
    assert_eq!(run("--right-answers 5")[0].answers, drawn.answers);
    assert_ne!(run("--right-answers 5 --seed 7")[0].answers, drawn.answers);
    assert_eq!(drawn.contexts, all.contexts, "contexts are all operands");
}

/// An answer of several tokens is right where every step is: all steps are asked the same prompts.
#[test]
fn whole_answers_are_drawn() {
    let run = planted("run")
        .model("planted-digits-copy")
        .operands("10..=49");
    let found = cells(&stdout(
        run.run()
            .words("--shape 2+2=2 --right-answers 60 --ablation cama --format json"),
    ));
    let [units, tens] = &found[..] else {
        panic!("{} cells", found.len());
    };
    assert_eq!(units.answers.operands, tens.answers.operands);
    let whole = units
        .answers
        .base
        .iter()
        .zip(&tens.answers.base)
        .filter(|(a, b)| **a && **b);
    assert_eq!(whole.count(), 60);
    assert!(units.counts.prompts > 60, "it carries wrongly");
}

#[test]
fn too_few_right_answers_are_an_error() {
    let mut run = planted("run").run();
    let reason =
        "--right-answers 101: of all 100 prompts the model answers 100 correctly; ask for fewer";
    refused(
        run.words("--right-answers 101"),
        exit::NO_PROMPTS,
        &[reason],
    );
    let text = stdout(planted("run").run().words("--right-answers 100"));
    assert!(
        text.contains("prompts drawn until 100 were answered correctly"),
        "{text}"
    );
    for (words, reason) in [
        ("--right-answers 5 --limit 5", "cannot be used with"),
        (
            "--right-answers 5 --estimator split",
            "only one half of the prompts would be evaluated",
        ),
        ("--right-answers 0", "0 is not in"),
    ] {
        refused(planted("run").run().words(words), exit::USAGE, &[reason]);
    }
}

fn answers(path: &Path) -> BTreeMap<(String, String), Vec<Value>> {
    let mut cells: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let of = |name: &str| row[name].as_str().unwrap().to_owned();
        cells.entry((of("step"), of("cell"))).or_default().push(row);
    }
    cells
}

/// Sums of the same numbers in another order, in f64.
const ROUNDING: f64 = 1e-12;

/// What is said to each prompt adds up to what the record says of the cell.
#[rstest]
#[case("run", "planted-noisy", "0..=15")]
#[case("waiting --wait 0,3,4", "planted-af1", "0..=9")]
#[case("necessity", "planted-af1", "0..=9")]
#[case("heads --controls 1", "planted-heads", "0..=9")]
#[case("alternatives", "planted-noisy", "0..=9")]
#[case("discover", "planted-noisy", "0..=15")]
#[case("contexts --numbers 1,3 --draws 2", "planted-noisy", "0..=9")]
#[case(
    "run --shape 2+2=2 --step whole,stop",
    "planted-digits-copy",
    "10..=29"
)]
fn answers_are_those_that_the_record_counts(
    #[case] verb: &str,
    #[case] model: &str,
    #[case] operands: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("answers.jsonl");
    let run = planted(verb).model(model).operands(operands);
    let text = stdout(run.run().words("--format json --answers").arg(&out));
    let text: String = text
        .lines()
        .filter(|line| !line.contains("\"experiment\":\"whole\""))
        .map(|line| format!("{line}\n"))
        .collect();
    let found = answers(&out);
    let cells = cells(&text);
    assert_eq!(cells.len(), found.len());
    for m in &cells {
        let rows = &found[&(m.place.step.to_string(), m.place.cell.name.clone())];
        let count = |fits: &dyn Fn(&Value) -> bool| rows.iter().filter(|row| fits(row)).count();
        let is = |name: &'static str| move |row: &Value| row[name] == true;
        assert_eq!(rows.len(), m.counts.prompts);
        assert_eq!(count(&is("right")), m.counts.correct);
        assert_eq!(count(&is("base_right")), m.counts.base_correct);
        let both = |row: &Value| row["right"] == true && row["base_right"] == true;
        assert_eq!(count(&both), m.counts.correct_given_base);
        let right: Vec<bool> = rows.iter().map(|row| row["right"] == true).collect();
        assert_eq!(right, m.answers.right);
        if let Some(operands) = &m.answers.operands {
            let of_rows: Vec<Vec<i64>> = rows.iter().map(|row| ints(&row["operands"])).collect();
            assert_eq!(&of_rows, operands);
        }
        let mean = |name: &str| {
            // Written as f32, summed as f64.
            let values = rows
                .iter()
                .map(|row| f64::from(row[name].as_f64().unwrap() as f32));
            values.sum::<f64>() / rows.len() as f64
        };
        let due = m.scores.logit_difference.unwrap().value;
        assert!(
            (mean("logit_difference") - due).abs() <= ROUNDING * due.abs(),
            "{due}"
        );
        let due = m.scores.base_logit_difference.unwrap();
        assert!(
            (mean("base_logit_difference") - due).abs() <= ROUNDING * due.abs(),
            "{due}"
        );
        for row in rows {
            // What is predicted has rank 1, and it is right where it reads as the answer does.
            assert_eq!(row["right"] == true, row["rank"] == 1, "{row}");
            let read = format!(
                "{}{}",
                row["given"].as_str().unwrap(),
                row["text"].as_str().unwrap()
            );
            let answer = row["answer"].to_string();
            let given = row["given"].as_str().unwrap().len();
            // Of planted models a token is a whole number or a digit.
            let due = match m.place.shape.as_ref().unwrap().answer {
                1 => &*answer,
                _ => &answer[..answer.len().min(given + 1)],
            };
            match m.place.step {
                Step::Stop => assert_eq!(given, answer.len()),
                _ => assert_eq!(row["right"] == true, read.trim() == due, "{row}"),
            }
        }
    }
}

/// With a record, cells are measured again, the record stays as it is, and nothing is left where a run fails.
#[test]
fn answers_come_also_of_what_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (record, out) = (
        folder.path().join("record.jsonl"),
        folder.path().join("answers.jsonl"),
    );
    let run = |words: &str| {
        let mut run = planted("waiting --wait 0,4").run();
        run.arg("--record").arg(&record).words(words);
        run
    };
    stdout(run(""));
    let before = std::fs::read(&record).unwrap();
    stdout(run("--answers").arg(&out));
    assert_eq!(std::fs::read(&record).unwrap(), before);
    let cells: usize = answers(&out)
        .values()
        .map(|rows| usize::from(rows.len() == 100))
        .sum();
    assert_eq!(cells, record::read(&record).unwrap().len());
    std::fs::remove_file(&out).unwrap();
    refused(
        run("--answers").arg(&out).words("--results 5000..=6000"),
        exit::NO_PROMPTS,
        &["no operands"],
    );
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .map(|file| file.file_name())
        .collect();
    assert_eq!(left, ["record.jsonl"]);
    refused(
        run("--answers").arg(&record),
        exit::USAGE,
        &["--answers and --record name the same file"],
    );
    for verb in ["attention", "patch"] {
        let mut run = planted(verb).run();
        refused(
            run.arg("--answers").arg(&out),
            exit::USAGE,
            &["not about answers to single prompts"],
        );
    }
    assert_eq!(json_lines(run("")).len(), cells);
}
