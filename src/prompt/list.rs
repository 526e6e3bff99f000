//! Lists of prompts: files whose lines stand in place of all operands in a range.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::{Listed, Operation, Selection, Template};
use crate::file::{Sha256, bytes_at_most, sha256_bytes};
use crate::{Error, Result};

/// The largest file, in bytes.
const MOST_BYTES: u64 = 16 << 20;

/// The most lines with a prompt.
const MOST_LINES: usize = 100_000;

/// A file of prompts, as it is written: JSON, an object a line, or CSV with a head line.
#[derive(Clone, Debug)]
pub struct List {
    path: PathBuf,
    hash: Sha256,
    lines: Vec<Asked>,
}

/// What a line asks.
#[derive(Clone, Debug, Default)]
struct Asked {
    /// The number of the line, from 1 on.
    line: usize,
    text: Option<String>,
    /// The texts of the operands, by the index of the operand.
    operands: BTreeMap<usize, String>,
    answer: Option<String>,
}

impl List {
    /// Reads a file of prompts. Every line has `text`, or the operands `A`, `B`, ..., or both; it may have the `answer`.
    ///
    /// # Errors
    /// A file that cannot be read or is too large; the first line that is no prompt.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = bytes_at_most(path, MOST_BYTES).map_err(|e| match e.kind() {
            ErrorKind::FileTooLarge => Error::List {
                path: path.to_owned(),
                line: 1,
                reason: format!("the file has more than {MOST_BYTES} bytes; split it"),
            },
            _ => Error::reading(path, "list of prompts", e),
        })?;
        Self::parse(path, &bytes)
    }

    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let mut list = Self {
            path: path.to_owned(),
            hash: sha256_bytes(bytes),
            lines: Vec::new(),
        };
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let before = &bytes[..e.valid_up_to()];
            let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
            list.wrong(line, "it is not UTF-8".to_owned())
        })?;
        let text = text.trim_start_matches('\u{feff}');
        list.lines = match text.trim_start().starts_with('{') {
            true => list.json(text)?,
            false => list.csv(text)?,
        };
        match list.lines.len() {
            0 => Err(list.wrong(1, "there is no prompt in the file".to_owned())),
            1..=MOST_LINES => Ok(list),
            n => Err(list.wrong(
                list.lines[MOST_LINES].line,
                format!("{n} prompts; expected {MOST_LINES} at most"),
            )),
        }
    }

    fn wrong(&self, line: usize, reason: String) -> Error {
        Error::List {
            path: self.path.clone(),
            line,
            reason,
        }
    }

    /// An object a line.
    fn json(&self, text: &str) -> Result<Vec<Asked>> {
        let mut lines = Vec::new();
        for (i, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let fail = |reason: String| self.wrong(i + 1, reason);
            let Fields(fields) =
                serde_json::from_str(line).map_err(|e| fail(format!("no JSON object: {e}")))?;
            let mut asked = Asked {
                line: i + 1,
                ..Asked::default()
            };
            for (name, value) in fields {
                let value = match value {
                    Value::String(text) => text,
                    Value::Number(number) => number.to_string(),
                    other => {
                        return Err(fail(format!(
                            "{name:?} is {other}; expected a text or a number"
                        )));
                    }
                };
                asked.take(&name, value).map_err(fail)?;
            }
            asked.check().map_err(fail)?;
            lines.push(asked);
        }
        Ok(lines)
    }

    /// A line of names, then a line a prompt.
    fn csv(&self, text: &str) -> Result<Vec<Asked>> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::Headers)
            .from_reader(text.as_bytes());
        // Of lines that end with CR and LF the reader leaves the LF to the next one.
        let line = |at: Option<&csv::Position>| {
            at.map_or(1, |at| {
                let rest = &text.as_bytes()[at.byte() as usize..];
                let ends = rest.iter().take_while(|byte| b"\r\n".contains(byte));
                at.line() as usize + ends.filter(|&&byte| byte == b'\n').count()
            })
        };
        let fail = |e: csv::Error| self.wrong(line(e.position()), format!("no CSV: {e}"));
        let names = reader.headers().map_err(fail)?.clone();
        let mut lines = Vec::new();
        for record in reader.into_records() {
            let record = record.map_err(fail)?;
            let mut asked = Asked {
                line: line(record.position()),
                ..Asked::default()
            };
            for (name, value) in names.iter().zip(&record) {
                // An empty cell says nothing.
                if !value.is_empty() {
                    let taken = asked.take(name, value.to_owned());
                    taken.map_err(|reason| self.wrong(asked.line, reason))?;
                }
            }
            asked
                .check()
                .map_err(|reason| self.wrong(asked.line, reason))?;
            lines.push(asked);
        }
        Ok(lines)
    }

    /// The prompts that are selected in place of the operands in a range: those of the list, which fit all of the templates.
    ///
    /// # Errors
    /// The first line that does not fit a template, has another answer, or asks what an earlier one asks.
    pub fn select(&self, templates: &[Template], selection: Selection) -> Result<Selection> {
        let mut known: HashMap<Vec<i64>, usize> = HashMap::new();
        let mut results = Vec::new();
        for asked in &self.lines {
            let fail = |reason| self.wrong(asked.line, reason);
            let mut first: Option<Vec<i64>> = None;
            for template in templates {
                let (operands, result) = asked.of(template).map_err(fail)?;
                results.push(result);
                match &first {
                    Some(first) if *first != operands => {
                        return Err(fail(format!(
                            "it asks {first:?} in one template and {operands:?} in another; ask for one with --style and --operation"
                        )));
                    }
                    _ => first = Some(operands),
                }
            }
            let Some(operands) = first else { continue };
            if let Some(before) = known.insert(operands, asked.line) {
                return Err(fail(format!("it asks what line {before} asks")));
            }
        }
        let range = |values: &mut dyn Iterator<Item = i64>| {
            let bounds = values.fold(None, |found: Option<(i64, i64)>, value| {
                let (low, high) = found.unwrap_or((value, value));
                Some((low.min(value), high.max(value)))
            });
            bounds.map_or(0..=0, |(low, high)| low..=high)
        };
        Ok(Selection {
            operands: range(&mut known.keys().flatten().copied()),
            results: range(&mut results.into_iter()),
            listed: Some(Arc::new(Listed {
                operands: known.into_keys().collect(),
                hash: self.hash.clone(),
            })),
            ..selection
        })
    }
}

/// The fields of an object as they are written, those that come twice too, of which a map would keep the last.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(InOrder)
    }
}

impl Asked {
    /// Takes a field.
    ///
    /// # Errors
    /// A name that is none; a name that comes twice.
    fn take(&mut self, name: &str, value: String) -> Result<(), String> {
        let before = match name.as_bytes() {
            b"text" => self.text.replace(value),
            b"answer" => self.answer.replace(value),
            [letter @ b'A'..=b'Z'] => self.operands.insert(usize::from(letter - b'A'), value),
            _ => {
                return Err(format!(
                    "{name:?} is no field; expected text, answer or an operand A, B, C, ..."
                ));
            }
        };
        match before {
            None => Ok(()),
            Some(_) => Err(format!("{name:?} occurs twice")),
        }
    }

    /// Refuses a line that asks nothing.
    fn check(&self) -> Result<(), String> {
        match self.text.is_none() && self.operands.is_empty() {
            false => Ok(()),
            true => Err("neither text nor operands; expected one of them".to_owned()),
        }
    }

    /// The operands and the answer as a template has them.
    ///
    /// # Errors
    /// Why the line does not fit it.
    fn of(&self, template: &Template) -> Result<(Vec<i64>, i64), String> {
        let operation = &template.operation;
        let count = operation.operands();
        let operands = match (&self.text, self.operands.is_empty()) {
            (Some(text), true) => template.read(text)?,
            _ => {
                let last = self.operands.keys().next_back().map_or(0, |last| last + 1);
                if last != self.operands.len() || last != count {
                    let found: String = self
                        .operands
                        .keys()
                        .map(|&i| Operation::letter(i))
                        .collect();
                    return Err(format!(
                        "it has the operands {found:?}, and {operation} has {count}"
                    ));
                }
                let written = self.operands.values().zip(&template.operands);
                let values = written.map(|(text, written)| written.value(text));
                let operands: Vec<i64> = values.collect::<Result<_, _>>()?;
                let written = template.render(&operands).text;
                if let Some(text) = self.text.as_ref().filter(|text| **text != written) {
                    return Err(format!(
                        "its text is {text:?}, and the style {} asks these operands with {written:?}",
                        template.style
                    ));
                }
                operands
            }
        };
        let result = operation.evaluate(&operands).ok_or_else(|| {
            format!("{operation} has no answer among the integers for {operands:?}")
        })?;
        match &self.answer {
            _ if !template.answer.has(result) => Err(format!(
                "{operation} of {operands:?} is {result}, which is no index of the table"
            )),
            Some(answer) if template.answer.value(answer)? != result => Err(format!(
                "its answer is {answer}, and {operation} of {operands:?} is {}",
                template.answer.text(result)
            )),
            _ => Ok((operands, result)),
        }
    }
}
