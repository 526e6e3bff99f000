//! Claims as tests, for machines that show test results: JUnit XML.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::gate;
use super::terminal::{measured, sweeps};
use crate::record::{Line, Measurement, Outcome, Provenance, Row};

/// A suite a claim of a gate, with a test a condition; and of other sweeps a suite a sweep that makes claims (maps and curves
/// make none), a test a claim. A claim that could not be decided and what could not be evaluated are errors: no test that is
/// not a pass looks like one.
pub fn junit(lines: &[Line]) -> String {
    let mut report = Report::new("af1");
    gate::suites(lines, &mut report);
    let gated: Vec<String> = (gate::answers(lines).into_iter())
        .map(|(_, answer, _)| answer.sweep)
        .collect();
    for sweep in sweeps(lines) {
        let Some((name, _)) = sweep.first().and_then(|line| line.key()) else {
            continue;
        };
        if gated.iter().any(|gated| gated == name) {
            continue;
        }
        let cells = measured(&sweep);
        let provenance = cells.first().map(|m| m.provenance.clone());
        let title = title(&sweep);
        let mut suite = suite(title.clone(), name, &provenance.unwrap_or_default());
        let claims =
            |m: &&Measurement| matches!(&*m.experiment, "af1" | "discover" | "alternatives");
        let cells: Vec<&Measurement> = cells.iter().filter(claims).collect();
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
            let mut test = test(name, verdict.outcome, &verdict.reason);
            test.set_classname(&title);
            suite.add_test_case(test);
        }
        for line in &sweep {
            if let Row::Failed(failure) = &line.row {
                let of = failure.ablation.iter().map(|name| format!(" {name}"));
                let of: String = of.collect();
                let name = format!("{} {}{of}", failure.style, failure.operation);
                let mut test = errored(name, &failure.error);
                test.set_classname(&title);
                suite.add_test_case(test);
            }
        }
        if suite.tests > 0 {
            report.add_test_suite(suite);
        }
    }
    written(&report)
}

/// A suite about a sweep, with what it was measured on.
pub(super) fn suite(name: String, sweep: &str, p: &Provenance) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite.add_property(("sweep", sweep));
    let fields = serde_json::to_value(p).expect("a record is plain data");
    for (name, value) in fields.as_object().into_iter().flatten() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        suite.add_property((name.as_str(), text.as_str()));
    }
    suite
}

/// A test that could not be run, and why.
pub(super) fn errored(name: String, why: &str) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type("error").set_message(why);
    TestCase::new(name, status)
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

fn title(sweep: &[&Line]) -> String {
    let of = sweep.iter().find_map(|line| match &line.row {
        Row::Measured(m) => Some((&m.model, &m.experiment)),
        Row::Attention(a) => Some((&a.model, &a.experiment)),
        Row::Failed(f) => Some((&f.model, &f.experiment)),
        Row::Other(_) => None,
    });
    of.map_or_else(
        || "af1".to_owned(),
        |(model, experiment)| format!("{model} {experiment}"),
    )
}
