//! Records for machines: a JSON object a line.

use serde_json::json;

use super::{Beside, Look, Renderer, view};
use crate::claims;
use crate::record::{
    Comparison, Conclusion, Findings, Line, Measurement, Pair, Provenance, Row, SCHEMA, Sweep,
};
use crate::{printable, selfcheck};

/// Lines of JSON.
pub struct Json;

impl Renderer for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn help(&self) -> &'static str {
        "The records as they are, merged"
    }

    fn records(&self, findings: &Findings<'_>, _: Look) -> String {
        let lines = findings.lines.iter().map(|line| format!("{}\n", line.text));
        lines.collect::<String>() + &pools(findings) + &conclusions(findings)
    }

    fn comparison(&self, found: &Comparison<'_>, _: Look) -> Option<String> {
        let lines: String = found.pairs.iter().map(pair).collect();
        let rest = json!({ "experiment": "comparison", "not_compared":
            { "other_prompts": found.other_prompts, "only_now": found.only_now, "only_before": found.only_before } });
        Some(lines + &printable::object(&rest))
    }
}

/// A pair of cells as a line.
fn pair(pair: &Pair<'_>) -> String {
    let (m, o) = (pair.now, pair.before);
    let faithful = |m: &Measurement| m.scores.faithfulness.value.filter(|_| !pair.base);
    let object = json!({
        "experiment": "comparison", "cell": pair.name, "model": m.subject.model, "against": o.subject.model,
        "model_sha256": m.provenance.model_sha256, "model_sha256_before": o.provenance.model_sha256,
        "prompts": m.counts.prompts, "accuracy": pair.share(m), "accuracy_before": pair.share(o),
        "faithfulness": faithful(m), "faithfulness_before": faithful(o),
        "difference": pair.difference.value, "difference_low": pair.difference.low, "difference_high": pair.difference.high,
        "only_now": pair.only_now, "only_before": pair.only_before, "p": pair.p, "p_holm": pair.p_holm,
        "change": pair.change.to_string(),
    });
    printable::object(&object)
}

/// The pooled measurements as lines; they follow from the records and are in none.
fn pools(findings: &Findings<'_>) -> String {
    let line = |m: &Measurement| Line::new(Row::Pooled(Box::new(m.clone()))).text + "\n";
    findings.pools().map(line).collect()
}

/// What follows from every sweep, a line a sentence.
fn conclusions(findings: &Findings<'_>) -> String {
    let of = |sweep: &Sweep| {
        let sentences = view::conclusions(sweep).into_iter();
        let line = |conclusion: String| {
            let (sweep, model) = (sweep.name.clone(), sweep.model.clone());
            let conclusion = Conclusion {
                sweep,
                model,
                conclusion,
            };
            Line::new(Row::Conclusion(Box::new(conclusion))).text + "\n"
        };
        sentences.map(line).collect::<String>()
    };
    findings.sweeps.iter().map(of).collect()
}

/// The pooled measurements of these records as lines.
pub fn pooled_lines(lines: &[Line]) -> String {
    pools(&Findings::of(lines))
}

/// What was found in planted models: a line a template.
pub fn selfcheck_lines(rows: &[selfcheck::Row]) -> String {
    let line = |row: &selfcheck::Row| Line::new(Row::Selfcheck(Box::new(row.checked())));
    rows.iter().map(|row| line(row).text + "\n").collect()
}

/// What measurements say about claims of papers, a line a test.
pub fn claim_lines(answers: &[claims::Answer<'_>]) -> String {
    let line = |answer: &claims::Answer<'_>| {
        let (findings, reason) = match &answer.tested {
            claims::Tested::Run(findings) => (&findings[..], None),
            claims::Tested::NotRun(reason) => (&[][..], Some(reason)),
        };
        let object = json!({
            "experiment": "claim", "about": answer.paper.about, "source": answer.paper.source,
            "claim": answer.claim.id, "says": answer.claim.says, "confidence": answer.claim.confidence,
            "base_accuracy": answer.claim.base_accuracy,
            "model": answer.test.map(|test| &test.model), "command": answer.test.map(|test| &test.command),
            "outcome": answer.outcome(), "not_run": reason, "findings": findings,
        });
        printable::object(&object)
    };
    answers.iter().map(line).collect()
}

/// The two ways of running AF1 beside each other: a line a plan.
pub fn diff_lines(model: &str, rows: &[Beside], provenance: &Provenance) -> String {
    let line = |row: &Beside| {
        let first = row.first.as_ref().map(|d| {
            json!({ "boundary": d.boundary, "position": d.position, "prompt": d.prompt, "apart": d.apart })
        });
        let object = json!({
            "schema": SCHEMA, "experiment": "diff", "model": model, "style": row.style, "operation": row.operation,
            "shape": row.numbers.shape.words(&row.operation), "step": row.numbers.step, "ablation": row.ablation, "wait": row.wait, "transfer": row.transfer, "prompts": row.prompts,
            "correct": row.correct, "correct_masked": row.correct_masked, "other_answers": row.other_answers,
            "logits_apart": row.logits_apart, "tolerance": row.tolerance, "first": first, "same": row.same(),
            "provenance": provenance,
        });
        printable::object(&object)
    };
    rows.iter().map(line).collect()
}
