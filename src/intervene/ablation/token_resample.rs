//! CAMA with one context: the residual of one other prompt that has the same token there.

use super::{Ablation, Estimator, Place, Source, Value};

/// The residual of a prompt with the same token at the same position, drawn by the seed once for every key; another one for
/// the prompt that was drawn.
pub struct TokenResample;

impl Ablation for TokenResample {
    fn name(&self) -> &'static str {
        "token-resample"
    }

    fn help(&self) -> &'static str {
        "The residual stream of one other prompt with the same token there"
    }

    fn keeps_embedding(&self) -> bool {
        true
    }

    fn value(&self, from: &Source<'_>, place: Place<'_>) -> Result<Value, String> {
        let position = place.position;
        match from
            .means
            .of_other_prompt(position, from.key(place), place.prompt)
        {
            Some(resid) => Ok(Value::Mean(resid.mapv(f64::from))),
            // As the mean of one prompt is its own residual there.
            None if from.estimator == Estimator::PlugIn => Ok(Value::Keep),
            None => Err(format!(
                "no other prompt has token {} at position {position}",
                from.set.prompts[place.prompt].ids[position]
            )),
        }
    }
}
