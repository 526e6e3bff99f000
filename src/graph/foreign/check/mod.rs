//! Everything in a graph that does not keep the contract.

mod checker;
mod cuts;
mod form;
mod values;

use std::path::Path;

use self::checker::Checker;
use super::{Findings, Foreign, Manifest};

impl Foreign {
    /// What the graph is, and everything that does not keep the contract, of a file that lies in `folder`.
    pub fn check(&self, folder: &Path, manifest: &Manifest) -> Findings {
        let Self { model, graph } = self;
        let mut checker = Checker::new(model, graph, manifest);
        checker.form(model, graph);
        checker.order(graph);
        checker.files(graph, folder);
        checker.values();
        checker.heads();
        checker.names();
        checker.cuts();
        checker.found
    }
}
