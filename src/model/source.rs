//! What a model's graph comes from.

use std::path::PathBuf;

use super::{ModelSpec, WeightNames, Weights};
use crate::graph::Graph;

/// What a model's graph comes from.
#[derive(Debug)]
pub enum Source {
    /// Weights of a family for which this program writes it.
    Decoder(Box<Decoder>),
    /// A graph that is there already, because another program wrote it.
    Graph {
        /// The graph.
        graph: Box<Graph>,
        /// The folder of its weights.
        folder: PathBuf,
    },
}

impl Source {
    /// What a model of a known family comes from.
    pub(super) fn decoder(spec: ModelSpec, weights: Weights, names: WeightNames) -> Self {
        Self::Decoder(Box::new(Decoder {
            spec,
            weights,
            names,
        }))
    }
}

/// A decoder-only transformer of a known family.
#[derive(Debug)]
pub struct Decoder {
    /// The shape.
    pub spec: ModelSpec,
    /// Where the weights lie.
    pub weights: Weights,
    /// What the weights are called.
    pub names: WeightNames,
}
