//! `af1 study`: the experiments of a file on its models, recorded in one file and shown on one page.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use super::args::RuntimeArgs;
use super::cost::sentence;
use super::experiment::{Experiment, On};
use super::output::{check_files, print, show};
use super::screen::Screen;
use super::shard::{AskedShard, record_of};
use crate::file::{text_at_most, write_atomically};
use crate::kit::Block;
use crate::progress::say;
use crate::study::Shard;
use crate::{Error, Result, record, report};

#[derive(Args, Clone, Debug)]
pub struct StudyVerb {
    /// The file of the study: TOML
    #[arg(value_name = "FILE", required_unless_present = "init")]
    file: Option<PathBuf>,
    /// Print a file of a study with comments, and run nothing
    #[arg(long, conflicts_with = "file")]
    init: bool,
    /// Say what the study takes at most, and measure nothing
    #[arg(long)]
    dry_run: bool,
    /// Measure only the i-th of n parts of every sweep, or with `auto` the part of a Slurm array's task, of an Indexed Job's pod, or that
    /// AF1_SHARD says; the record is called `-i-of-n`, there is no page, and `af1 merge` joins the records
    #[arg(long, value_name = "I/N")]
    shard: Option<AskedShard>,
    #[command(flatten)]
    screen: Screen,
    #[command(flatten)]
    runtime: RuntimeArgs,
}

/// What `--init` prints.
const EXAMPLE: &str = include_str!("../../fixtures/study/planted.toml");

/// A file has at most so many bytes.
const MOST_BYTES: u64 = 1 << 20;

/// The file format.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    record: PathBuf,
    page: PathBuf,
    models: Vec<String>,
    #[serde(default)]
    options: toml::Table,
    #[serde(default)]
    experiment: Vec<ExperimentWire>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExperimentWire {
    run: String,
    models: Option<Vec<String>>,
}

/// An experiment of a study on one of its models.
struct Part {
    model: String,
    /// A verb and its options.
    words: Vec<String>,
    shard: Option<Shard>,
}

impl StudyVerb {
    pub fn run(self) -> Result<()> {
        let Some(file) = self.file.as_deref().filter(|_| !self.init) else {
            return print(EXAMPLE);
        };
        let wire = read(file)?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let shard = self.shard.map(AskedShard::shard).transpose()?;
        let (record, page) = (folder.join(&wire.record), folder.join(&wire.page));
        let record = record_of(record, shard)?;
        let files = [("record", Some(&*record)), ("page", Some(&*page))];
        check_files(&[("FILE", Some(file))], &files).map_err(|error| match error {
            Error::Usage(reason) => bad(file, reason),
            other => other,
        })?;
        let parts = parts(file, &wire, shard)?;
        // Nobody waits for a shard, and to say what it takes every model is loaded once more.
        if shard.is_none() || self.dry_run {
            self.say_cost(file, &parts, &record)?;
        }
        if self.dry_run {
            return Ok(());
        }
        let mut failed = Vec::new();
        for part in &parts {
            say!("{}: {}", part.model, part.shown());
            let asked = part.asked(file)?;
            match asked.measured(part.on(&self.runtime, &record)) {
                Ok(swept) => failed.extend(swept.failures),
                // What cannot be recorded ends the study; what cannot be asked of one model may be asked of the next.
                Err(error @ (Error::Interrupted | Error::Write { .. } | Error::Record { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    say!("{}: {}: {error}", part.model, part.shown());
                    failed.push(error);
                }
            }
        }
        // Without a record there is no page, and the reason is the first failure.
        if !record.exists() && !failed.is_empty() {
            return Err(failed.swap_remove(0));
        }
        // What follows from a shard alone is nothing.
        match shard {
            Some(_) => print(&format!("record: {}\n", record.display()))?,
            None => self.show(&record, &page)?,
        }
        match failed.into_iter().next() {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Writes the page, and says what came out.
    fn show(&self, record: &Path, page: &Path) -> Result<()> {
        let lines = record::merge(&[record.to_owned()])?;
        write_atomically(page, report::html(&lines).as_bytes())?;
        let mut document = report::conclusions_by_model(&lines);
        document.push(vec![Block::Text(format!("page: {}", page.display()))]);
        show(&report::text(&document, self.screen.look(None)))
    }

    /// Says what every part takes at most, before the first is run.
    fn say_cost(&self, file: &Path, parts: &[Part], record: &Path) -> Result<()> {
        let mut blocks = Vec::new();
        for part in parts {
            let cost = part.cost(file, &self.runtime, record)?;
            blocks.push(Block::Text(format!(
                "{}: {}: {cost}",
                part.model,
                part.shown()
            )));
        }
        let look = self.screen.look(None);
        match self.dry_run {
            true => show(&report::text(&[blocks], look)),
            false => {
                say!("{}", report::text(&[blocks], look).trim_end());
                Ok(())
            }
        }
    }
}

impl Part {
    fn asked(&self, file: &Path) -> Result<Experiment> {
        Experiment::asked(self.words.iter().map(String::as_str), "a study")
            .map_err(|reason| bad(file, format!("{}: {reason}", self.shown())))
    }

    /// What it asks for, for people: words with spaces between them.
    fn shown(&self) -> String {
        self.words.join(" ")
    }

    fn on<'a>(&'a self, runtime: &'a RuntimeArgs, record: &'a Path) -> On<'a> {
        On {
            model: &self.model,
            runtime,
            record,
            shard: self.shard,
        }
    }

    /// What it takes at most, in a sentence, or why that cannot be said.
    fn cost(&self, file: &Path, runtime: &RuntimeArgs, record: &Path) -> Result<String> {
        let asked = self.asked(file)?;
        match asked.cost(self.on(runtime, record)) {
            Ok(cost) => Ok(sentence(&cost)),
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(error) => Ok(error.to_string()),
        }
    }
}

fn bad(file: &Path, reason: String) -> Error {
    Error::Usage(format!("{}: {reason}", file.display()))
}

fn read(file: &Path) -> Result<Wire> {
    let text = text_at_most(file, MOST_BYTES).map_err(|e| match e.kind() {
        ErrorKind::FileTooLarge => bad(file, e.to_string()),
        _ => Error::reading(file, "study", e),
    })?;
    toml::from_str(&text).map_err(|e| bad(file, e.to_string()))
}

/// Checks the text of a file, for [`crate::fuzz`]; the number of experiments on models that it asks for.
pub fn checked(text: &str) -> Result<usize> {
    let file = Path::new("study.toml");
    let wire = toml::from_str(text).map_err(|e| bad(file, e.to_string()))?;
    Ok(parts(file, &wire, None)?.len())
}

/// Every experiment on every model, each as the words of a command line; what is wrong with any of them is said now.
fn parts(file: &Path, wire: &Wire, shard: Option<Shard>) -> Result<Vec<Part>> {
    let option = |(name, value): (&String, &toml::Value)| match said(value) {
        Ok(said) => Ok(format!("--{name}{said}")),
        Err(reason) => Err(bad(file, format!("{name}: {reason}"))),
    };
    let options: Vec<String> = wire.options.iter().map(option).collect::<Result<_>>()?;
    if wire.models.is_empty() || wire.experiment.is_empty() {
        let reason = "it asks nothing: expected at least one of `models` and one [[experiment]]";
        return Err(bad(file, reason.to_owned()));
    }
    let mut parts = Vec::new();
    for experiment in &wire.experiment {
        let own = experiment.run.split_whitespace().map(str::to_owned);
        for model in experiment.models.as_ref().unwrap_or(&wire.models) {
            let part = Part {
                model: model.clone(),
                words: own.clone().chain(options.iter().cloned()).collect(),
                // Small sweeps do not all fall to the first shard.
                shard: shard.map(|shard| shard.beginning_at(parts.len())),
            };
            part.asked(file)?;
            parts.push(part);
        }
    }
    Ok(parts)
}

/// What stands behind an option's name on a command line; nothing where it is on.
fn said(value: &toml::Value) -> Result<String, String> {
    let one = |value: &toml::Value| match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        other => Err(format!("{other} is no text, number or list of them")),
    };
    match value {
        toml::Value::Boolean(true) => Ok(String::new()),
        toml::Value::Array(all) => {
            let all: Result<Vec<String>, String> = all.iter().map(one).collect();
            Ok(format!("={}", all?.join(",")))
        }
        other => Ok(format!("={}", one(other)?)),
    }
}
