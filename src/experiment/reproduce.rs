//! The main table: AF1 at its layers, beside waiting to the same layer.

use super::{Experiment, Plans, Unit};
use crate::intervene::{Ablation, Plan};
use crate::record::Kind;

/// The main table.
pub struct Reproduce {
    /// The subgraphs, and the waits beside them.
    pub plans: Vec<Plan>,
    /// What replaces the residual stream of waiting tokens.
    pub ablations: Vec<&'static dyn Ablation>,
}

impl Experiment for Reproduce {
    fn kind(&self) -> Kind {
        Kind::REPRODUCE
    }

    fn kind_of_af1(&self) -> Kind {
        Kind::AF1
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        Plans::by_wait(&self.plans, &self.ablations)
    }
}
