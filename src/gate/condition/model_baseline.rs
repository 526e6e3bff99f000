//! The model itself does not fall behind an earlier run.

use super::baseline::no_worse_than_before;
use super::{Condition, Measured};
use crate::gate::Judgement;
use crate::record::Measurement;

/// The unmodified model against the baseline's; nothing where there is no baseline.
pub struct ModelBaseline;

impl Condition for ModelBaseline {
    fn judge(&self, measured: &Measured<'_>) -> Vec<Judgement> {
        no_worse_than_before(measured, "the model itself", base_answers)
    }

    /// A model that can do the task no more has fallen behind.
    fn judges_the_task(&self) -> bool {
        true
    }
}

/// Which prompts the unmodified model answers rightly.
fn base_answers(m: &Measurement) -> &[bool] {
    &m.answers.base
}
