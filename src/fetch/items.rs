//! What the cache holds, and removing it.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::SystemTime;

use super::cache::{Cache, HASHES, LOCK, MANIFEST, PARTIAL};
use super::held::release;
use crate::{Error, Result};

/// Something that the cache holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheItem {
    /// The name in the folder.
    pub name: String,
    /// What it is.
    pub state: State,
    /// The size in bytes.
    pub bytes: u64,
    /// When it was used last, as far as that is known.
    pub used: Option<SystemTime>,
}

/// What something in the cache is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A complete entry.
    Complete,
    /// An entry that is being made, or that a stopped process left.
    Partial,
    /// Notes on the hashes of files outside the cache.
    Notes,
}

/// How removing something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// What was to be removed is gone.
    Removed,
    /// Another process uses or makes it: it stays.
    InUse,
    /// There is nothing of that name.
    Absent,
}

impl Cache {
    /// All that it holds, by name. What other programs put into the folder is passed over.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn items(&self) -> Result<Vec<CacheItem>> {
        let mut all = Vec::new();
        let items = match fs::read_dir(self.root()) {
            Ok(items) => items,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(all),
            Err(e) => return Err(Error::reading(self.root(), "cache folder", e)),
        };
        for item in items.flatten() {
            let (path, name) = (item.path(), item.file_name().to_string_lossy().into_owned());
            // A link may lead anywhere.
            if !item.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let Some(state) = state(&name, &path) else {
                continue;
            };
            let used = match state {
                State::Complete => fs::metadata(path.join(MANIFEST)),
                State::Partial | State::Notes => fs::metadata(&path),
            };
            all.push(CacheItem {
                bytes: size(&path),
                used: used.and_then(|data| data.modified()).ok(),
                name,
                state,
            });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Removes something that [`Self::items`] lists, and waits for nobody. What a process has open stays readable for it where the system
    /// allows that.
    ///
    /// # Errors
    /// A name that is none of a folder in the cache; a folder that cannot be removed.
    pub fn remove(&self, name: &str) -> Result<Removal> {
        let plain = !name.is_empty()
            && name != "."
            && name != ".."
            && !name.contains(['/', '\\', ':', '\0']);
        if !plain {
            return Err(Error::Usage(format!(
                "{name:?}: expected the name of an entry, without a path; `af1 cache` lists the names"
            )));
        }
        let folder = self.root().join(name);
        let is_dir = fs::symlink_metadata(&folder).is_ok_and(|data| data.is_dir());
        let Some(state) = state(name, &folder).filter(|_| is_dir) else {
            return Ok(Removal::Absent);
        };
        // What is left of an entry goes under the lock of that entry.
        let entry = name.split_once(&format!(".{PARTIAL}"));
        let entry = entry.map_or(name, |(entry, _)| entry);
        let Some(lock) = self.try_lock(entry)? else {
            return Ok(Removal::InUse);
        };
        let fail = |e| Error::caching(&folder, e);
        if state == State::Complete {
            let manifest = folder.join(MANIFEST);
            release(&manifest);
            let manifest = File::open(manifest).map_err(fail)?;
            if matches!(manifest.try_lock(), Err(TryLockError::WouldBlock)) {
                return Ok(Removal::InUse);
            }
        }
        // Under another name first, so that nobody finds half of it.
        let old = self.aside(entry)?;
        fs::rename(&folder, old.path().join("old")).map_err(fail)?;
        old.close().map_err(fail)?;
        // While it is held: who waits for it sees that it is gone, and makes another. An open file cannot go everywhere.
        if cfg!(unix) && !self.root().join(entry).is_dir() {
            let _ = fs::remove_file(self.root().join(format!("{entry}{LOCK}")));
        }
        drop(lock);
        Ok(Removal::Removed)
    }

    /// Removes locks that nobody has and that are of nothing.
    pub fn remove_locks(&self) {
        for item in fs::read_dir(self.root()).into_iter().flatten().flatten() {
            let name = item.file_name().to_string_lossy().into_owned();
            let Some(entry) = name.strip_suffix(LOCK) else {
                continue;
            };
            let empty = item
                .metadata()
                .is_ok_and(|data| data.is_file() && data.len() == 0);
            if !cfg!(unix) || !empty || self.root().join(entry).exists() {
                continue;
            }
            if let Ok(Some(_lock)) = self.try_lock(entry) {
                let _ = fs::remove_file(item.path());
            }
        }
    }
}

/// What a folder in the cache is; `None` for one that this program did not make.
fn state(name: &str, folder: &Path) -> Option<State> {
    if name == HASHES {
        return Some(State::Notes);
    }
    if name.contains(&format!(".{PARTIAL}")) {
        return Some(State::Partial);
    }
    folder.join(MANIFEST).is_file().then_some(State::Complete)
}

/// The bytes of all files in a folder; links are not followed.
fn size(folder: &Path) -> u64 {
    let items = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = items.map(|item| match item.metadata() {
        Ok(data) if data.is_dir() => size(&item.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
