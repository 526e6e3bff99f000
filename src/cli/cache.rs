//! `af1 cache`: what is kept on the disk, and removing it.

use std::time::SystemTime;

use clap::Args;

use super::args::{Format, OutputArgs};
use super::output::deliver;
use crate::fetch::{Cache, CacheItem, Removal, State, VARIABLE};
use crate::kit::{Block, Table};
use crate::model::{PRESETS, Preset, Supply, entry_name};
use crate::runtime::{Packaged, packaged};
use crate::{Error, Result, printable, report};

#[derive(Args, Clone, Debug)]
pub struct CacheVerb {
    /// Remove everything, or one entry; what is needed again is fetched again
    #[arg(long, value_name = "NAME", num_args = 0..=1, conflicts_with = "clear_unused")]
    clear: Option<Option<String>>,
    /// Remove what this version of the program does not use any more
    #[arg(long)]
    clear_unused: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// An entry, and what it is to this version of the program.
struct Row {
    item: CacheItem,
    what: String,
    unused: bool,
}

impl CacheVerb {
    pub fn run(self) -> Result<()> {
        let cache = Cache::of_user()?;
        let rows = rows(&cache)?;
        let removed: Vec<&Row> = match (&self.clear, self.clear_unused) {
            (Some(Some(name)), _) => vec![named(name, &rows, &cache)?],
            (Some(None), _) => rows.iter().collect(),
            (None, true) => rows.iter().filter(|row| row.unused).collect(),
            (None, false) => {
                let text = match self.output.format {
                    Format::Table => report::text(&[blocks(&rows, &cache)], self.output.look()),
                    Format::Json => listed(&rows, &cache),
                };
                return deliver(self.output.out.as_deref(), &text);
            }
        };
        let (mut gone, mut stay) = (Vec::new(), Vec::new());
        for row in removed {
            match cache.remove(&row.item.name)? {
                Removal::Removed => gone.push(&row.item),
                Removal::InUse => stay.push(row.item.name.as_str()),
                // Another process was faster.
                Removal::Absent => {}
            }
        }
        cache.remove_locks();
        let bytes: u64 = gone.iter().map(|item| item.bytes).sum();
        let text = match self.output.format {
            Format::Table => {
                let lines = gone
                    .iter()
                    .map(|item| format!("removed {}\n", printable::line(&item.name)));
                let lines: String = lines.collect();
                format!("{lines}{}: {} freed\n", counted(gone.len()), size(bytes))
            }
            Format::Json => {
                let names: Vec<&str> = gone.iter().map(|item| item.name.as_str()).collect();
                let json = serde_json::json!({
                    "folder": cache.root(), "removed": names, "in_use": stay, "bytes": bytes,
                });
                printable::object(&json)
            }
        };
        deliver(self.output.out.as_deref(), &text)?;
        if stay.is_empty() {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "another process uses {}: end it and run the command again",
            stay.join(", ")
        )))
    }
}

/// The entry of a name.
fn named<'r>(name: &str, rows: &'r [Row], cache: &Cache) -> Result<&'r Row> {
    let found = rows.iter().find(|row| row.item.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = rows.iter().map(|row| row.item.name.as_str()).collect();
        let names = match names.is_empty() {
            true => "nothing".to_owned(),
            false => names.join(", "),
        };
        let folder = cache.root().display();
        Error::Usage(format!(
            "--clear {name:?}: expected the name of an entry of {folder}, which holds {names}"
        ))
    })
}

fn rows(cache: &Cache) -> Result<Vec<Row>> {
    let all = cache.items()?;
    let complete = |name: &str| {
        let mut all = all.iter();
        all.any(|item| item.name == name && item.state == State::Complete)
    };
    let rows = all.iter().map(|item| {
        let (what, unused) = described(item, complete);
        Row {
            item: item.clone(),
            what,
            unused,
        }
    });
    Ok(rows.collect())
}

/// What an entry is, and whether it is of no more use.
fn described(item: &CacheItem, complete: impl Fn(&str) -> bool) -> (String, bool) {
    let name = &item.name;
    match item.state {
        State::Notes => {
            return ("hashes of large files outside the cache".to_owned(), false);
        }
        State::Partial => return ("what is being made, or was not finished".to_owned(), true),
        State::Complete => {}
    }
    if let Some(preset) = PRESETS.iter().find(|preset| entry_name(preset) == *name) {
        let what = match &preset.supply {
            Supply::File(file) => format!("model: {}", file.name),
            Supply::Planted(_) => "planted model".to_owned(),
            Supply::Hub(_) => "model".to_owned(),
        };
        return (what, false);
    }
    if let Some((preset, file)) = PRESETS.iter().find_map(|preset| piece_of(preset, name)) {
        let what = format!("piece of {file}, kept until all are there");
        return (what, complete(&entry_name(preset)));
    }
    match packaged(name) {
        Some(Packaged::Current(package)) => return (format!("library: {package}"), false),
        Some(Packaged::Other) => {
            return ("library of another version or system".to_owned(), true);
        }
        None => {}
    }
    let what = if name.starts_with("gguf-") {
        "GGUF file as f32, which earlier versions wrote"
    } else if name.starts_with("planted-") {
        "planted model of another version"
    } else {
        "entry of another version"
    };
    (what.to_owned(), true)
}

/// The preset and its file if an entry holds a piece of that.
fn piece_of(preset: &'static Preset, name: &str) -> Option<(&'static Preset, &'static str)> {
    let Supply::File(file) = &preset.supply else {
        return None;
    };
    let mut origins = file.origins.iter();
    let keeps = origins.any(|origin| origin.keeps().iter().any(|kept| kept == name));
    keeps.then_some((preset, file.name))
}

fn blocks(rows: &[Row], cache: &Cache) -> Vec<Block> {
    let folder = cache.root().display();
    let total = |of: &dyn Fn(&&Row) -> bool| -> u64 {
        let rows = rows.iter().filter(of);
        rows.map(|row| row.item.bytes).sum()
    };
    let mut blocks = Vec::new();
    if !rows.is_empty() {
        let mut table = Table::headed(&["name", "what it is", "size", "last used", "still used"]);
        for row in rows {
            table.push([
                row.item.name.clone(),
                row.what.clone(),
                size(row.item.bytes),
                row.item.used.map_or("not known".to_owned(), ago),
                if row.unused { "no" } else { "yes" }.to_owned(),
            ]);
        }
        blocks.push(Block::Table(table));
    }
    blocks.push(Block::Text(format!(
        "{} in {folder} ({VARIABLE} moves it): {}",
        counted(rows.len()),
        size(total(&|_| true))
    )));
    if rows.iter().any(|row| row.unused) {
        let bytes = size(total(&|row| row.unused));
        blocks.push(Block::Text(format!(
            "of no more use: {bytes}; `af1 cache --clear-unused` removes that"
        )));
    }
    blocks
}

fn listed(rows: &[Row], cache: &Cache) -> String {
    let entries = rows.iter().map(|row| {
        let used = row.item.used.and_then(|used| {
            let since = used.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            Some(since.as_secs())
        });
        serde_json::json!({
            "name": row.item.name, "what": row.what, "bytes": row.item.bytes, "last_used_unix": used, "unused": row.unused,
        })
    });
    let entries: Vec<serde_json::Value> = entries.collect();
    let bytes: u64 = rows.iter().map(|row| row.item.bytes).sum();
    let json = serde_json::json!({ "folder": cache.root(), "bytes": bytes, "entries": entries });
    printable::object(&json)
}

fn counted(entries: usize) -> String {
    match entries {
        1 => "1 entry".to_owned(),
        n => format!("{n} entries"),
    }
}

fn size(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// How long ago, in the largest unit of which there are two.
fn ago(then: SystemTime) -> String {
    let Ok(since) = then.elapsed() else {
        return "now".to_owned();
    };
    let seconds = since.as_secs();
    let units = [(86_400, "days"), (3600, "hours"), (60, "minutes")];
    let unit = units.into_iter().find(|(unit, _)| seconds >= 2 * unit);
    match unit {
        Some((unit, name)) => format!("{} {name} ago", seconds / unit),
        None => "just now".to_owned(),
    }
}
