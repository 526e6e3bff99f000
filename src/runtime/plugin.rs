//! Libraries of providers that come as plugins.

use std::path::Path;

use super::Runtime;
use super::said::first_line;
use crate::file::{Sha256, sha256_file};

impl Runtime {
    /// The SHA-256 of a provider's library that was loaded.
    pub fn provider_hash(&self, library: &Path) -> Option<Sha256> {
        let real = library.canonicalize().ok()?;
        let plugged = self.plugged.lock().unwrap_or_else(|e| e.into_inner());
        let found = plugged.iter().find(|(known, _)| *known == real);
        found.map(|(_, hash)| hash.clone())
    }

    /// Loads a provider's library, once: the runtime crashes when it is given one again.
    pub(super) fn plug_in(&self, path: &Path) -> Result<(), String> {
        let real = path
            .canonicalize()
            .map_err(|e| format!("{}: {e}", path.display()))?;
        let name = real.file_name().unwrap_or_default().to_owned();
        let mut plugged = self.plugged.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((known, _)) =
            (plugged.iter()).find(|(known, _)| known.file_name() == Some(&name))
        {
            return match *known == real {
                true => Ok(()),
                false => Err(format!(
                    "this process already uses {}; a provider's library cannot be exchanged for {}",
                    known.display(),
                    real.display()
                )),
            };
        }
        self.environment
            .register_ep_library(name.to_string_lossy(), &real)
            .map_err(|e| format!("{} cannot be loaded: {}", real.display(), first_line(&e)))?;
        let hash = sha256_file(&real).map_err(|e| e.to_string())?;
        plugged.push((real, hash));
        Ok(())
    }
}
