//! What graphs of models are written from.

use crate::model::{ModelSpec, Weights};

/// What blocks are built from: the shape of the model, and where its weights lie.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The shape.
    pub spec: &'a ModelSpec,
    /// The weights.
    pub weights: &'a Weights,
}
