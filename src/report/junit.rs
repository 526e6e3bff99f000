//! Claims as tests, for machines that show test results: JUnit XML.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::terminal::{measured, sweeps};
use crate::record::{Line, Measurement, Outcome, Row};

/// A suite a sweep, a test a claim. A claim that could not be decided and a template that could not be evaluated are errors:
/// no test that is not a pass looks like one.
pub fn junit(lines: &[Line]) -> String {
    let mut report = Report::new("af1");
    for sweep in sweeps(lines) {
        let cells = measured(&sweep);
        let mut suite = TestSuite::new(title(&cells));
        let first = cells.iter().find(|m| m.verdict.is_some());
        let method = first.map(|m| (&m.ablation, &m.masking));
        for m in cells
            .iter()
            .filter(|m| Some((&m.ablation, &m.masking)) == method)
        {
            let Some(verdict) = &m.verdict else { continue };
            let name = format!(
                "{} {} {} AF1({}, {})",
                m.style,
                m.operation,
                m.ablation,
                m.wait,
                m.transfer.unwrap_or(0)
            );
            suite.add_test_case(test(name, verdict.outcome, &verdict.reason));
        }
        for line in &sweep {
            if let (Row::Failed(failure), true) = (&line.row, line.failed_as_a_whole()) {
                let name = format!("{} {}", failure.style, failure.operation);
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_type("error").set_message(&*failure.error);
                suite.add_test_case(TestCase::new(name, status));
            }
        }
        report.add_test_suite(suite);
    }
    written(&report)
}

/// A test with an outcome.
pub(super) fn test(name: String, outcome: Outcome, reason: &str) -> TestCase {
    let mut status = match outcome {
        Outcome::Pass => TestCaseStatus::success(),
        Outcome::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if outcome != Outcome::Pass {
        status.set_type(outcome.to_string()).set_message(reason);
    }
    let mut test = TestCase::new(name, status);
    if outcome == Outcome::Pass {
        test.set_system_out(reason);
    }
    test
}

pub(super) fn written(report: &Report) -> String {
    report.to_string().expect("memory does not fail") + "\n"
}

fn title(cells: &[Measurement]) -> String {
    match cells.first() {
        Some(m) => format!("{} {} {}", m.model, m.experiment, m.provenance.device),
        None => "af1".to_owned(),
    }
}
