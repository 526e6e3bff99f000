//! An experiment as the program knows it: by what name and with which options it is asked for, and how it is shown.

use std::fmt::Debug;

use clap::{ArgMatches, Args, Command};

use super::unit::Experiment;
use super::view::View;
use crate::Result;
use crate::model::Model;
use crate::runtime::Engine;

/// An experiment in the list of all.
pub struct Entry {
    /// The verb by which the command line asks for it.
    pub name: &'static str,
    /// The line about it in the command line's help.
    pub help: &'static str,
    /// The view of its records.
    pub view: &'static dyn View,
    /// Whether it looks inside a model, rather than ask what it can do without.
    pub inside: bool,
    /// Command lines behind the program's name that show its use.
    pub examples: [&'static str; 2],
    arguments: fn(Command) -> Command,
    read: fn(&ArgMatches) -> Result<Box<dyn Ask>, clap::Error>,
}

impl Entry {
    /// An experiment that is asked for by this name with the options `O`.
    pub const fn of<O: Ask + Args + 'static>(
        name: &'static str,
        help: &'static str,
        view: &'static dyn View,
        examples: [&'static str; 2],
    ) -> Self {
        Self {
            name,
            help,
            view,
            inside: false,
            examples,
            arguments: O::augment_args,
            read: read::<O>,
        }
    }

    /// The same as an experiment that looks inside a model.
    pub const fn inside(mut self) -> Self {
        self.inside = true;
        self
    }

    /// A command with the options of this experiment beside those that it has.
    pub fn arguments(&self, command: Command) -> Command {
        (self.arguments)(command)
    }

    /// The options that were given.
    ///
    /// # Errors
    /// clap's explanation.
    pub fn read(&self, matches: &ArgMatches) -> Result<Box<dyn Ask>, clap::Error> {
        (self.read)(matches)
    }
}

fn read<O: Ask + Args + 'static>(matches: &ArgMatches) -> Result<Box<dyn Ask>, clap::Error> {
    Ok(Box::new(O::from_arg_matches(matches)?))
}

/// The options of an experiment.
pub trait Ask: Debug {
    /// The experiment that they ask for.
    ///
    /// # Errors
    /// Options that do not fit the model.
    fn experiment(&self, given: &Given<'_>) -> Result<Box<dyn Experiment>>;

    /// What is shown around its table.
    fn around(&self) -> Around {
        Around::Nothing
    }
}

/// What an experiment is asked of.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// The model.
    pub model: &'a Model,
    /// The same, ready to run.
    pub engine: &'a Engine,
    /// The seed of every draw.
    pub seed: u64,
}

/// What is shown around the table of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Around {
    /// Nothing is shown around it.
    Nothing,
    /// What one who runs the program for the first time is to see: planted models before the table, and after it what to try next.
    FirstLook {
        /// Whether the options ask for nothing of one's own, so that the table of a model for contrast belongs beside it.
        contrast: bool,
    },
}
