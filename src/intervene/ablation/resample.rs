//! Resample ablation: the residual stream of another prompt.

use super::{Ablation, Place, Source, Stream, Value};

/// The stream of one other prompt of the template, drawn by the seed, at all its positions.
pub struct Resample;

impl Ablation for Resample {
    fn name(&self) -> &'static str {
        "resample"
    }

    fn help(&self) -> &'static str {
        "The residual stream of another prompt"
    }

    fn stream(&self) -> Stream {
        Stream::Other
    }

    fn value(&self, _: &Source<'_>, _: Place<'_>) -> Result<Value, String> {
        Ok(Value::Keep)
    }
}
