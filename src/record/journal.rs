//! A file of records that grows while a run goes on, so that a run that is killed goes on where it was.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::row::read_text;
use super::{Line, Row};
use crate::{Error, Result};

/// What every line of a record begins with.
const LINE_BEGINS: &[u8] = b"{\"schema\":";

/// A file of records that is open for appending. One program at a time has it.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    known: BTreeMap<(String, usize), Line>,
    /// Lines of which one is enough, whenever they come again.
    said: Vec<String>,
}

impl Journal {
    /// Opens or makes the file and reads what is there. A line that a killed run left half-written is cut off.
    ///
    /// # Errors
    /// A file that cannot be read or written, that another program has open, or that holds something else than records.
    pub fn open(path: &Path) -> Result<Self> {
        let writing = |e| Error::writing(path, e);
        if path.exists() && !path.is_file() {
            let reason =
                "a record is read before it is appended to: name a file, not a device or a pipe";
            return Err(writing(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                reason,
            )));
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).append(true).create(true);
        let mut file = options.open(path).map_err(writing)?;
        if let Err(e) = file.try_lock() {
            let reason = match e {
                std::fs::TryLockError::WouldBlock => std::io::Error::new(
                    std::io::ErrorKind::WouldBlock,
                    "another run appends to it: give each run a record of its own and merge them",
                ),
                std::fs::TryLockError::Error(e) => e,
            };
            return Err(writing(reason));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|e| Error::reading(path, "record", e))?;
        let whole = bytes
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |at| at + 1);
        // Only what a killed run can have left is cut off: every line begins so.
        let rest = &bytes[whole..];
        let beginning = &LINE_BEGINS[..rest.len().min(LINE_BEGINS.len())];
        if !rest.starts_with(beginning) {
            return Err(Error::Record {
                path: path.to_owned(),
                line: bytes[..whole].iter().filter(|&&b| b == b'\n').count() + 1,
                reason:
                    "its last line has no end and is no record of af1; the file was left as it is"
                        .to_owned(),
            });
        }
        let text = std::str::from_utf8(&bytes[..whole]).map_err(|e| Error::Record {
            path: path.to_owned(),
            line: bytes[..e.valid_up_to()]
                .iter()
                .filter(|&&b| b == b'\n')
                .count()
                + 1,
            reason: "it is not UTF-8: it is no record of af1".to_owned(),
        })?;
        let (mut known, mut said) = (BTreeMap::<(String, usize), Line>::new(), Vec::new());
        for (i, line) in read_text(path, text)?.into_iter().enumerate() {
            let other = |(sweep, cell): (&str, usize)| {
                let before = known.get(&(sweep.to_owned(), cell));
                before.is_some_and(|before| before.text != line.text)
            };
            if !line.failed() && line.key().is_some_and(other) {
                return Err(Error::Record {
                    path: path.to_owned(),
                    line: i + 1,
                    reason: "it says something else about a cell than an earlier line; remove one of the two".to_owned(),
                });
            }
            match line.key() {
                // A whole template that failed is tried again; what is not defined on it stays so.
                _ if line.failed_as_a_whole() => said.push(line.text),
                Some((sweep, cell)) => {
                    known.insert((sweep.to_owned(), cell), line);
                }
                None => said.push(line.text),
            }
        }
        // Only now: a file that is no record is left as it is.
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(writing)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            known,
            said,
        })
    }

    /// A cell that was measured before.
    pub fn cell(&self, sweep: &str, cell: usize) -> Option<&Line> {
        self.known.get(&(sweep.to_owned(), cell))
    }

    /// Appends lines, at once; those that it has already are not repeated.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, lines: &[Line]) -> Result<()> {
        let mut text = String::new();
        for line in lines {
            let known = line.key().and_then(|(sweep, cell)| self.cell(sweep, cell));
            if known.is_some_and(|known| known.text == line.text) {
                continue;
            }
            // A template that fails again says so once, and so does a gate that finds the same.
            if let Row::Failed(_) | Row::Other(_) = line.row {
                if self.said.contains(&line.text) {
                    continue;
                }
                self.said.push(line.text.clone());
            }
            text += &line.text;
            text.push('\n');
        }
        let written = self.file.write_all(text.as_bytes());
        written
            .and_then(|()| self.file.flush())
            .map_err(|e| Error::writing(&self.path, e))
    }
}
