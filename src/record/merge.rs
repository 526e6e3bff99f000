//! Files of records joined, and whether anything is missing in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::line::read;
use super::order::in_order;
use super::place::{OwnedAddress, SetOfPrompts};
use super::shards::Shards;
use super::{Address, Ended, Line, Row};
use crate::{Error, Result};

/// What is known of a sweep's cells.
#[derive(Default)]
struct Extent<'l> {
    /// The names of the cells of every template.
    found: BTreeMap<SetOfPrompts, BTreeSet<&'l str>>,
    /// The most cells of each template, and the most templates, that a run of it asked for.
    cells: BTreeMap<SetOfPrompts, usize>,
    templates: Option<usize>,
    /// Whether some template has no number of cells that is known before it is measured.
    open: bool,
    /// The shards that have ended.
    shards: Shards,
}

impl<'l> Extent<'l> {
    fn add(&mut self, line: &'l Line, at: Address<'l>) {
        let of_template = self.found.entry(at.set()).or_default();
        match &line.row {
            // Pruning ends where nothing is left to prune.
            Row::Measured(m) if m.subject.pruning.is_some() => self.open = true,
            Row::Measured(_) | Row::Attention(_) | Row::Patched(_) | Row::Reading(_) => {
                of_template.insert(at.cell);
            }
            Row::Failed(failure) if failure.ablation.is_some() => {
                of_template.insert(at.cell);
            }
            // A template that could not be evaluated has no cells.
            _ => self.open = true,
        }
        if let Some(place) = line.place() {
            let cells = self.cells.entry(at.set()).or_default();
            *cells = (*cells).max(place.cells.unwrap_or(0));
            self.templates = self.templates.max(place.templates);
        }
    }

    /// How many cells there are, and how many there should be, where some are missing.
    fn missing(&self) -> Option<(usize, usize)> {
        let has = self.found.values().map(BTreeSet::len).sum();
        let most = self.cells.values().max().copied().unwrap_or(0);
        let all = match self.templates {
            // Records of schema 2 count the cells of all templates together.
            None => most,
            // Of a template without a line it is not known how many it has: at most as many as another.
            Some(templates) => {
                let unseen = templates.saturating_sub(self.cells.len());
                let seen: usize = self.cells.values().sum();
                seen.saturating_add(unseen.saturating_mul(most))
            }
        };
        (!self.open && has < all).then_some((has, all))
    }

    /// What is missing, in words.
    fn lacks(&self) -> Option<String> {
        let shards = self.shards.missing().filter(|shards| !shards.is_empty());
        match (self.missing(), shards) {
            (Some((has, all)), shards) => {
                let shards = shards
                    .unwrap_or_else(|| "a shard is missing, or the run has not ended".to_owned());
                Some(format!("has {has} of its {all} cells: {shards}"))
            }
            // How many cells there should be is not known, or there is none.
            (None, Some(shards)) if self.open || self.found.is_empty() => {
                Some(format!("is not whole: {shards}"))
            }
            _ => None,
        }
    }
}

/// The sweeps of which something is missing, each with what is: a shard that is absent or still open, or cells of a run that is still open.
/// The cells of a pruning, which ends where all is pruned, and of a template that failed cannot be counted: there only shards tell.
fn unfinished(lines: &[Line]) -> BTreeMap<&str, String> {
    let mut sweeps: BTreeMap<&str, Extent<'_>> = BTreeMap::new();
    for line in lines {
        if let Some(at) = line.address() {
            sweeps.entry(at.sweep).or_default().add(line, at);
        }
        if let Row::Ended(ended) = &line.row {
            let sweep = sweeps.entry(&ended.sweep).or_default();
            sweep.shards.add(ended);
        }
    }
    let sweeps = sweeps.into_iter();
    sweeps
        .filter_map(|(sweep, extent)| Some((sweep, extent.lacks()?)))
        .collect()
}

/// The sweeps of which something is missing, in words.
pub fn incomplete(lines: &[Line]) -> Vec<String> {
    let text = |(sweep, what)| format!("sweep {sweep} {what}");
    unfinished(lines).into_iter().map(text).collect()
}

/// Joins files of records: every line once, sweep by sweep in the order in which they first appear, cell by cell. The
/// shards of a sweep so become what one run of it writes. A failure goes where its cell was measured after all, and so does what only
/// follows from other lines. Which shards have ended is kept as long as some have not.
///
/// # Errors
/// A file that cannot be read; a cell of which two files say different things.
pub fn merge(paths: &[PathBuf]) -> Result<Vec<Line>> {
    let mut sweeps: BTreeMap<String, usize> = BTreeMap::new();
    let mut cells: BTreeMap<Known, Found> = BTreeMap::new();
    let mut others: Vec<Line> = Vec::new();
    let mut said: BTreeSet<String> = BTreeSet::new();
    let mut ended: BTreeSet<Ended> = BTreeSet::new();
    for path in paths {
        for (i, line) in read(path)?.into_iter().enumerate() {
            if line.follows() {
                continue;
            }
            if let Row::Ended(shard) = &line.row {
                ended.insert((**shard).clone());
                continue;
            }
            let Some(known) = Known::of(&line) else {
                if said.insert(line.text.clone()) {
                    others.push(line);
                }
                continue;
            };
            let next = sweeps.len();
            let sweep = *sweeps.entry(known.at.sweep.clone()).or_insert(next);
            match cells.get_mut(&known) {
                Some(found) => take(&mut found.line, line, path, i + 1)?,
                None => {
                    let at = cells.len();
                    cells.insert(known, Found { sweep, at, line });
                }
            }
        }
    }
    let measured: BTreeSet<Known> = cells
        .keys()
        .filter(|known| !known.failed)
        .flat_map(|known| [known.failure(), known.failure_of_all()])
        .collect();
    cells.retain(|known, _| !measured.contains(known));
    let mut of_sweeps: Vec<Vec<Found>> = sweeps.values().map(|_| Vec::new()).collect();
    for found in cells.into_values() {
        of_sweeps[found.sweep].push(found);
    }
    for mut cells in of_sweeps {
        cells.sort_by_key(|found| found.at);
        in_order(&mut cells);
        others.extend(cells.into_iter().map(|found| found.line));
    }
    let ended = ended.into_iter();
    others.extend(ended.map(|shard| Line::new(Row::Ended(Box::new(shard)))));
    let unfinished: BTreeSet<String> = unfinished(&others).into_keys().map(str::to_owned).collect();
    others.retain(|line| match &line.row {
        Row::Ended(shard) => unfinished.contains(&shard.sweep),
        _ => true,
    });
    Ok(others)
}

/// A line of a cell.
struct Found {
    /// The number of the sweep, in the order in which sweeps first appear.
    sweep: usize,
    /// The number of cells that appear before it.
    at: usize,
    line: Line,
}

impl AsRef<Line> for Found {
    fn as_ref(&self) -> &Line {
        &self.line
    }
}

/// What is known of a cell: its measurement, or why there is none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    at: OwnedAddress,
    failed: bool,
}

impl Known {
    fn of(line: &Line) -> Option<Self> {
        Some(Self {
            at: line.address()?.owned(),
            failed: line.failed(),
        })
    }

    /// The same cell as one that could not be measured.
    fn failure(&self) -> Self {
        Self {
            failed: true,
            ..self.clone()
        }
    }

    /// The template of the cell as one of which nothing could be measured.
    fn failure_of_all(&self) -> Self {
        let mut failure = self.failure();
        failure.at.cell = String::new();
        failure
    }
}

/// Takes up a line of which one of the same cell is known: of the two that of the run that asked for more.
fn take(known: &mut Line, line: Line, path: &Path, number: usize) -> Result<()> {
    if known.failed() {
        return Ok(());
    }
    if !known.says_the_same(&line) {
        let at = line.address().expect("it is about a cell");
        return Err(Error::Record {
            path: path.to_owned(),
            line: number,
            reason: format!(
                "{:?} of {} in sweep {} is another one in an earlier file: the runs were not of the same program on the same \
                 kind of machine",
                at.cell,
                at.template(),
                at.sweep
            ),
        });
    }
    let extent = |line: &Line| line.place().map(|place| (place.cells, place.templates));
    if extent(&line) > extent(known) {
        *known = line;
    }
    Ok(())
}
