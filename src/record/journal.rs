//! A file of records that grows while a run goes on, so that a run that is killed goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::line::read_text;
use super::place::OwnedAddress;
use super::{Address, Line, Row};
use crate::{Error, Result};

/// What every line of a record begins with.
const LINE_BEGINS: &[u8] = b"{\"schema\":";

/// A file of records that is open for appending. One program at a time has it.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    known: BTreeMap<OwnedAddress, Line>,
    /// Lines of which one is enough, whenever they come again.
    said: Vec<String>,
    /// The sweeps of which a shard has ended here.
    sharded: BTreeSet<String>,
}

impl Journal {
    /// Opens or makes the file and reads what is there. A line that a killed run left half-written is cut off; one that lacks only its end
    /// gets it.
    ///
    /// # Errors
    /// A file that cannot be read or written, that another program has open, or that holds something else than records.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = open_alone(path).map_err(|e| Error::writing(path, e))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|e| Error::reading(path, "record", e))?;
        let whole = whole_lines(path, &bytes)?;
        let text = std::str::from_utf8(&bytes[..whole]).map_err(|e| Error::Record {
            path: path.to_owned(),
            line: line_at(&bytes[..e.valid_up_to()]),
            reason: "it is not UTF-8: it is no record of af1".to_owned(),
        })?;
        let mut journal = Self {
            path: path.to_owned(),
            file,
            known: BTreeMap::new(),
            said: Vec::new(),
            sharded: BTreeSet::new(),
        };
        for (i, line) in read_text(path, text)?.into_iter().enumerate() {
            journal.remember(i + 1, line)?;
        }
        // Only now: a file that is no record is left as it is.
        let mended = match whole {
            _ if whole < bytes.len() => journal.file.set_len(whole as u64),
            _ if !bytes.is_empty() && !bytes.ends_with(b"\n") => journal.file.write_all(b"\n"),
            _ => Ok(()),
        };
        mended.map_err(|e| Error::writing(path, e))?;
        Ok(journal)
    }

    /// Takes up a line of the file; `number` counts from 1.
    fn remember(&mut self, number: usize, line: Line) -> Result<()> {
        let other = |at: Address<'_>| {
            let before = self.cell(at);
            before.is_some_and(|before| !before.says_the_same(&line))
        };
        if !line.failed() && line.address().is_some_and(other) {
            return Err(Error::Record {
                path: self.path.clone(),
                line: number,
                reason: "it says something else about a cell than an earlier line; remove one of the two".to_owned(),
            });
        }
        if let Row::Ended(ended) = &line.row {
            self.sharded.insert(ended.sweep.clone());
        }
        match line.address().map(|at| at.owned()) {
            // A whole template that failed is tried again; what is not defined on it stays so.
            _ if line.failed_as_a_whole() => self.said.push(line.text),
            Some(key) => {
                self.known.insert(key, line);
            }
            None => self.said.push(line.text),
        }
        Ok(())
    }

    /// Checks that a path can be that of a record, before the work whose lines it is to hold.
    ///
    /// # Errors
    /// A device or a pipe.
    pub fn check(path: &Path) -> Result<()> {
        check(path).map_err(|e| Error::writing(path, e))
    }

    /// A cell that was measured before.
    pub fn cell(&self, at: Address<'_>) -> Option<&Line> {
        self.known.get(&at.owned())
    }

    /// Whether it says of a shard of that sweep that it has ended.
    pub fn is_sharded(&self, sweep: &str) -> bool {
        self.sharded.contains(sweep)
    }

    /// Appends lines, at once; those that it has already are not repeated.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, lines: &[Line]) -> Result<()> {
        let mut text = String::new();
        for line in lines {
            let known = line.address().and_then(|at| self.cell(at));
            if known.is_some_and(|known| known.says_the_same(line)) {
                continue;
            }
            // A template that fails again says so once, and so does a gate that finds the same.
            if line.address().is_none() || line.failed() {
                if self.said.contains(&line.text) {
                    continue;
                }
                self.said.push(line.text.clone());
            }
            text += &line.text;
            text.push('\n');
        }
        let before = self.file.metadata().map(|file| file.len());
        let written = self.file.write_all(text.as_bytes());
        written.and_then(|()| self.file.flush()).map_err(|e| {
            // Half of a line says nothing.
            let _ = before.and_then(|length| self.file.set_len(length));
            Error::writing(&self.path, e)
        })
    }
}

/// Refuses what can be no record.
fn check(path: &Path) -> io::Result<()> {
    match path.exists() && !path.is_file() {
        true => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a record is read before it is appended to: name a file, not a device or a pipe",
        )),
        false => Ok(()),
    }
}

/// Opens or makes a file that no other program appends to.
fn open_alone(path: &Path) -> io::Result<File> {
    check(path)?;
    let mut options = OpenOptions::new();
    let file = options.read(true).append(true).create(true).open(path)?;
    file.try_lock().map_err(|e| match e {
        TryLockError::WouldBlock => io::Error::new(
            io::ErrorKind::WouldBlock,
            "another run appends to it: give each run a record of its own and merge them",
        ),
        TryLockError::Error(e) => e,
    })?;
    Ok(file)
}

/// How many bytes the lines are that are whole. What comes after them must be the beginning of a record, because only what a killed run
/// can have left may be cut off, and every line begins so.
fn whole_lines(path: &Path, bytes: &[u8]) -> Result<usize> {
    let end = bytes.iter().rposition(|&b| b == b'\n');
    let whole = end.map_or(0, |at| at + 1);
    let rest = &bytes[whole..];
    // An editor, or a copy, may have taken away its end alone.
    if std::str::from_utf8(rest).is_ok_and(|line| Line::read(line).is_ok()) {
        return Ok(bytes.len());
    }
    let beginning = &LINE_BEGINS[..rest.len().min(LINE_BEGINS.len())];
    if rest.starts_with(beginning) {
        return Ok(whole);
    }
    Err(Error::Record {
        path: path.to_owned(),
        line: line_at(&bytes[..whole]),
        reason: "its last line has no end and is no record of af1; the file was left as it is"
            .to_owned(),
    })
}

/// The number of the line that comes after some bytes, from 1 on.
fn line_at(before: &[u8]) -> usize {
    before.iter().filter(|&&b| b == b'\n').count() + 1
}
