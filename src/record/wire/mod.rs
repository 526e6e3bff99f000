//! How lines are written and read: the only place that knows their form. A line is one flat object of JSON; what the program works
//! with is nested.

mod bits;
mod cell;
mod contradiction;
mod lines;
mod patched;
mod reading;
mod schema_2;
mod stratum;

use serde::Serialize;
use serde_json::Value;

use super::{Measurement, Place, Row};
use crate::printable;

/// The version of the schema; raised when a field changes its meaning or goes.
pub const SCHEMA: u32 = 3;

/// The text of a line, without its end.
pub(super) fn write(row: &Row) -> String {
    match row {
        Row::Measured(m) => text(&cell::Cell::from(&**m)),
        Row::Attention(a) => text(&lines::Head::from(&**a)),
        Row::Patched(p) => text(&patched::Swapped::from(&**p)),
        Row::Reading(r) => text(&reading::Read::from(&**r)),
        Row::Failed(f) => text(&lines::Failed::from(&**f)),
        Row::Gate(g) => text(&lines::Gated::from(&**g)),
        Row::Selfcheck(s) => text(&lines::Checked::from(&**s)),
        Row::Pooled(m) => text(&cell::Cell::from(&**m)),
        Row::Conclusion(c) => text(&lines::Concluded::from(&**c)),
        Row::Ended(e) => text(&lines::Shard::from(&**e)),
    }
}

/// The numbers by which lines are ordered: the template's, then the cell's.
fn order(place: &Place) -> Vec<usize> {
    [place.template]
        .iter()
        .chain(&place.cell.order)
        .copied()
        .collect()
}

/// How many tokens the numbers have, in words.
fn shape(place: &Place, operation: &str) -> Option<String> {
    place.shape.as_ref().map(|shape| shape.words(operation))
}

fn text(line: &impl Serialize) -> String {
    let text = serde_json::to_string(line).expect("a line is plain data");
    printable::json(&text).into_owned()
}

/// What a line says, and by which schema it was written.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read(text: &str) -> Result<(Row, u64), String> {
    let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let schema = value.get("schema").and_then(Value::as_u64);
    let schema = schema.ok_or("it has no schema: it is no record of af1")?;
    let value = match schema {
        2 => schema_2::upgraded(value)?,
        found if found == u64::from(SCHEMA) => value,
        found => return Err(of_another_program(found, &value)),
    };
    Ok((row(value)?, schema))
}

fn of_another_program(found: u64, value: &Value) -> String {
    let by = value.pointer("/provenance/crate_version");
    let by = by
        .and_then(Value::as_str)
        .map(|version| format!(" (af1 {version}, schema {found})"));
    let what = match found < u64::from(SCHEMA) {
        true => "an older af1 wrote it: measure again, or read it with that",
        false => "a newer af1 wrote it: use that",
    };
    format!(
        "it has schema {found}, and this is af1 {}, which reads schemas 2 and {SCHEMA}; {what}{}",
        env!("CARGO_PKG_VERSION"),
        by.unwrap_or_default()
    )
}

/// What a line of this schema says. Lines that are not about cells say so in `experiment`.
fn row(value: Value) -> Result<Row, String> {
    fn line<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
        serde_json::from_value(value).map_err(|e| e.to_string())
    }
    named_on_a_line(&value)?;
    let kind = value.get("experiment").and_then(Value::as_str);
    let has = |field: &str| value.get(field).is_some();
    Ok(match kind {
        Some(lines::GATE) => Row::Gate(Box::new(line::<lines::Gated>(value)?.into())),
        Some(lines::SELFCHECK) => {
            Row::Selfcheck(Box::new(line::<lines::Checked>(value)?.try_into()?))
        }
        Some(lines::CONCLUSION) => {
            Row::Conclusion(Box::new(line::<lines::Concluded>(value)?.into()))
        }
        Some(lines::SHARD) => Row::Ended(Box::new(line::<lines::Shard>(value)?.into())),
        Some(cell::POOLED | cell::WHOLE) => Row::Pooled(Box::new(measured(line(value)?)?)),
        _ if has("error") => Row::Failed(Box::new(line::<lines::Failed>(value)?.try_into()?)),
        _ if has("weights") => {
            let head = line::<lines::Head>(value)?.try_into()?;
            contradiction::head(&head)?;
            Row::Attention(Box::new(head))
        }
        _ if has("patched") => {
            let patched = line::<patched::Swapped>(value)?.try_into()?;
            contradiction::patched(&patched)?;
            Row::Patched(Box::new(patched))
        }
        _ if has("lens") => {
            let reading = line::<reading::Read>(value)?.try_into()?;
            contradiction::reading(&reading)?;
            Row::Reading(Box::new(reading))
        }
        _ => Row::Measured(Box::new(measured(line(value)?)?)),
    })
}

/// Fields that name something.
const NAMES: [&str; 10] = [
    "sweep",
    "cell",
    "experiment",
    "model",
    "style",
    "operation",
    "ablation",
    "masking",
    "other_operation",
    "claim",
];

/// Refuses names that would end the line in which they are shown: what comes behind would look like words of this program.
fn named_on_a_line(value: &Value) -> Result<(), String> {
    let texts = NAMES
        .iter()
        .filter_map(|name| Some((name, value.get(*name)?.as_str()?)));
    match texts
        .into_iter()
        .find(|(_, text)| text.contains(char::is_control))
    {
        None => Ok(()),
        Some((name, text)) => Err(format!(
            "{name} is {text:?}; expected no control character in a name"
        )),
    }
}

/// A line of a cell that can be.
fn measured(line: cell::Cell) -> Result<Measurement, String> {
    let m = line.try_into()?;
    contradiction::cell(&m)?;
    Ok(m)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// What a line may be.
    #[derive(schemars::JsonSchema)]
    #[serde(untagged)]
    #[allow(dead_code)]
    enum Line {
        Cell(Box<cell::Cell>),
        Head(lines::Head),
        Swapped(Box<patched::Swapped>),
        Read(Box<reading::Read>),
        Failed(lines::Failed),
        Gate(lines::Gated),
        Selfcheck(lines::Checked),
        Conclusion(lines::Concluded),
        Shard(lines::Shard),
    }

    /// `AF1_WRITE_SCHEMA=1 cargo test --lib schema_is_committed` writes it anew.
    #[test]
    fn the_json_schema_is_committed() {
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Line)).unwrap() + "\n";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema.json");
        if std::env::var_os("AF1_WRITE_SCHEMA").is_some() {
            std::fs::write(&path, &schema).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == schema,
            "docs/schema.json is not what the lines are: AF1_WRITE_SCHEMA=1 cargo test --lib schema_is_committed writes it"
        );
    }
}
