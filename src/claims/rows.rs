//! The records of an experiment as they are written, and what follows from them.

use serde_json::Value;

use crate::record::{Findings, Line, Row};
use crate::stats::Proportion;

/// Records as the objects that are written, those of whole answers and of pools behind them, and for every class of prompts that a record
/// counts (`strata`) an object of its own: the record's fields, `stratum` with the class, and the class's counts and shares in place of
/// the record's.
#[derive(Clone, Debug, Default)]
pub struct Rows(Vec<Value>);

impl Rows {
    /// The records of some lines.
    pub fn of(lines: &[Line]) -> Self {
        let measured = lines.iter().map(|line| line.text.clone());
        let findings = Findings::of(lines);
        let derived = findings.pools();
        let derived = derived.map(|m| Line::new(Row::Pooled(Box::new(m.clone()))).text);
        let all = measured.chain(derived);
        // Every line was written by this program.
        let all: Vec<Value> = all
            .filter_map(|text| serde_json::from_str(&text).ok())
            .collect();
        let strata: Vec<Value> = all.iter().flat_map(strata).collect();
        Self(all.into_iter().chain(strata).collect())
    }

    /// The records of which these fields have these values.
    pub fn that<'a>(&'a self, fields: &'a toml::Table) -> impl Iterator<Item = &'a Value> {
        let fits = |row: &&Value| {
            fields
                .iter()
                .all(|(name, wanted)| equal(at(row, name), wanted))
        };
        let of_strata = fields.contains_key(STRATUM);
        let same_kind = move |row: &&Value| row.get(STRATUM).is_some() == of_strata;
        self.0.iter().filter(same_kind).filter(fits)
    }
}

/// The field that tells a class of prompts.
pub(super) const STRATUM: &str = "stratum";

/// The value at a path whose names are parted by dots.
pub(super) fn at<'v>(row: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(row, |value, name| value.get(name))
}

/// Whether a field has the value that a file writes.
fn equal(found: Option<&Value>, wanted: &toml::Value) -> bool {
    match (found, wanted) {
        (Some(Value::String(found)), toml::Value::String(wanted)) => found == wanted,
        (Some(Value::Number(found)), toml::Value::Integer(wanted)) => {
            found.as_i64() == Some(*wanted)
        }
        (Some(Value::Bool(found)), toml::Value::Boolean(wanted)) => found == wanted,
        _ => false,
    }
}

/// An object for every class of prompts of a record.
fn strata(row: &Value) -> Vec<Value> {
    let classes = row.get("strata").and_then(Value::as_array);
    let of = |class: &Value| {
        let (class, mut row) = (class.as_object()?, row.as_object()?.clone());
        let count = |name: &str| Some(class.get(name)?.as_u64()? as usize);
        let named = class.iter().find(|(_, value)| value.is_string())?;
        let name = format!("{} {}", named.0, named.1.as_str()?);
        let shares = [
            ("base_accuracy", "base_correct", "prompts"),
            ("accuracy", "correct", "prompts"),
            ("faithfulness", "correct_given_base", "base_correct"),
        ];
        for (share, of, among) in shares {
            let found = Proportion::wilson(count(of)?, count(among)?);
            row.insert(share.to_owned(), found.value.into());
            row.insert(format!("{share}_low"), found.low.into());
            row.insert(format!("{share}_high"), found.high.into());
        }
        row.insert(STRATUM.to_owned(), name.into());
        Some(Value::Object(row))
    };
    classes.into_iter().flatten().filter_map(of).collect()
}
