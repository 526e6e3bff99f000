//! The verbs of the experiments: each has the options that all ask for, and those of its own.

use std::path::Path;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Subcommand};

use super::args::{ModelArgs, OutputArgs, RuntimeArgs};
use super::first_look;
use super::lab::{Common, Lab, RecordArgs};
use super::shard::AskedShard;
use crate::Result;
use crate::experiment::{ALL, Around, Ask, Entry};
use crate::study::{Cost, Shard, Swept};

/// An experiment that was asked for.
#[derive(Debug)]
pub struct Experiment {
    common: Common,
    own: Box<dyn Ask>,
}

/// On what an experiment of a file is run.
#[derive(Clone, Copy)]
pub struct On<'a> {
    /// The model, as `--model` takes it.
    pub model: &'a str,
    /// Where it runs.
    pub runtime: &'a RuntimeArgs,
    /// Where cells are appended.
    pub record: &'a Path,
    /// Which part of the sweep is measured, if that is asked from outside.
    pub shard: Option<Shard>,
}

impl Experiment {
    /// The experiment that words in a file ask for: a verb and its options. On which model it runs, where, and what becomes of its results
    /// the words cannot say: `who` reads them says that.
    ///
    /// # Errors
    /// What is wrong with the words; the first option that is not for them to say.
    pub fn asked<'w>(words: impl IntoIterator<Item = &'w str>, who: &str) -> Result<Self, String> {
        let program = Self::augment_subcommands(Command::new("af1").no_binary_name(true));
        let matches = program
            .try_get_matches_from(words)
            .map_err(|e| e.to_string())?;
        let of_others = Self::of_others();
        let said = matches.subcommand().and_then(|(_, options)| {
            let is_said = |option: &&Arg| {
                options.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
            };
            of_others.get_arguments().find(is_said)
        });
        match said.and_then(Arg::get_long) {
            Some(option) => Err(format!("--{option} is not for {who} to say; leave it out")),
            None => Self::from_arg_matches(&matches).map_err(|e| e.to_string()),
        }
    }

    /// `--model`, the options of where it runs, and those of what becomes of results.
    fn of_others() -> Command {
        let model = ModelArgs::augment_args(Command::new("model"));
        let model = model.get_arguments().find(|arg| arg.get_id() == "model");
        let others = RuntimeArgs::augment_args(Command::new("others").args(model));
        OutputArgs::augment_args(RecordArgs::augment_args(others))
    }

    /// Measures on a model what the record does not hold, and appends it there; all cells.
    pub fn measured(self, on: On<'_>) -> Result<Swept> {
        let (mut lab, own) = self.open(on)?;
        let experiment = lab.experiment(&*own)?;
        lab.study.run(&*experiment, |_| Ok(()))
    }

    /// What that takes.
    pub fn cost(self, on: On<'_>) -> Result<Cost> {
        let (mut lab, own) = self.open(on)?;
        let experiment = lab.experiment(&*own)?;
        lab.study.cost(&*experiment)
    }

    fn open(mut self, on: On<'_>) -> Result<(Lab, Box<dyn Ask>)> {
        self.common.model.model = Some(on.model.to_owned());
        self.common.model.runtime = on.runtime.clone();
        self.common.record.record = Some(on.record.to_owned());
        if let Some(shard) = on.shard {
            self.common.record.shard = Some(AskedShard::Given(shard));
        }
        Ok((self.common.open()?, self.own))
    }

    pub fn run(self) -> Result<()> {
        match self.own.around() {
            Around::Nothing => {
                let lab = self.common.open()?;
                let experiment = lab.experiment(&*self.own)?;
                lab.run(&*experiment, "")
            }
            Around::FirstLook { contrast } => first_look::run(self.common, &*self.own, contrast),
        }
    }
}

/// The first of all experiments with the default of every option.
impl Default for Experiment {
    fn default() -> Self {
        Self::asked([ALL[0].name], "a default").expect("every argument has a default")
    }
}

/// The experiment of that name.
fn named(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}

impl FromArgMatches for Experiment {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let verb = matches.subcommand();
        let found = verb.and_then(|(name, options)| Some((named(name)?, options)));
        let (entry, options) =
            found.ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))?;
        Ok(Self {
            common: Common::from_arg_matches(options)?,
            own: entry.read(options)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Experiment {
    fn augment_subcommands(program: Command) -> Command {
        let verb = |entry: &Entry| {
            let own = Command::new(entry.name).next_help_heading("Experiment");
            let with_options = Common::augment_args(entry.arguments(own));
            // The options bring the comments of their types; the help line is the experiment's.
            with_options.about(entry.help).long_about(None)
        };
        program.subcommands(ALL.iter().map(verb))
    }

    fn augment_subcommands_for_update(program: Command) -> Command {
        Self::augment_subcommands(program)
    }

    fn has_subcommand(name: &str) -> bool {
        named(name).is_some()
    }
}
