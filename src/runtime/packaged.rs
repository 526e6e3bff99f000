//! Which entries of the cache are the libraries of providers.

use super::provider::packages;

/// What an entry of the cache is to the packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packaged {
    /// The library of a package that this version pins, as pip says it, for this platform.
    Current(String),
    /// The library of another version or platform.
    Other,
}

/// Whether an entry of the cache is the library of a package, by its name.
pub fn packaged(name: &str) -> Option<Packaged> {
    let all = packages();
    if let Some(package) = all.iter().find(|package| package.entry_name() == name) {
        return Some(Packaged::Current(package.name()));
    }
    all.iter()
        .any(|package| package.is_entry(name))
        .then_some(Packaged::Other)
}
