//! What is shown of records, as neutral tables and figures. The view of an experiment is in the experiment's file, and is found here by
//! the kind of the records; what a gate, the self-check, a comparison, `af1 diff` and a whole page say has its view here.

pub mod answers;
pub mod broken;
pub mod changes;
pub mod claims;
pub mod comparison;
pub mod diff;
pub mod failures;
pub mod gate;
pub mod overview;
pub mod provenance;
pub mod selfcheck;
pub mod short;
pub mod verdicts;

use crate::experiment::{ALL, OF_OTHERS, View, kinds};
use crate::kit::words;
use crate::kit::{Block, Document};
use crate::record::{Findings, Measurement, Sweep};

/// The view of an experiment, as records name it.
fn named(experiment: &str) -> Option<&'static dyn View> {
    let mut views = ALL.iter().map(|entry| entry.view);
    views.find(|view| view.kind().name() == experiment)
}

/// Whether the verdict of a measurement is on a claim.
fn is_claim(m: &Measurement) -> bool {
    named(m.experiment.name()).is_some_and(View::claims)
}

/// The verdicts on what is claimed in a sweep, then those on the whole answers of it: see [`words::claimed`]. A claim about a model is one
/// about whole answers, so that no list of verdicts is without them.
pub fn claimed(sweep: &Sweep) -> Vec<&Measurement> {
    let mut claims = words::claimed(sweep, is_claim);
    claims.extend(words::claimed_whole(sweep, &claims));
    claims
}

/// What a sweep asks.
pub fn questions(sweep: &Sweep) -> String {
    let questions = kinds(sweep).into_iter().map(|kind| match named(kind) {
        Some(view) => view.question(),
        None => kind,
    });
    let questions: Vec<&str> = questions.collect();
    questions.join(" ")
}

/// What is to be read at a glance: what gates answered, and every sweep. Views that stand `beside` those of the program's experiments come
/// before them.
pub fn summary(findings: &Findings<'_>, beside: &[&dyn View]) -> Document {
    let answers = gate::answers(findings.lines);
    let gates = (!answers.is_empty()).then(|| vec![Block::Table(gate::table(&answers))]);
    let sweeps = findings.sweeps.iter();
    let sweeps = sweeps.map(|sweep| summary_of(sweep, beside));
    gates.into_iter().chain(sweeps).collect()
}

/// The view that summarises a sweep; `None` where nothing was measured.
fn of_sweep<'v>(sweep: &Sweep, beside: &[&'v dyn View]) -> Option<&'v dyn View> {
    let own = ALL.iter().map(|entry| entry.view);
    let mut views = beside.iter().copied().chain(own);
    let view = views.find(|view| view.summarises(sweep));
    (!kinds(sweep).is_empty()).then(|| view.unwrap_or(OF_OTHERS))
}

/// A sweep, what could not be measured of it, and what follows.
fn summary_of(sweep: &Sweep, beside: &[&dyn View]) -> Vec<Block> {
    let Some(view) = of_sweep(sweep, beside) else {
        return sweep.failures.iter().map(failures::line).collect();
    };
    let mut blocks = view.summary(sweep);
    blocks.extend(sweep.failures.iter().map(failures::line));
    // The answer first: behind the heading, before the tables.
    let at = usize::from(matches!(blocks.first(), Some(Block::Text(_))));
    let sentences = view.conclusion(sweep).into_iter();
    blocks.splice(at..at, sentences.map(Block::Conclusion));
    blocks
}

/// What follows from a sweep, in sentences.
pub fn conclusions(sweep: &Sweep) -> Vec<String> {
    of_sweep(sweep, &[]).map_or(Vec::new(), |view| view.conclusion(sweep))
}

/// Pictures and every number of a sweep, experiment by experiment.
pub fn detail(sweep: &Sweep) -> Vec<Block> {
    let of = |kind: &str| {
        let view = named(kind).unwrap_or(OF_OTHERS);
        view.detail(&sweep.only(|m| m.experiment.name() == kind))
    };
    kinds(sweep).into_iter().flat_map(of).collect()
}
