//! Records in the forms of collections that keep results of many programs. What is written follows from records alone; what a record does
//! not know, such as who evaluated, is given with it.

use std::path::{Path, PathBuf};

use crate::kit::words::about::template;
use crate::record::{Findings, Measurement, Sweep, Tested};
use crate::{Error, Result};

macro_rules! list {
    ($($module:ident :: $name:ident),* $(,)?) => {
        $(mod $module;)*
        /// All forms.
        pub const ALL: &[&dyn Form] = &[$(&$module::$name),*];
    };
}

list! {
    every_eval_ever::EveryEvalEver,
    hugging_face::HuggingFace,
}

/// The form of a collection.
pub trait Form: Sync {
    /// The name of the form on the command line.
    fn name(&self) -> &'static str;

    /// What it is, in a line.
    fn help(&self) -> &'static str;

    /// Writes what is shared into a folder, and says which files it wrote.
    ///
    /// # Errors
    /// Something is not given that the form needs; a file cannot be read or written.
    fn write(&self, shared: &Shared<'_>, folder: &Path) -> Result<Vec<PathBuf>>;
}

impl std::fmt::Debug for dyn Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The form of that name.
pub fn named(name: &str) -> Option<&'static dyn Form> {
    ALL.iter().copied().find(|form| form.name() == name)
}

/// A name on a hub, `owner/name`: both parts are portable names of folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName {
    /// Who has it.
    pub owner: String,
    /// What it is called there.
    pub name: String,
}

impl std::str::FromStr for HubName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |part: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            (1..=96).contains(&part.len())
                && part.chars().all(known)
                && !part.starts_with('.')
                && !part.ends_with('.')
        };
        match text.split_once('/') {
            Some((owner, name)) if plain(owner) && plain(name) => Ok(Self {
                owner: owner.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(format!(
                "{text:?} is no name on a hub; expected owner/name of letters, digits, -, _ and ."
            )),
        }
    }
}

impl std::fmt::Display for HubName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// What a record does not know.
#[derive(Clone, Debug)]
pub struct About {
    /// The model's name on the hub.
    pub model: HubName,
    /// Who evaluated it.
    pub by: String,
    /// What they are to whoever made the model.
    pub relationship: Relationship,
    /// The collection of tasks that the results are about, where the form needs one.
    pub dataset: Option<HubName>,
    /// When the records were written, in seconds since 1970.
    pub written: u64,
}

/// What evaluators are to whoever made the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Relationship {
    /// They made it
    FirstParty,
    /// They had no part in it
    ThirdParty,
    /// They and the makers did it together
    Collaborative,
    /// Something else
    Other,
}

/// The records of a model, with what they do not know.
pub struct Shared<'a> {
    /// What the records do not know.
    pub about: About,
    /// Files of answers to single prompts.
    pub answers: &'a [PathBuf],
    sweeps: Vec<Sweep>,
}

impl<'a> Shared<'a> {
    /// The sweeps of one model: that which is named, or the only one.
    ///
    /// # Errors
    /// No cell was measured; of several models none is named; the one that is named is not there.
    pub fn of(
        findings: &Findings<'_>,
        model: Option<&str>,
        about: About,
        answers: &'a [PathBuf],
    ) -> Result<Self> {
        let measured = |sweep: &&Sweep| sweep.measurements().next().is_some();
        let all: Vec<&Sweep> = findings.sweeps.iter().filter(measured).collect();
        let mut models: Vec<&str> = all.iter().map(|sweep| &*sweep.model).collect();
        models.sort_unstable();
        models.dedup();
        let chosen = match (model, &*models) {
            (_, []) => {
                let nothing = "no cell was measured in these records; nothing can be shared";
                return Err(Error::Usage(nothing.to_owned()));
            }
            (Some(name), models) if models.contains(&name) => name,
            (None, [only]) => only,
            (named, models) => {
                return Err(Error::Usage(format!(
                    "--of {}: these records are of {}; name one of them",
                    named.unwrap_or("<MODEL>"),
                    models.join(", ")
                )));
            }
        };
        let sweeps = all.into_iter().filter(|sweep| sweep.model == chosen);
        Ok(Self {
            about,
            answers,
            sweeps: sweeps.map(Sweep::with_whole).collect(),
        })
    }

    /// The cells, whole answers among them.
    fn cells(&self) -> impl Iterator<Item = &Tested> {
        self.sweeps.iter().flat_map(Sweep::cells)
    }

    /// The name of something of a measurement, with its sweep where there are several: they may ask the same in other ways.
    fn apart(&self, name: &str, m: &Measurement) -> String {
        match &*self.sweeps {
            [_] => name.to_owned(),
            _ => format!("{name} (sweep {})", m.place.sweep),
        }
    }
}

/// What a cell is, in words: `run: calculate A+B: AF1(16, 1) by cama`.
fn title(m: &Measurement) -> String {
    let (plan, ablation) = (m.subject.plan.words(), &m.subject.ablation);
    let experiment = m.experiment.name();
    format!("{experiment}: {}: {plan} by {ablation}", template(m))
}
