//! Claims of papers: what is true of a planted model is confirmed, what is false is contradicted, and what was not run says why.

use std::path::Path;

use af1::error::exit;
use rstest::rstest;
use serde_json::Value;

use super::program::{af1, json_lines, stdout};

/// The answers to claims of a file, or of those that come with the program.
fn answers(args: &str) -> Vec<Value> {
    json_lines(af1(&format!("claims {args}")))
}

/// A file with one claim about `planted-af1`, of which AF1(3, 2) is true.
fn file(folder: &Path, command: &str, expect: &str) -> String {
    let path = folder.join("claims.toml");
    let text = format!(
        "[[paper]]\nabout = \"a test\"\nsource = \"none\"\n[[paper.claim]]\nid = \"one\"\nsays = \"so\"\nconfidence = \"construction\"\n\
         [[paper.claim.test]]\nmodels = [\"planted-af1\"]\ncommand = \"{command}\"\nexpect = [{{ {expect} }}]\n"
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const RUN: &str = "run --style symbolic --operation A+B --operands 0..=9 --ablation cama";

/// Every claim about planted models, which are true, is confirmed; they are claims of which some are of steps, of whole answers, of classes
/// of prompts, of verdicts and of differences.
#[test]
fn what_was_planted_is_confirmed() {
    let ids = "planted-waiting,planted-sufficiency,planted-insufficiency,planted-carry";
    let all = answers(&format!("--claim {ids}"));
    assert_eq!(all.len(), 8);
    for answer in &all {
        assert_eq!(answer["outcome"], "confirmed", "{answer}");
        assert!(!answer["findings"].as_array().unwrap().is_empty());
    }
    let table = stdout(&mut af1(&format!("claims --claim {ids}")));
    assert!(
        table.starts_with("8 tests of claims: 8 confirmed ("),
        "{table}"
    );
}

/// One hundred prompts, all of which AF1(3, 2) keeps: the interval is [.963, 1].
#[rstest]
#[case("verdict = \"pass\"", "confirmed")]
#[case("verdict = \"fail\"", "contradicted")]
#[case("field = \"faithfulness\", at_least = 0.9", "confirmed")]
#[case("field = \"faithfulness\", at_least = 0.99", "undecided")]
#[case("field = \"faithfulness\", at_most = 0.9", "contradicted")]
#[case("field = \"faithfulness\", above = 0.9", "confirmed")]
#[case("field = \"faithfulness\", below = 0.9", "contradicted")]
#[case(
    "rows = { wait = 3, ablation = \"cama\" }, field = \"base_accuracy\", at_least = 0.9",
    "confirmed"
)]
#[case(
    "rows = { wait = 4 }, field = \"faithfulness\", at_least = 0.9",
    "not-run"
)]
#[case("field = \"wait\", at_least = 0.9", "not-run")]
fn an_expectation_is_held_to_the_interval(#[case] expect: &str, #[case] outcome: &str) {
    let folder = tempfile::tempdir().unwrap();
    let all = answers(&file(folder.path(), RUN, expect));
    let [answer] = &all[..] else {
        panic!("{all:?}");
    };
    assert_eq!(answer["outcome"], outcome, "{answer}");
    assert_eq!(
        answer["not_run"].is_null(),
        outcome != "not-run",
        "{answer}"
    );
}

/// A model that always says 7 is right about few sums, and AF1 keeps all of them: a claim about models that can do the task is neither
/// confirmed nor contradicted by it.
#[rstest]
#[case("", "contradicted", "8/8 1.000 [0.676, 1.000]")]
#[case("base_accuracy = 0.02\n", "contradicted", "8/8 1.000 [0.676, 1.000]")]
#[case(
    "base_accuracy = 0.021\n",
    "undecided",
    "the model is right on 8/400 0.020 [0.010, 0.039]; the claim asks for at least 0.021"
)]
fn a_model_that_hardly_does_the_task(
    #[case] least: &str,
    #[case] outcome: &str,
    #[case] found: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = file(
        folder.path(),
        &RUN.replace("0..=9", "0..=19"),
        "field = \"faithfulness\", at_most = 0.5",
    );
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("planted-af1", "planted-constant");
    let text = text.replace(
        "[[paper.claim.test]]",
        &format!("{least}[[paper.claim.test]]"),
    );
    std::fs::write(&path, text).unwrap();
    let answer = &answers(&path)[0];
    assert_eq!(answer["outcome"], outcome, "{answer}");
    assert_eq!(answer["findings"][0]["found"], found);
    let said = stdout(af1("claims").arg(&path));
    let asks = "of models that are right on at least 0.02";
    assert_eq!(said.contains(asks), !least.is_empty(), "{said}");
}

/// A knock-out has a base accuracy; residuals that are read have none, so that a claim that asks for one is not tested by them.
#[test]
fn what_has_no_base_accuracy_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let command = "lens --style symbolic --operation A+B --operands 0..=9 --layer 8";
    let path = file(
        folder.path(),
        command,
        "field = \"lens.last.answer.first\", at_least = 0.9",
    );
    assert_eq!(answers(&path)[0]["outcome"], "confirmed");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace(
        "[[paper.claim.test]]",
        "base_accuracy = 0.5\n[[paper.claim.test]]",
    );
    std::fs::write(&path, text).unwrap();
    let answer = &answers(&path)[0];
    assert_eq!(answer["outcome"], "not-run", "{answer}");
    let reason = answer["not_run"].as_str().unwrap();
    assert!(reason.ends_with("has no base accuracy"), "{reason}");
}

/// What is measured is recorded, so that the same claims are answered again without measuring; the numbers are those of the verb itself.
#[test]
fn a_claim_is_answered_from_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let file = file(
        folder.path(),
        RUN,
        "field = \"faithfulness\", at_least = 0.9",
    );
    let args = format!("{file} --record {}", record.display());
    let first = answers(&args);
    let written = std::fs::read(&record).unwrap();
    assert_eq!(answers(&args), first);
    assert_eq!(std::fs::read(&record).unwrap(), written);
    let rows = json_lines(af1(&format!("{RUN} --model planted-af1")));
    let n = |field: &str| rows[0][field].as_u64().unwrap();
    let counts = format!("{}/{} ", n("correct_given_base"), n("base_correct"));
    let found = first[0]["findings"][0]["found"].as_str().unwrap();
    assert!(found.starts_with(&counts), "{found}");
}

/// Models that would have to be fetched are measured only where they are asked for. Where something is asked for, nothing else is measured;
/// `--list` measures nothing.
#[test]
fn what_is_not_run_says_why() {
    let all = answers("--list");
    assert!(all.len() > 30);
    let reason = |answer: &Value| answer["not_run"].as_str().unwrap().to_owned();
    assert!(all.iter().all(|answer| !reason(answer).is_empty()));
    let all = answers("--claim other-models,fourier,planted-waiting --model planted-late");
    let reasons: Vec<String> = all.iter().map(reason).collect();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert!(reasons[0].contains("--model leaves it out"), "{reasons:?}");
    let all = answers("--claim other-models");
    assert!(reason(&all[0]).contains("--model pythia-6.9b"), "{all:?}");
}

/// Everything that is wrong with a file is said at once, and nothing is measured before.
#[rstest]
#[case("", "it claims nothing")]
#[case(
    "[[paper]]\nabout = \"x\"\nsource = \"x\"\nclaim = []\n",
    "it claims nothing"
)]
#[case(
    "[[paper]]\nabout = \"x\"\nsource = \"x\"\n[[paper.claim]]\nid = \"a\"\nsays = \"x\"\nconfidence = \"paper\"\n",
    "claim \"a\": expected either tests, or not_run with the reason"
)]
#[case(
    "[[paper]]\nabout = \"x\"\nsource = \"x\"\n[[paper.claim]]\nid = \"a\"\nsays = \"x\"\nconfidence = \"guess\"\n",
    "claim \"a\": its confidence is guess; expected construction, code, paper or report"
)]
#[case(
    "[[paper]]\nabout = \"x\"\nsource = \"x\"\n[[paper.claim]]\nid = \"a\"\nsays = \"x\"\nconfidence = \"paper\"\nnot_run = \"x\"\n\
    [[paper.claim]]\nid = \"a\"\nsays = \"x\"\nconfidence = \"paper\"\nnot_run = \"x\"\n",
    "claim \"a\": another claim has the same id"
)]
#[case(
    "[[paper]]\nabout = \"x\"\nsource = \"x\"\n[[paper.claim]]\nid = \"a\"\nsays = \"x\"\nconfidence = \"paper\"\n\
    [[paper.claim.test]]\nmodels = []\ncommand = \"run\"\nexpect = [{ verdict = \"pass\", field = \"x\" }]\n",
    "claim \"a\": test 1: expected at least one model"
)]
#[case(
    "[[paper]]\nabout = \"x\"\nsource = \"x\"\n[[paper.claim]]\nid = \"a\"\nsays = \"x\"\nconfidence = \"paper\"\nbase_accuracy = 50\n\
    not_run = \"x\"\n",
    "claim \"a\": base_accuracy is 50; expected a share of the prompts, above 0 and at most 1"
)]
fn a_wrong_file(#[case] text: &str, #[case] part: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("claims.toml");
    std::fs::write(&path, text).unwrap();
    refused(&path, part);
}

/// A command that is none, or that names the model, which the test does.
#[rstest]
#[case(
    "walk --style symbolic",
    "\"walk --style symbolic\": error: unrecognized subcommand 'walk'"
)]
#[case("run --stile symbolic", "unexpected argument '--stile'")]
#[case("", "\"\": ")]
#[case("run --model planted-late", "--model is not for a claim to say")]
#[case("run --answers=precious.txt", "--answers is not for a claim to say")]
#[case("waiting --shard 1/2", "--shard is not for a claim to say")]
#[case("run -m planted-late", "--model is not for a claim to say")]
#[case("run -d cpu", "--device is not for a claim to say")]
#[case("run --dry-run", "--dry-run is not for a claim to say")]
#[case("run --wide", "--wide is not for a claim to say")]
fn a_wrong_command(#[case] command: &str, #[case] part: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), command, "verdict = \"pass\"");
    refused(Path::new(&path), part);
}

/// A bound that is none, and fields that no record has.
#[rstest]
#[case(
    "field = \"faithfulness\", at_least = nan",
    "the bound NaN: expected a number that is finite"
)]
#[case("field = \"faithfulness\", at_most = inf", "the bound inf")]
#[case(
    "field = \"faithfulnes\", at_least = 0.9",
    "\"faithfulnes\" is no field of a record"
)]
#[case(
    "rows = { wiat = 3 }, verdict = \"pass\"",
    "\"wiat\" is no field of a record"
)]
#[case("verdict = \"pass\", at_least = 0.9", "expected either a verdict")]
fn a_wrong_expectation(#[case] expect: &str, #[case] part: &str) {
    let folder = tempfile::tempdir().unwrap();
    refused(Path::new(&file(folder.path(), RUN, expect)), part);
}

/// What is asked with another technique than ABP is called so, also where it is the only one.
#[test]
fn a_technique_is_named() {
    let run = "run --model planted-af1 --style symbolic --operation A+B --operands 0..=9 --ablation cama --masking no-sink";
    let table = stdout(&mut af1(run));
    assert!(
        table.contains("masked by") && table.contains("AF1(3, 2) under no-sink"),
        "{table}"
    );
}

/// A list is not replaced by what is asked of it.
#[rstest]
fn a_list_is_not_lost(#[values("--answers", "--out", "--record")] option: &str) {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.jsonl");
    std::fs::write(&list, "{\"A\": 1, \"B\": 2}\n").unwrap();
    let mut run = af1("run --model planted-af1 --style symbolic --operation A+B --prompts");
    let output = run.arg(&list).arg(option).arg(&list).output().unwrap();
    assert_eq!(output.status.code(), Some(exit::USAGE.into()));
    assert!(std::fs::read_to_string(&list).unwrap().contains("\"A\": 1"));
}

fn refused(path: &Path, part: &str) {
    let output = af1("claims").arg(path).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit::GATE.into()), "{error}");
    assert!(
        error.contains(part) && error.contains("claims.toml"),
        "{error}"
    );
    assert!(output.stdout.is_empty());
}

/// Claims that come with the program: every command is one, and at least ten are claimed of models that are here.
#[test]
fn the_claims_that_come_with_the_program() {
    let all = answers("--list");
    let here = |answer: &&Value| {
        let model = answer["model"].as_str().unwrap_or_default();
        model.starts_with("qwen") || model.starts_with("smollm2")
    };
    let claims: std::collections::BTreeSet<&str> = all
        .iter()
        .filter(here)
        .map(|answer| answer["claim"].as_str().unwrap())
        .collect();
    assert!(claims.len() >= 10, "{claims:?}");
}
