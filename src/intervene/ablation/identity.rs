//! No ablation: the control that must change nothing, and what knock-outs are made with.

use super::{Ablation, Place, Source, Value};

/// The stream as it is.
pub struct Identity;

impl Ablation for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn help(&self) -> &'static str {
        "Nothing is replaced"
    }

    fn replaces(&self) -> bool {
        false
    }

    fn keeps_embedding(&self) -> bool {
        true
    }

    fn value(&self, _: &Source<'_>, _: Place<'_>) -> Result<Value, String> {
        Ok(Value::Keep)
    }
}
