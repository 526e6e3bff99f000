//! Whole answers of several tokens: under every condition of a gate, and those of several styles together.

use std::path::Path;

use rstest::rstest;
use serde_json::Value;

use super::program::{af1, json_lines};

/// A gate of every condition on whole answers, and of some on a step.
const GATE: &str = r#"
operands = "10..=49"
results = "0..=98"
limit = 400

[[claim]]
style = "symbolic"
operation = "A+B"
wait = 3
transfer = 2
faithful = 0.9
margin = 0.01
better_than = ["mean", "zero"]
necessity_drop = 0.5
right_answers = 150
step = "whole"

[[claim]]
style = "symbolic"
operation = "A+B"
wait = 3
transfer = 2
faithful = 0.9
better_than = ["global-mean"]
necessity_drop = 0.5
step = 1
"#;

/// The exit code of the gate, and the answers to its claims.
fn gate(model: &str, folder: &Path, args: &[&str]) -> (i32, Vec<Value>) {
    let config = folder.join("gate.toml");
    std::fs::write(&config, GATE).unwrap();
    let mut run = af1(&format!("gate --model {model} --format json"));
    let output = run.arg("--config").arg(config).args(args).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines = printed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let answers = lines.filter(|line| line["experiment"] == "gate").collect();
    (output.status.code().unwrap(), answers)
}

/// What was asked, and what came of it.
fn conditions(answer: &Value) -> Vec<(&str, &str)> {
    let all = answer["conditions"].as_array().unwrap().iter();
    all.map(|c| (c["asked"].as_str().unwrap(), c["outcome"].as_str().unwrap()))
        .collect()
}

/// What is claimed is true of the first two models. The third brings the operands to the last token later, and the fourth does not carry,
/// so that it has fewer right answers, of which it keeps all.
#[rstest]
#[case("planted-digits", 0)]
#[case("planted-digits-apart", 0)]
#[case("planted-digits-relay", 1)]
#[case("planted-digits-copy", 0)]
fn every_condition_is_held_to_whole_answers(#[case] model: &str, #[case] code: i32) {
    let folder = tempfile::tempdir().unwrap();
    let (found, answers) = gate(model, folder.path(), &[]);
    assert_eq!(found, code, "{answers:#?}");
    let [whole, step] = &answers[..] else {
        panic!("{answers:#?}");
    };
    assert_eq!(whole["claim"], "symbolic A+B 2+2=2 whole AF1(3, 2)");
    assert_eq!(step["claim"], "symbolic A+B 2+2=2 step 1 AF1(3, 2)");
    for (answer, asked) in [(whole, 6), (step, 4)] {
        let all = conditions(answer);
        assert_eq!(all.len(), asked, "{all:?}");
        let failed = all.iter().filter(|(_, outcome)| *outcome == "fail").count();
        assert_eq!(failed > 0, code == 1, "{all:?}");
    }
}

/// The same model is no worse than itself; one that drops carries is worse in whole answers, and holds in their second token.
#[test]
fn a_baseline_is_held_in_whole_answers() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let record = record.to_str().unwrap();
    let (code, _) = gate("planted-digits", folder.path(), &["--record", record]);
    assert_eq!(code, 0);
    let against = |model: &str| gate(model, folder.path(), &["--baseline", record]);
    let (code, same) = against("planted-digits");
    assert_eq!(code, 0, "{same:#?}");
    let (code, worse) = against("planted-digits-copy");
    assert_eq!(code, 1, "{worse:#?}");
    let of_model = |answer: &Value| {
        let all = conditions(answer);
        let found = all
            .iter()
            .find(|(asked, _)| asked.starts_with("the model itself"));
        found.unwrap().1.to_owned()
    };
    assert_eq!([&same[0], &same[1]].map(of_model), ["pass", "pass"]);
    assert_eq!([&worse[0], &worse[1]].map(of_model), ["fail", "pass"]);
}

/// Whole answers of several styles and operations together are the sum of those of every template, an answer of one token among them; a
/// single step of several is not pooled, because which token is right most often there does not follow from operands. The differences of
/// these operands have one digit.
#[test]
fn whole_answers_are_pooled() {
    let run = "run --model planted-digits-copy --style symbolic,calculate --operation A+B,A-B --operands 10..=29 --ablation cama,mean";
    let rows = json_lines(af1(run));
    let of = |experiment: &str| -> Vec<&Value> {
        rows.iter()
            .filter(|row| row["experiment"] == experiment)
            .collect()
    };
    let pools = of("pooled");
    let of_sums = |row: &&Value| row["experiment"] == "whole";
    let of_differences = |row: &&Value| {
        row["experiment"] == "af1" && row["operation"] == "A-B" && row["shape"] == "2-2=1"
    };
    let whole = rows
        .iter()
        .filter(|row| of_sums(row) || of_differences(row));
    let whole: Vec<&Value> = whole.collect();
    for ablation in ["cama", "mean"] {
        for (operation, styles) in [("A+B", 1), ("A-B", 1), ("2 operations", 2)] {
            let is = |row: &&&Value| row["ablation"] == ablation && row["transfer"] == 2;
            let mut found = pools.iter().filter(is);
            let pool = found.find(|pool| pool["operation"] == operation).unwrap();
            let members = whole
                .iter()
                .filter(is)
                .filter(|row| styles == 2 || row["operation"] == operation);
            let members: Vec<_> = members.collect();
            assert_eq!(members.len(), 2 * styles);
            for field in ["prompts", "base_correct", "correct", "correct_given_base"] {
                let sum = members.iter().map(|row| row[field].as_u64().unwrap());
                assert_eq!(pool[field], sum.sum::<u64>(), "{field} of {pool}");
            }
        }
    }
    assert_eq!(pools.len(), 6, "{pools:?}");
}

/// A list of verdicts is not without whole answers, which can fail where every step passes.
#[rstest]
#[case("junit", &[], "name=\"symbolic A+B 2+2=2 STEP cama")]
#[case("markdown", &["--short"], "** planted-digits, symbolic A+B 2+2=2 STEP AF1(3, 2) with cama")]
fn lists_of_verdicts_have_whole_answers(
    #[case] format: &str,
    #[case] options: &[&str],
    #[case] claim: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let words =
        "run --model planted-digits --style symbolic --operation A+B --operands 40..=59 --record";
    let mut run = af1(words);
    assert!(run.arg(&record).output().unwrap().status.success());
    let mut report = af1("report --format");
    let output = report.arg(format).args(options).arg(&record).output();
    let shown = String::from_utf8(output.unwrap().stdout).unwrap();
    for step in ["step 0", "step 1", "whole"] {
        let claim = claim.replace("STEP", step);
        assert_eq!(shown.matches(&claim).count(), 1, "{step}: {shown}");
    }
}
