//! What a gate says.

use quick_junit::{Report, TestSuite};

use super::junit::{test, written};
use super::table::{outcome, table};
use crate::gate::Answer;
use crate::record::{Outcome, Provenance, SCHEMA};

/// What stands above the answers: the outcome, and on what it was found.
pub fn gate_heading(model: &str, p: &Provenance, found: Outcome) -> String {
    format!(
        "gate: {}\n{model}, {} on ONNX Runtime {} ({}), model {}\n",
        outcome(found),
        p.dtype,
        p.runtime_version,
        p.device,
        p.model_sha256.get(..16).unwrap_or(&p.model_sha256)
    )
}

/// A row a condition.
pub fn gate(answers: &[Answer]) -> String {
    let mut table = table(&["claim", "", "condition", "outcome", "reason"]);
    for answer in answers {
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

/// One JSON object a claim.
pub fn gate_lines(model: &str, answers: &[Answer]) -> String {
    let line = |answer: &Answer| {
        let object = serde_json::json!({
            "schema": SCHEMA, "experiment": "gate", "model": model, "claim": answer.claim,
            "outcome": answer.outcome, "conditions": answer.conditions,
        });
        format!("{object}\n")
    };
    answers.iter().map(line).collect()
}

/// A suite a claim, a test a condition.
pub fn gate_junit(model: &str, answers: &[Answer]) -> String {
    let mut report = Report::new("af1 gate");
    for answer in answers {
        let mut suite = TestSuite::new(format!("{model} {}", answer.claim));
        for condition in &answer.conditions {
            suite.add_test_case(test(
                condition.asked.clone(),
                condition.outcome,
                &condition.reason,
            ));
        }
        report.add_test_suite(suite);
    }
    written(&report)
}
