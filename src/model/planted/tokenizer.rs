//! The tokenizer of planted models: every number and every word is one token. Where every digit is one, see [`super::digits`].

use serde_json::{Value, json};

use super::number::NUMERALS;
use super::wording::Wording;

/// The token in front of every text.
pub const BOS: &str = "<bos>";
/// The token of everything that has none, and the answer where there is no other.
pub const DEFAULT: &str = "<unk>";

/// The beginning, the default answer, the numerals, and the words of styles.
pub fn vocabulary(wording: &Wording) -> Vec<String> {
    let fixed = [BOS.to_owned(), DEFAULT.to_owned()];
    fixed
        .into_iter()
        .chain((0..NUMERALS).map(|n| n.to_string()))
        .chain(wording.words.iter().cloned())
        .collect()
}

/// `tokenizer.json`, which splits as [`super::wording`] does.
pub fn tokenizer(vocabulary: &[String]) -> Value {
    split(vocabulary, json!({ "Regex": "[0-9]+|[A-Za-z]+|." }))
}

/// `tokenizer.json` of a vocabulary of whatever the pattern splits texts into.
pub fn split(vocabulary: &[String], pattern: Value) -> Value {
    let vocab: serde_json::Map<String, Value> = vocabulary
        .iter()
        .enumerate()
        .map(|(id, token)| (token.clone(), json!(id)))
        .collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": {
            "type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false
        },
        "post_processor": null,
        "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": DEFAULT },
    })
}
