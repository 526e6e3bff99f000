//! AF1 at chosen `(W, K)`: how many of the right answers does it keep?

use super::{Experiment, Plans, Unit};
use crate::intervene::{Ablation, Plan};
use crate::record::Kind;

/// AF1 at chosen `(W, K)`.
pub struct Af1 {
    /// The subgraphs.
    pub plans: Vec<Plan>,
    /// What replaces the residual stream of waiting tokens.
    pub ablations: Vec<&'static dyn Ablation>,
}

impl Experiment for Af1 {
    fn kind(&self) -> Kind {
        Kind::AF1
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        Plans::by_wait(&self.plans, &self.ablations)
    }
}
