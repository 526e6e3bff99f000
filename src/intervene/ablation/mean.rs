//! Mean ablation: the mean of the position over all prompts, whatever the token there.

use super::{Ablation, Place, Source, Value};

/// The mean over all prompts at the same position.
pub struct Mean;

impl Ablation for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn help(&self) -> &'static str {
        "The mean of the position over all prompts"
    }

    fn value(&self, from: &Source<'_>, place: Place<'_>) -> Result<Value, String> {
        from.estimate(from.means.of_position(place.position), place)
            .map(Value::Mean)
            .ok_or_else(|| "there is no other prompt".to_owned())
    }
}
