//! Where is transfer needed: the last token sees no other token in some layers of the model.

use super::{Experiment, Plans, Unit};
use crate::intervene::{Plan, ablation};
use crate::record::Kind;

/// Knock-outs of the last token's attention.
pub struct Necessity {
    /// The knock-outs.
    pub plans: Vec<Plan>,
}

impl Experiment for Necessity {
    fn kind(&self) -> Kind {
        Kind::NECESSITY
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        Plans::by_wait(&self.plans, &[ablation::IDENTITY])
    }
}
