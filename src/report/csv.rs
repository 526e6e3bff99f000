//! Cells as comma-separated values: the fields of the records, those inside others with a dot.

use serde_json::Value;

use super::{Look, Renderer};
use crate::printable;
use crate::record::{Findings, Line};

/// Comma-separated values.
pub struct Csv;

impl Renderer for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn help(&self) -> &'static str {
        "A line a cell, a column a field"
    }

    fn records(&self, findings: &Findings<'_>, _: Look) -> String {
        csv(findings.lines)
    }
}

/// A line a cell, a column a field; the columns are those of all lines, in the order in which they first appear.
fn csv(lines: &[Line]) -> String {
    let mut columns: Vec<String> = Vec::new();
    let mut rows: Vec<Vec<(String, String)>> = Vec::new();
    for line in lines.iter().filter(|line| line.address().is_some()) {
        let value: Value = serde_json::from_str(&line.text).expect("it was read as JSON before");
        let mut fields = Vec::new();
        flatten("", &value, &mut fields);
        for (name, _) in &fields {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        rows.push(fields);
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = |row: Vec<&str>| {
        writer
            .write_record(row)
            .expect("rows have one length and memory does not fail");
    };
    let names: Vec<String> = columns.iter().map(|name| cell(name)).collect();
    write(names.iter().map(String::as_str).collect());
    for fields in &rows {
        let of = |column: &String| {
            let found = fields.iter().find(|(name, _)| name == column);
            found.map_or("", |(_, value)| value.as_str())
        };
        write(columns.iter().map(of).collect());
    }
    let bytes = writer.into_inner().expect("memory does not fail");
    String::from_utf8(bytes).expect("text was written")
}

/// A text in a cell, on one line. An apostrophe before what a spreadsheet would compute makes it text there, too.
fn cell(text: &str) -> String {
    let text = printable::line(text);
    let is_formula = text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    match is_formula && text.parse::<f64>().is_err() {
        true => format!("'{text}"),
        false => text.into_owned(),
    }
}

/// The plain values of an object, with the names that lead to them. A list is one value, its items joined by spaces.
fn flatten(name: &str, value: &Value, fields: &mut Vec<(String, String)>) {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => cell(text),
        other => printable::json(&other.to_string()).into_owned(),
    };
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let inner = match name {
                    "" => key.clone(),
                    name => format!("{name}.{key}"),
                };
                flatten(&inner, value, fields);
            }
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(text).collect();
            fields.push((name.to_owned(), items.join(" ")));
        }
        value => fields.push((name.to_owned(), text(value))),
    }
}
