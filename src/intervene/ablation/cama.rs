//! CAMA, context-aware mean ablation: the mean over contexts that share the token at that position (paper, section 3).

use super::{Ablation, Place, Source, Value};

/// The mean over prompts with the same token at the same position.
pub struct Cama;

impl Ablation for Cama {
    fn name(&self) -> &'static str {
        "cama"
    }

    fn help(&self) -> &'static str {
        "The mean over contexts that have the same token there (the paper's)"
    }

    fn keeps_embedding(&self) -> bool {
        true
    }

    fn value(&self, from: &Source<'_>, place: Place<'_>) -> Result<Value, String> {
        from.of_key(place).map(Value::Mean)
    }
}
