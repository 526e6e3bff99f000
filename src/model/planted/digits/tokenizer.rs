//! The tokenizer of models that take every digit for a token; every word is one, too.

use serde_json::{Value, json};

use crate::model::planted::tokenizer::{BOS, DEFAULT, split};
use crate::model::planted::wording::Wording;

/// What follows an answer.
pub const END: &str = "<eos>";
/// What is said in place of an answer: it begins with a digit, so that the answer goes on, and is itself no digit.
pub const UNSURE: &str = "0?";

/// The beginning, what has no token, the end, what is answered otherwise, the digits, and the words of styles.
pub fn vocabulary(wording: &Wording) -> Vec<String> {
    let fixed = [BOS, DEFAULT, END, UNSURE].map(str::to_owned);
    fixed
        .into_iter()
        .chain((0..=9).map(|digit: u8| digit.to_string()))
        .chain(wording.words.iter().cloned())
        .collect()
}

/// `tokenizer.json`.
pub fn tokenizer(vocabulary: &[String]) -> Value {
    split(vocabulary, json!({ "Regex": "[0-9]|[A-Za-z]+|." }))
}
