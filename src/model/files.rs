//! The files that a model consists of.

use std::path::{Path, PathBuf};

use crate::fetch::Cache;
use crate::file::{Sha256, sha256_bytes};
use crate::{Result, printable};

/// The last part of a path, on one line.
pub fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    printable::line(&name.to_string_lossy()).into_owned()
}

/// The folder that a file lies in.
pub fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A hash of the names and hashes of some files.
///
/// # Errors
/// A file that cannot be read.
pub fn hash_of(paths: impl IntoIterator<Item = PathBuf>, cache: &Cache) -> Result<Sha256> {
    let mut lines = String::new();
    for path in paths {
        lines += &format!("{} {}\n", cache.sha256(&path)?, file_name(&path));
    }
    Ok(sha256_bytes(lines.as_bytes()))
}
