//! The families of architectures that are known: one file a family.
//!
//! To add one, write a file with a type that implements [`Architecture`] and name it in the list below. Most start from Llama
//! ([`architecture::LlamaShaped`]) and change what they have of their own.

pub mod architecture;
pub mod base;
pub mod config;
pub mod rope;

use std::path::Path;

use serde_json::Value;

use self::architecture::{Architecture, Configuration, Description, InGguf, WHAT};
use super::Weights;
use super::check::unsupported;
use crate::file::text_at_most;
use crate::{Error, Result};

/// A `config.json` has at most so many bytes.
const MOST_BYTES: u64 = 16 << 20;

macro_rules! list {
    ($($module:ident :: $name:ident),* $(,)?) => {
        $(pub mod $module;)*
        /// All families.
        pub const ALL: &[&dyn Architecture] = &[$(&$module::$name),*];
    };
}

list! {
    llama::Llama,
    mistral::Mistral,
    qwen2::Qwen2,
    qwen3::Qwen3,
    phi3::Phi3,
    olmo2::Olmo2,
    olmo3::Olmo3,
    gemma2::Gemma2,
    gemma3::Gemma3,
    gpt_neox::GptNeoX,
    gptj::GptJ,
    gpt2::Gpt2,
}

/// Names of families, for people.
pub fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    names.join(", ")
}

/// The families that llama.cpp has, too, and how it keeps them.
pub fn in_gguf() -> impl Iterator<Item = (&'static dyn Architecture, InGguf)> {
    ALL.iter()
        .filter_map(|family| Some((*family, family.gguf()?)))
}

/// Reads `config.json` at `path`, and finds the names of the weights.
///
/// # Errors
/// A file that cannot be read; an unknown family; a field that is missing, not supported or contradicts another one.
pub fn read(path: &Path, weights: &Weights) -> Result<Description> {
    let text = text_at_most(path, MOST_BYTES).map_err(|e| Error::reading(path, WHAT, e))?;
    let malformed = |expected: &str, found: String| Error::Malformed {
        path: path.to_owned(),
        what: WHAT.to_owned(),
        expected: expected.to_owned(),
        found,
    };
    let json: Value = serde_json::from_str(&text)
        .map_err(|e| malformed("the fields of a model, in JSON", e.to_string()))?;
    let kind = json.get("model_type").and_then(Value::as_str);
    let Some(kind) = kind else {
        let found = "no field `model_type`".to_owned();
        return Err(malformed("the fields of a model", found));
    };
    let Some(family) = ALL.iter().find(|family| family.name() == kind) else {
        let known = quoted(ALL.iter().map(|family| family.name()));
        return Err(unsupported(path, "model_type", format!("{kind:?}"), &known));
    };
    let config = Configuration { path, text: &text };
    family.describe(&config, weights)
}
