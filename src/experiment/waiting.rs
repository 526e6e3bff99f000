//! How long can every token wait: the ablation at each `W`, the model's own attention after it.

use super::{Experiment, Plans, Unit, waiting};
use crate::intervene::Ablation;
use crate::record::Kind;

/// The waiting sweep.
pub struct Waiting {
    /// The boundaries `W` at which the residual stream is replaced.
    pub waits: Vec<usize>,
    /// What replaces it.
    pub ablations: Vec<&'static dyn Ablation>,
}

impl Experiment for Waiting {
    fn kind(&self) -> Kind {
        Kind::WAITING
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        Plans::by_wait(&waiting(&self.waits), &self.ablations)
    }
}
