//! Tokenizers: text to token ids with their places in the text, and which tokens are numerals.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::file::{Sha256, sha256_bytes, text_at_most};
use crate::{Error, Result};

/// A `tokenizer.json` has at most so many bytes; those of today's largest vocabularies have 40 MB.
const MOST_BYTES: u64 = 256 << 20;

/// A tokenizer in Hugging Face's format.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    json: String,
    hash: Sha256,
    /// Every decimal numeral that is one token, with the tokens that read so when white space is stripped.
    numerals: HashMap<i64, Vec<u32>>,
}

/// White space as names of tokens spell it: as it is, as byte-level BPE writes a space or a line feed, as SentencePiece writes a space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ['Ġ', 'Ċ', '▁'].contains(&c)
}

/// A token of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The id of the token.
    pub id: u32,
    /// The bytes of the token in the text.
    pub bytes: Range<usize>,
}

/// What is read before `tokenizers` reads it.
#[derive(Deserialize)]
struct Checked {
    #[serde(default)]
    decoder: Value,
}

/// Whether a decoder takes characters from the ends of tokens: `tokenizers` panics where a token has fewer.
fn strips_ends(decoder: &Value) -> bool {
    let is_strip = decoder["type"] == "Strip";
    let inner = decoder["decoders"].as_array();
    (is_strip && decoder["stop"] != 0) || inner.is_some_and(|all| all.iter().any(strips_ends))
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// A file that is missing or is not a tokenizer.
    pub fn read(path: &Path) -> Result<Self> {
        let json = text_at_most(path, MOST_BYTES)
            .map_err(|e| Error::reading(path, "tokenizer (tokenizer.json)", e))?;
        Self::from_json(json).map_err(|reason| Error::Malformed {
            path: path.to_owned(),
            what: "tokenizer".to_owned(),
            expected: "the tokenizer.json format".to_owned(),
            found: reason,
        })
    }

    /// A byte-level BPE tokenizer from its parts, `pre` being llama.cpp's name of the way a text is split first ([`Splitter`]).
    ///
    /// # Errors
    /// An unknown `pre`, or parts that do not fit together.
    pub fn from_bpe(
        tokens: &[&str],
        merges: &[&str],
        special: &[&str],
        pre: &str,
    ) -> Result<Self, String> {
        let splitter = Splitter::named(pre).ok_or_else(|| format!("{pre:?}"))?;
        let normalizer = match splitter {
            Splitter::Qwen2 | Splitter::Olmo => json!({ "type": "NFC" }),
            _ => Value::Null,
        };
        let ids = vocabulary(tokens)?;
        let json = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added(&ids, special),
            "normalizer": normalizer,
            "pre_tokenizer": splitter.pre_tokenizer(),
            "post_processor": null,
            "decoder": byte_level(true),
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                // Llama 3 takes a word that is in the vocabulary as it is, whatever the merges say.
                "ignore_merges": splitter == Splitter::Llama3,
                "vocab": ids, "merges": merges,
            },
        });
        Self::from_json(json.to_string())
    }

    /// SentencePiece's BPE from its parts: of all neighbours those are merged first whose token has the highest score; tokens without
    /// a score are not merged to. Spaces are `▁`, one is put before every text if `space_first` says so, and what has no token is
    /// the tokens of its bytes.
    ///
    /// # Errors
    /// Parts that do not fit together.
    pub fn from_sentencepiece(
        tokens: &[&str],
        scores: &[Option<f64>],
        special: &[&str],
        unknown: Option<&str>,
        space_first: bool,
    ) -> Result<Self, String> {
        if scores.len() != tokens.len() {
            let (scores, tokens) = (scores.len(), tokens.len());
            return Err(format!("{scores} scores of {tokens} tokens"));
        }
        let scored = tokens.iter().zip(scores);
        let scored = scored.filter_map(|(token, score)| Some((*token, (*score)?)));
        let scored: Vec<(&str, f64)> = scored.collect();
        let of: HashMap<&str, f64> = scored.iter().copied().collect();
        let mut merges: Vec<([f64; 3], [&str; 2])> = Vec::new();
        for &(token, score) in &scored {
            let cuts = token.char_indices().skip(1);
            merges.extend(cuts.filter_map(|(at, _)| {
                let (left, right) = token.split_at(at);
                Some(([score, *of.get(left)?, *of.get(right)?], [left, right]))
            }));
        }
        // Among equals those of the parts with the highest scores, as transformers does.
        merges.sort_by(|(a, _), (b, _)| b.partial_cmp(a).unwrap_or(Ordering::Equal));
        let merges: Vec<[&str; 2]> = merges.into_iter().map(|(_, merge)| merge).collect();
        let ids = vocabulary(tokens)?;
        let spaces = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
        let prepend = json!({ "type": "Prepend", "prepend": "▁" });
        let strip = json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 });
        let mut normalizers = vec![spaces];
        let mut decoders = vec![
            json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
            json!({ "type": "ByteFallback" }),
            json!({ "type": "Fuse" }),
        ];
        if space_first {
            normalizers.insert(0, prepend);
            decoders.push(strip);
        }
        let json = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added(&ids, special),
            "normalizer": { "type": "Sequence", "normalizers": normalizers },
            "pre_tokenizer": null,
            "post_processor": null,
            "decoder": { "type": "Sequence", "decoders": decoders },
            "model": {
                "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                "vocab": ids, "merges": merges,
            },
        });
        Self::from_json(json.to_string())
    }

    pub(crate) fn from_json(json: String) -> Result<Self, String> {
        // The reader of `tokenizers` panics on what is no JSON, or a number that is too large, inside a decoder.
        let checked: Checked = serde_json::from_str(&json).map_err(|e| e.to_string())?;
        if strips_ends(&checked.decoder) {
            return Err("a decoder of the type Strip with a stop other than 0".to_owned());
        }
        let mut inner = tokenizers::Tokenizer::from_bytes(&json).map_err(|e| e.to_string())?;
        // Prompts are never padded or cut off, whatever the file was saved with.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| e.to_string())?;
        let mut numerals: HashMap<i64, Vec<u32>> = HashMap::new();
        for (token, id) in inner.get_vocab(true) {
            // Only tokens that show a digit can read as a numeral: the others need not be decoded.
            if !token.bytes().any(|b| b.is_ascii_digit()) {
                continue;
            }
            let text = inner.decode(&[id], false).map_err(|e| e.to_string())?;
            let text = text.trim();
            if let Ok(number) = text.parse::<i64>()
                && number.to_string() == text
            {
                numerals.entry(number).or_default().push(id);
            }
        }
        for ids in numerals.values_mut() {
            ids.sort_unstable();
        }
        let hash = sha256_bytes(json.as_bytes());
        Ok(Self {
            inner,
            json,
            hash,
            numerals,
        })
    }

    /// The tokenizer as `tokenizer.json`.
    pub fn to_json(&self) -> &str {
        &self.json
    }

    /// The SHA-256 of `tokenizer.json`.
    pub fn hash(&self) -> &Sha256 {
        &self.hash
    }

    /// The tokens of a text, without any that a post-processor would add.
    ///
    /// # Errors
    /// The tokenizer's own reason.
    pub fn encode(&self, text: &str) -> Result<Vec<Token>, String> {
        let encoding = self.inner.encode(text, false).map_err(|e| e.to_string())?;
        Ok(encoding
            .get_ids()
            .iter()
            .zip(encoding.get_offsets())
            .map(|(&id, &(start, end))| Token {
                id,
                bytes: start..end,
            })
            .collect())
    }

    /// Whether `tokenizer.json` has a post-processor, which may put tokens before and behind a text.
    pub fn has_post_processor(&self) -> bool {
        self.inner.get_post_processor().is_some()
    }

    /// The tokens that the post-processor puts before a text.
    ///
    /// # Errors
    /// The tokenizer's own reason.
    pub fn in_front(&self) -> Result<Vec<u32>, String> {
        // Any text will do; of an empty one before and behind could not be told apart.
        let text = "1";
        let ids = |special: bool| -> Result<Vec<u32>, String> {
            let encoding = self.inner.encode(text, special);
            Ok(encoding.map_err(|e| e.to_string())?.get_ids().to_vec())
        };
        let (plain, whole) = (ids(false)?, ids(true)?);
        let at = (0..=whole.len().saturating_sub(plain.len()))
            .find(|&at| whole[at..].starts_with(&plain));
        at.map(|at| whole[..at].to_vec())
            .ok_or_else(|| format!("with special tokens {text:?} is {whole:?}, without them {plain:?}: the one is not in the other"))
    }

    /// The text of one token; empty for an id that does not exist.
    pub fn decode(&self, id: u32) -> String {
        self.inner.decode(&[id], false).unwrap_or_default()
    }

    /// The text of several tokens together, in which a decoder may put spaces between them.
    pub fn decode_all(&self, ids: &[u32]) -> String {
        self.inner.decode(ids, false).unwrap_or_default()
    }

    /// The id of a token by its name (`<|endoftext|>`).
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The name of a token.
    pub fn name(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The tokens that read as `number` when white space is stripped, ascending; none where it takes several tokens.
    pub fn numeral(&self, number: i64) -> &[u32] {
        self.numerals.get(&number).map_or(&[], Vec::as_slice)
    }

    /// Whether a token is nothing but white space, however its name spells that.
    pub fn is_space(&self, id: u32) -> bool {
        let name = self.name(id).unwrap_or_default();
        !name.is_empty() && name.chars().all(is_space)
    }

    /// Whether a token begins with white space.
    pub fn begins_with_space(&self, id: u32) -> bool {
        self.name(id).is_some_and(|name| name.starts_with(is_space))
    }

    /// The highest id, plus one.
    pub fn len(&self) -> usize {
        let highest = self.inner.get_vocab(true).into_values().max();
        highest.map_or(0, |id| id as usize + 1)
    }

    /// Whether there are no tokens at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The ways in which byte-level BPE splits a text first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Splitter {
    /// Contractions, words, numbers, the rest.
    Gpt2,
    /// The same, as GPT-NeoX and the first OLMo do: characters are composed before.
    Olmo,
    /// The same, after every digit by itself.
    Smollm,
    /// Words with what stands before them, up to three digits. A word that is a token is taken as it is, whatever the merges say.
    Llama3,
    /// The same, by the merges.
    Dbrx,
    /// The same with every digit by itself; characters are composed before.
    Qwen2,
}

impl Splitter {
    /// llama.cpp's names.
    const NAMES: [(&str, Self); 13] = [
        ("gpt-2", Self::Gpt2),
        ("phi-2", Self::Gpt2),
        ("olmo", Self::Olmo),
        ("mpt", Self::Olmo),
        ("smollm", Self::Smollm),
        ("llama-bpe", Self::Llama3),
        ("llama3", Self::Llama3),
        ("llama-v3", Self::Llama3),
        ("falcon3", Self::Llama3),
        ("dbrx", Self::Dbrx),
        ("smaug-bpe", Self::Dbrx),
        ("qwen2", Self::Qwen2),
        ("deepseek-r1-qwen", Self::Qwen2),
    ];

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        let mut names = Self::NAMES.into_iter();
        names.find(|(of, _)| *of == name).map(|(_, of)| of)
    }

    /// All names, for people.
    pub fn names() -> String {
        Self::NAMES.map(|(name, _)| format!("{name:?}")).join(", ")
    }

    /// What `tokenizer.json` says of it.
    fn pre_tokenizer(self) -> Value {
        let sequence = |first: Value, second: Value| json!({ "type": "Sequence", "pretokenizers": [first, second] });
        let digits = match self {
            Self::Gpt2 | Self::Olmo => return byte_level(true),
            Self::Smollm => {
                let digits = json!({ "type": "Digits", "individual_digits": true });
                return sequence(digits, byte_level(true));
            }
            Self::Llama3 | Self::Dbrx => "{1,3}",
            Self::Qwen2 => "",
        };
        let pattern = format!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        );
        let split = json!({
            "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false
        });
        sequence(split, byte_level(false))
    }
}

/// Bytes as characters, after a text is split as by GPT-2 or as it is.
fn byte_level(use_regex: bool) -> Value {
    json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex
    })
}

/// Tokens that are matched in a text before it is split.
fn added(ids: &serde_json::Map<String, Value>, special: &[&str]) -> Vec<Value> {
    let entry = |&token: &&str| {
        json!({
            "id": ids.get(token), "content": token, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true
        })
    };
    special.iter().map(entry).collect()
}

/// Tokens to their ids.
fn vocabulary(tokens: &[&str]) -> Result<serde_json::Map<String, Value>, String> {
    let vocab: serde_json::Map<String, Value> = tokens
        .iter()
        .enumerate()
        .map(|(id, token)| ((*token).to_owned(), json!(id)))
        .collect();
    if vocab.len() != tokens.len() {
        return Err("a vocabulary with a token twice".to_owned());
    }
    Ok(vocab)
}
