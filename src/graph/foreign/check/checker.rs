//! What checks share.

use crate::graph::foreign::wires::Wires;
use crate::graph::foreign::{Findings, Manifest, Violation};
use crate::graph::proto;

/// A graph that is checked, and what was found so far.
pub struct Checker<'g> {
    /// What was found.
    pub found: Findings,
    /// How its values depend on each other.
    pub wires: Wires<'g>,
    /// What it calls the values of the contract.
    pub manifest: &'g Manifest,
}

impl<'g> Checker<'g> {
    /// Nothing is checked yet.
    pub fn new(
        model: &proto::ModelProto,
        graph: &'g proto::GraphProto,
        manifest: &'g Manifest,
    ) -> Self {
        Self {
            found: Findings {
                ir_version: model.ir_version,
                nodes: graph.node.len(),
                ..Findings::default()
            },
            wires: Wires::of(graph, manifest),
            manifest,
        }
    }

    /// Notes something that does not keep the contract.
    pub fn violation(&mut self, at: &str, found: impl Into<String>, remedy: &str) {
        self.found.violations.push(Violation {
            at: at.to_owned(),
            found: found.into(),
            remedy: remedy.to_owned(),
        });
    }
}
