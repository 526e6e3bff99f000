//! What stands in front of a prompt: the token that a model's own tokenizer puts before a text, and which rule says so.
//!
//! A model is asked what its tokenizer would feed it. Of `tokenizer.json` the post-processor decides, as in transformers 5;
//! where there is none, `add_bos_token` of `tokenizer_config.json` does. `bos_token_id` of `config.json` alone is passed over:
//! Qwen's names a token that Qwen was trained without, and with it in front the model fails to add.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Tokenizer;
use crate::file::text_at_most;
use crate::{Error, Result};

/// A `tokenizer_config.json` has at most so many bytes.
pub(super) const MOST_BYTES: u64 = 64 << 20;

/// A token that stands before every prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bos {
    /// The name of the token.
    pub token: String,
    /// The id of the token.
    pub id: u32,
}

/// The rule that decided what stands in front of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The user's choice.
    Asked,
    /// The preset of a built-in model.
    Preset,
    /// The post-processor of `tokenizer.json`.
    PostProcessor,
    /// The field `add_bos_token` of `tokenizer_config.json`.
    Flag,
    /// The field `tokenizer.ggml.add_bos_token` of a GGUF file.
    GgufFlag,
    /// A GGUF file without that key: what llama.cpp does with its kind of tokenizer.
    GgufKind,
    /// The model's chat template, which writes it or leaves it out.
    ChatTemplate,
    /// Nothing says that there is a token.
    Silence,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "--bos",
            Self::Preset => "the preset",
            Self::PostProcessor => "the post-processor of tokenizer.json",
            Self::Flag => "add_bos_token in tokenizer_config.json",
            Self::GgufFlag => "tokenizer.ggml.add_bos_token",
            Self::GgufKind => "llama.cpp's default for this tokenizer",
            Self::ChatTemplate => "the chat template",
            Self::Silence => "the tokenizer adds none",
        })
    }
}

/// What stands in front of every prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Front {
    /// The token, if there is one.
    pub bos: Option<Bos>,
    /// What decided it.
    pub rule: Rule,
}

/// What the files beside a tokenizer say of the token in front.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stated {
    /// The name of the beginning-of-sequence token.
    pub bos_token: Option<String>,
    /// Whether it stands before a text.
    pub add_bos_token: Option<bool>,
    /// What says so, if it is not `tokenizer_config.json`.
    pub rule: Option<Rule>,
}

/// The parts of `tokenizer_config.json` that matter here.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    bos_token: Option<TokenName>,
    #[serde(default)]
    add_bos_token: Option<bool>,
    /// The rule, which stands only in what this program writes of a GGUF file.
    #[serde(default)]
    rule: Option<Rule>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TokenName {
    Plain(String),
    Full { content: String },
}

impl Stated {
    /// What `tokenizer_config.json` in a folder says; nothing where there is no such file.
    ///
    /// # Errors
    /// A file that cannot be read or is malformed.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("tokenizer_config.json");
        if !path.is_file() {
            return Ok(Self::default());
        }
        let what = "tokenizer configuration";
        let text = text_at_most(&path, MOST_BYTES).map_err(|e| Error::reading(&path, what, e))?;
        let parsed = serde_json::from_str(&text).and_then(Self::parse);
        parsed.map_err(|e| Error::Malformed {
            path,
            what: what.to_owned(),
            expected: "its fields, in JSON".to_owned(),
            found: e.to_string(),
        })
    }

    /// What the content of such a file says.
    ///
    /// # Errors
    /// Fields of other kinds.
    pub fn parse(json: serde_json::Value) -> Result<Self, serde_json::Error> {
        let config: Config = serde_json::from_value(json)?;
        Ok(Self {
            bos_token: config.bos_token.map(|name| match name {
                TokenName::Plain(name) | TokenName::Full { content: name } => name,
            }),
            add_bos_token: config.add_bos_token,
            rule: config.rule,
        })
    }
}

impl Front {
    /// What a model's own tokenizer puts in front of a text.
    ///
    /// # Errors
    /// A post-processor that puts several tokens there; a named token that the tokenizer does not have.
    pub fn of_tokenizer(
        tokenizer: &Tokenizer,
        stated: &Stated,
    ) -> std::result::Result<Self, String> {
        let rule = stated.rule.unwrap_or(Rule::Flag);
        let silent = || Self {
            bos: None,
            rule: match stated.add_bos_token {
                Some(_) => rule,
                None => Rule::Silence,
            },
        };
        if tokenizer.has_post_processor() {
            let ids = tokenizer.in_front()?;
            return match ids[..] {
                [] => Ok(Self {
                    bos: None,
                    rule: Rule::PostProcessor,
                }),
                [id] => Ok(Self {
                    bos: Some(Bos {
                        token: tokenizer.name(id).unwrap_or_default(),
                        id,
                    }),
                    rule: Rule::PostProcessor,
                }),
                _ => Err(format!(
                    "its post-processor puts {} tokens before a text; expected one at most: choose one with --bos, or none",
                    ids.len()
                )),
            };
        }
        match (&stated.bos_token, stated.add_bos_token) {
            (Some(token), Some(true)) => {
                let id = tokenizer.id(token).ok_or_else(|| {
                    format!("its beginning-of-sequence token {token:?} is not in its vocabulary")
                })?;
                let token = token.clone();
                Ok(Self {
                    bos: Some(Bos { token, id }),
                    rule,
                })
            }
            _ => Ok(silent()),
        }
    }
}
