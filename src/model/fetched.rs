//! The files of built-in models in the cache.

use super::{Preset, Supply};
use crate::fetch::{Cache, Entry, Staging};
use crate::file::Sha256;
use crate::{Error, Result};

/// The preset's files in the cache, fetched or made anew where `again` says so.
///
/// # Errors
/// A fetch that fails; a file in the cache that is another one.
pub fn fetch(preset: &Preset, cache: &Cache, again: bool) -> Result<Entry> {
    let name = entry_name(preset);
    let fill = |staging: &Staging| match &preset.supply {
        Supply::File(file) => file.fetch_into(staging, cache),
        Supply::Planted(plant) => plant.write(staging.path()),
        Supply::Hub(_) => unreachable!("the hub's clients have a cache of their own"),
    };
    let entry = match again {
        true => cache.renew(&name, fill)?,
        false => cache.entry(&name, fill)?,
    };
    if let Supply::File(file) = &preset.supply {
        let found = entry
            .sha256(file.name)
            .map(Sha256::as_str)
            .unwrap_or("no such file");
        if found != file.sha256 {
            return Err(Error::CacheCorrupt {
                path: entry.path(file.name),
                expected: format!("SHA-256 {}", file.sha256),
                found: found.to_owned(),
                remedy: format!("run `af1 fetch --force --model {}`", preset.name),
            });
        }
    }
    Ok(entry)
}

/// The name of a preset's entry in the cache.
pub fn entry_name(preset: &Preset) -> String {
    match &preset.supply {
        Supply::File(_) | Supply::Hub(_) => preset.name.to_owned(),
        // What is made by this program changes with it.
        Supply::Planted(plant) => format!("{}-{}", preset.name, plant.fingerprint().short()),
    }
}
