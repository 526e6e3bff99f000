//! Residual streams as they are captured.

use std::collections::BTreeMap;

use ndarray::Array3;

/// The residual streams of a batch at some boundaries, `[batch, pos, d_model]` by boundary; of the unmodified model without the
/// tokens that all prompts begin with if these are run once ([`super::Biases::whole`]).
pub type Captured = BTreeMap<usize, Array3<f32>>;
