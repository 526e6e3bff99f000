//! What a model says where it cannot do a task, and what that points at.

use std::path::{Path, PathBuf};

use af1::record::{self, Hint, Measurement, Row};

use super::fixtures::SMOLLM2;
use super::program::{af1, planted, stdout};

/// AF1(20, 6) of the real model with a template of one's own, on single digits: the record, and what is printed.
fn asked(folder: &Path, template: &str) -> (PathBuf, Measurement, String) {
    let styles = folder.join("styles.toml");
    let text = format!("[[style]]\nid = 'mine'\n[style.templates]\n'A+B' = '{template}'\n");
    std::fs::write(&styles, text).unwrap();
    let record = folder.join(format!("{}.jsonl", template.len()));
    let words = "run --ablation cama --operands 0..=9 --results 0..=9 --wait 20 --transfer 6 --contexts-from answerable --model";
    let mut run = af1(words);
    run.arg(SMOLLM2);
    run.arg("--styles")
        .arg(&styles)
        .arg("--record")
        .arg(&record);
    let printed = stdout(&mut run);
    let lines = record::read(&record).unwrap();
    let [line] = &lines[..] else {
        panic!("{} lines", lines.len());
    };
    let Row::Measured(m) = &line.row else {
        panic!("{}", line.text);
    };
    (record, (**m).clone(), printed)
}

/// A template that lacks a space looks like a model that cannot add: what it says instead is a space, and with the space it can.
#[test]
fn a_forgotten_space_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (record, without, printed) = asked(folder.path(), "{A} plus {B} equals");
    assert_eq!(
        (without.counts.base_correct, without.counts.prompts),
        (0, 53)
    );
    assert_eq!(without.wrong.hint, Some(Hint::AddSpace));
    let counts: Vec<usize> = without.wrong.said.iter().map(|said| said.count).collect();
    assert!(
        counts.is_sorted_by(|a, b| a >= b) && counts.len() <= 5,
        "{counts:?}"
    );
    assert!(counts.iter().sum::<usize>() <= 53);
    assert_eq!(without.wrong.said[0].text, " ");
    let shown = |format: &str| stdout(af1("report").arg(&record).args(["--format", format]));
    for text in [printed, shown("markdown"), shown("html")] {
        let first = format!("␣\" ({})", counts[0]);
        assert!(
            text.contains(&first) || text.contains(&first.replace('"', "&quot;")),
            "{text}"
        );
        assert!(
            text.contains("hint: ") && text.contains("try a space"),
            "{text}"
        );
    }

    let (_, with, printed) = asked(folder.path(), "{A} plus {B} equals ");
    assert_eq!((with.counts.base_correct, with.wrong.hint), (38, None));
    // Below the claim all the same: what it says instead of the other answers are other numbers.
    let numbers = with
        .wrong
        .said
        .iter()
        .filter(|said| said.text.parse::<i64>().is_ok());
    assert!(numbers.count() > 0, "{:?}", with.wrong.said);
    assert!(printed.contains("what it says on the other 15: ") && !printed.contains("hint: "));
}

/// A model that can do the task has nothing else to say, and old records, which do not say it, are read.
#[test]
fn nothing_is_said_where_the_model_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    let mut run = planted("run --ablation cama").run();
    let printed = stdout(run.arg("--record").arg(&path));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        !text.contains("base_wrong") && !text.contains("base_hint"),
        "{text}"
    );
    assert!(!printed.contains("what it says"), "{printed}");
    record::read(&path).unwrap();
}
