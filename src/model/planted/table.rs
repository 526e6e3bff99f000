//! What a planted model knows of tokens, and how its answer is read: embedding and unembedding.

use ndarray::Array2;

use super::channel::{self, STREAM};
use super::digits;
use super::number::{FREQUENCIES, NUMBERS, features};
use super::plant::{ANSWER_LOGIT, DEFAULT_LOGIT, Plant, Route};
use super::tokenizer::{BOS, DEFAULT};
use super::wording::Wording;

/// The answers that a weak model can give: the best constant answers, so that it is no better than a constant.
const WEAK_ANSWERS: [usize; 2] = [0, 100];
/// What is left of the logit of its other answers.
const WEAKENED: f64 = 0.5;

/// What a constant model answers.
const CONSTANT_ANSWER: &str = "7";

impl Plant {
    /// Embedding and unembedding, `[vocab, d_model]`.
    pub(super) fn tables(
        &self,
        vocabulary: &[String],
        wording: &Wording,
    ) -> (Array2<f64>, Array2<f64>) {
        if let Route::Digits { bos, .. } = self.route {
            return digits::tables(vocabulary, wording, bos);
        }
        let shape = (vocabulary.len(), STREAM.channels);
        let (mut embed, mut unembed) = (Array2::zeros(shape), Array2::zeros(shape));
        for (id, token) in vocabulary.iter().enumerate() {
            embed[[id, channel::CONSTANT]] = STREAM.large;
            if let Ok(number) = token.parse::<usize>() {
                embed[[id, channel::IS_NUMBER]] = 1.0;
                if number < NUMBERS {
                    let mut scale = ANSWER_LOGIT / FREQUENCIES.len() as f64;
                    if self.route == Route::Weak && !WEAK_ANSWERS.contains(&number) {
                        scale *= WEAKENED;
                    }
                    let own = match self.loses(number) {
                        true => channel::LOST,
                        false => channel::NUMBER,
                    };
                    for (i, feature) in features(number, self.frequencies()).enumerate() {
                        embed[[id, own + i]] = feature;
                        unembed[[id, channel::RESULT + i]] =
                            feature * scale / STREAM.normed(channel::RESULT);
                    }
                }
            }
            if let Some(signs) = wording.operations.get(token) {
                embed[[id, channel::IS_OPERATION]] = 1.0;
                for (channel, sign) in channel::SIGNS.into_iter().zip(signs) {
                    embed[[id, channel]] = *sign;
                }
                let pick = match signs {
                    [1.0, 1.0] => [1.0, 0.0, 0.0],
                    [first, _] => [0.0, 1.0, *first],
                };
                for (channel, value) in channel::PICK.into_iter().zip(pick) {
                    embed[[id, channel]] = value;
                }
            }
            if wording.markers().any(|word| word == token) {
                embed[[id, channel::IS_MARKER]] = 1.0;
            }
            if wording.last.contains(token) {
                embed[[id, channel::IS_LAST]] = 1.0;
            }
            let opens = wording.openings().any(|word| word == token);
            let first = self.route == Route::NoBos && opens;
            if token == BOS || first {
                embed[[id, channel::IS_BOS]] = 1.0;
            }
            let (default, logit) = match self.route {
                Route::Constant => (CONSTANT_ANSWER, 2.0 * ANSWER_LOGIT),
                _ => (DEFAULT, DEFAULT_LOGIT),
            };
            if token == default {
                unembed[[id, channel::CONSTANT]] = logit / STREAM.normed(channel::CONSTANT);
            }
        }
        (embed, unembed)
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::model::planted::number::PERIOD;

    /// The margin between the right answer and the next one, in units of the answer's logit.
    #[test]
    fn every_number_is_told_from_every_other() {
        // A low frequency tells neighbours less well apart; still better than the default token's logit is below the answer's.
        let default = (ANSWER_LOGIT - DEFAULT_LOGIT) / (ANSWER_LOGIT / FREQUENCIES.len() as f64);
        for (route, least) in [(Route::Direct, 3.0), (Route::Leak, 2.0 * default)] {
            let plant = Plant {
                layers: 8,
                wait: 3,
                transfer: 2,
                route,
                seed: 1,
            };
            let score = |delta: usize| -> f64 {
                let angle = |k: f64| TAU * k * delta as f64 / PERIOD;
                plant.frequencies().map(|k| angle(k).cos()).iter().sum()
            };
            let second = (1..NUMBERS).map(score).fold(f64::MIN, f64::max);
            let margin = FREQUENCIES.len() as f64 - second;
            assert!(margin > least, "{route:?} {margin}");
        }
    }
}
