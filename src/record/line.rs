//! The lines of a file of records: reading them, whatever they are about.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;

use super::wire;
use super::{Address, Kind, Place, Row};
use crate::file::text_at_most;
use crate::{Error, Result, printable};

/// So many bytes of a record are read that is no file on a disk, such as a pipe: it may have no end.
const MOST_PIPED: u64 = 32 << 20;

/// A line: what it says, and its text, which is never written anew.
#[derive(Clone, Debug)]
pub struct Line {
    /// The text of the line without its end, and with the numbers of what is not printed.
    pub text: String,
    /// What it says.
    pub row: Row,
}

impl AsRef<Line> for Line {
    fn as_ref(&self) -> &Line {
        self
    }
}

impl Line {
    /// A line that is about to be written.
    pub fn new(row: Row) -> Self {
        let text = wire::write(&row);
        Self { text, row }
    }

    /// Reads a line. One of an earlier schema that is known becomes one of this schema.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(text: &str) -> Result<Self, String> {
        let (row, schema) = wire::read(text)?;
        Ok(match schema == u64::from(wire::SCHEMA) {
            true => Self {
                text: printable::json(text).into_owned(),
                row,
            },
            false => Self::new(row),
        })
    }

    /// Which cell of which sweep it is; `None` of lines that are about no cell.
    pub fn place(&self) -> Option<&Place> {
        self.row.place()
    }

    /// The same line where its template is the `template`-th that is asked for.
    #[must_use]
    pub fn of_template(mut self, template: usize) -> Self {
        if let Some(place) = self.row.place_mut() {
            place.template = template;
        }
        self
    }

    /// The same line without what was said to each prompt.
    #[must_use]
    pub fn without_answers(mut self) -> Self {
        if let Row::Measured(m) = &mut self.row {
            m.answers.each = Vec::new();
        }
        self
    }

    /// What tells it from all other lines; `None` of lines that are about no cell.
    pub fn address(&self) -> Option<Address<'_>> {
        self.row.address()
    }

    /// Whether two lines say the same of a cell, however much else the runs asked for that wrote them.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let said = |line: &Self| {
            let mut line = line.clone();
            if let Some(place) = line.row.place_mut() {
                place.template = 0;
                (place.cells, place.templates) = (None, None);
            }
            wire::write(&line.row)
        };
        self.text == other.text || said(self) == said(other)
    }

    /// Whether it says that a template could not be evaluated at all.
    pub fn failed_as_a_whole(&self) -> bool {
        matches!(&self.row, Row::Failed(failure) if failure.ablation.is_none())
    }

    /// Whether it only says what follows from other lines, which a report says anew.
    pub fn follows(&self) -> bool {
        matches!(self.row, Row::Pooled(_) | Row::Conclusion(_))
    }

    /// Whether it says that something could not be done.
    pub fn failed(&self) -> bool {
        matches!(self.row, Row::Failed(_))
    }
}

/// Reads a file of records.
///
/// # Errors
/// A file that cannot be read; the first line that is no record of a schema that is known.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let most = match path.is_file() {
        true => u64::MAX - 1,
        false => MOST_PIPED,
    };
    let text = text_at_most(path, most).map_err(|e| match e.kind() {
        ErrorKind::FileTooLarge => {
            let reason = format!("{e} of a pipe or a device: store the record in a file");
            Error::reading(path, "record", std::io::Error::new(e.kind(), reason))
        }
        _ => Error::reading(path, "record", e),
    })?;
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
pub(crate) fn read_text(path: &Path, text: &str) -> Result<Vec<Line>> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let read = |(i, line): (usize, &str)| {
        Line::read(line).map_err(|reason| Error::Record {
            path: path.to_owned(),
            line: i + 1,
            reason,
        })
    };
    let mut lines: Vec<Line> = lines.map(read).collect::<Result<_>>()?;
    name_kinds(&mut lines);
    Ok(lines)
}

/// Names the experiment that asked for each sweep of lines of schema 2, which follows from all lines of the sweep: the main table had cells
/// of waiting and of AF1, every other sweep had cells of one kind.
fn name_kinds(lines: &mut [Line]) {
    let is_open = |place: &Place| place.kind == Kind::default();
    let mut kinds: BTreeMap<String, BTreeSet<Kind>> = BTreeMap::new();
    for line in lines.iter() {
        if let (Some(place), Some(kind)) = (line.place(), line.row.experiment())
            && is_open(place)
        {
            kinds
                .entry(place.sweep.clone())
                .or_default()
                .insert(kind.clone());
        }
    }
    let of_sweep = |sweep: &str| {
        let kinds = kinds.get(sweep)?;
        match kinds.contains(&Kind::WAITING) && kinds.contains(&Kind::AF1) {
            true => Some(Kind::REPRODUCE),
            false => kinds.first().cloned(),
        }
    };
    for line in lines {
        if let Some(place) = line.row.place_mut()
            && is_open(place)
            && let Some(kind) = of_sweep(&place.sweep)
        {
            place.kind = kind;
            *line = Line::new(line.row.clone());
        }
    }
}

/// The lines as a file of records has them.
pub fn file_text(lines: &[Line]) -> String {
    lines
        .iter()
        .map(|line| format!("{}\n", line.text))
        .collect()
}
