//! Readers of bytes that are private elsewhere, for the programs in the folder `fuzz` that feed them with what nobody wrote: what is
//! returned says only what the next step of a target needs. It is no part of the library's interface.

use std::path::Path;

use crate::claims::{self, Paper};
use crate::cli;
use crate::fetch::Cache;
use crate::gate::Gate;
use crate::prompt::{List, Styles, Tokenizer};
use crate::record::{self, Line};
use crate::{Error, Result};

/// A file of styles.
///
/// # Errors
/// Those of its reader, as of every function here.
pub fn styles(text: &str) -> Result<Styles> {
    Styles::parse(Path::new("styles.toml"), text)
}

/// A file of prompts.
///
/// # Errors
/// Those of its reader.
pub fn prompts(bytes: &[u8]) -> Result<List> {
    List::parse(Path::new("prompts"), bytes)
}

/// A gate's file.
///
/// # Errors
/// Those of its reader.
pub fn gate(text: &str) -> Result<Gate> {
    Gate::parse(Path::new("gate.toml"), text)
}

/// A study's file, and how many experiments on models it asks for.
///
/// # Errors
/// Those of its reader.
pub fn study(text: &str) -> Result<usize> {
    cli::study(text)
}

/// A file of claims.
///
/// # Errors
/// Those of its reader.
pub fn claims(text: &str) -> Result<Vec<Paper>> {
    claims::parse(Path::new("claims.toml"), text)
}

/// A file of records, of any schema that is known.
///
/// # Errors
/// Those of its reader.
pub fn records(text: &str) -> Result<Vec<Line>> {
    record::read_text(Path::new("record.jsonl"), text)
}

/// A file of answers: the number of its lines.
///
/// # Errors
/// Those of its reader.
pub fn answers(path: &Path) -> Result<usize> {
    let mut lines = 0;
    record::each_answer(path, |_| {
        lines += 1;
        Ok(())
    })?;
    Ok(lines)
}

/// A `tokenizer.json`.
///
/// # Errors
/// Its reader's own reason.
pub fn tokenizer(json: &str) -> Result<Tokenizer, String> {
    Tokenizer::from_json(json.to_owned())
}

/// The manifest of the entry `entry` of a cache, and the files that it names: how many there are.
///
/// # Errors
/// Those of its reader.
pub fn cache_entry(cache: &Path) -> Result<usize, Error> {
    let found = Cache::at(cache.to_owned()).find("entry")?;
    Ok(found.map_or(0, |entry| entry.files().count()))
}
