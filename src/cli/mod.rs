//! The command line: one file a verb. Verbs read arguments, call the library and print; they compute nothing.

mod args;
mod cache;
mod claims;
mod diff;
mod doctor;
mod experiment;
mod export;
mod fetch;
mod first_look;
mod gate;
mod inspect;
mod lab;
mod logits;
mod merge;
mod output;
mod probe;
mod report;
mod selfcheck;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::Result;
use crate::experiment::ALL;

/// Is the All-for-One subgraph sufficient for mental arithmetic in this language model?
///
/// Without a verb, `af1` fetches what it needs, runs AF1 on a small real model and prints the table.
#[derive(Debug, Parser)]
#[command(name = "af1", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(flatten)]
    Experiment(experiment::Experiment),
    /// Test claims about a model: exit code 0 pass, 1 fail, 2 inconclusive
    Gate(gate::Gate),
    /// Test what papers claim, on the models that are here
    Claims(claims::Claims),
    /// Show records again, or beside those of another run; needs no model and no runtime
    Report(report::Report),
    /// Join files of records, such as the shards of a sweep
    Merge(merge::Merge),
    /// Fetch the ONNX Runtime library and the built-in model into the cache
    Fetch(fetch::Fetch),
    /// What is kept on the disk, how large it is, and removing it
    Cache(cache::CacheVerb),
    /// Write a model as an instrumented ONNX graph
    Export(export::Export),
    /// What a model is, and which prompts it can be asked
    Inspect(inspect::Inspect),
    /// Does this program find what was planted? Run it first, on every device
    Selfcheck(selfcheck::Selfcheck),
    /// Are AF1 compiled and AF1 by masks the same on a model? Names the first layer and position where not
    Diff(diff::Diff),
    /// What is installed, what is missing, what to do
    Doctor(doctor::Doctor),
    /// The tokens and the logits at the last position of one prompt
    Logits(logits::Logits),
}

impl Cli {
    /// Reads a command line, the program's name included. Arguments without a verb are those of the first experiment.
    ///
    /// # Errors
    /// clap's explanation, or the help or version text that was asked for.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut arguments: Vec<OsString> = arguments.into_iter().collect();
        let general = ["-h", "--help", "-V", "--version"];
        let verbless = arguments.get(1).and_then(|first| first.to_str());
        if verbless.is_some_and(|first| first.starts_with('-') && !general.contains(&first)) {
            arguments.insert(1, ALL[0].name.into());
        }
        Self::try_parse_from(arguments)
    }

    /// Runs the verb.
    ///
    /// # Errors
    /// Whatever the verb fails with.
    pub fn run(self) -> Result<()> {
        match self.verb {
            None => experiment::Experiment::default().run(),
            Some(Verb::Experiment(verb)) => verb.run(),
            Some(Verb::Gate(verb)) => verb.run(),
            Some(Verb::Claims(verb)) => verb.run(),
            Some(Verb::Report(verb)) => verb.run(),
            Some(Verb::Merge(verb)) => verb.run(),
            Some(Verb::Fetch(verb)) => verb.run(),
            Some(Verb::Cache(verb)) => verb.run(),
            Some(Verb::Export(verb)) => verb.run(),
            Some(Verb::Inspect(verb)) => verb.run(),
            Some(Verb::Selfcheck(verb)) => verb.run(),
            Some(Verb::Diff(verb)) => verb.run(),
            Some(Verb::Doctor(verb)) => verb.run(),
            Some(Verb::Logits(verb)) => verb.run(),
        }
    }
}
