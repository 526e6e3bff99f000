//! Zero ablation.

use super::{Ablation, Place, Source, Value};

/// Zeros.
pub struct Zero;

impl Ablation for Zero {
    fn name(&self) -> &'static str {
        "zero"
    }

    fn help(&self) -> &'static str {
        "Zeros"
    }

    fn value(&self, _: &Source<'_>, _: Place<'_>) -> Result<Value, String> {
        Ok(Value::Zero)
    }
}
