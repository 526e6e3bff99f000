//! Lines of schema 2, which af1 wrote before cells had names: what later lines say of themselves is filled in.

use serde_json::{Map, Value, json};

use super::{SCHEMA, lines};
use crate::prompt::{ContextsFrom, KeyedBy, Step};
use crate::stats::{Inference, LEVEL};

/// A line of schema 2 as one of this schema: the number of its cell becomes the cell's name and order, and fields that came later have the
/// value that they had then. Which experiment asked for the sweep is left open: it follows from all lines of the sweep.
///
/// # Errors
/// It is no object.
pub fn upgraded(value: Value) -> Result<Value, String> {
    let Value::Object(mut line) = value else {
        return Err("it is no object".to_owned());
    };
    let experiment = line.get("experiment").and_then(Value::as_str);
    let experiment = experiment.unwrap_or_default().to_owned();
    line.insert("schema".to_owned(), json!(SCHEMA));
    if let Some(Value::Object(provenance)) = line.get_mut("provenance") {
        // Every layer ran on whole prompts, and contexts were prompts that can be asked.
        fill(provenance, "masked", json!(true));
        fill(provenance, "key", json!(KeyedBy::Span));
        fill(
            provenance,
            "contexts_from",
            json!(ContextsFrom::Answerable.name()),
        );
    }
    if experiment == lines::SELFCHECK {
        checked(&mut line);
    }
    if [lines::SELFCHECK, lines::CONCLUSION].contains(&&*experiment) {
        return Ok(Value::Object(line));
    }
    fill(&mut line, "inference", json!(Inference::Prompts));
    if experiment == lines::GATE {
        return Ok(Value::Object(line));
    }
    // What of a line is not about all of a template has a number.
    let whole = line.contains_key("error") && !line.contains_key("ablation");
    let number = line
        .get("cell")
        .and_then(Value::as_u64)
        .ok_or("it has no cell")?;
    let name = if whole {
        String::new()
    } else {
        format!("cell {number}")
    };
    line.insert("cell".to_owned(), json!(name));
    line.insert("order".to_owned(), json!([number, number]));
    line.insert("sweep_kind".to_owned(), json!(""));
    let shape = shape(&line);
    line.insert(
        "shape".to_owned(),
        if whole { Value::Null } else { json!(shape) },
    );
    line.insert("step".to_owned(), json!(Step::At(0)));
    fill(&mut line, "cells", Value::Null);
    line.insert("templates".to_owned(), Value::Null);
    if line.contains_key("error") {
        line.remove("inference");
    } else if !line.contains_key("weights") {
        measured(&mut line);
    }
    Ok(Value::Object(line))
}

/// The shape of prompts: every number was one token.
fn shape(line: &Map<String, Value>) -> Option<String> {
    let operation = line.get("operation").and_then(Value::as_str)?;
    Some(format!("{operation}=1").replace(|c: char| c.is_ascii_alphabetic(), "1"))
}

/// What lines of the self-check had not: every planted model that can do the task was always right.
fn checked(line: &mut Map<String, Value>) {
    let shape = shape(line);
    fill(line, "shape", json!(shape));
    fill(line, "step", json!(Step::At(0)));
    fill(line, "key", json!(KeyedBy::Span));
    let prompts = line.get("found").and_then(|found| found.get("prompts"));
    let prompts = prompts.cloned().unwrap_or_default();
    if let Some(Value::Object(planted)) = line.get_mut("planted") {
        fill(planted, "base_correct", prompts);
    }
}

/// What lines of cells had not, early in schema 2.
fn measured(line: &mut Map<String, Value>) {
    let number = |line: &Map<String, Value>, field: &str| {
        line.get(field).and_then(Value::as_u64).unwrap_or_default()
    };
    let kept = number(line, "correct_given_base");
    let lost = number(line, "base_correct").saturating_sub(kept);
    let gained = number(line, "correct").saturating_sub(kept);
    fill(line, "lost", json!(lost));
    fill(line, "gained", json!(gained));
    fill(line, "level", json!(LEVEL));
    for field in [
        "p_pass",
        "p_fail",
        "operand_contexts_fewest",
        "mutual_information",
    ] {
        fill(line, field, Value::Null);
    }
}

fn fill(line: &mut Map<String, Value>, field: &str, value: Value) {
    line.entry(field).or_insert(value);
}
