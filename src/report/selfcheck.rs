//! The self-check: what was planted above what was found.

use super::table::{self, in_front, outcome};
use crate::intervene::Head;
use crate::record::{Outcome, SCHEMA};
use crate::runtime::Placement;
use crate::selfcheck::{CLAIM, Row};

/// What stands above the table: what it is about, and what stands in front of the prompts.
pub fn selfcheck_heading(runtime_version: &str, device: &Placement, rows: &[Row]) -> String {
    let of = |row: &Row| in_front(row.bos.as_deref(), Some(&row.bos_rule));
    let mut fronts: Vec<(String, Vec<&str>)> = Vec::new();
    for row in rows {
        match fronts.iter_mut().find(|(known, _)| *known == of(row)) {
            Some((_, models)) if models.contains(&&*row.model) => {}
            Some((_, models)) => models.push(&row.model),
            None => fronts.push((of(row), vec![&row.model])),
        }
    }
    // That of most models first; the others by name.
    fronts.sort_by_key(|(_, models)| std::cmp::Reverse(models.len()));
    let mut text = format!(
        "models whose answer is known by construction, on ONNX Runtime {runtime_version} ({device})\n"
    );
    for (i, (front, models)) in fronts.iter().enumerate() {
        text += &match i {
            0 => format!("{front} before every prompt"),
            _ => format!(", but {front} before those of {}", models.join(", ")),
        };
    }
    text + "\n"
}

/// A table with two lines for every template, those that say the same joined. Where all is as planted the second line
/// repeats the first.
pub fn selfcheck(rows: &[Row]) -> String {
    let claim = rows.first().map_or((0, 0), |row| row.claim);
    let verdict = format!("verdict on AF1({}, {})", claim.0, claim.1);
    let header = [
        "model",
        "template",
        "",
        "base accuracy",
        "CAMA holds to",
        "AF1",
        "layers needed",
        "heads needed",
        &verdict,
    ];
    let mut table = table::table(&header);
    let mut templates: Vec<(String, String, [[String; 6]; 2])> = Vec::new();
    for row in rows {
        let template = format!("{} {}", row.style, row.operation);
        let lines = lines(row);
        match templates.last_mut() {
            Some((model, joined, same)) if *model == row.model && *same == lines => {
                *joined += &format!(", {template}");
            }
            _ => templates.push((row.model.clone(), template, lines)),
        }
    }
    for (model, template, [planted, found]) in templates {
        let cells = |first: [String; 3], rest: [String; 6]| first.into_iter().chain(rest);
        table.add_row(cells([model, template, "planted".to_owned()], planted));
        table.add_row(cells(
            [String::new(), String::new(), "found".to_owned()],
            found,
        ));
    }
    let wrong = rows.iter().filter(|row| !row.differences().is_empty());
    let conclusion = match wrong.count() {
        0 => "all as planted".to_owned(),
        n => format!("{n} of {} templates are not as planted", rows.len()),
    };
    format!("{table}\n{conclusion} (a subgraph holds from a faithfulness of {CLAIM} on)\n")
}

/// What was planted and what was found.
fn lines(row: &Row) -> [[String; 6]; 2] {
    let none = || "none".to_owned();
    let list = |items: Vec<String>| match items.is_empty() {
        true => none(),
        false => items.join(" "),
    };
    let af1 = |af1: Option<(usize, usize)>| match af1 {
        Some((wait, transfer)) => format!("AF1({wait}, {transfer})"),
        None => none(),
    };
    let verdict = |v: Outcome| outcome(v).to_owned();
    let found = &row.found;
    let base = format!(
        "{:.2}",
        found.base_correct as f64 / found.prompts.max(1) as f64
    );
    let Some(truth) = &row.planted else {
        // What is found in the few answers that happen to be right says nothing.
        let mut planted = [const { String::new() }; 6];
        planted[0] = "too low to say".to_owned();
        planted[5] = verdict(row.due);
        let mut seen = [const { String::new() }; 6];
        seen[0] = base;
        seen[5] = verdict(row.verdict);
        return [planted, seen];
    };
    let names = |heads: &[Head]| list(heads.iter().map(ToString::to_string).collect());
    [
        [
            "1.00".to_owned(),
            format!("W = {}", truth.waits),
            af1(truth.af1),
            list(truth.knockouts.iter().map(usize::to_string).collect()),
            names(&row.planted_heads()),
            verdict(row.due),
        ],
        [
            base,
            found.waits.map_or_else(none, |wait| format!("W = {wait}")),
            af1(found.af1),
            list(found.knockouts.iter().map(usize::to_string).collect()),
            names(&found.heads),
            verdict(row.verdict),
        ],
    ]
}

/// One JSON object a template.
pub fn selfcheck_lines(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let mut planted = serde_json::json!(row.planted);
        if planted.is_object() {
            planted["heads"] = serde_json::json!(row.planted_heads());
        }
        let object = serde_json::json!({
            "schema": SCHEMA, "experiment": "selfcheck", "model": row.model, "style": row.style,
            "operation": row.operation, "bos": row.bos, "bos_rule": row.bos_rule, "planted": planted, "found": row.found,
            "claim": [row.claim.0, row.claim.1], "due": row.due, "verdict": row.verdict,
            "kept_planted": row.kept_planted, "kept": row.kept,
            "differences": row.differences(),
        });
        format!("{object}\n")
    };
    rows.iter().map(line).collect()
}
