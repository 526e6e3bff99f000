//! Files: their hashes, and writing them as a whole or not at all.

use std::fmt;
use std::fs::File;
#[cfg(unix)]
use std::fs::TryLockError;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::Digest;
use tempfile::NamedTempFile;

use crate::interrupt::interrupted;
use crate::{Error, Result};

/// A SHA-256 digest in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sha256(String);

impl Sha256 {
    /// A digest that is known: 64 hexadecimal digits.
    pub fn known(hex: &str) -> Self {
        Self(hex.to_ascii_lowercase())
    }

    /// All 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 16 digits, for names of files.
    pub fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn hex(digest: impl AsRef<[u8]>) -> Sha256 {
    Sha256(digest.as_ref().iter().map(|b| format!("{b:02x}")).collect())
}

/// The digest of bytes in memory.
pub fn sha256_bytes(bytes: &[u8]) -> Sha256 {
    hex(sha2::Sha256::digest(bytes))
}

/// The digest of a file.
///
/// # Errors
/// The file cannot be read; an interrupt.
pub fn sha256_file(path: &Path) -> Result<Sha256> {
    let fail = |e| Error::reading(path, "file", e);
    let mut file = File::open(path).map_err(fail)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        interrupted()?;
        let count = file.read(&mut buffer).map_err(fail)?;
        if count == 0 {
            return Ok(hex(hasher.finalize()));
        }
        hasher.update(&buffer[..count]);
    }
}

/// The bytes of a file that has `most` of them at most; of a device or an endless pipe no more are read either.
///
/// # Errors
/// The file cannot be read, or has more bytes (`FileTooLarge`, with the limit in the text).
pub fn bytes_at_most(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    use std::io::{Error as IoError, ErrorKind};
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= most {
        true => Ok(bytes),
        false => Err(IoError::new(
            ErrorKind::FileTooLarge,
            format!("it has more than {most} bytes; expected {most} at most"),
        )),
    }
}

/// The text of a file that has `most` bytes at most.
///
/// # Errors
/// As [`bytes_at_most`]; bytes that are not UTF-8.
pub fn text_at_most(path: &Path, most: u64) -> std::io::Result<String> {
    String::from_utf8(bytes_at_most(path, most)?).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let reason = format!("it is not UTF-8 text: see byte {at}");
        std::io::Error::new(std::io::ErrorKind::InvalidData, reason)
    })
}

/// Writes a file as a whole or not at all: under a temporary name in the same folder, then renamed.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = Growing::begin(path)?;
    file.write(bytes)?;
    file.finish()
}

/// A file that is written piece by piece, as a whole or not at all: it has a temporary name until it is finished, and goes if it is not.
#[derive(Debug)]
pub struct Growing {
    path: PathBuf,
    file: BufWriter<Written>,
}

/// What is written to.
#[derive(Debug)]
enum Written {
    /// A file under a temporary name, and the one that it is to have.
    Temporary(NamedTempFile, PathBuf),
    /// A device or a pipe, which is not replaced.
    Device(File),
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Temporary(file, _) => file.write(bytes),
            Self::Device(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Temporary(file, _) => file.flush(),
            Self::Device(file) => file.flush(),
        }
    }
}

impl Growing {
    /// Begins a file.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn begin(path: &Path) -> Result<Self> {
        let fail = |e| Error::writing(path, e);
        let written = match path.exists() && !path.is_file() {
            true => {
                let device = File::options().write(true).open(path);
                Written::Device(device.map_err(fail)?)
            }
            false => {
                let target = behind_links(path).map_err(fail)?;
                let file = temporary_file(&target).map_err(fail)?;
                Written::Temporary(file, target)
            }
        };
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(written),
        })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(|e| Error::writing(&self.path, e))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> Result<()> {
        let fail = |e| Error::writing(&self.path, e);
        let written = self.file.into_inner().map_err(|e| fail(e.into_error()))?;
        if let Written::Temporary(file, target) = written {
            permit(file.as_file(), &target).map_err(fail)?;
            file.persist(&target).map_err(|e| fail(e.error))?;
        }
        Ok(())
    }
}

/// The file that is replaced: behind a link the one that it names, which need not be there yet.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    const MOST_LINKS: usize = 40;
    let mut target = path.to_owned();
    for _ in 0..MOST_LINKS {
        if !target.is_symlink() {
            return Ok(target);
        }
        let named = std::fs::read_link(&target)?;
        target = folder_of(&target).join(named);
    }
    Err(io::Error::other("its links lead in a circle"))
}

/// A new file may be read and written by whom the user lets by default, one that replaces another one by whom that was let.
#[cfg(unix)]
fn permit(file: &File, target: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = match std::fs::metadata(target) {
        Ok(replaced) => replaced.permissions().mode() & 0o777,
        Err(_) => by_default(),
    };
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn permit(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// The permissions of new files, which the system only says when they are changed.
#[cfg(unix)]
fn by_default() -> u32 {
    use std::os::unix::fs::PermissionsExt;
    let mut builder = tempfile::Builder::new();
    let made = builder
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile();
    let mode = made.and_then(|made| made.as_file().metadata());
    mode.map_or(0o644, |mode| mode.permissions().mode() & 0o777)
}

/// Temporary files and safetensors files are made private; a result or a part of the cache is as readable as the user's
/// other files.
///
/// # Errors
/// The permissions cannot be changed.
pub fn make_readable(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// What the temporary names of all files and folders begin with that are to get the name `target`.
fn prefix(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default();
    let hash = sha256_bytes(name.as_encoded_bytes());
    // As long for every name: none is the beginning of another.
    format!(".af1-{}-", &hash.as_str()[..8])
}

/// A new file under a temporary name beside `target`. What killed processes left that were to write the same file goes.
///
/// # Errors
/// The folder cannot be written.
pub fn temporary_file(target: &Path) -> io::Result<NamedTempFile> {
    let (folder, prefix) = (folder_of(target), prefix(target));
    remove_abandoned(folder, &prefix);
    loop {
        let file = tempfile::Builder::new()
            .prefix(&prefix)
            .tempfile_in(folder)?;
        if is_marked(file.as_file(), file.path()) {
            return Ok(file);
        }
    }
}

/// A folder under a temporary name, which says that a living process fills it.
#[derive(Debug)]
pub struct TemporaryFolder {
    folder: tempfile::TempDir,
    /// The folder, open and locked.
    #[cfg(unix)]
    _mark: File,
}

impl TemporaryFolder {
    /// A new one beside `target`, which gets what it holds. What killed processes left that were to write the same goes.
    ///
    /// # Errors
    /// The folder around it cannot be written.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let (around, prefix) = (folder_of(target), prefix(target));
        remove_abandoned(around, &prefix);
        loop {
            let folder = tempfile::Builder::new()
                .prefix(&prefix)
                .tempdir_in(around)?;
            #[cfg(not(unix))]
            return Ok(Self { folder });
            #[cfg(unix)]
            {
                let mark = File::open(folder.path())?;
                if is_marked(&mark, folder.path()) {
                    let _mark = mark;
                    return Ok(Self { folder, _mark });
                }
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Locks what is open for as long as it is, which says that it is no leftover. False where another process took it for one before.
#[cfg(unix)]
fn is_marked(open: &File, path: &Path) -> bool {
    match open.try_lock() {
        Ok(()) => is_at(open, path),
        // Another process looks at it just now, and will remove it.
        Err(TryLockError::WouldBlock) => false,
        // A file system without locks: nothing is ever taken for a leftover there.
        Err(TryLockError::Error(_)) => true,
    }
}

/// Elsewhere a lock would keep this process itself from writing.
#[cfg(not(unix))]
fn is_marked(_: &File, _: &Path) -> bool {
    true
}

/// Removes files and folders whose names begin so and that no living process fills.
#[cfg(unix)]
fn remove_abandoned(folder: &Path, prefix: &str) {
    for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if !item.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let (path, kind) = (item.path(), item.file_type());
        // Nothing else is ever made under such a name, and opening a pipe would wait.
        let is_ours = kind.is_ok_and(|kind| kind.is_file() || kind.is_dir());
        let open = File::open(&path).ok().filter(|_| is_ours);
        if open.is_some_and(|open| open.try_lock().is_ok()) {
            let _ = match path.is_dir() {
                true => std::fs::remove_dir_all(&path),
                false => std::fs::remove_file(&path),
            };
        }
    }
}

/// Elsewhere nothing says whether the process still lives.
#[cfg(not(unix))]
fn remove_abandoned(_: &Path, _: &str) {}

/// Whether a path still names what is open.
#[cfg(unix)]
pub fn is_at(open: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(open), Ok(there)) = (open.metadata(), std::fs::metadata(path)) else {
        return false;
    };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

/// Elsewhere what is open cannot be removed.
#[cfg(not(unix))]
pub fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// The folder that holds a file.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Checks that a file could be written to `path`, before the work whose result it is to hold.
///
/// # Errors
/// A folder at the path; no folder around it.
pub fn check_writable(path: &Path) -> Result<()> {
    use std::io::{Error as IoError, ErrorKind};
    let fail = |kind: ErrorKind, text: &str| Err(Error::writing(path, IoError::new(kind, text)));
    if path.is_dir() {
        return fail(ErrorKind::IsADirectory, "it is a folder; name a file");
    }
    if !folder_of(path).is_dir() {
        return fail(ErrorKind::NotFound, "its folder does not exist");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let items = std::fs::read_dir(folder).unwrap().flatten();
        let names = items.map(|item| item.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// What a killed process left is removed by the next one that writes the same file, and nothing else is.
    #[cfg(unix)]
    #[test]
    fn what_is_left_of_a_file_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let target = path("page.html");
        let left = path(&format!("{}left", prefix(&target)));
        let left_folder = path(&format!("{}folder", prefix(&target)));
        let other = path(&format!("{}left", prefix(&path("other.html"))));
        std::fs::write(&left, "half").unwrap();
        std::fs::create_dir(&left_folder).unwrap();
        std::fs::write(left_folder.join("half"), "half").unwrap();
        std::fs::write(&other, "half").unwrap();
        // This one is being written.
        let mut living = Growing::begin(&target).unwrap();
        living.write(b"first").unwrap();
        assert!(!left.exists() && !left_folder.exists() && other.exists());
        write_atomically(&target, b"second").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"second");
        living.finish().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"first");
        std::fs::remove_file(other).unwrap();
        assert_eq!(names(folder.path()), ["page.html"]);
        // So it is with folders.
        let living = TemporaryFolder::beside(&target).unwrap();
        let second = TemporaryFolder::beside(&target).unwrap();
        assert!(living.path().is_dir() && second.path().is_dir());
        drop((living, second));
        assert_eq!(names(folder.path()), ["page.html"]);
    }
}
