//! What stands in for CAMA and for attention-based peeking at one AF1.

use super::{Experiment, Plans, Unit};
use crate::intervene::{Plan, Technique, ablation};
use crate::record::Kind;

/// Every ablation with attention-based peeking, and CAMA with every other masking.
pub struct Alternatives {
    /// The subgraph.
    pub af1: Plan,
    /// What stands in for attention-based peeking.
    pub maskings: Vec<Technique>,
}

impl Experiment for Alternatives {
    fn kind(&self) -> Kind {
        Kind::ALTERNATIVES
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        let replacing = ablation::ALL.iter().filter(|ablation| ablation.replaces());
        let masked = self.maskings.iter().map(|by| self.af1.clone().with(*by));
        vec![
            Box::new(Plans {
                plans: vec![self.af1.clone()],
                ablations: replacing.copied().collect(),
            }),
            Box::new(Plans {
                plans: masked.collect(),
                ablations: vec![ablation::CAMA],
            }),
        ]
    }
}
