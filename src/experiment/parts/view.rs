//! How the records of an experiment are shown.

use crate::kit::words::about::distinct;
use crate::kit::{Block, Fact};
use crate::record::{Group, Kind, Sweep};

/// What is shown of the sweeps of an experiment.
pub trait View: Sync {
    /// The kind of the records that it shows.
    fn kind(&self) -> Kind;

    /// What the experiment asks.
    fn question(&self) -> &'static str;

    /// Whether its verdicts are claims; those of maps and curves are not.
    fn claims(&self) -> bool {
        false
    }

    /// Whether it summarises a sweep; of several views that do the first one is taken.
    fn summarises(&self, sweep: &Sweep) -> bool {
        sweep.kind == self.kind()
    }

    /// What is to be read at a glance: a heading, tables, and what is to be known about them.
    fn summary(&self, sweep: &Sweep) -> Vec<Block>;

    /// Pictures, and tables with every number.
    fn detail(&self, sweep: &Sweep) -> Vec<Block>;

    /// What follows, a sentence with its numbers for every template, or for all of them.
    fn conclusion(&self, sweep: &Sweep) -> Vec<String>;

    /// What it answers about a template in a word or two, for the template's card; nothing where there is nothing to keep.
    fn facts(&self, _: &Group) -> Vec<Fact> {
        Vec::new()
    }
}

/// The kinds of the records of a sweep, by name, each once.
pub fn kinds(sweep: &Sweep) -> Vec<&str> {
    let of_cells = sweep.measurements().map(|m| m.experiment.name());
    let of_heads = sweep.heads.first().map(|head| head.experiment.name());
    let of_patches = sweep.patches.first().map(|p| p.experiment.name());
    let of_readings = sweep.readings.first().map(|r| r.experiment.name());
    let of_others = of_heads.into_iter().chain(of_patches).chain(of_readings);
    distinct(of_cells.chain(of_others))
}
