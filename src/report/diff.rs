//! The two ways of running a plan, beside each other.

use std::fmt;

use serde_json::json;

use super::table::table;
use crate::measure::Difference;
use crate::record::{Provenance, SCHEMA};

/// What the compiled and the masked way say of one plan.
#[derive(Clone, Debug)]
pub struct Beside {
    /// The template.
    pub style: String,
    /// Its operation.
    pub operation: String,
    /// What replaced the residual stream.
    pub ablation: String,
    /// `W`.
    pub wait: usize,
    /// `K`.
    pub transfer: usize,
    /// Prompts that were evaluated.
    pub prompts: usize,
    /// Right answers, compiled.
    pub correct: usize,
    /// Right answers, masked.
    pub correct_masked: usize,
    /// Prompts that only one of the ways answers rightly.
    pub other_answers: usize,
    /// The largest difference of logits, relative to the largest of them.
    pub logits_apart: f32,
    /// How far they may be apart.
    pub tolerance: f32,
    /// Where residual streams first come apart.
    pub first: Option<Difference>,
}

impl Beside {
    /// Whether they are the same: the logits up to rounding, the answers exactly.
    pub fn same(&self) -> bool {
        self.other_answers == 0 && self.logits_apart <= self.tolerance && self.first.is_none()
    }

    fn place(&self) -> String {
        self.first.as_ref().map_or(String::new(), |d| {
            let name = crate::graph::resid(d.boundary);
            format!("{name} at position {} of {:?}", d.position, d.prompt)
        })
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} AF1({}, {}): {} of {} answers differ, logits by {:.1e} of the largest",
            self.style,
            self.operation,
            self.ablation,
            self.wait,
            self.transfer,
            self.other_answers,
            self.prompts,
            self.logits_apart
        )?;
        match self.place() {
            place if place.is_empty() => Ok(()),
            place => write!(f, ", first {place}"),
        }
    }
}

/// A row a plan.
pub fn diff_table(model: &str, rows: &[Beside]) -> String {
    let mut table = table(&[
        "style",
        "op",
        "replaced by",
        "AF1",
        "right compiled",
        "right masked",
        "other answers",
        "logits apart",
        "streams first apart",
    ]);
    for row in rows {
        table.add_row([
            row.style.clone(),
            row.operation.clone(),
            row.ablation.clone(),
            format!("AF1({}, {})", row.wait, row.transfer),
            format!("{}/{}", row.correct, row.prompts),
            format!("{}/{}", row.correct_masked, row.prompts),
            row.other_answers.to_string(),
            format!("{:.1e}", row.logits_apart),
            row.place(),
        ]);
    }
    let same = rows.iter().filter(|row| row.same()).count();
    let tolerance = rows.first().map_or(0.0, |row| row.tolerance);
    format!(
        "{model}: AF1 compiled and AF1 by masks; logits relative to the largest of them\n{table}\n{same} of {} the same (up to {tolerance:.0e})\n",
        rows.len()
    )
}

/// An object a plan.
pub fn diff_lines(model: &str, rows: &[Beside], provenance: &Provenance) -> String {
    let line = |row: &Beside| {
        let first = row.first.as_ref().map(|d| {
            json!({ "boundary": d.boundary, "position": d.position, "prompt": d.prompt, "apart": d.apart })
        });
        let object = json!({
            "schema": SCHEMA, "experiment": "diff", "model": model, "style": row.style, "operation": row.operation,
            "ablation": row.ablation, "wait": row.wait, "transfer": row.transfer, "prompts": row.prompts,
            "correct": row.correct, "correct_masked": row.correct_masked, "other_answers": row.other_answers,
            "logits_apart": row.logits_apart, "tolerance": row.tolerance, "first": first, "same": row.same(),
            "provenance": provenance,
        });
        format!("{object}\n")
    };
    rows.iter().map(line).collect()
}
