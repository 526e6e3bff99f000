//! The cache folder: entries that are made once, complete or absent, and checked before they are used.
//!
//! An entry is a folder with a manifest of its files. It is filled under a temporary name and renamed, under a lock
//! that other processes wait for. A file whose size and time of change are those of the manifest is trusted; any other
//! is hashed again, and one with another hash is an error, never silently replaced.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::held::hold;
use crate::file::{
    Sha256, bytes_at_most, is_at, make_readable, sha256_bytes, sha256_file, text_at_most,
    write_atomically,
};
use crate::interrupt::interrupted;
use crate::{Error, Result};

/// The environment variable that moves the cache folder.
pub const VARIABLE: &str = "AF1_CACHE";

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const PARTIAL: &str = "partial-";
/// What the name of a lock ends with.
pub(super) const LOCK: &str = ".lock";

/// The folder of notes on files outside the cache.
pub const HASHES: &str = "hashes";

/// A manifest has at most so many bytes.
const MOST_BYTES: u64 = 16 << 20;

/// Smaller files are read every time.
const LARGE: u64 = 64 << 20;

/// The cache folder.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// A complete entry of the cache.
#[derive(Clone, Debug)]
pub struct Entry {
    folder: PathBuf,
    manifest: Manifest,
}

/// An entry that is being filled.
#[derive(Debug)]
pub struct Staging {
    folder: tempfile::TempDir,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u32,
    files: BTreeMap<String, Recorded>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    bytes: u64,
    sha256: Sha256,
    /// Time of change in nanoseconds since 1970, when the hash was taken.
    modified: u64,
}

impl Cache {
    /// The user's cache: `AF1_CACHE`, else the platform's convention.
    ///
    /// # Errors
    /// Neither the variable nor a home folder is there.
    pub fn of_user() -> Result<Self> {
        if let Some(root) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
            return Ok(Self::at(PathBuf::from(root)));
        }
        directories::ProjectDirs::from("", "", "af1")
            .map(|dirs| Self::at(dirs.cache_dir().to_owned()))
            .ok_or_else(|| {
                Error::Usage(format!(
                    "no home folder to keep the cache in; set {VARIABLE} to a folder"
                ))
            })
    }

    /// A cache in that folder, which need not exist yet.
    pub fn at(root: PathBuf) -> Self {
        // Children are run and maps are made with other working folders: keep the path independent of them.
        let root = std::path::absolute(&root).unwrap_or(root);
        Self { root }
    }

    /// The SHA-256 of a file, which is read for it only if its size or time of change is another than when it was read last: the files
    /// of a large model take as long to read as an experiment.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn sha256(&self, path: &Path) -> Result<Sha256> {
        let real = path
            .canonicalize()
            .map_err(|e| Error::reading(path, "file", e))?;
        let name = sha256_bytes(real.as_os_str().as_encoded_bytes());
        let note = self.root.join(HASHES).join(name.as_str());
        let known = bytes_at_most(&note, 1 << 20).ok();
        let known = known.and_then(|bytes| serde_json::from_slice::<Recorded>(&bytes).ok());
        let (bytes, modified) = stamp(&real)?;
        if let Some(known) =
            known.filter(|known| (known.bytes, known.modified) == (bytes, modified))
        {
            return Ok(known.sha256);
        }
        let found = Recorded::of(&real)?;
        if found.bytes >= LARGE {
            // Without the note it is read again next time.
            let json = serde_json::to_vec(&found).expect("it is plain data");
            let _ = fs::create_dir_all(self.root.join(HASHES));
            let _ = write_atomically(&note, &json);
        }
        Ok(found.sha256)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The entry of that name if it is there, checked.
    ///
    /// # Errors
    /// A corrupt entry.
    pub fn find(&self, name: &str) -> Result<Option<Entry>> {
        let folder = self.root.join(name);
        if !folder.is_dir() {
            return Ok(None);
        }
        Entry::open(folder).map(Some)
    }

    /// The entry of that name; where it is not there, `fill` makes it, once, whatever the number of processes.
    ///
    /// # Errors
    /// A corrupt entry, what `fill` fails with, a folder that cannot be written.
    pub fn entry(&self, name: &str, fill: impl FnOnce(&Staging) -> Result<()>) -> Result<Entry> {
        if let Some(entry) = self.find(name)? {
            // Who was killed just when it had replaced this entry has left the old one.
            if self.has_partial(name)
                && let Ok(Some(_lock)) = self.try_lock(name)
            {
                self.remove_partial(name);
            }
            return Ok(entry.used());
        }
        fs::create_dir_all(&self.root).map_err(|e| Error::caching(&self.root, e))?;
        let _lock = self.lock(name)?;
        if let Some(entry) = self.find(name)? {
            return Ok(entry.used());
        }
        self.fill(name, fill).map(Entry::used)
    }

    /// As [`Self::entry`], but makes the entry anew. What was there stays until the new one is complete.
    ///
    /// # Errors
    /// What `fill` fails with, a folder that cannot be written.
    pub fn renew(&self, name: &str, fill: impl FnOnce(&Staging) -> Result<()>) -> Result<Entry> {
        fs::create_dir_all(&self.root).map_err(|e| Error::caching(&self.root, e))?;
        let _lock = self.lock(name)?;
        self.fill(name, fill)
    }

    /// A new folder beside an entry; the next one that makes the entry removes it, should this process be killed.
    pub(super) fn aside(&self, name: &str) -> Result<tempfile::TempDir> {
        tempfile::Builder::new()
            .prefix(&format!("{name}.{PARTIAL}"))
            .tempdir_in(&self.root)
            .map_err(|e| Error::caching(&self.root, e))
    }

    /// Fills an entry under a temporary name and puts it in its place. Only called under the lock.
    fn fill(&self, name: &str, fill: impl FnOnce(&Staging) -> Result<()>) -> Result<Entry> {
        self.remove_partial(name);
        let staging = Staging {
            folder: self.aside(name)?,
        };
        fill(&staging)?;
        interrupted()?;
        staging.seal()?;
        let target = self.root.join(name);
        let fail = |e| Error::caching(&target, e);
        if target.is_dir() {
            // A folder cannot be renamed over another: the old one goes aside and is removed with its new name.
            let old = self.aside(name)?;
            fs::rename(&target, old.path().join("old")).map_err(fail)?;
        }
        fs::rename(staging.folder.path(), &target).map_err(fail)?;
        // The folder has moved: there is nothing left to remove under its old name.
        let _ = staging.folder.keep();
        // A pip that outlived the process that was killed may have gone on writing while its folder was removed above. It has ended by now.
        self.remove_partial(name);
        Entry::open(target)
    }

    /// Waits for other processes that make the same entry. The lock ends with the returned file, or with the process.
    fn lock(&self, name: &str) -> Result<File> {
        loop {
            if let Some(lock) = self.try_lock(name)? {
                return Ok(lock);
            }
            interrupted()?;
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// The lock of those who make or remove an entry, if nobody has it.
    pub(super) fn try_lock(&self, name: &str) -> Result<Option<File>> {
        let path = self.root.join(format!("{name}{LOCK}"));
        let fail = |e| Error::caching(&path, e);
        let file = File::create(&path).map_err(fail)?;
        match file.try_lock() {
            // Who removed the entry has removed this file, too: then it is the lock of nothing.
            Ok(()) => Ok(Some(file).filter(|file| is_at(file, &path))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(e)) => Err(fail(e)),
        }
    }

    /// What an entry is filled under, by living processes or by killed ones.
    fn partial(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        let prefix = format!("{name}.{PARTIAL}");
        let items = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let partial =
            move |item: &fs::DirEntry| item.file_name().to_string_lossy().starts_with(&prefix);
        items.filter(partial).map(|item| item.path())
    }

    fn has_partial(&self, name: &str) -> bool {
        self.partial(name).next().is_some()
    }

    /// Removes what a killed process left. Only called under the lock, so no living process is filling it.
    fn remove_partial(&self, name: &str) {
        for left in self.partial(name) {
            let _ = fs::remove_dir_all(left);
        }
    }
}

impl Staging {
    /// The folder to fill.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the manifest of all files.
    fn seal(&self) -> Result<()> {
        let mut files = BTreeMap::new();
        for item in fs::read_dir(self.path()).map_err(|e| Error::caching(self.path(), e))? {
            let path = item.map_err(|e| Error::caching(self.path(), e))?.path();
            make_readable(&path).map_err(|e| Error::caching(&path, e))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            files.insert(name.into_owned(), Recorded::of(&path)?);
        }
        let manifest = Manifest { version: 1, files };
        let path = self.path().join(MANIFEST);
        fs::write(&path, manifest.to_json()).map_err(|e| Error::caching(&path, e))?;
        make_readable(self.path()).map_err(|e| Error::caching(self.path(), e))?;
        Ok(())
    }
}

impl Manifest {
    fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a manifest is plain data")
    }
}

impl Recorded {
    fn of(path: &Path) -> Result<Self> {
        let (bytes, modified) = stamp(path)?;
        Ok(Self {
            bytes,
            sha256: sha256_file(path)?,
            modified,
        })
    }
}

/// Size in bytes and time of change in nanoseconds since 1970.
fn stamp(path: &Path) -> Result<(u64, u64)> {
    let fail = |e| Error::reading(path, "file of the cache", e);
    let metadata = fs::metadata(path).map_err(fail)?;
    let modified = metadata.modified().map_err(fail)?;
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_else(|_| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    });
    Ok((metadata.len(), since.as_nanos() as u64))
}

impl Entry {
    fn open(folder: PathBuf) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let corrupt = |path: &Path, expected: String, found: String| Error::CacheCorrupt {
            path: path.to_owned(),
            expected,
            found,
            remedy: format!(
                "delete the folder {} and run the command again, or run `af1 fetch --force`",
                folder.display()
            ),
        };
        let manifest = text_at_most(&path, MOST_BYTES)
            .map_err(|e| e.to_string())
            .and_then(|text| serde_json::from_str::<Manifest>(&text).map_err(|e| e.to_string()));
        let mut manifest = match manifest {
            Ok(manifest) if manifest.version == 1 => manifest,
            Ok(manifest) => {
                let found = format!("version {}", manifest.version);
                return Err(corrupt(&path, "a manifest of version 1".to_owned(), found));
            }
            Err(reason) => return Err(corrupt(&path, "a manifest".to_owned(), reason)),
        };
        let mut touched = false;
        for (name, recorded) in &mut manifest.files {
            let file = folder.join(name);
            let Ok((bytes, modified)) = stamp(&file) else {
                let expected = format!("{} bytes", recorded.bytes);
                return Err(corrupt(&file, expected, "no file".to_owned()));
            };
            if bytes != recorded.bytes {
                let expected = format!("{} bytes", recorded.bytes);
                return Err(corrupt(&file, expected, format!("{bytes} bytes")));
            }
            if modified != recorded.modified {
                let found = sha256_file(&file)?;
                if found != recorded.sha256 {
                    let expected = format!("SHA-256 {}", recorded.sha256);
                    return Err(corrupt(&file, expected, found.to_string()));
                }
                recorded.modified = modified;
                touched = true;
            }
        }
        if touched {
            // A copied cache: the next start need not hash again. Where it cannot be written, it will.
            let _ = write_atomically(&path, &manifest.to_json());
        }
        Ok(Self { folder, manifest })
    }

    /// Says that this process uses it: until it ends, no other process removes it, and its last use is now. Both are a help, not a
    /// promise: a folder may be read-only, a file system may have no locks.
    pub fn used(self) -> Self {
        hold(&self.folder.join(MANIFEST));
        self
    }

    /// The folder of the entry.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of one of its files.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// The recorded hash of one of its files.
    pub fn sha256(&self, file: &str) -> Option<&Sha256> {
        self.manifest.files.get(file).map(|file| &file.sha256)
    }

    /// The names of its files, sorted.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.manifest.files.keys().map(String::as_str)
    }
}
