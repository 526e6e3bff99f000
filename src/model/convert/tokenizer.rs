//! The tokenizer of a GGUF file.

use crate::model::check::unsupported;
use crate::model::gguf::{ADVICE, Gguf, Value};
use crate::prompt::{Rule, Splitter, Tokenizer};
use crate::{Error, Result};

/// Whether the tokenizer puts its beginning-of-sequence token before a text. Where the file does not say so, llama.cpp does it for
/// SentencePiece's tokenizers and for Llama 3's (`llama-vocab.cpp`).
pub fn adds_bos(gguf: &Gguf) -> (bool, Rule) {
    if let Some(Value::Bool(add)) = gguf.get("tokenizer.ggml.add_bos_token") {
        return (*add, Rule::GgufFlag);
    }
    let text = |key: &str| gguf.get(key).and_then(Value::as_str).unwrap_or_default();
    let sentencepiece = text("tokenizer.ggml.model") == "llama";
    let splitter = Splitter::named(text("tokenizer.ggml.pre"));
    let llama3 = splitter == Some(Splitter::Llama3);
    (sentencepiece || llama3, Rule::GgufKind)
}

/// Where the names of all tokens are.
const TOKENS: &str = "tokenizer.ggml.tokens";

/// Token types of GGUF: those that merges make, and the one for what has no token.
const NORMAL: i128 = 1;
const UNKNOWN: i128 = 2;
/// Types of tokens that are matched in a text before it is split.
const CONTROL: i128 = 3;
const USER_DEFINED: i128 = 4;

/// The metadata under `key`, which has to be an array of strings.
fn strings<'a>(gguf: &'a Gguf, key: &str) -> Result<Vec<&'a str>> {
    gguf.need(key, "an array of strings", |value| {
        let strings = value.as_array()?.iter().map(Value::as_str);
        strings.collect::<Option<Vec<&str>>>()
    })
}

/// The token that begins a sequence, if the file names one.
///
/// # Errors
/// A value that is no token.
pub fn bos_id(gguf: &Gguf) -> Result<Option<u32>> {
    let key = "tokenizer.ggml.bos_token_id";
    if gguf.get(key).is_none() {
        return Ok(None);
    }
    let tokens = gguf.get("tokenizer.ggml.tokens").and_then(Value::as_array);
    let tokens = tokens.map_or(0, <[Value]>::len);
    let expected = format!("one of the {tokens} tokens of tokenizer.ggml.tokens");
    let id = gguf.need(key, &expected, |id| id.as_usize().filter(|id| *id < tokens))?;
    Ok(u32::try_from(id).ok())
}

/// Adds the chat template to a configuration, and the tokens that it may know by name.
pub fn add_chat(gguf: &Gguf, config: &mut serde_json::Value) {
    let Some(template) = gguf.get("tokenizer.chat_template").and_then(Value::as_str) else {
        return;
    };
    let tokens = gguf
        .get(TOKENS)
        .and_then(Value::as_array)
        .unwrap_or_default();
    for (name, key) in NAMED {
        let id = gguf.get(key).and_then(Value::as_usize);
        if let Some(token) = id.and_then(|id| tokens.get(id)?.as_str()) {
            config[name] = token.into();
        }
    }
    config["chat_template"] = template.into();
}

/// Tokens that chat templates know by name, and the keys of their ids. The one that begins a sequence is in the configuration already.
const NAMED: [(&str, &str); 5] = [
    ("eos_token", "tokenizer.ggml.eos_token_id"),
    ("unk_token", "tokenizer.ggml.unknown_token_id"),
    ("sep_token", "tokenizer.ggml.seperator_token_id"),
    ("pad_token", "tokenizer.ggml.padding_token_id"),
    ("mask_token", "tokenizer.ggml.mask_token_id"),
];

/// The types of so many tokens.
fn types(gguf: &Gguf, tokens: usize) -> Result<&[Value]> {
    let key = "tokenizer.ggml.token_type";
    if gguf.get(key).is_none() {
        return Ok(&[]);
    }
    let expected = format!("an array of {tokens} types, as many as tokenizer.ggml.tokens has");
    gguf.need(key, &expected, |types| {
        types.as_array().filter(|types| types.len() == tokens)
    })
}

/// The tokenizer that the metadata amounts to, and its beginning-of-sequence token.
///
/// # Errors
/// A kind of tokenizer or a way of splitting a text that is not known; lists that do not fit together.
pub fn tokenizer(gguf: &Gguf) -> Result<(Tokenizer, Option<String>)> {
    let model = gguf.need("tokenizer.ggml.model", "a string", Value::as_str)?;
    if !["gpt2", "llama"].contains(&model) {
        let found = format!("{model:?}");
        let supported = "\"gpt2\" (byte-level BPE), \"llama\" (SentencePiece); give the Hugging Face folder instead";
        return Err(unsupported(
            gguf.path(),
            "tokenizer.ggml.model",
            found,
            supported,
        ));
    }
    let tokens = strings(gguf, TOKENS)?;
    let types = types(gguf, tokens.len())?;
    let special: Vec<&str> = tokens
        .iter()
        .zip(types)
        .filter(|(_, kind)| matches!(kind, Value::Int(CONTROL | USER_DEFINED)))
        .map(|(token, _)| *token)
        .collect();
    let tokenizer = match model {
        "gpt2" => byte_level(gguf, &tokens, &special)?,
        _ => sentencepiece(gguf, &tokens, types, &special)?,
    };
    let bos = bos_id(gguf)?.and_then(|id| tokens.get(id as usize));
    Ok((tokenizer, bos.map(|token| (*token).to_owned())))
}

/// A byte-level BPE tokenizer of these tokens.
fn byte_level(gguf: &Gguf, tokens: &[&str], special: &[&str]) -> Result<Tokenizer> {
    let merges = strings(gguf, "tokenizer.ggml.merges")?;
    let key = "tokenizer.ggml.pre";
    let pre = gguf.get(key).map_or(Some("default"), Value::as_str);
    let Some(pre) = pre.filter(|pre| Splitter::named(pre).is_some()) else {
        let found = pre.map_or("no string".to_owned(), |pre| format!("{pre:?}"));
        let supported = format!(
            "{}; give the Hugging Face folder instead",
            Splitter::names()
        );
        return Err(unsupported(gguf.path(), key, found, &supported));
    };
    let tokenizer = Tokenizer::from_bpe(tokens, &merges, special, pre);
    tokenizer.map_err(|reason| {
        contradicts(
            gguf,
            "a token for every merge and its parts, each once",
            reason,
        )
    })
}

/// The error for lists of a tokenizer that do not fit together.
fn contradicts(gguf: &Gguf, expected: &str, found: String) -> Error {
    Error::Malformed {
        path: gguf.path().to_owned(),
        what: format!("metadata {TOKENS:?}"),
        expected: expected.to_owned(),
        found: format!("{found}; {ADVICE}"),
    }
}

/// A SentencePiece tokenizer of tokens with these types.
fn sentencepiece(
    gguf: &Gguf,
    tokens: &[&str],
    types: &[Value],
    special: &[&str],
) -> Result<Tokenizer> {
    let scores = gguf.need("tokenizer.ggml.scores", "an array of numbers", |value| {
        let scores = value.as_array()?.iter().map(Value::as_f64);
        let scores = scores.map(|score| score.filter(|score| score.is_finite()));
        scores.collect::<Option<Vec<f64>>>()
    })?;
    let normal = |id: usize| matches!(types.get(id), None | Some(Value::Int(NORMAL)));
    let scores: Vec<Option<f64>> = (scores.into_iter().enumerate())
        .map(|(id, score)| normal(id).then_some(score))
        .collect();
    let unknown = types
        .iter()
        .position(|kind| matches!(kind, Value::Int(UNKNOWN)));
    let unknown = unknown.and_then(|id| tokens.get(id).copied());
    let space_first = match gguf.get("tokenizer.ggml.add_space_prefix") {
        Some(Value::Bool(first)) => *first,
        _ => true,
    };
    let tokenizer = Tokenizer::from_sentencepiece(tokens, &scores, special, unknown, space_first);
    let expected = "tokens with a score and a type each, every one once";
    tokenizer.map_err(|reason| contradicts(gguf, expected, reason))
}
