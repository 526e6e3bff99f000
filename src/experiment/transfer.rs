//! How many layers of transfer are needed: AF1 over a grid of `(W, K)`.

use super::{Experiment, Plans, Unit};
use crate::intervene::{Ablation, Plan};
use crate::record::Kind;

/// The `W x K` grid.
pub struct Transfer {
    /// The subgraphs, all of which fit the model.
    pub plans: Vec<Plan>,
    /// What replaces the residual stream of waiting tokens.
    pub ablations: Vec<&'static dyn Ablation>,
}

impl Experiment for Transfer {
    fn kind(&self) -> Kind {
        Kind::TRANSFER
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        Plans::by_wait(&self.plans, &self.ablations)
    }
}
