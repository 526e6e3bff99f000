//! Under what was measured.

use serde_json::Value;

use super::overview;
use crate::kit::{Table, column};
use crate::record::{Findings, Provenance, Sweep};

/// A field and what stands in it, as text.
pub struct Field {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// The fields of a provenance, in the order of the records.
pub fn fields(p: &Provenance) -> Vec<Field> {
    let all = serde_json::to_value(p).expect("a record is plain data");
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let all = all.as_object().into_iter().flatten();
    let field = |(name, value): (&String, &Value)| Field {
        name: name.clone(),
        value: text(value),
    };
    all.map(field).collect()
}

/// A table a provenance, with the sweeps that have it.
pub fn tables(findings: &Findings<'_>) -> Vec<Table> {
    let mut all: Vec<(&Provenance, Vec<&Sweep>)> = Vec::new();
    for sweep in &findings.sweeps {
        for p in overview::provenances(sweep) {
            match all.iter_mut().find(|(known, _)| *known == p) {
                Some((_, sweeps)) if sweeps.iter().any(|known| known.name == sweep.name) => {}
                Some((_, sweeps)) => sweeps.push(sweep),
                None => all.push((p, vec![sweep])),
            }
        }
    }
    let columns = [
        column("field", |field: &Field| field.name.clone()),
        column("value", |field: &Field| field.value.clone()),
    ];
    let table = |(p, sweeps): &(&Provenance, Vec<&Sweep>)| {
        let names: Vec<&str> = sweeps.iter().map(|sweep| sweep.name.as_str()).collect();
        let title = format!("Under what was measured: {}", names.join(", "));
        Table::of(title, &columns, &fields(p))
    };
    all.iter().map(table).collect()
}
