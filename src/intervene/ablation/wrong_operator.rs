//! A control of CAMA: the means of another operation. What a template's means carry of its operation is that of the other one
//! here.

use super::{Ablation, Place, Source, Value};

/// The mean over the prompts of the style's next operation with the same token at the same position; CAMA where that has
/// another token, as at the operator itself.
pub struct WrongOperator;

impl Ablation for WrongOperator {
    fn name(&self) -> &'static str {
        "wrong-operator"
    }

    fn help(&self) -> &'static str {
        "The means of CAMA of another operation"
    }

    fn needs_operations(&self) -> bool {
        true
    }

    fn keeps_embedding(&self) -> bool {
        true
    }

    fn value(&self, from: &Source<'_>, place: Place<'_>) -> Result<Value, String> {
        let other = from.operations.first();
        match other.and_then(|means| means.of_key(place.position, from.key(place))) {
            Some(moments) => Ok(Value::Mean(moments.mean().to_owned())),
            None => from.of_key(place).map(Value::Mean),
        }
    }
}
