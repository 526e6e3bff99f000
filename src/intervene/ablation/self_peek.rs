//! Waiting by masks: no replacement, but no attention to other tokens before the boundary either.

use super::{Ablation, Place, Source, Stream, Value};

/// The stream of a run in which every layer before the boundary has the mask `self-peek`.
pub struct SelfPeek;

impl Ablation for SelfPeek {
    fn name(&self) -> &'static str {
        "self-peek"
    }

    fn help(&self) -> &'static str {
        "The prompt's own, where tokens saw themselves and position 0 only"
    }

    fn stream(&self) -> Stream {
        Stream::SelfPeek
    }

    fn keeps_embedding(&self) -> bool {
        true
    }

    fn value(&self, _: &Source<'_>, _: Place<'_>) -> Result<Value, String> {
        Ok(Value::Keep)
    }
}
