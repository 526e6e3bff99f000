//! What a model knows of digits, and how its answer is read: embedding and unembedding.

use ndarray::Array2;

use super::channel::{self, STREAM};
use super::tokenizer::{END, UNSURE};
use crate::model::planted::channel::{CONSTANT, IS_BOS, IS_LAST, IS_NUMBER};
use crate::model::planted::plant::{ANSWER_LOGIT, DEFAULT_LOGIT};
use crate::model::planted::tokenizer::BOS;
use crate::model::planted::wording::Wording;

/// Embedding and unembedding, `[vocab, d_model]`; without a token in front the words that open texts are the beginning.
pub fn tables(vocabulary: &[String], wording: &Wording, bos: bool) -> (Array2<f64>, Array2<f64>) {
    let shape = (vocabulary.len(), STREAM.channels);
    let (mut embed, mut unembed) = (Array2::zeros(shape), Array2::zeros(shape));
    for (id, token) in vocabulary.iter().enumerate() {
        embed[[id, CONSTANT]] = STREAM.large;
        let mut says = |channel: usize, logit: f64| {
            unembed[[id, channel]] = logit / STREAM.normed(channel);
        };
        if let Ok(digit) = token.parse::<usize>() {
            embed[[id, IS_NUMBER]] = 1.0;
            embed[[id, channel::DIGIT + digit]] = 1.0;
            says(channel::SAID + digit, ANSWER_LOGIT);
        }
        match token.as_str() {
            END => says(channel::END, ANSWER_LOGIT),
            UNSURE => says(CONSTANT, DEFAULT_LOGIT),
            _ => {}
        }
        if let Some(signs) = wording.operations.get(token) {
            let operation = match signs {
                [first, second] if first == second => 0,
                [first, _] if *first > 0.0 => 1,
                _ => 2,
            };
            embed[[id, channel::OPERATION + operation]] = 1.0;
        }
        if wording.last.contains(token) {
            embed[[id, IS_LAST]] = 1.0;
        }
        if token == BOS || (!bos && wording.openings().any(|word| word == token)) {
            embed[[id, IS_BOS]] = 1.0;
        }
    }
    (embed, unembed)
}
