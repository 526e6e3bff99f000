//! How much an engine has run.

use super::Tensor;

/// What was run since an engine was made. What its matrix products took follows from it and the shape of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Tokens whose keys and values were made, those of all layers added up.
    pub keys_values: u64,
    /// Tokens that went through the rest of a layer, those of all layers added up.
    pub tokens: u64,
    /// Pairs of a token and one whose keys and values it was given, behind a mask or not, those of all layers added up.
    pub pairs: u64,
    /// Prompts of which logits were computed.
    pub logits: u64,
}

impl Work {
    /// Keys and values of the tokens of `stream`, `[batch, pos, d_model]`, were made.
    pub(super) fn make(&mut self, stream: &Tensor) {
        self.keys_values += batch_and_tokens(stream).1;
    }

    /// The tokens of `stream`, `[batch, pos, d_model]`, went through the rest of a layer, each with the keys and values of `seen` tokens.
    pub(super) fn attend(&mut self, stream: &Tensor, seen: usize) {
        let tokens = batch_and_tokens(stream).1;
        self.tokens += tokens;
        self.pairs += tokens * seen as u64;
    }

    /// Logits of the prompts of `stream`, `[batch, pos, d_model]`, were computed.
    pub(super) fn unembed(&mut self, stream: &Tensor) {
        self.logits += batch_and_tokens(stream).0;
    }
}

/// The prompts of a stream, and the tokens of all of them.
fn batch_and_tokens(stream: &Tensor) -> (u64, u64) {
    let shape = stream.shape();
    (shape[0] as u64, (shape[0] * shape[1]) as u64)
}
