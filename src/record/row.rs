//! The lines of a file of records: reading them, whatever they are about.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Measurement, Provenance, Run, SCHEMA};
use crate::prompt::Template;
use crate::stats::Inference;
use crate::{Error, Result};

/// A line: what it says, and its text, which is never written anew.
#[derive(Clone, Debug)]
pub struct Line {
    /// Without the end of the line.
    pub text: String,
    /// What it says.
    pub row: Row,
}

/// What a line is about.
#[derive(Clone, Debug)]
pub enum Row {
    /// A cell of a sweep.
    Measured(Box<Measurement>),
    /// A head's attention.
    Attention(Box<HeadAttention>),
    /// A template that could not be evaluated, or an ablation that is not defined on it.
    Failed(Box<Failure>),
    /// A line of the self-check or of a gate, which belongs to no sweep, or a pooled one, which follows from others.
    Other(Value),
}

/// A template that could not be evaluated, or an ablation that is not defined on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // documented once, in schema.md
pub struct Failure {
    pub schema: u32,
    pub sweep: String,
    pub cell: usize,
    pub experiment: String,
    pub model: String,
    pub style: String,
    pub operation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ablation: Option<String>,
    pub error: String,
    pub exit_code: u8,
}

impl Failure {
    /// A template that could not be evaluated in a run, and why; which cell of which sweep it is is filled in by whoever runs the sweep.
    pub fn of(run: &Run<'_>, template: &Template, error: &Error) -> Self {
        Self {
            schema: SCHEMA,
            sweep: String::new(),
            cell: 0,
            experiment: run.experiment.to_string(),
            model: run.model.to_owned(),
            style: template.style.clone(),
            operation: template.operation.to_string(),
            ablation: None,
            error: error.to_string(),
            exit_code: error.exit_code(),
        }
    }
}

/// How much of the last token's attention a head gives to what, in the unmodified model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // documented once, in schema.md
pub struct HeadAttention {
    pub schema: u32,
    pub sweep: String,
    pub cell: usize,
    pub experiment: String,
    pub model: String,
    pub style: String,
    pub operation: String,
    #[serde(default)]
    pub inference: Inference,
    pub layers: usize,
    pub layer: usize,
    pub head: usize,
    pub prompts: usize,
    pub weights: BTreeMap<String, Weight>,
    pub provenance: Provenance,
}

/// A mean attention weight with its 95% interval over prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // documented once, in schema.md
pub struct Weight {
    pub mean: f64,
    pub low: Option<f64>,
    pub high: Option<f64>,
}

impl Line {
    /// A line that is about to be written.
    pub fn new(row: Row) -> Self {
        let text = match &row {
            Row::Measured(m) => serde_json::to_string(m),
            Row::Attention(a) => serde_json::to_string(a),
            Row::Failed(f) => serde_json::to_string(f),
            Row::Other(value) => serde_json::to_string(value),
        };
        let text = text.expect("a record is plain data");
        Self { text, row }
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let schema = value.get("schema").and_then(Value::as_u64);
        match schema {
            Some(found) if found == u64::from(SCHEMA) => {}
            Some(found) => {
                let by = value
                    .pointer("/provenance/crate_version")
                    .and_then(Value::as_str);
                let by = by.map_or(String::new(), |version| format!(" {version}"));
                let what = match found < u64::from(SCHEMA) {
                    true => "an older af1 wrote it: measure again, or read it with that",
                    false => "a newer af1 wrote it: use that",
                };
                return Err(format!(
                    "it has schema {found}, and this is af1 {}, which reads schema {SCHEMA}; {what}{}",
                    env!("CARGO_PKG_VERSION"),
                    match by.is_empty() {
                        true => String::new(),
                        false => format!(" (af1{by}, schema {found})"),
                    }
                ));
            }
            None => return Err("it has no schema: it is no record of af1".to_owned()),
        }
        let experiment = value.get("experiment").and_then(Value::as_str);
        // From the text: through a value a number would lose its last digits' form.
        let fail = |e: serde_json::Error| e.to_string();
        let row = if matches!(
            experiment,
            Some("selfcheck" | "gate" | "pooled" | "conclusion")
        ) {
            Row::Other(value)
        } else if value.get("error").is_some() {
            Row::Failed(Box::new(serde_json::from_str(text).map_err(fail)?))
        } else if experiment == Some("attention") {
            Row::Attention(Box::new(serde_json::from_str(text).map_err(fail)?))
        } else {
            Row::Measured(Box::new(serde_json::from_str(text).map_err(fail)?))
        };
        let text = text.to_owned();
        Ok(Self { text, row })
    }

    /// Which cell of which sweep it is.
    pub fn key(&self) -> Option<(&str, usize)> {
        match &self.row {
            Row::Measured(m) => Some((&m.sweep, m.cell)),
            Row::Attention(a) => Some((&a.sweep, a.cell)),
            Row::Failed(f) => Some((&f.sweep, f.cell)),
            Row::Other(_) => None,
        }
    }

    /// Whether it says that a template could not be evaluated at all.
    pub fn failed_as_a_whole(&self) -> bool {
        matches!(&self.row, Row::Failed(failure) if failure.ablation.is_none())
    }

    /// Whether it only says what follows from other lines, which a report says anew.
    pub fn follows(&self) -> bool {
        let what = match &self.row {
            Row::Other(value) => value["experiment"].as_str(),
            _ => None,
        };
        matches!(what, Some("pooled" | "conclusion"))
    }

    /// Whether it says that something could not be done.
    pub fn failed(&self) -> bool {
        matches!(self.row, Row::Failed(_))
    }
}

/// Reads a file of records.
///
/// # Errors
/// A file that cannot be read; the first line that is no record of this schema.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::reading(path, "record", e))?;
    // A run that is still going on, or was killed while it wrote.
    let torn = text
        .lines()
        .next_back()
        .filter(|_| !text.is_empty() && !text.ends_with('\n'));
    if let Some(Err(reason)) = torn.map(Line::read) {
        return Err(Error::Record {
            path: path.to_owned(),
            line: text.lines().count(),
            reason: format!(
                "{reason}; the line has no end: if a run was stopped while it wrote it, the same command goes on with this \
                 --record and mends it"
            ),
        });
    }
    read_text(path, &text)
}

/// Reads the text of a file of records.
pub(super) fn read_text(path: &Path, text: &str) -> Result<Vec<Line>> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let read = |(i, line): (usize, &str)| {
        Line::read(line).map_err(|reason| Error::Record {
            path: path.to_owned(),
            line: i + 1,
            reason,
        })
    };
    lines.map(read).collect()
}

/// The sweeps of which cells are missing, in words: a shard that is not there, or a run that has not ended. Pruning ends where
/// nothing is left to prune, so its cells are not counted; a template that could not be evaluated has none.
pub fn incomplete(lines: &[Line]) -> Vec<String> {
    let mut found: BTreeMap<&str, (usize, BTreeSet<usize>)> = BTreeMap::new();
    let mut excused: BTreeSet<&str> = BTreeSet::new();
    for line in lines {
        let Some((sweep, cell)) = line.key() else {
            continue;
        };
        match &line.row {
            Row::Measured(m) if m.experiment != "heads" => {
                let of = found.entry(sweep).or_default();
                of.0 = m.cells.unwrap_or(0);
                of.1.insert(cell);
            }
            Row::Failed(failure) if failure.ablation.is_some() => {
                found.entry(sweep).or_default().1.insert(cell);
            }
            _ => {
                excused.insert(sweep);
            }
        }
    }
    let short = found
        .into_iter()
        .filter(|(sweep, (all, cells))| !excused.contains(sweep) && cells.len() < *all);
    let text = |(sweep, (all, cells)): (&str, (usize, BTreeSet<usize>))| {
        format!("sweep {sweep} has {} of its {all} cells", cells.len())
    };
    short.map(text).collect()
}

/// Joins files of records: every line once, sweep by sweep in the order in which they first appear, cell by cell. The
/// shards of a sweep so become what one run of it writes. A failure goes where its cell was measured after all, and so does what only
/// follows from other lines.
///
/// # Errors
/// A file that cannot be read; a cell of which two files say different things.
pub fn merge(paths: &[std::path::PathBuf]) -> Result<Vec<Line>> {
    let mut sweeps: Vec<String> = Vec::new();
    let mut cells: BTreeMap<(usize, usize, bool), Line> = BTreeMap::new();
    let mut others: Vec<Line> = Vec::new();
    for path in paths {
        for (i, line) in read(path)?.into_iter().enumerate() {
            if line.follows() {
                continue;
            }
            let Some((sweep, cell)) = line.key() else {
                if others.iter().all(|known| known.text != line.text) {
                    others.push(line);
                }
                continue;
            };
            let sweep = match sweeps.iter().position(|known| known == sweep) {
                Some(at) => at,
                None => {
                    sweeps.push(sweep.to_owned());
                    sweeps.len() - 1
                }
            };
            let key = (sweep, cell, line.failed());
            match cells.get(&key) {
                Some(known) if known.text != line.text && !line.failed() => {
                    return Err(Error::Record {
                        path: path.clone(),
                        line: i + 1,
                        reason: format!(
                            "cell {cell} of sweep {} is another one in an earlier file: the runs were not of the same \
                             program on the same kind of machine",
                            sweeps[sweep]
                        ),
                    });
                }
                Some(_) => {}
                None => {
                    cells.insert(key, line);
                }
            }
        }
    }
    let measured: BTreeSet<(usize, usize)> = cells
        .keys()
        .filter(|(_, _, failed)| !failed)
        .map(|(sweep, cell, _)| (*sweep, *cell))
        .collect();
    cells.retain(|(sweep, cell, failed), _| !failed || !measured.contains(&(*sweep, *cell)));
    others.extend(cells.into_values());
    Ok(others)
}
