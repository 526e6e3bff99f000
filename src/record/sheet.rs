//! Prompts whose right answer is lost in a cell, and what was said to them, of the files that a run writes with `--answers`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;

use super::place::OwnedAddress;
use super::{Measurement, Place};
use crate::prompt::Step;
use crate::{Error, Result};

/// So many prompts of a cell are shown.
const MOST_OF_A_CELL: usize = 40;

/// So many prompts are shown in all, but for one of every cell.
const MOST_IN_ALL: usize = 20_000;

/// A line of a file of answers is not longer.
const MOST_BYTES: u64 = 1 << 20;

/// The numbers of the prompts that the unmodified model answers correctly and the intervention does not, in the order of the answers.
pub fn broken(m: &Measurement) -> Vec<usize> {
    let both = m.answers.base.iter().zip(&m.answers.right).enumerate();
    let lost = both.filter(|(_, (base, right))| **base && !**right);
    lost.map(|(i, _)| i).collect()
}

/// Which of a cell's broken prompts are shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    most: usize,
}

impl Shown {
    /// How many prompts of the cells of these records are shown: the fewer of each, the more cells there are.
    pub fn of<'m>(measurements: impl IntoIterator<Item = &'m Measurement>) -> Self {
        let cells = measurements.into_iter().filter(|m| m.counts.lost() > 0);
        let cells = cells.count();
        Self {
            most: (MOST_IN_ALL / cells.max(1)).clamp(1, MOST_OF_A_CELL),
        }
    }

    /// Some of these prompts, evenly spread, the first among them.
    pub fn some(self, broken: &[usize]) -> Vec<usize> {
        let count = broken.len().min(self.most);
        (0..count)
            .map(|i| broken[i * broken.len() / count])
            .collect()
    }
}

/// What is said to a prompt in a cell.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Told {
    /// The prompt.
    pub prompt: String,
    /// The operands of the prompt.
    pub operands: Vec<i64>,
    /// What is predicted under the intervention.
    pub text: String,
    /// The logit of the right answer less the largest of another token.
    pub logit_difference: f32,
    /// The same of the unmodified model.
    pub base_logit_difference: f32,
}

/// A line of a file of answers, as far as it is needed.
#[derive(Deserialize)]
struct Wire {
    sweep: String,
    style: String,
    operation: String,
    shape: Option<String>,
    step: Step,
    cell: String,
    given: String,
    answer: Option<i64>,
    answer_word: Option<String>,
    right: bool,
    base_right: bool,
    #[serde(flatten)]
    told: Told,
}

/// What a file of answers says of a prompt in a cell.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// The cell.
    pub address: OwnedAddress,
    /// The text of the answer that stands in the prompt.
    pub given: String,
    /// The right answer as it is written, where there is one.
    pub answer: Option<String>,
    /// Whether it is right under the intervention.
    pub right: bool,
    /// Whether the unmodified model is right.
    pub base_right: bool,
    /// What is said.
    pub told: Told,
}

impl Answered {
    fn read(line: &str) -> Result<Self, String> {
        let wire: Wire = serde_json::from_str(line).map_err(|e| {
            format!("it is not a line of a file that --answers of a run writes: {e}")
        })?;
        let place = Place {
            sweep: wire.sweep,
            shape: wire.shape.as_deref().map(str::parse).transpose()?,
            step: wire.step,
            cell: super::CellName::new([], wire.cell),
            ..Place::default()
        };
        let number = wire.answer.map(|answer| answer.to_string());
        Ok(Self {
            address: place.address(&wire.style, &wire.operation).owned(),
            given: wire.given,
            answer: wire.answer_word.or(number),
            right: wire.right,
            base_right: wire.base_right,
            told: wire.told,
        })
    }
}

/// Reads a file of answers, line by line.
///
/// # Errors
/// The file cannot be read; a line that is none of such a file; what `each` says of one.
pub(crate) fn each_answer(
    path: &Path,
    mut each: impl FnMut(Answered) -> Result<(), String>,
) -> Result<()> {
    let failed = |e| Error::reading(path, "file of answers", e);
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    for number in 1.. {
        let mut line = String::new();
        let limited = (&mut file).take(MOST_BYTES).read_line(&mut line);
        if limited.map_err(failed)? == 0 {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        (Answered::read(&line).and_then(&mut each)).map_err(|reason| Error::Record {
            path: path.to_owned(),
            line: number,
            reason,
        })?;
    }
    Ok(())
}

/// What is said to the prompts that are shown.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    cells: BTreeMap<OwnedAddress, BTreeMap<usize, Told>>,
}

/// A cell while a file is read.
struct CellRead<'m> {
    m: &'m Measurement,
    shown: Vec<usize>,
    lines: usize,
}

impl Sheet {
    /// Reads files of answers; what they say of other cells than those of the records is passed over.
    ///
    /// # Errors
    /// A file that cannot be read; a line that is none of such a file, or that says otherwise than the record; a cell with fewer or more
    /// lines than prompts; files without a line of these records.
    pub fn read<'m, P: AsRef<Path>>(
        paths: &[P],
        measurements: impl IntoIterator<Item = &'m Measurement, IntoIter: Clone>,
    ) -> Result<Self> {
        let measurements = measurements.into_iter();
        let shown = Shown::of(measurements.clone());
        let cell = |m| CellRead {
            m,
            shown: shown.some(&broken(m)),
            lines: 0,
        };
        let mut cells: BTreeMap<OwnedAddress, CellRead<'_>> = measurements
            .map(|m| (m.address().owned(), cell(m)))
            .collect();
        let mut sheet = Self::default();
        for path in paths.iter().map(AsRef::as_ref) {
            each_answer(path, |answered| sheet.take(answered, &mut cells))?;
        }
        let fail = |reason: String| Err(Error::Usage(format!("--answers: {reason}")));
        if !paths.is_empty() && cells.values().all(|cell| cell.lines == 0) {
            return fail(
                "no line is of a cell of these records; give the file that the run wrote which wrote the record".to_owned(),
            );
        }
        let wrong = cells
            .values()
            .find(|cell| cell.lines > 0 && cell.lines != cell.m.answers.right.len());
        match wrong {
            Some(CellRead { m, lines, .. }) => fail(format!(
                "there are {lines} lines of the cell {} of {}, which has {} prompts; give each file once, and whole",
                m.place.cell.name,
                m.address().template(),
                m.answers.right.len()
            )),
            None => Ok(sheet),
        }
    }

    fn take(
        &mut self,
        answered: Answered,
        cells: &mut BTreeMap<OwnedAddress, CellRead<'_>>,
    ) -> Result<(), String> {
        let Some(cell) = cells.get_mut(&answered.address) else {
            return Ok(());
        };
        let answers = &cell.m.answers;
        let known = |bits: &[bool]| bits.get(cell.lines).copied();
        if (known(&answers.base), known(&answers.right))
            != (Some(answered.base_right), Some(answered.right))
        {
            return Err(format!(
                "the answer to {:?} is not the one that the record has of the prompt at this place; the two files are of different runs",
                answered.told.prompt
            ));
        }
        if cell.shown.binary_search(&cell.lines).is_ok() {
            let of_cell = self.cells.entry(answered.address).or_default();
            of_cell.insert(cell.lines, answered.told);
        }
        cell.lines += 1;
        Ok(())
    }

    /// What is said to a prompt of a cell; `None` where no file says it.
    pub fn told(&self, m: &Measurement, prompt: usize) -> Option<&Told> {
        if self.cells.is_empty() {
            return None;
        }
        self.cells.get(&m.address().owned())?.get(&prompt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_spread() {
        let some = |most, broken: &[usize]| Shown { most }.some(broken);
        assert!(some(3, &[]).is_empty());
        assert_eq!(some(3, &[4, 9]), [4, 9]);
        assert_eq!(some(3, &[0, 1, 2, 3, 4, 5, 6]), [0, 2, 4]);
    }
}
