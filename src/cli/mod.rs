//! The command line: one file a verb. Verbs read arguments, call the library and print; they compute nothing.

mod args;
mod cache;
mod claims;
mod cost;
mod diff;
mod doctor;
mod experiment;
mod export;
mod fetch;
mod first_look;
mod gate;
mod help;
mod inspect;
mod lab;
mod list;
mod logits;
mod merge;
mod output;
mod probe;
mod report;
mod screen;
mod selfcheck;
mod shard;
mod share;
mod shell;
mod study;

pub(crate) use study::checked as study;

use std::borrow::Cow;
use std::ffi::OsString;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::experiment::ALL;
use crate::progress::{self, Loudness};
use crate::{Result, printable};

/// Is the All-for-One subgraph sufficient for mental arithmetic in this language model?
///
/// Without a verb, `af1` fetches what it needs, runs AF1 on a small real model and prints the table.
#[derive(Debug, Parser)]
#[command(name = "af1", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    said: Said,
}

/// Where in the help an option of every verb stands: before those of the verb. Without it clap counts the verbs, too, and the place would
/// move with a new one.
const FIRST: usize = 0;

/// How much is said on standard error.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
struct Said {
    /// Say nothing of progress
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = FIRST)]
    quiet: bool,
    /// Say every step as it begins
    #[arg(short, long, global = true, display_order = FIRST)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(flatten)]
    Experiment(experiment::Experiment),
    /// Test claims about a model: exit code 0 pass, 1 fail, 2 inconclusive
    Gate(gate::Gate),
    /// Test what papers claim, on the models that are here
    Claims(claims::Claims),
    /// Run the experiments of a file on its models, and write one page
    Study(study::StudyVerb),
    /// Show records again, or beside those of another run; needs no model and no runtime
    Report(report::Report),
    /// Join files of records, such as the shards of a sweep
    Merge(merge::Merge),
    /// Write records in the forms of collections of results
    Share(share::Share),
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
    /// What can be named: models, styles, operations, ablations, maskings, experiments, devices
    List(list::List),
    /// Completions for a shell, or the pages of the manual
    Shell(shell::Shell),
    /// What is installed, what is missing, what to do
    Doctor(doctor::Doctor),
    /// The tokens and the logits at the last position of one prompt
    Logits(logits::Logits),
}

/// So much of a line is said again of what was given.
const MOST_ECHOED: usize = 1000;

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
        Self::from_arg_matches(&Self::program().try_get_matches_from(arguments)?)
    }

    /// Shows the help that was asked for, or what is wrong with a command line, in which what was given stands.
    pub fn show(told: &clap::Error) {
        let text = told.render().to_string();
        let is_long = |line: &str| line.chars().count() > MOST_ECHOED;
        let cut = |line: &str| match is_long(line) {
            true => line.chars().take(MOST_ECHOED).collect::<String>() + "...",
            false => line.to_owned(),
        };
        // With its colours where nothing in it is to be escaped or left out.
        match (printable::lines(&text), text.lines().any(is_long)) {
            (Cow::Borrowed(_), false) => drop(told.print()),
            _ => {
                let lines: Vec<String> = text.trim_end().lines().map(cut).collect();
                progress::on_stderr(&lines.join("\n"));
            }
        }
    }

    /// The program's command line as its help shows it.
    pub fn program() -> clap::Command {
        help::arranged(Self::command())
    }

    /// Runs the verb.
    ///
    /// # Errors
    /// Whatever the verb fails with.
    pub fn run(self) -> Result<()> {
        progress::set(match (self.said.quiet, self.said.verbose) {
            (true, _) => Loudness::Quiet,
            (_, true) => Loudness::Verbose,
            _ => Loudness::Normal,
        });
        match self.verb {
            None => experiment::Experiment::default().run(),
            Some(Verb::Experiment(verb)) => verb.run(),
            Some(Verb::Gate(verb)) => verb.run(),
            Some(Verb::Claims(verb)) => verb.run(),
            Some(Verb::Study(verb)) => verb.run(),
            Some(Verb::Report(verb)) => verb.run(),
            Some(Verb::Merge(verb)) => verb.run(),
            Some(Verb::Share(verb)) => verb.run(),
            Some(Verb::Fetch(verb)) => verb.run(),
            Some(Verb::Cache(verb)) => verb.run(),
            Some(Verb::Export(verb)) => verb.run(),
            Some(Verb::Inspect(verb)) => verb.run(),
            Some(Verb::Selfcheck(verb)) => verb.run(),
            Some(Verb::Diff(verb)) => verb.run(),
            Some(Verb::List(verb)) => verb.run(),
            Some(Verb::Shell(verb)) => verb.run(),
            Some(Verb::Doctor(verb)) => verb.run(),
            Some(Verb::Logits(verb)) => verb.run(),
        }
    }
}
