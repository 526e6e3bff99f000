//! The gate: its exit code is the answer, and a wrong model does not pass.

use std::path::Path;

use af1::error::exit;
use af1::gate::{Gate, How};
use af1::stats::Proportion;
use rstest::rstest;

use super::fixtures::path;
use super::program::{Words, af1};

/// Runs the example gate on a model; the exit code and what was printed.
fn gate(model: &str, args: &[&str]) -> (i32, String, String) {
    let mut run = af1(&format!("gate --model {model} --config"));
    run.arg(path("gate/planted.toml")).args(args);
    let output = run.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// What is claimed is true of the first model only: of the others the routing is later, longer, through another token or by
/// another token, only nearly faithful, or there is nothing to keep.
#[rstest]
#[case("planted-af1", 0)]
#[case("planted-operator", 0)]
#[case("planted-heads", 0)]
#[case("planted-late", 1)]
#[case("planted-spread", 1)]
#[case("planted-two-hop", 1)]
#[case("planted-relay", 1)]
#[case("planted-noisy", 1)]
#[case("planted-weak", 2)]
#[case("planted-constant", 2)]
fn the_exit_code_is_the_answer(#[case] model: &str, #[case] code: i32) {
    let folder = tempfile::tempdir().unwrap();
    let [junit, summary] = ["junit.xml", "summary.md"].map(|name| folder.path().join(name));
    std::fs::write(&summary, "before\n").unwrap();
    let [j, s] = [&junit, &summary].map(|path| path.to_str().unwrap());
    let (found, printed, error) = gate(model, &["--junit", j, "--summary", s]);
    assert_eq!(found, code, "{printed}{error}");
    let junit = std::fs::read_to_string(junit).unwrap();
    let summary = std::fs::read_to_string(summary).unwrap();
    let (tests, failures, errors) = (
        8,
        junit.matches("<failure").count(),
        junit.matches("<error").count(),
    );
    assert_eq!(junit.matches("<testcase").count(), tests);
    assert!(junit.contains("<property name=\"model_sha256\""), "{junit}");
    // The numbers, not the outcomes alone.
    for text in [&summary, &printed] {
        assert!(
            text.contains("base accuracy") && text.contains("prompts were evaluated"),
            "{text}"
        );
    }
    match code {
        0 => assert_eq!((failures, errors), (0, 0), "{junit}"),
        1 => assert!(failures > 0, "{junit}"),
        _ => assert!(failures == 0 && errors > 0, "{junit}"),
    }
    assert!(
        summary.starts_with("before\n## af1 gate\n\ngate: "),
        "{summary}"
    );
    assert_eq!(summary.contains("gate: pass"), code == 0);
    assert_eq!(printed.contains("gate: pass"), code == 0);
}

/// Every condition can fail by itself, and then the gate does not pass.
#[rstest]
#[case(
    "faithful = 0.95\nbetter_than = [\"token-resample\"]",
    2,
    "more often right with cama than with token-resample"
)]
#[case("faithful = 0.95\nright_answers = 1000", 2, "only 900")]
#[case("faithful = 0.95\nnecessity_drop = 0.999", 2, "900 of 900 lost")]
#[case("faithful = 0.999", 2, "out of reach of so few prompts")]
#[case("faithful = 0.999\nmargin = 0.01", 0, "the claim is 0.989")]
fn a_condition_decides(#[case] claim: &str, #[case] code: i32, #[case] words: &str) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gate.toml");
    let text = format!(
        "operands = \"0..=29\"\nresults = \"0..=198\"\n[[claim]]\nstyle = \"symbolic\"\noperation = \"A+B\"\nwait = 3\n\
         transfer = 2\n{claim}\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut run = af1("");
    run.words("gate --model planted-af1 --config").arg(&config);
    let output = run.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(code), "{printed}");
    assert!(printed.contains(words), "{printed}");
}

/// A baseline: the same model is no worse; a model that lost the answers is; other prompts cannot say.
#[test]
fn a_baseline_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let record = |model: &str| {
        let path = folder.path().join(format!("{model}.jsonl"));
        gate(model, &["--record", path.to_str().unwrap()]);
        path
    };
    let sound = record("planted-af1");
    let against = |model: &str, baseline: &Path| {
        gate(
            model,
            &["--format", "json", "--baseline", baseline.to_str().unwrap()],
        )
    };
    let (code, same, _) = against("planted-af1", &sound);
    assert_eq!(code, 0, "{same}");
    let condition = |text: &str| -> serde_json::Value {
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let answer: serde_json::Value = lines
            .into_iter()
            .find(|line: &serde_json::Value| line["experiment"] == "gate")
            .unwrap();
        assert_eq!(answer["provenance"]["device"], "cpu");
        let conditions = answer["conditions"].as_array().unwrap();
        let base = conditions[conditions.len() - 2]["asked"].as_str().unwrap();
        assert!(base.starts_with("the model itself"), "{base}");
        conditions.last().unwrap().clone()
    };
    assert_eq!(
        condition(&same)["asked"],
        "AF1 less than 0.05 worse than the baseline"
    );
    assert_eq!(condition(&same)["outcome"], "pass");
    let (code, worse, _) = against("planted-noisy", &sound);
    assert_eq!((code, &condition(&worse)["outcome"]), (1, &"fail".into()));
    // A model that can do the task no more has lost what the baseline had; what its AF1 keeps says nothing.
    let (code, lost, _) = against("planted-constant", &sound);
    assert_eq!(
        (code, &condition(&lost)["outcome"]),
        (1, &"inconclusive".into())
    );
    assert!(
        lost.contains(
            "the model itself less than 0.05 worse than the baseline\",\"outcome\":\"fail\""
        ),
        "{lost}"
    );

    let other = folder.path().join("other.jsonl");
    let mut run = af1("");
    run.words("run --model planted-af1 --style symbolic --operands 0..=19");
    assert!(
        run.arg("--record")
            .arg(&other)
            .output()
            .unwrap()
            .status
            .success()
    );
    let (code, unknown, _) = against("planted-af1", &other);
    assert_eq!(
        (code, &condition(&unknown)["outcome"]),
        (2, &"inconclusive".into())
    );
}

/// Claims about one subgraph that ask for different shares are two claims, in every form.
#[test]
fn claims_of_different_shares_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let claim = |faithful| {
        format!(
            "[[claim]]\nstyle = \"symbolic\"\noperation = \"A+B\"\nwait = 3\ntransfer = 2\nfaithful = {faithful}\n"
        )
    };
    let config = folder.path().join("gate.toml");
    let text = format!("operands = \"0..=9\"\n{}{}", claim(0.95), claim(0.5));
    std::fs::write(&config, text).unwrap();
    let junit = folder.path().join("junit.xml");
    let mut run = af1("gate --model planted-noisy --config");
    let output = run
        .arg(&config)
        .arg("--junit")
        .arg(&junit)
        .output()
        .unwrap();
    let (table, suites) = (
        String::from_utf8(output.stdout).unwrap(),
        std::fs::read_to_string(junit).unwrap(),
    );
    for share in ["0.95", "0.5"] {
        let asked = format!("faithful at least {share}");
        assert!(table.contains(&asked), "{asked} is not in: {table}");
        assert!(
            suites.contains(&format!("name=\"{asked}\"")),
            "{asked} is not in: {suites}"
        );
    }
    assert_eq!(suites.matches("<testsuite ").count(), 2, "{suites}");
}

/// Everything that is wrong with a gate's file is said at once.
#[rstest]
#[case("", &["it claims nothing"])]
#[case("level = 0.2\nlimit = 0\nestimator = \"best\"\n[[claim]]\nstyle = \"symbolic\"\noperation = \"A?B\"\nwait = 3\ntransfer = 0\nfaithful = 1.0\nbetter_than = [\"cama\", \"nothing\"]\nnecessity_drop = 1.5\nbaseline_margin = 0.0\n",
    &["level 0.2", "limit 0", "estimator \"best\"", "claim 1: ", "not an operation", "transfer 0", "no sample can show 1", "\"cama\"", "\"nothing\"", "necessity_drop 1.5", "baseline_margin 0"])]
#[case("[[claim]]\nstyle = \"symbolic\"\nfaithfull = 0.9\n", &["unknown field `faithfull`"])]
#[case("operands = \"9..=0\"\n[[claim]]\nstyle = \"symbolic\"\noperation = \"A+B\"\nwait = 3\ntransfer = 2\nfaithful = 0.9\n", &["claim 1: operands \"9..=0\" is an empty range"])]
#[case("[[claim]]\nstyle = \"symbolic\"\noperation = \"A+B\"\nshape = \"2+2\"\nstep = 7\nkey = \"digit\"\nwait = 3\ntransfer = 2\nfaithful = 0.9\n",
    &["claim 1: shape \"2+2\" is no shape", "step \"7\" is no step", "key \"digit\" is no key of means"])]
#[case("[[claim]]\nstyle = \"symbolic\"\noperation = \"A+B\"\nshape = \"2+2=2\"\nstep = 2\nwait = 3\ntransfer = 2\nfaithful = 0.9\n\
    [[claim]]\nstyle = \"symbolic\"\noperation = \"A+B\"\nshape = \"2+2+2=2\"\nstep = \"whole\"\nwait = 3\ntransfer = 2\nfaithful = 0.9\n",
    &["claim 1: step 2: an answer of the shape 2+2=2 has 2 tokens", "claim 2: shape", "as many operands as A+B has, 2"])]
#[case("[[claim]]\nstyle = \"symbolic\"\noperation = \"A+B\"\nstep = \"stop\"\nwait = 3\ntransfer = 2\nfaithful = 0.9\n", &["claim 1: step \"stop\": no claim can pass there"])]
#[case("[[claim]]\nstyle = \"symbolic\"\noperation = \"A+B\"\nstep = 1\nwait = 3\ntransfer = 2\nfaithful = 0.9\n", &["claim 1: ", "no answer of the shapes that are asked for has so many tokens"])]
#[case("[[claim]]\nstyle = \"symbolic\"\noperation = \"A+B\"\nresults = \"none\"\nwait = 3\ntransfer = 2\nfaithful = 0.9\n", &["claim 1: results \"none\" is not a range"])]
fn a_wrong_gate(#[case] text: &str, #[case] parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gate.toml");
    std::fs::write(&config, text).unwrap();
    let mut run = af1("");
    let output = run
        .words("gate --model planted-af1 --config")
        .arg(&config)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit::GATE.into()), "{error}");
    for part in parts {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    assert!(error.contains("gate.toml"), "{error}");
}

/// What is measured for a gate is shown again as it was answered: the claim, the level and every condition are in the record.
#[test]
fn a_record_says_what_the_gate_said() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gate.toml");
    // False of 0.95, true of 0.85.
    std::fs::write(
        &config,
        "[[claim]]\nstyle = \"symbolic\"\noperation = \"A+B\"\noperands = \"0..=29\"\nwait = 3\ntransfer = 2\nfaithful = 0.85\n\
         necessity_drop = 0.5\nlevel = 0.01\nbetter_than = [\"mean\"]\n",
    )
    .unwrap();
    let record = folder.path().join("record.jsonl");
    let mut run = af1("");
    run.words("gate --model planted-noisy --config")
        .arg(&config);
    let output = run.arg("--record").arg(&record).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = |format: &str| {
        let mut run = af1("report");
        super::program::stdout(run.arg(&record).args(["--format", format]))
    };
    let table = report("table");
    for part in [
        "symbolic A+B AF1(3, 2)",
        "the interval begins at",
        "the claim is 0.85",
        "at least 0.5 of the right answers lost",
        "when the last token sees itself and position 0 only",
    ] {
        assert!(table.contains(part), "no {part:?} in {table}");
    }
    assert!(!table.contains("0.95"), "{table}");
    let junit = report("junit");
    assert_eq!(junit.matches("<testsuite ").count(), 1, "{junit}");
    assert!(
        !junit.contains("<failure") && !junit.contains("<error"),
        "{junit}"
    );
    assert!(report("html").contains("What is claimed, and what the measurements say"));
    // The same gate again adds nothing.
    let before = std::fs::read(&record).unwrap();
    assert_eq!(run.output().unwrap().status.code(), Some(0));
    assert_eq!(std::fs::read(&record).unwrap(), before);
}

/// A few prompts that can be asked say nothing about the many that cannot.
#[test]
fn what_cannot_be_asked_is_not_passed() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gate.toml");
    let claim = "[[claim]]\nstyle = \"symbolic\"\noperation = \"A-B\"\nwait = 3\ntransfer = 2\nfaithful = 0.5\n";
    // Negative results are no single tokens: 465 of 900 can be asked.
    let ranges = "operands = \"0..=29\"\nresults = \"-29..=29\"\n";
    for (coverage, code) in [("coverage = 0.6\n", 2), ("", 0)] {
        std::fs::write(&config, format!("{coverage}{ranges}{claim}")).unwrap();
        let mut run = af1("");
        run.words("gate --model planted-af1 --config").arg(&config);
        let output = run.output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{printed}");
        assert!(printed.contains("465 of 900"), "{printed}");
        assert_eq!(
            printed.contains("not single tokens"),
            code == 2,
            "{printed}"
        );
    }
}

/// A gate that has no answer leaves none of an earlier one behind, and says what is wrong with all of its claims.
#[test]
fn no_answer_is_no_earlier_answer() {
    let folder = tempfile::tempdir().unwrap();
    let [config, junit, summary] =
        ["gate.toml", "junit.xml", "summary.md"].map(|name| folder.path().join(name));
    let claim = |operation: &str, wait: usize| {
        format!(
            "[[claim]]\nstyle = \"symbolic\"\noperation = \"{operation}\"\nwait = {wait}\ntransfer = 2\nfaithful = 0.9\n"
        )
    };
    let text = claim("A+B", 3) + &claim("A*B", 3) + &claim("A+B", 12);
    std::fs::write(&config, text).unwrap();
    for (model, parts) in [
        ("planted-af1", &["claim 2: ", "claim 3: wait 12"][..]),
        ("no/such/model", &["no/such/model"]),
    ] {
        std::fs::write(&junit, "<earlier/>").unwrap();
        let mut run = af1(&format!("gate --model {model} --config"));
        run.arg(&config).arg("--junit").arg(&junit);
        let output = run.arg("--summary").arg(&summary).output().unwrap();
        assert!(
            !matches!(output.status.code(), None | Some(0..=2)),
            "{output:?}"
        );
        let junit = std::fs::read_to_string(&junit).unwrap();
        let summary = std::fs::read_to_string(&summary).unwrap();
        assert!(
            junit.contains("<error") && !junit.contains("earlier"),
            "{junit}"
        );
        for part in parts {
            assert!(junit.contains(part), "no {part:?} in {junit}");
            assert!(summary.contains(part), "no {part:?} in {summary}");
        }
    }
}

/// A claim that cannot be evaluated ends with the code of what is wrong, never with that of a pass.
#[test]
fn what_cannot_be_evaluated_is_no_pass() {
    let (code, printed, error) = gate("planted-af1", &["--bos", "none"]);
    assert_ne!(code, 0, "{printed}{error}");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gate.toml");
    let claim = "[[claim]]\nstyle = \"symbolic\"\noperation = \"A+B\"\nwait = 3\ntransfer = 2\nfaithful = 0.9\n";
    std::fs::write(&config, format!("operands = \"700..=709\"\n{claim}")).unwrap();
    let mut run = af1("");
    let output = run
        .words("gate --model planted-af1 --config")
        .arg(&config)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(exit::NO_PROMPTS.into()));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("gate: inconclusive") && printed.contains("it can be evaluated"),
        "{printed}"
    );
}

/// A gate on a model whose tokenizer takes numbers apart: without a word about it the whole answers of the most frequent shape are asked; a
/// claim may name a step and a key. The counts are those of an independent implementation.
#[test]
fn whole_answers_and_steps_are_claimed() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gate.toml");
    let claim = "[[claim]]\nstyle = \"calculate\"\noperation = \"A+B\"\nwait = 20\ntransfer = 6\nfaithful = 0.5\nright_answers = 901\n";
    let ranges = "operands = \"10..=39\"\nresults = \"0..=299\"\n";
    let step = "step = 1\nkey = \"token\"\nshape = \"2+2=2\"\n";
    std::fs::write(&config, format!("{ranges}{claim}{claim}{step}")).unwrap();
    let mut run = af1("gate --model smollm2-135m-instruct --format json --config");
    let output = run.arg(&config).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let whole = "calculate A+B 2+2=2 whole";
    let one = "calculate A+B 2+2=2 step 1";
    for part in [
        format!("claim 1: {whole} has 900 prompts, of which 900 are evaluated at most"),
        format!("claim 2: {one} has 900 prompts"),
        "WARNING: claim 1 cannot pass: right_answers 901 takes as many prompts at least; there are 900 prompts".to_owned(),
    ] {
        assert!(said.contains(&part), "no {part:?} in {said}");
    }
    assert!(!said.contains("cannot pass: faithful"), "{said}");
    let bits = Reference::of_smollm2();
    let both =
        |a: &[bool], b: &[bool]| -> Vec<bool> { a.iter().zip(b).map(|(a, b)| *a && *b).collect() };
    let [zero, first] = ["0", "1"].map(|step| bits.base(step));
    let right = |step: &str, key: &str| bits.af1(step, key);
    let expected = [
        (
            format!("{whole} AF1(20, 6)"),
            both(&zero, &first),
            both(&right("0", "span"), &right("1", "span")),
        ),
        (
            format!("{one} AF1(20, 6), keyed by token"),
            first,
            right("1", "token"),
        ),
    ];
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines = printed
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let answers: Vec<_> = lines.filter(|line| line["experiment"] == "gate").collect();
    assert_eq!(answers.len(), expected.len());
    for (answer, (claim, base, right)) in answers.iter().zip(expected) {
        assert_eq!(answer["claim"], claim);
        let reason = |asked: &str| {
            let mut all = answer["conditions"].as_array().unwrap().iter();
            let found = all.find(|condition| condition["asked"].as_str().unwrap().contains(asked));
            found.unwrap()["reason"].as_str().unwrap().to_owned()
        };
        let count = |bits: &[bool]| bits.iter().filter(|bit| **bit).count();
        let only = format!("only {}: ", count(&base));
        let enough = reason("right answers of the model");
        assert!(enough.starts_with(&only), "{enough}");
        // Rounding may decide where two logits are nearly equal: the reference names one such prompt at most.
        let kept = count(&both(&base, &right));
        let said = reason("faithful at least");
        let begins = |kept: usize| {
            let low = Proportion::wilson(kept, count(&base)).low;
            said.contains(&format!(
                "the interval begins at {low:.3}, the claim is 0.5"
            ))
        };
        assert!((kept - 1..=kept + 1).any(begins), "{kept}: {said}");
    }
}

/// What `fixtures/reference/digits.json` says of SmolLM2's prompts, in their order.
pub struct Reference(serde_json::Value);

impl Reference {
    pub fn of_smollm2() -> Self {
        let text = std::fs::read_to_string(path("reference/digits.json")).unwrap();
        let mut all: serde_json::Value = serde_json::from_str(&text).unwrap();
        Self(all["models"][0].take())
    }

    fn step(&self, step: &str) -> &serde_json::Value {
        let mut steps = self.0["steps"].as_array().unwrap().iter();
        steps.find(|found| found["step"] == step).unwrap()
    }

    /// Which prompts the model answers rightly at a step.
    pub fn base(&self, step: &str) -> Vec<bool> {
        bits(&self.step(step)["base"])
    }

    /// Which AF1(20, 6) does, with leave-one-out.
    pub fn af1(&self, step: &str, key: &str) -> Vec<bool> {
        let mut groups = self.step(step)["groups"].as_array().unwrap().iter();
        let group =
            groups.find(|group| group["key"] == key && group["estimator"] == "leave-one-out");
        bits(&group.unwrap()["cells"]["af1 20 6"])
    }
}

/// A bit a prompt, four a digit, the first the highest; there are 900.
fn bits(of: &serde_json::Value) -> Vec<bool> {
    let digits = of["bits"].as_str().unwrap().chars();
    let digits = digits.map(|digit| digit.to_digit(16).unwrap());
    let bits = digits.flat_map(|digit| (0..4).rev().map(move |bit| digit >> bit & 1 == 1));
    bits.take(900).collect()
}

/// A gate that a caller of the library left without claims is an error before a model is loaded, and never a pass.
#[test]
fn a_gate_without_claims_is_an_error() {
    let mut gate = Gate::read(&path("gate/planted.toml")).unwrap();
    gate.claims.clear();
    let found = gate.run(&How::default(), None, || panic!("a model is loaded"));
    let error = found.err().expect("no answer").to_string();
    assert!(
        error.contains("planted.toml") && error.contains("it claims nothing"),
        "{error}"
    );
}
