//! Records of earlier schemas are read and shown as the program showed them that wrote them, and what was measured once is taken up by
//! every run that asks for it.

use std::path::Path;

use af1::record::{self, Line, Row};
use rstest::rstest;

use super::fixtures::path;
use super::program::{Words, af1, planted, stdout};

/// The records of schema 2, and what `af1 report` made of them when that was the schema: the same rows, in the words of today.
fn of_schema_2() -> Vec<std::path::PathBuf> {
    let folder = std::fs::read_dir(path("records/schema-2")).unwrap();
    let files = folder.map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    files.sort();
    files
}

#[test]
fn records_of_schema_2_are_shown_as_before() {
    let files = of_schema_2();
    assert!(files.len() >= 15, "every kind of line: {files:?}");
    for file in files {
        let shown = stdout(af1("report --format table").arg(&file));
        let before = std::fs::read_to_string(file.with_extension("txt")).unwrap();
        assert!(shown == before, "{}:\n{shown}", file.display());
    }
}

/// Once read, they are records of this schema: written again they are read as the same.
#[test]
fn records_of_schema_2_become_records_of_this_schema() {
    for file in of_schema_2() {
        for line in record::read(&file).unwrap() {
            let schema = format!("{{\"schema\":{},", record::SCHEMA);
            assert!(line.text.starts_with(&schema), "{}", line.text);
            let again = Line::read(&line.text).unwrap();
            assert_eq!(Line::new(again.row).text, line.text);
        }
    }
}

/// A shard of schema 2 is seen to be one.
#[test]
fn a_missing_shard_of_schema_2_is_noticed() {
    let lines = record::read(&path("records/schema-2/shard.jsonl")).unwrap();
    let said = record::incomplete(&lines);
    assert!(
        said.len() == 1 && said[0].contains("has 8 of its 16 cells: a shard is missing"),
        "{said:?}"
    );
    let all = record::read(&path("records/schema-2/run.jsonl")).unwrap();
    assert!(record::incomplete(&all).is_empty());
}

/// How often a record has the same cell.
fn cells(record: &Path) -> usize {
    let lines = record::read(record).unwrap();
    let mut addresses: Vec<_> = lines.iter().map(|line| line.address().unwrap()).collect();
    let all = addresses.len();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), all, "a cell was measured twice");
    all
}

/// What one run asks for after another: only what is new is measured, and the record is that of one run that asks for all.
#[rstest]
#[case::waits(
    "waiting --wait 0,3",
    "waiting --wait 0,3,4",
    "waiting --wait 0,3,4",
    6,
    9
)]
#[case::fewer(
    "waiting --wait 0,3,4",
    "waiting --wait 3",
    "waiting --wait 0,3,4",
    9,
    9
)]
#[case::before("waiting --wait 4", "waiting --wait 0,3", "waiting --wait 0,3,4", 3, 9)]
#[case::ablations(
    "run --ablation cama",
    "run --ablation cama,zero",
    "run --ablation cama,zero",
    1,
    2
)]
#[case::maskings(
    "run --masking no-sink",
    "run --masking abp",
    "run --masking abp,no-sink",
    3,
    6
)]
#[case::grid(
    "transfer --wait 3 --transfer 1",
    "transfer --wait 2,3 --transfer 1,2",
    "transfer --wait 2,3 --transfer 1,2",
    3,
    12
)]
#[case::styles(
    "run --style symbolic",
    "run --style symbolic,verbal",
    "run --style symbolic,verbal",
    3,
    6
)]
#[case::contexts(
    "contexts --numbers 1 --draws 2",
    "contexts --numbers 1,3 --draws 2",
    "contexts --numbers 1,3 --draws 2",
    2,
    4
)]
fn cells_are_taken_up_whatever_run_asked_for_them(
    #[case] first: &str,
    #[case] second: &str,
    #[case] all: &str,
    #[case] known: usize,
    #[case] count: usize,
) {
    let folder = tempfile::tempdir().unwrap();
    let (record, whole) = (folder.path().join("record"), folder.path().join("whole"));
    let run = |words: &str, record: &Path| {
        let style = if words.contains("--style") {
            ""
        } else {
            " --style symbolic"
        };
        let words = format!("{words}{style} --model planted-af1 --operation A+B --operands 0..=4");
        stdout(af1(&words).arg("--record").arg(record))
    };
    run(first, &record);
    assert_eq!(cells(&record), known);
    let shown = run(second, &record);
    assert_eq!(cells(&record), count);
    // What a run shows are the cells that it asked for, whoever measured them.
    let alone = folder.path().join("alone");
    assert_eq!(shown, run(second, &alone));
    run(all, &whole);
    let report = |record: &Path| stdout(af1("report --format table").arg(record));
    assert_eq!(report(&record), report(&whole), "one table");
    // Joined with the record of all, nothing is said twice.
    let merged = stdout(af1("merge").arg(&record).arg(&whole));
    let merged_path = folder.path().join("merged");
    std::fs::write(&merged_path, merged).unwrap();
    assert_eq!(cells(&merged_path), count);
    assert_eq!(report(&merged_path), report(&whole));
}

/// A run shows templates as it asks for them, whichever were measured first.
#[test]
fn templates_are_shown_as_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let run = |styles: &str, record: &str| {
        let record = folder.path().join(record);
        let planted = planted("run --ablation cama").operands("0..=4");
        stdout(planted.style(styles).run().arg("--record").arg(record))
    };
    run("verbal", "record");
    assert_eq!(
        run("symbolic,verbal", "record"),
        run("symbolic,verbal", "alone")
    );
}

/// A run that did not end is seen to lack cells, also where an earlier one asked for fewer.
#[test]
fn what_is_missing_is_counted_by_the_run_that_asked_for_most() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record");
    let run = |words: &str| {
        let mut run = planted(words).operands("0..=4").run();
        stdout(run.words("--ablation cama").arg("--record").arg(&record))
    };
    let missing = || record::incomplete(&record::read(&record).unwrap());
    run("waiting --wait 0,3");
    assert!(missing().is_empty());
    run("waiting --wait 0,2,3,4,5 --shard 2/2");
    let said = missing();
    assert!(
        said.len() == 1 && said[0].contains("has 4 of its 5 cells: shard 1/2 is missing"),
        "{said:?}"
    );
    run("waiting --wait 0,2,3,4,5");
    assert!(missing().is_empty());
    // What ended is not said any more where nothing is missing.
    let lines = record::merge(&[record]).unwrap();
    assert!(
        lines
            .iter()
            .all(|line| matches!(line.row, Row::Measured(_)))
    );
}
