//! `af1 study`: the experiments of a file on its models; and what a run takes, before it is run.

use std::path::Path;

use af1::error::exit;
use af1::record;
use rstest::rstest;

use super::fixtures::path;
use super::program::{Words, af1, planted, stdout};

/// A copy of the study that `--init` prints, in a folder of its own.
fn study(folder: &Path) -> std::path::PathBuf {
    let file = folder.join("study.toml");
    std::fs::write(&file, stdout(af1("study --init"))).unwrap();
    file
}

#[test]
fn what_init_prints_can_be_run_and_goes_on() {
    let printed = stdout(af1("study --init"));
    assert_eq!(
        printed,
        std::fs::read_to_string(path("study/planted.toml")).unwrap()
    );
    let folder = tempfile::tempdir().unwrap();
    let file = study(folder.path());
    let said = stdout(af1("study").arg(&file));
    for due in [
        "planted-af1: symbolic A+B: AF1(3, 2) with cama keeps 100/100 1.00 [.96, 1.00] of the right answers: pass",
        "planted-late: symbolic A+B: AF1(3, 2) with cama keeps 0/100 .00 [.00, .04] of the right answers: FAIL",
        "in layers 3, 4",
        "study.html",
    ] {
        assert!(said.contains(due), "{due}:\n{said}");
    }
    let page = std::fs::read(folder.path().join("study.html")).unwrap();
    let lines = record::read(&folder.path().join("study.jsonl")).unwrap();
    assert_eq!(
        String::from_utf8(page.clone()).unwrap(),
        af1::report::html(&lines)
    );
    // Nothing is measured again, and the bytes stay.
    let record = std::fs::read(folder.path().join("study.jsonl")).unwrap();
    let costs = stdout(af1("study --dry-run").arg(&file));
    assert_eq!(
        costs.matches("nothing is left to measure").count(),
        5,
        "{costs}"
    );
    assert_eq!(stdout(af1("study").arg(&file)), said);
    assert_eq!(
        std::fs::read(folder.path().join("study.jsonl")).unwrap(),
        record
    );
    assert_eq!(
        std::fs::read(folder.path().join("study.html")).unwrap(),
        page
    );
}

/// A part that fails does not take the others with it, and the program says so in the end.
#[test]
fn what_cannot_be_asked_is_said_and_the_rest_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    let text = stdout(af1("study --init")).replace("\"planted-late\"", "\"no-such-model\"");
    std::fs::write(&file, text).unwrap();
    let output = af1("study").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(exit::UNKNOWN_MODEL)));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("100/100 1.00 [.96, 1.00] of the right answers: pass"),
        "{said}"
    );
    assert!(folder.path().join("study.html").is_file());
}

/// Where nothing can be asked there is no page, and the reason is that of the first part.
#[test]
fn a_study_of_no_model_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    let text = stdout(af1("study --init")).replace("planted-", "no-such-");
    std::fs::write(&file, text).unwrap();
    let output = af1("study").arg(&file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        output.status.code(),
        Some(i32::from(exit::UNKNOWN_MODEL)),
        "{said}"
    );
    assert!(!folder.path().join("study.html").exists());
}

#[rstest]
#[case("record = \"a\"", "missing field")]
#[case("record = \"a\"\npage = \"b\"\nmodels = []", "it asks nothing")]
#[case(
    "record = \"a\"\npage = \"a\"\nmodels = [\"planted-af1\"]\n[[experiment]]\nrun = \"run\"",
    "the same file"
)]
#[case(
    "record = \"a\"\npage = \"b\"\nmodels = [\"planted-af1\"]\n[[experiment]]\nrun = \"walk\"",
    "walk"
)]
#[case(
    "record = \"a\"\npage = \"b\"\nmodels = [\"planted-af1\"]\nturbo = 1\n[[experiment]]\nrun = \"run\"",
    "turbo"
)]
#[case(
    "record = \"a\"\npage = \"b\"\nmodels = [\"planted-af1\"]\n[options]\noperands = \"0 to 9\"\n[[experiment]]\nrun = \"run\"",
    "'0 to 9' for '--operands"
)]
#[case(
    "record = \"a\"\npage = \"b\"\nmodels = [\"planted-af1\"]\n[[experiment]]\nrun = \"run --record c\"",
    "--record is not for a study to say"
)]
#[case(
    "record = \"a\"\npage = \"b\"\nmodels = [\"planted-af1\"]\n[options]\nno-such-option = 1\n[[experiment]]\nrun = \"run\"",
    "--no-such-option"
)]
fn a_wrong_file_is_refused_before_anything_is_measured(#[case] text: &str, #[case] part: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    std::fs::write(&file, text).unwrap();
    let output = af1("study").arg(&file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(i32::from(exit::USAGE)), "{said}");
    assert!(said.contains(part) && said.contains("study.toml"), "{said}");
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "nothing is written");
}

/// A dry run counts prompts and cells, those that the record holds apart, and measures nothing.
#[test]
fn a_dry_run_counts() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let run = |options: &str| {
        let words = format!("{options} --record");
        stdout(planted("waiting").run().words(&words).arg(&record))
    };
    let rows = |text: &str| -> Vec<String> {
        let line = text
            .lines()
            .find(|line| line.starts_with("| symbolic"))
            .unwrap();
        line.split('|')
            .map(|cell| cell.trim().to_owned())
            .filter(|cell| !cell.is_empty())
            .collect()
    };
    let before = run("--wait 0,3 --dry-run");
    assert_eq!(rows(&before), ["symbolic A+B", "100", "6", "0", "700"]);
    assert!(!record.exists(), "a dry run writes nothing");
    run("--wait 3");
    let after = run("--wait 0,3 --dry-run");
    assert_eq!(rows(&after), ["symbolic A+B", "100", "6", "3", "400"]);
    run("--wait 0");
    assert!(run("--wait 0,3 --dry-run").contains("nothing is left to measure"));
}

/// Of prompts that are contexts alone, such as those whose answers have another number of tokens, only the unmodified model is asked.
#[test]
fn a_dry_run_counts_contexts_once() {
    let words = "run --model planted-digits --style symbolic --operation A+B --operands 40..=59 --wait 3 --transfer 2 --ablation cama";
    let mut run = af1(words);
    let said = stdout(run.words("--dry-run"));
    // Of 400 sums 210 have two digits. Fewer have three, so these are asked.
    let (asked, all) = (210, 400);
    let row = format!("| {asked} | 1 | 0 | {} |", all + asked);
    let found: String = said
        .split(' ')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    assert!(found.contains(&row), "{row} is not in: {said}");
}
