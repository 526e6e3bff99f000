//! Claims as tests, for machines that show test results: JUnit XML.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::view::{gate, provenance};
use super::{Look, Renderer, view};
use crate::kit::words::about;
use crate::printable;
use crate::record::{Failure, Findings, Gated, Measurement, Outcome, Provenance, Sweep};

/// JUnit XML.
pub struct Junit;

impl Renderer for Junit {
    fn name(&self) -> &'static str {
        "junit"
    }

    fn help(&self) -> &'static str {
        "A test a claim: JUnit XML"
    }

    /// A suite a claim of a gate, with a test a condition; and of other sweeps a suite a sweep that makes claims (maps and curves
    /// make none), a test a claim. A claim that stays undecided and what could not be evaluated are errors: only a pass looks
    /// like one.
    fn records(&self, findings: &Findings<'_>, _: Look) -> String {
        let mut report = Report::new("af1");
        let answers = gate::answers(findings.lines);
        report.add_test_suites(answers.iter().map(of_gate));
        let gated = |sweep: &&Sweep| answers.iter().any(|gated| gated.answer.sweep == sweep.name);
        let sweeps = findings.sweeps.iter().filter(|sweep| !gated(sweep));
        report.add_test_suites(sweeps.map(of_sweep).filter(|suite| suite.tests > 0));
        written(&report)
    }
}

/// A suite a claim, a test a condition.
fn of_gate(gated: &Gated) -> TestSuite {
    let (model, answer) = (&gated.model, &gated.answer);
    let name = format!("{model} {}", answer.claim);
    let mut suite = suite(name, &answer.sweep, &gated.provenance);
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
    suite
}

/// A test a claim, and one for everything that could not be measured.
fn of_sweep(sweep: &Sweep) -> TestSuite {
    let title = format!("{} {}", sweep.model, sweep.kind);
    let provenance = sweep.measurements().next().map(|m| m.provenance.clone());
    let mut suite = suite(title.clone(), &sweep.name, &provenance.unwrap_or_default());
    for sentence in view::conclusions(sweep) {
        suite.add_property(("conclusion", sentence.as_str()));
    }
    let claimed = view::claimed(sweep);
    let tests = claimed.into_iter().filter_map(of_claim);
    for mut test in tests.chain(sweep.failures.iter().map(of_failure)) {
        test.set_classname(&title);
        suite.add_test_case(test);
    }
    suite
}

fn of_claim(m: &Measurement) -> Option<TestCase> {
    let verdict = m.test.verdict.as_ref()?;
    let name = format!(
        "{} {} {}",
        about::template(m),
        m.subject.ablation,
        about::af1(m)
    );
    Some(test(name, verdict.outcome, &verdict.reason))
}

fn of_failure(failure: &Failure) -> TestCase {
    let of = failure.ablation.iter().map(|name| format!(" {name}"));
    let of: String = of.collect();
    let name = format!("{} {}{of}", failure.style, failure.operation);
    errored(name, &failure.error)
}

/// A test that says that the gate of a model has no answer, and why.
pub fn gate_error(model: &str, reason: &str) -> String {
    let mut report = Report::new("af1");
    let mut suite = TestSuite::new(format!("{model} gate"));
    suite.add_test_case(errored("the gate has an answer".to_owned(), reason));
    report.add_test_suite(suite);
    written(&report)
}

/// A suite about a sweep, with what it was measured on.
fn suite(name: String, sweep: &str, p: &Provenance) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite.add_property(("sweep", sweep));
    for field in provenance::fields(p) {
        suite.add_property((field.name.as_str(), field.value.as_str()));
    }
    suite
}

/// A test that could not be run, and why.
fn errored(name: String, why: &str) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type("error").set_message(why);
    TestCase::new(name, status)
}

/// A test with an outcome.
fn test(name: String, outcome: Outcome, reason: &str) -> TestCase {
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

fn written(report: &Report) -> String {
    // What XML forbids is gone by now; what may be in it and is not printed is spelt out.
    let text = report.to_string().expect("memory does not fail") + "\n";
    printable::lines(&text).into_owned()
}
