//! What intervals, verdicts and gates are about, in all that the program prints and writes; and claims over several styles.

use std::path::Path;

use rstest::rstest;
use serde_json::Value;

use super::fixtures::path;
use super::program::{Words, af1, planted, stdout};

/// Sums of a planted model that keeps all of them.
fn run(words: &str) -> String {
    let sums = planted("run --results 0..=58 --ablation cama,mean").operands("0..=29");
    stdout(sums.run().words(words))
}

fn records(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Where the interval begins if nothing is lost: of 900 prompts above the first, of 30 values below the second.
const OF_PROMPTS: f64 = 0.99;
const OF_OPERANDS: f64 = 0.9;

/// A bound is right to the digits that are printed.
const PRINTED: f64 = 0.001;

/// The same answers say more about these prompts than about other operands, and every place says which is meant.
#[test]
fn the_target_is_named_and_counts() {
    let of = |target: &str| records(&run(&format!("--inference {target} --format json")));
    let (prompts, operands) = (of("prompts"), of("operands"));
    assert_eq!(of("prompts"), records(&run("--format json")), "the default");
    for (p, o) in prompts.iter().zip(&operands) {
        assert_eq!(
            (&p["inference"], &o["inference"]),
            (&"prompts".into(), &"operands".into())
        );
        for field in [
            "correct",
            "base_correct",
            "faithfulness",
            "answers",
            "logit_difference",
        ] {
            assert_eq!(p[field], o[field], "{field}");
        }
        assert_ne!(p["sweep"], o["sweep"]);
        assert!(p.get("effective_prompts").is_none());
    }
    let (p, o) = (&prompts[0], &operands[0]);
    // All 899 of 900 or so are kept: of 30 values none fails.
    let number = |value: &Value| value.as_f64().unwrap();
    assert_eq!(p["lost"], 0, "{p}");
    let of_operands = 0.025f64.powf(1.0 / 30.0);
    assert!(number(&p["faithfulness_low"]) > OF_PROMPTS);
    assert!((number(&o["faithfulness_low"]) - of_operands).abs() < PRINTED);
    assert!(
        number(&o["accuracy_low"]) < OF_OPERANDS && number(&o["base_accuracy_low"]) < OF_OPERANDS
    );
    assert_eq!(p["verdict"]["outcome"], "pass");
    assert_eq!(o["verdict"]["outcome"], "inconclusive");
    let reason = o["verdict"]["reason"].as_str().unwrap();
    for part in [
        "about other operands",
        "it takes 72 right answers over 72 values of every operand",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    let width =
        |m: &Value| number(&m["logit_difference_high"]) - number(&m["logit_difference_low"]);
    assert!(width(p) > 0.0 && width(o) > 0.0);
    let table = run("--inference operands");
    assert!(
        table.contains("95% intervals about other operands"),
        "{table}"
    );
    assert!(table.contains("(a census)"), "{table}");
    let drawn = run("--limit 100");
    assert!(
        drawn.contains("95% Wilson intervals about these prompts\n"),
        "{drawn}"
    );
}

/// Records of before there was another target are about these prompts, and are shown as they were.
#[test]
fn records_without_a_target_are_about_the_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let before = folder.path().join("before.jsonl");
    let now = path("records/schema-2/transfer.jsonl");
    let older = records(&std::fs::read_to_string(&now).unwrap())
        .into_iter()
        .map(|mut m| {
            let fields = m.as_object_mut().unwrap();
            for new in [
                "inference",
                "lost",
                "gained",
                "p_pass",
                "p_fail",
                "empty_answers",
                "evaluated_operands",
            ] {
                fields.shift_remove(new);
            }
            format!("{m}\n")
        });
    std::fs::write(&before, older.collect::<String>()).unwrap();
    let report = |path: &Path| stdout(af1("report").arg(path));
    assert_eq!(report(&now), report(&before));
    assert!(report(&before).contains("about these prompts"));
    let page = stdout(af1("report").arg(&now).words("--format html"));
    assert!(page.contains("95% Wilson intervals about these prompts"));
    let against = stdout(af1("report").arg(&now).arg("--against").arg(&before));
    assert!(against.contains("about these prompts") && against.contains("no significant change"));
}

/// A gate on other operands asks for more values than these ranges have; it says so when it is read, and in its answer.
#[rstest]
#[case("", 0, "takes 73 right answers at least")]
#[case("inference = \"prompts\"\n", 0, "takes 73 right answers at least")]
#[case(
    "inference = \"operands\"\n",
    2,
    "takes 72 right answers over 72 values of every operand at least"
)]
fn a_gate_has_a_target(#[case] key: &str, #[case] code: i32, #[case] needs: &str) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gate.toml");
    let claim = "operands = \"0..=29\"\n[[claim]]\nstyle = \"symbolic\"\noperation = \"A+B\"\nwait = 3\ntransfer = 2\n\
                 faithful = 0.95\nnecessity_drop = 0.5\nbetter_than = [\"mean\"]\n";
    std::fs::write(&config, format!("{key}{claim}")).unwrap();
    let gate = |format: &str| {
        let mut run = af1(&format!(
            "gate --model planted-af1 --format {format} --config"
        ));
        run.arg(&config).output().unwrap()
    };
    let output = gate("json");
    let (printed, error) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(code), "{printed}{error}");
    assert!(
        error.contains(&format!(
            "claim 1: faithful 0.95 with margin 0, about {}",
            match code {
                0 => "these prompts",
                _ => "other operands",
            }
        )),
        "{error}"
    );
    assert!(error.contains(needs), "{error}");
    assert!(error.contains("necessity_drop 0.5"), "{error}");
    let answer = records(&printed)
        .into_iter()
        .find(|line| line["experiment"] == "gate")
        .unwrap();
    let target = if code == 0 { "prompts" } else { "operands" };
    assert_eq!(answer["inference"], target);
    let conditions = answer["conditions"].as_array().unwrap();
    let outcome = |asked: &str| {
        let found = conditions
            .iter()
            .find(|c| c["asked"].as_str().unwrap().contains(asked));
        found.unwrap()["outcome"].clone()
    };
    // 30 values are enough for a half, and for a comparison.
    assert_eq!(outcome("lost when"), "pass", "{answer}");
    assert_eq!(outcome("than with mean"), "pass", "{answer}");
    let table = String::from_utf8(gate("table").stdout).unwrap();
    assert_eq!(
        table.contains("AF1(3, 2), about other operands"),
        code == 2,
        "{table}"
    );
}

#[test]
fn an_unknown_target_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gate.toml");
    let claim = "[[claim]]\nstyle = \"symbolic\"\noperation = \"A+B\"\nwait = 3\ntransfer = 2\nfaithful = 0.95\ninference = \"all\"\n";
    std::fs::write(&config, claim).unwrap();
    let output = af1("gate --model planted-af1 --config")
        .arg(&config)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("claim 1: inference \"all\": expected prompts or operands"),
        "{error}"
    );
}

/// Two styles, two operations and two maskings.
fn both(more: &[&str]) -> String {
    // A later value of an option would be refused: the range is another one here.
    let mut run = af1("");
    run.words("run --model planted-af1 --operation A+B,A-B --ablation cama");
    run.words("--style symbolic,verbal --operands 0..=9 --masking abp,no-sink");
    stdout(run.args(more))
}

fn report(path: &Path, format: &str) -> String {
    stdout(af1("report").arg(path).args(["--format", format]))
}

/// All styles together are a claim of their own, which follows from the record, merged from shards, too.
#[test]
fn styles_are_pooled() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let table = both(&["--record", record.to_str().unwrap()]);
    for part in [
        "masked by",
        "after Holm",
        "pooled over",
        "2 styles",
        "2 operations",
        "lost",
        "gained",
    ] {
        assert!(table.contains(part), "no {part:?} in {table}");
    }
    assert_eq!(report(&record, "table"), table);
    assert!(report(&record, "markdown").contains("| pooled over"));
    assert!(report(&record, "html").contains("all styles together"));
    // The record has the cells, the report what follows from them.
    let lines = records(&std::fs::read_to_string(&record).unwrap());
    assert!(lines.iter().all(|line| line["experiment"] == "af1"));
    let json = report(&record, "json");
    let pooled: Vec<Value> = (records(&json).into_iter())
        .filter(|line| line["experiment"] == "pooled")
        .collect();
    sums_are_those_of_the_cells(&lines, &pooled);
    // What follows in words is a line of a report; a run says it beside its lines.
    let follows = |line: &&str| line.contains(r#""experiment":"conclusion""#);
    let measured = json.lines().filter(|line| !follows(line));
    let measured: String = measured.map(|line| format!("{line}\n")).collect();
    assert!(json.lines().any(|line| follows(&line)));
    assert_eq!(both(&["--format", "json"]), measured);
    // What was written as JSON is read again, what follows is said once, and nothing is pooled twice.
    let again = folder.path().join("again.jsonl");
    std::fs::write(&again, &json).unwrap();
    assert_eq!(report(&again, "json"), json);
    assert_eq!(report(&again, "table"), table);
    let shard = |i: usize| {
        let path = folder.path().join(format!("{i}.jsonl"));
        both(&[
            "--shard",
            &format!("{i}/2"),
            "--record",
            path.to_str().unwrap(),
        ]);
        path
    };
    let merged = stdout(af1("merge").args([shard(1), shard(2)]));
    let path = folder.path().join("merged.jsonl");
    std::fs::write(&path, &merged).unwrap();
    assert_eq!(report(&path, "table"), table);
}

/// Every cell is counted once in what is pooled over both operations.
fn sums_are_those_of_the_cells(cells: &[Value], pooled: &[Value]) {
    assert_eq!(pooled.len(), 2 * 3, "two maskings; two operations and both");
    let abp = |line: &&Value| line["masking"] == "abp";
    let both = |line: &&Value| line["operation"] == "2 operations";
    for field in [
        "prompts",
        "correct",
        "base_correct",
        "correct_given_base",
        "empty_correct",
        "constant_correct",
    ] {
        let number = |line: &Value| line[field].as_u64().unwrap();
        let of_cells: u64 = cells.iter().filter(abp).map(number).sum();
        let of_all = pooled.iter().filter(abp).filter(both);
        assert_eq!(of_cells, of_all.map(number).sum::<u64>(), "{field}");
    }
}
