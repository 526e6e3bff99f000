//! What a gate says.

use quick_junit::{Report, TestSuite};

use super::junit::{errored, suite, test, written};
use super::table::{front, outcome, table};
use crate::gate::Answer;
use crate::record::{Line, Outcome, Provenance, Row, SCHEMA};

/// What stands above the answers: the outcome, and on what it was found.
pub fn gate_heading(model: &str, p: &Provenance, found: Outcome) -> String {
    format!(
        "gate: {}\n{model}, {} on ONNX Runtime {} ({}), model {}\n{} before every prompt; means over {} contexts\n",
        outcome(found),
        p.dtype,
        p.runtime_version,
        p.ran_on(),
        p.model_sha256.get(..16).unwrap_or(&p.model_sha256),
        front(p),
        p.contexts_from
    )
}

/// A row a condition.
pub(super) fn gate(answers: &[(String, Answer, Provenance)]) -> String {
    let mut table = table(&["claim", "", "condition", "outcome", "reason"]);
    for (_, answer, _) in answers {
        for (i, condition) in answer.conditions.iter().enumerate() {
            let first = |text: &str| {
                if i == 0 {
                    text.to_owned()
                } else {
                    String::new()
                }
            };
            table.add_row([
                first(&answer.claim),
                first(outcome(answer.outcome)),
                condition.asked.clone(),
                outcome(condition.outcome).to_owned(),
                condition.reason.clone(),
            ]);
        }
    }
    format!("{table}\n")
}

/// The line of a record about an answer.
pub fn gate_line(model: &str, answer: &Answer, provenance: &Provenance) -> Line {
    let mut object = serde_json::json!({ "schema": SCHEMA, "experiment": "gate", "model": model });
    let fields = serde_json::to_value(answer).expect("an answer is plain data");
    for (name, value) in fields.as_object().into_iter().flatten() {
        object[name] = value.clone();
    }
    object["provenance"] = serde_json::to_value(provenance).expect("it is plain data");
    Line::new(Row::Other(object))
}

/// The answers of gates among records, each with the model that it is about and under what it was found; of one claim that was
/// asked again the last answer.
pub(super) fn answers(lines: &[Line]) -> Vec<(String, Answer, Provenance)> {
    let answer = |line: &Line| match &line.row {
        Row::Other(value) if value["experiment"] == "gate" => Some((
            value["model"].as_str()?.to_owned(),
            serde_json::from_value::<Answer>(value.clone()).ok()?,
            serde_json::from_value(value["provenance"].clone()).unwrap_or_default(),
        )),
        _ => None,
    };
    let mut all: Vec<(String, Answer, Provenance)> = Vec::new();
    for (model, answer, provenance) in lines.iter().filter_map(answer) {
        let same = |(m, a, p): &(String, Answer, Provenance)| {
            let about = (a.level, a.inference) == (answer.level, answer.inference);
            about && (m, &a.claim, p) == (&model, &answer.claim, &provenance)
        };
        match all.iter().position(same) {
            Some(at) => all[at].1 = answer,
            None => all.push((model, answer, provenance)),
        }
    }
    all
}

/// A suite a claim, a test a condition.
pub(super) fn suites(lines: &[Line], report: &mut Report) {
    for (model, answer, provenance) in answers(lines) {
        let name = format!("{model} {}", answer.claim);
        let mut suite = suite(name, &answer.sweep, &provenance);
        suite.add_property(("level", answer.level.to_string().as_str()));
        suite.add_property(("inference", answer.inference.name()));
        for condition in &answer.conditions {
            let mut test = test(
                condition.asked.clone(),
                condition.outcome,
                &condition.reason,
            );
            test.set_classname(format!("{model}.{}", answer.claim));
            suite.add_test_case(test);
        }
        report.add_test_suite(suite);
    }
}

/// That a gate has no answer, and why.
pub fn gate_junit_error(model: &str, reason: &str) -> String {
    let mut report = Report::new("af1");
    let mut suite = TestSuite::new(format!("{model} gate"));
    suite.add_test_case(errored("the gate has an answer".to_owned(), reason));
    report.add_test_suite(suite);
    written(&report)
}
