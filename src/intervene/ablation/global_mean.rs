//! Mean ablation without any context: one vector for all tokens and positions.

use super::{Ablation, Place, Source, Value};

/// The mean over all positions from 1 on of all prompts. Leaving one out leaves out the residual that is replaced.
pub struct GlobalMean;

impl Ablation for GlobalMean {
    fn name(&self) -> &'static str {
        "global-mean"
    }

    fn help(&self) -> &'static str {
        "One mean over all positions of all prompts"
    }

    fn value(&self, from: &Source<'_>, place: Place<'_>) -> Result<Value, String> {
        from.estimate(from.means.of_all(), place)
            .map(Value::Mean)
            .ok_or_else(|| "there is no other residual".to_owned())
    }
}
