//! A control of CAMA: means over several operations, which carry none of them.

use super::{Ablation, Place, Source, Value};

/// The mean, of equal weight, of the means of all operations of the style that have the token at the position.
pub struct OperatorPooled;

impl Ablation for OperatorPooled {
    fn name(&self) -> &'static str {
        "operator-pooled"
    }

    fn help(&self) -> &'static str {
        "The means of CAMA over several operations"
    }

    fn needs_operations(&self) -> bool {
        true
    }

    fn keeps_embedding(&self) -> bool {
        true
    }

    fn value(&self, from: &Source<'_>, place: Place<'_>) -> Result<Value, String> {
        let mut sum = from.of_key(place)?;
        let others = from.operations.iter();
        let others = others.filter_map(|means| means.of_key(place.position, from.key(place)));
        let mut count = 1.0;
        for moments in others {
            sum += &moments.mean();
            count += 1.0;
        }
        Ok(Value::Mean(sum / count))
    }
}
