//! A control of CAMA: the means of other tokens. If CAMA keeps an answer because it keeps what a token implies, this one must
//! lose it.

use rand::seq::SliceRandom;

use super::{Ablation, Place, Source, Value};
use crate::prompt::Key;

/// The mean over prompts with another token at that position: the next one of a cycle of all tokens there, drawn by the seed.
/// Where there is only one token, as in the text of a template, it is CAMA.
pub struct ShuffledKey;

impl Ablation for ShuffledKey {
    fn name(&self) -> &'static str {
        "shuffled-key"
    }

    fn help(&self) -> &'static str {
        "The means of CAMA of other tokens"
    }

    fn value(&self, from: &Source<'_>, place: Place<'_>) -> Result<Value, String> {
        let mut keys: Vec<Key> = from.means.keys(place.position).collect();
        keys.shuffle(&mut from.random(place.position, u64::from(u32::MAX)));
        let own = from.key(place);
        let at = keys.iter().position(|&key| key == own);
        // A key that no estimation prompt has is no part of the cycle: any other will do.
        let other = keys[at.map_or(0, |at| (at + 1) % keys.len())];
        match from.means.of_key(place.position, other) {
            Some(moments) if other != own => Ok(Value::Mean(moments.mean().to_owned())),
            _ => from.of_key(place).map(Value::Mean),
        }
    }
}
