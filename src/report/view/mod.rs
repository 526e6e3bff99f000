//! What is shown of records, as neutral tables and figures: one file an experiment.
//!
//! To show a new experiment, write a file with a type that implements [`View`] and name it in the list below. What a gate, the
//! self-check, a comparison and `af1 diff` say has its view here, too.

mod chosen;
pub mod comparison;
pub mod diff;
pub mod failures;
pub mod gate;
pub mod overview;
pub mod provenance;
mod reproduce;
pub mod selfcheck;
pub mod verdicts;

use crate::kit::words;
use crate::kit::{Block, Document};
use crate::record::{Findings, Measurement, Sweep};

macro_rules! list {
    ($($module:ident :: $name:ident),* $(,)?) => {
        $(mod $module;)*
        /// The views of all experiments. A sweep with cells of several is summarised by the first of theirs.
        pub const ALL: &[&dyn View] = &[$(&$module::$name),*];
    };
}

list! {
    alternatives::Alternatives,
    contexts::Contexts,
    discover::Discover,
    af1::Af1,
    waiting::Waiting,
    transfer::Transfer,
    heads::Heads,
    necessity::Necessity,
    attention::Attention,
}

/// What is shown of the sweeps of an experiment.
pub trait View: Sync {
    /// The experiment, as records name it.
    fn experiment(&self) -> &'static str;

    /// What it asks.
    fn question(&self) -> &'static str;

    /// Whether its verdicts are claims; those of maps and curves are not.
    fn claims(&self) -> bool {
        false
    }

    /// What is to be read at a glance: a heading, tables, and what is to be known about them.
    fn summary(&self, sweep: &Sweep) -> Vec<Block>;

    /// Pictures, and tables with every number.
    fn detail(&self, sweep: &Sweep) -> Vec<Block>;

    /// What follows, a sentence with its numbers for every template, or for all of them.
    fn conclusion(&self, sweep: &Sweep) -> Vec<String>;
}

/// The view of an experiment, as records name it.
fn named(experiment: &str) -> Option<&'static dyn View> {
    let mut all = ALL.iter().copied();
    all.find(|view| view.experiment() == experiment)
}

/// The experiments of a sweep, as records name them.
fn experiments(sweep: &Sweep) -> Vec<&str> {
    let of_cells = sweep.measurements().map(|m| m.experiment.as_str());
    let attention = (!sweep.heads.is_empty()).then_some(attention::Attention.experiment());
    words::about::distinct(of_cells.chain(attention))
}

/// Whether the verdict of a measurement is on a claim.
fn is_claim(m: &Measurement) -> bool {
    named(&m.experiment).is_some_and(View::claims)
}

/// The verdicts on what is claimed in a sweep: see [`words::claimed`].
pub fn claimed(sweep: &Sweep) -> Vec<&Measurement> {
    words::claimed(sweep, is_claim)
}

/// What a sweep asks.
pub fn questions(sweep: &Sweep) -> String {
    let mut questions: Vec<&str> = Vec::new();
    for experiment in experiments(sweep) {
        questions.push(match named(experiment) {
            Some(view) => view.question(),
            None => experiment,
        });
    }
    questions.join(" ")
}

/// What is to be read at a glance: what gates answered, and every sweep.
pub fn summary(findings: &Findings<'_>) -> Document {
    let answers = gate::answers(findings.lines);
    let gates = (!answers.is_empty()).then(|| vec![Block::Table(gate::table(&answers))]);
    let sweeps = findings.sweeps.iter().map(summary_of);
    gates.into_iter().chain(sweeps).collect()
}

/// The view that summarises a sweep; `None` where nothing was measured.
fn of_sweep(sweep: &Sweep) -> Option<&'static dyn View> {
    let experiments = experiments(sweep);
    let mut views = ALL.iter().copied();
    let view = views.find(|view| experiments.contains(&view.experiment()));
    (!experiments.is_empty()).then(|| view.unwrap_or(&af1::Af1))
}

/// A sweep, what could not be measured of it, and what follows.
fn summary_of(sweep: &Sweep) -> Vec<Block> {
    let mut blocks = of_sweep(sweep).map_or(Vec::new(), |view| view.summary(sweep));
    blocks.extend(sweep.failures.iter().map(failures::line));
    let sentences = conclusions(sweep).into_iter();
    blocks.extend(sentences.map(|sentence| Block::Text(format!("conclusion: {sentence}"))));
    blocks
}

/// What follows from a sweep, in sentences.
pub fn conclusions(sweep: &Sweep) -> Vec<String> {
    of_sweep(sweep).map_or(Vec::new(), |view| view.conclusion(sweep))
}

/// Pictures and every number of a sweep, experiment by experiment.
pub fn detail(sweep: &Sweep) -> Vec<Block> {
    let of = |experiment: &str| {
        let view = named(experiment).unwrap_or(&af1::Af1);
        view.detail(&sweep.only(|m| m.experiment == experiment))
    };
    experiments(sweep).into_iter().flat_map(of).collect()
}
