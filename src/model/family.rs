//! Which families of architectures are known, and how a configuration is read as one of them. What each has of its own is in a file of
//! its own.

use std::fmt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::names::WeightNames;
use super::{Activation, ModelSpec, Weights, gpt_neox, gpt2, gptj, llama};
use crate::{Error, Result};

/// A family of architectures, by the `model_type` of its configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Llama, SmolLM: pre-norm, rotary embedding, grouped-query attention, SwiGLU.
    Llama,
    /// As Llama, with attention limited to a window.
    Mistral,
    /// As Llama, with biases of queries, keys and values.
    Qwen2,
    /// As Llama, with norms of queries and keys.
    Qwen3,
    /// As Llama, with fused weights.
    Phi3,
    /// As Llama, with norms after attention and MLP instead of before.
    Olmo2,
    /// Norms before and after, soft caps, windows in some layers.
    Gemma2,
    /// As Gemma 2, with norms of queries and keys instead of caps.
    Gemma3,
    /// Pythia: attention and MLP side by side, LayerNorm, a part of each head rotated.
    GptNeoX,
    /// GPT-J: attention and MLP side by side after one LayerNorm.
    GptJ,
    /// GPT-2: learned positions.
    Gpt2,
}

impl Family {
    /// All of them.
    const ALL: [Self; 11] = [
        Self::Llama,
        Self::Mistral,
        Self::Qwen2,
        Self::Qwen3,
        Self::Phi3,
        Self::Olmo2,
        Self::Gemma2,
        Self::Gemma3,
        Self::GptNeoX,
        Self::GptJ,
        Self::Gpt2,
    ];

    /// The one that `model_type` names in a configuration.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|family| family.to_string() == name)
    }

    /// Their names, for people.
    pub fn names() -> String {
        let names = Self::ALL.map(|family| format!("\"{family}\""));
        names.join(", ")
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Phi3 => "phi3",
            Self::Olmo2 => "olmo2",
            Self::Gemma2 => "gemma2",
            Self::Gemma3 => "gemma3_text",
            Self::GptNeoX => "gpt_neox",
            Self::GptJ => "gptj",
            Self::Gpt2 => "gpt2",
        })
    }
}

/// What a configuration says.
#[derive(Debug)]
pub struct Description {
    /// The shape.
    pub spec: ModelSpec,
    /// The token that begins a sequence.
    pub bos: Option<u32>,
    /// What the weights are called.
    pub names: WeightNames,
}

/// Reads `config.json` at `path`, and finds the names of the weights.
///
/// # Errors
/// A file that cannot be read; an unknown family; a field that is missing, not supported or contradicts another one.
pub fn read(path: &Path, weights: &Weights) -> Result<Description> {
    let what = "model configuration (config.json)";
    let text = std::fs::read_to_string(path).map_err(|e| Error::reading(path, what, e))?;
    let malformed = |expected: &str, found: String| Error::Malformed {
        path: path.to_owned(),
        what: what.to_owned(),
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
    let Some(family) = Family::named(kind) else {
        let found = format!("{kind:?}");
        return Err(unsupported(path, "model_type", found, &Family::names()));
    };
    let (spec, bos, names) = match family {
        Family::GptNeoX => {
            let config: gpt_neox::Config = fields(path, family, &text)?;
            let spec = config.spec(path)?;
            let names = config.names(&spec);
            (spec, config.bos_token_id, names)
        }
        Family::GptJ => {
            let config: gptj::Config = fields(path, family, &text)?;
            let spec = config.spec(path)?;
            let names = gptj::names(&spec);
            (spec, config.bos_token_id, names)
        }
        Family::Gpt2 => {
            let config: gpt2::Config = fields(path, family, &text)?;
            let spec = config.spec(path)?;
            let names = gpt2::names(&spec, weights);
            (spec, config.bos_token_id, names)
        }
        _ => {
            let config: llama::Config = fields(path, family, &text)?;
            let spec = config.spec(path)?;
            let names = config.names(&spec);
            (spec, config.bos_token_id, names)
        }
    };
    Ok(Description { spec, bos, names })
}

/// The fields of a family's configuration.
fn fields<T: DeserializeOwned>(path: &Path, family: Family, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::Malformed {
        path: path.to_owned(),
        what: "model configuration (config.json)".to_owned(),
        expected: format!("the fields of a {family} model"),
        found: e.to_string(),
    })
}

/// Whether a tensor in a file is not a weight of the model: a buffer that older files hold, or the copy of a tied
/// unembedding, which transformers ignores too.
pub fn is_no_weight(name: &str, spec: &ModelSpec) -> bool {
    let buffers: &[&str] = match spec.family {
        Family::GptNeoX => &[
            ".attention.bias",
            ".attention.masked_bias",
            "rotary_emb.inv_freq",
        ],
        Family::GptJ | Family::Gpt2 => &[".attn.bias", ".attn.masked_bias"],
        _ => &["rotary_emb.inv_freq"],
    };
    let copies = ["lm_head.weight", "embed_out.weight"];
    buffers.iter().any(|buffer| name.ends_with(buffer)) || spec.tied && copies.contains(&name)
}

/// The error for a field of a configuration that is not supported.
pub(super) fn unsupported(path: &Path, field: &str, found: String, supported: &str) -> Error {
    Error::UnsupportedModel {
        path: path.to_owned(),
        field: field.to_owned(),
        found,
        supported: supported.to_owned(),
    }
}

/// The activation that a field names.
///
/// # Errors
/// One that is not known.
pub(super) fn activation(path: &Path, field: &str, name: &str) -> Result<Activation> {
    let known = Activation::named(name);
    known.ok_or_else(|| unsupported(path, field, format!("{name:?}"), Activation::NAMES))
}

/// Checks sizes by the names of their fields.
///
/// # Errors
/// One that is 0 or absurdly large: a slip in one number must not ask for all the memory there is.
pub(super) fn check_sizes(
    path: &Path,
    layers: (&str, usize),
    sizes: &[(&str, usize)],
) -> Result<()> {
    let bounds = std::iter::once((layers, 10_000)).chain(sizes.iter().map(|&size| (size, 1 << 24)));
    for ((field, value), most) in bounds {
        if value == 0 || value > most {
            let found = value.to_string();
            return Err(unsupported(path, field, found, &format!("1 to {most}")));
        }
    }
    Ok(())
}

/// The width of a head where nothing but the width of the stream says it.
///
/// # Errors
/// Heads that do not share it evenly.
pub(super) fn even_share(
    path: &Path,
    (field, d_model): (&str, usize),
    (of, heads): (&str, usize),
) -> Result<usize> {
    if !d_model.is_multiple_of(heads) {
        let expected = format!("a multiple of {of}, {heads}");
        return Err(unsupported(path, field, d_model.to_string(), &expected));
    }
    Ok(d_model / heads)
}

/// Checks the width of a head, and how much of it is rotated.
///
/// # Errors
/// An odd one; more than there is.
pub(super) fn check_head(
    path: &Path,
    (field, d_head): (&str, usize),
    rotated: (&str, usize),
) -> Result<()> {
    if d_head == 0 || d_head % 2 != 0 || d_head > 1 << 16 {
        return Err(unsupported(
            path,
            field,
            d_head.to_string(),
            "an even number",
        ));
    }
    let (field, dims) = rotated;
    if dims == 0 || dims % 2 != 0 || dims > d_head {
        let expected = format!("an even number of the {d_head} dimensions of a head");
        return Err(unsupported(
            path,
            field,
            format!("{dims} dimensions"),
            &expected,
        ));
    }
    Ok(())
}
