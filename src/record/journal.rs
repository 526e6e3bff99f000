//! A file of records that grows while a run goes on, so that a run that is killed goes on where it was.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::row::read_text;
use super::{Line, Row};
use crate::{Error, Result};

/// A file of records that is open for appending. One program at a time has it.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    known: BTreeMap<(String, usize), Line>,
    failures: Vec<String>,
}

impl Journal {
    /// Opens or makes the file and reads what is there. A line that a killed run left half-written is cut off.
    ///
    /// # Errors
    /// A file that cannot be read or written, that another program has open, or that holds something else than records.
    pub fn open(path: &Path) -> Result<Self> {
        let writing = |e| Error::writing(path, e);
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
        let text = std::str::from_utf8(&bytes[..whole]).map_err(|e| Error::Record {
            path: path.to_owned(),
            line: bytes[..e.valid_up_to()]
                .iter()
                .filter(|&&b| b == b'\n')
                .count()
                + 1,
            reason: "it is not UTF-8: it is no record of af1".to_owned(),
        })?;
        let (mut known, mut failures) = (BTreeMap::new(), Vec::new());
        for line in read_text(path, text)? {
            match line.key() {
                // A whole template that failed is tried again; what is not defined on it stays so.
                _ if line.failed_as_a_whole() => failures.push(line.text),
                Some((sweep, cell)) => {
                    known.insert((sweep.to_owned(), cell), line);
                }
                None => {}
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
            failures,
        })
    }

    /// A cell that was measured before.
    pub fn cell(&self, sweep: &str, cell: usize) -> Option<&Line> {
        self.known.get(&(sweep.to_owned(), cell))
    }

    /// Appends lines, at once.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, lines: &[Line]) -> Result<()> {
        let mut text = String::new();
        for line in lines {
            if let Row::Failed(_) = line.row {
                // A template that fails again says so once.
                if self.failures.contains(&line.text) {
                    continue;
                }
                self.failures.push(line.text.clone());
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
