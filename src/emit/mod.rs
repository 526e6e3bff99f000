//! A model written as its graph: the whole of it, or what an AF1 leaves of it. Nothing here runs a graph (see [`crate::runtime`]).
//!
//! [`decoder()`] writes a model of a known family as one [`Graph`]. Every layer boundary is a named value, so [`Graph::cut`] takes out
//! any segment between two of them. The contract that all graphs keep is written in `onnx/CONTRACT.md`.

pub mod af1;
mod attention;
mod decoder;
mod layer;
mod linear;
mod mlp;
mod norm;
mod rotary;
mod source;

pub use decoder::decoder;

use crate::Result;
use crate::graph::Graph;
use crate::model::{Model, Source};

impl Model {
    /// The instrumented graph of the whole model.
    ///
    /// # Errors
    /// A weight that is missing, has another shape than the configuration promises, or has no place in the graph.
    pub fn graph(&self) -> Result<Graph> {
        match &self.source {
            Source::Decoder(of) => decoder(of, self.precision),
            Source::Graph { graph, .. } => Ok((**graph).clone()),
        }
    }
}
