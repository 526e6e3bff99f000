//! One file that several places have. It is known by its hash, so whoever has it may give it: the places are asked in order, and the
//! next one is asked where one does not give it.

use std::fmt;
use std::path::Path;

use super::{Cache, Staging};
use crate::file::{Sha256, sha256_file};
use crate::progress::say;
use crate::{Error, Result};

/// A place that has a file.
pub trait Origin: fmt::Debug + Sync {
    /// What it is called in messages.
    fn name(&self) -> String;

    /// Puts the file into `staging` under its name, and nothing there that has another hash. What it needs to go on after an interrupt
    /// it keeps in `cache`.
    ///
    /// # Errors
    /// [`Error::Fetch`] where this origin does not give the file and another one may; all other errors (a full disk, an interrupt) end
    /// the search.
    fn fetch(&self, file: &RemoteFile, staging: &Staging, cache: &Cache) -> Result<()>;

    /// The names of the cache's entries in which it keeps what it needs to go on.
    fn keeps(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A file that is known by its hash.
#[derive(Clone, Copy, Debug)]
pub struct RemoteFile {
    /// The name of the file.
    pub name: &'static str,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file: only this is trusted, never the name of an origin.
    pub sha256: &'static str,
    /// Who has it, in the order in which they are asked.
    pub origins: &'static [&'static dyn Origin],
}

impl RemoteFile {
    /// Puts the file into `staging`, from the first origin that gives it.
    ///
    /// # Errors
    /// Where no origin gives it: what each said, and what to do. A full disk, an interrupt.
    pub fn fetch_into(&self, staging: &Staging, cache: &Cache) -> Result<()> {
        let mut refusals: Vec<(String, Error)> = Vec::new();
        for (at, origin) in self.origins.iter().enumerate() {
            match origin.fetch(self, staging, cache) {
                Ok(()) => return Ok(()),
                Err(e @ Error::Fetch { .. }) => {
                    if let (Some(next), Error::Fetch { reason, .. }) =
                        (self.origins.get(at + 1), &e)
                    {
                        say!("{}: {reason}; asking {} next", origin.name(), next.name());
                    }
                    refusals.push((origin.name(), e));
                }
                Err(other) => return Err(other),
            }
        }
        Err(self.refused(refusals))
    }

    /// One error for what every origin said.
    fn refused(&self, mut refusals: Vec<(String, Error)>) -> Error {
        if refusals.len() == 1 {
            return refusals.remove(0).1;
        }
        let said = refusals.into_iter().map(|(name, error)| match error {
            Error::Fetch { reason, remedy, .. } => format!("{name}: {reason} ({remedy})"),
            other => format!("{name}: {other}"),
        });
        let said: Vec<String> = said.collect();
        Error::Fetch {
            what: format!("{} from any of {} origins", self.name, said.len()),
            reason: said.join("; "),
            remedy: format!(
                "connect to a network and run the command again, which keeps what is there already, or copy the file of \
                 SHA-256 {} from another machine and give its path with --model, or set AF1_CACHE to a copied cache",
                self.sha256
            ),
        }
    }

    /// Checks that what lies at a path is this file; the reason where it is not.
    ///
    /// # Errors
    /// The file cannot be read; an interrupt.
    pub fn check(&self, path: &Path) -> Result<Result<(), String>> {
        let bytes = std::fs::metadata(path).map_err(|e| Error::reading(path, "fetched file", e))?;
        if bytes.len() != self.bytes {
            let found = bytes.len();
            return Ok(Err(format!(
                "{}: expected {} bytes, found {found}",
                self.name, self.bytes
            )));
        }
        let found = sha256_file(path)?;
        if found != Sha256::known(self.sha256) {
            return Ok(Err(format!(
                "SHA-256 of {}: expected {}, found {found}",
                self.name, self.sha256
            )));
        }
        Ok(Ok(()))
    }
}
