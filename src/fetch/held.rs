//! The manifests of the entries that this process uses.
//!
//! A process that uses an entry has a shared lock on its manifest until it ends; who removes the entry takes the exclusive one, and does not
//! wait for it.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

static HELD: LazyLock<Mutex<HashMap<PathBuf, File>>> = LazyLock::new(Mutex::default);

/// Marks a manifest as used, now and until this process ends.
pub(super) fn hold(manifest: &Path) {
    if let Ok(file) = File::options().append(true).open(manifest) {
        let _ = file.set_modified(SystemTime::now());
    }
    let mut held = held();
    if !held.contains_key(manifest)
        && let Ok(file) = File::open(manifest)
        && file.try_lock_shared().is_ok()
    {
        held.insert(manifest.to_owned(), file);
    }
}

/// Gives back what [`hold`] took.
pub(super) fn release(manifest: &Path) {
    held().remove(manifest);
}

fn held() -> MutexGuard<'static, HashMap<PathBuf, File>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}
