//! From a GGUF file to a model in Hugging Face's layout, in f32.

use std::collections::HashSet;
use std::path::Path;

use super::family::architecture::{Description, InGguf};
use super::family::base::describe;
use super::family::config::Config;
use super::family::rope::{RopeFields, RopeParameters};
use super::family::{in_gguf, quoted};
use super::gguf::{Gguf, Value};
use super::names::{LayerNames, Linear, Norm, WeightNames};
use super::widened::{Wanted, Widened};
use super::{ModelSpec, RopeScaling, Weights};
use crate::prompt::{Rule, Tokenizer};
use crate::{Error, Result};

/// What a GGUF file says, as the files of a Hugging Face folder would say it.
pub struct Converted {
    /// `config.json`.
    pub config: Config,
    /// The shape that it describes.
    pub spec: ModelSpec,
    /// What the weights are called.
    pub names: WeightNames,
    /// The weights, which are widened when they are asked for.
    pub weights: Weights,
    /// `tokenizer.json`.
    pub tokenizer: Tokenizer,
    /// `tokenizer_config.json`.
    pub tokenizer_config: serde_json::Value,
}

impl Converted {
    /// Reads all but the weights of a file, and checks that these have the names and shapes of its architecture.
    ///
    /// # Errors
    /// What is not supported or contradicts itself.
    pub fn read(gguf: &Gguf) -> Result<Self> {
        let InGguf {
            family,
            interleaved,
        } = family(gguf)?;
        let config = config(gguf, family.name())?;
        let Description { spec, names, .. } = describe(family, &config, gguf.path())?;
        let (tokenizer, bos) = tokenizer(gguf)?;
        let (add, rule) = adds_bos(gguf);
        let tokenizer_config =
            serde_json::json!({ "bos_token": bos, "add_bos_token": add, "rule": rule });
        Ok(Self {
            weights: weights(gguf, &spec, &names, interleaved)?,
            config,
            spec,
            names,
            tokenizer,
            tokenizer_config,
        })
    }

    /// Writes `config.json`, `model.safetensors`, `tokenizer.json` and `tokenizer_config.json`.
    ///
    /// # Errors
    /// The files; an interrupt.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map_err(|e| Error::writing(&path, e))
        };
        let json = serde_json::to_vec_pretty(&self.config).expect("a configuration is plain data");
        write("config.json", &json)?;
        write("tokenizer.json", self.tokenizer.to_json().as_bytes())?;
        let json = self.tokenizer_config.to_string();
        write("tokenizer_config.json", json.as_bytes())?;
        self.weights.write(&folder.join("model.safetensors"))
    }
}

fn unsupported(gguf: &Gguf, field: &str, found: &str, supported: &str) -> Error {
    Error::UnsupportedModel {
        path: gguf.path().to_owned(),
        field: field.to_owned(),
        found: found.to_owned(),
        supported: supported.to_owned(),
    }
}

/// Whether the tokenizer puts its beginning-of-sequence token before a text. Where the file does not say so, llama.cpp does it for
/// SentencePiece's tokenizers and for Llama 3's (`llama-vocab.cpp`).
fn adds_bos(gguf: &Gguf) -> (bool, Rule) {
    if let Some(Value::Bool(add)) = gguf.get("tokenizer.ggml.add_bos_token") {
        return (*add, Rule::GgufFlag);
    }
    let text = |key: &str| gguf.get(key).and_then(Value::as_str).unwrap_or_default();
    let sentencepiece = text("tokenizer.ggml.model") == "llama";
    let llama3 = ["llama-bpe", "llama3", "llama-v3"].contains(&text("tokenizer.ggml.pre"));
    (sentencepiece || llama3, Rule::GgufKind)
}

/// The family that a file is of.
fn family(gguf: &Gguf) -> Result<InGguf> {
    let field = "general.architecture";
    let architecture = gguf.need(field, "a string", Value::as_str)?;
    let mut known = in_gguf();
    known
        .find(|of| of.family.name() == architecture)
        .ok_or_else(|| {
            let names = quoted(in_gguf().map(|of| of.family.name()));
            let supported = format!("{names}; give the Hugging Face folder of others");
            unsupported(gguf, field, &format!("{architecture:?}"), &supported)
        })
}

/// The configuration that the metadata amounts to.
fn config(gguf: &Gguf, family: &str) -> Result<Config> {
    let key = |key: &str| format!("{family}.{key}");
    let size = |name: &str| gguf.need(&key(name), "a size", Value::as_usize);
    let number = |name: &str| gguf.need(&key(name), "a number", Value::as_f64);
    let optional = |name: &str| gguf.get(&key(name)).and_then(Value::as_usize);

    let scaling = key("rope.scaling.type");
    if let Some(Value::String(found)) = gguf.get(&scaling)
        && found != "none"
    {
        let found = format!("{found:?}");
        return Err(unsupported(gguf, &scaling, &found, "\"none\""));
    }
    let heads = size("attention.head_count")?;
    let d_model = size("embedding_length")?;
    let d_head = optional("attention.key_length").or(d_model.checked_div(heads));
    let rotated = key("rope.dimension_count");
    if let (Some(found), Some(d_head)) = (optional("rope.dimension_count"), d_head)
        && found != d_head
    {
        let whole = format!("the whole head, {d_head}");
        return Err(unsupported(gguf, &rotated, &found.to_string(), &whole));
    }
    let d_head = d_head.unwrap_or(0);
    let theta = number("rope.freq_base").unwrap_or(10_000.0);
    let scaling = scaling_of(gguf, d_head, theta)?;
    let vocab = match optional("vocab_size") {
        Some(vocab) => vocab,
        None => gguf
            .need("tokenizer.ggml.tokens", "an array", Value::as_array)?
            .len(),
    };
    let bos = gguf
        .get("tokenizer.ggml.bos_token_id")
        .and_then(Value::as_usize);
    let d_mlp = size("feed_forward_length")?;
    let sizes = [d_model, heads, d_head, d_mlp];
    Ok(Config {
        model_type: family.to_owned(),
        num_key_value_heads: optional("attention.head_count_kv"),
        max_position_embeddings: size("context_length")?,
        rms_norm_eps: number("attention.layer_norm_rms_epsilon")?,
        rope_parameters: Some(RopeFields::Same(RopeParameters {
            rope_theta: Some(theta),
            ..scaling
        })),
        tie_word_embeddings: Some(!gguf.tensors().contains_key("output.weight")),
        bos_token_id: bos.and_then(|bos| u32::try_from(bos).ok()),
        ..Config::new(size("block_count")?, sizes, vocab)
    })
}

/// The tensor by which llama.cpp divides rotary frequencies.
const ROPE_FREQS: &str = "rope_freqs.weight";

/// The factors of Llama 3.1 and 3.3, and of Llama 3.2. Their other parameters are the same.
const LLAMA3_FACTORS: [f64; 2] = [8.0, 32.0];

/// How far a divisor may be from that of a known scaling, of itself: both are computed in f32.
const SAME_DIVISOR: f64 = 1e-4;

/// The scaling of rotary frequencies: that of Llama 3 whose divisors a file has, which does not say the parameters; none where it has no
/// divisors.
fn scaling_of(gguf: &Gguf, d_head: usize, theta: f64) -> Result<RopeParameters> {
    if !gguf.tensors().contains_key(ROPE_FREQS) {
        return Ok(RopeParameters {
            rope_type: Some("default".to_owned()),
            ..RopeParameters::default()
        });
    }
    let divisors = gguf.widen(ROPE_FREQS);
    let (low, high, original) = (1.0, 4.0, 8192.0);
    let is_of = |factor: &f64| {
        let scaling = RopeScaling::Llama3 {
            factor: *factor,
            low,
            high,
            original,
        };
        let divisor = |i: usize| {
            let frequency = theta.powf(-2.0 * i as f64 / d_head as f64);
            frequency / scaling.change(frequency)
        };
        let near =
            |(i, found): (usize, &f32)| (f64::from(*found) / divisor(i) - 1.0).abs() < SAME_DIVISOR;
        2 * divisors.len() == d_head && divisors.iter().enumerate().all(near)
    };
    let Some(factor) = LLAMA3_FACTORS.into_iter().find(is_of) else {
        let found = "a tensor of scaled rotary frequencies of an unknown kind";
        let supported =
            "the scaling of Llama 3.1, 3.2 or 3.3; give the Hugging Face folder of others";
        return Err(unsupported(gguf, ROPE_FREQS, found, supported));
    };
    Ok(RopeParameters {
        rope_type: Some("llama3".to_owned()),
        factor: Some(factor),
        low_freq_factor: Some(low),
        high_freq_factor: Some(high),
        original_max_position_embeddings: Some(original),
        ..RopeParameters::default()
    })
}

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

/// The tokenizer that the metadata amounts to, and its beginning-of-sequence token.
fn tokenizer(gguf: &Gguf) -> Result<(Tokenizer, Option<String>)> {
    let model = gguf.need("tokenizer.ggml.model", "a string", Value::as_str)?;
    if !["gpt2", "llama"].contains(&model) {
        let found = format!("{model:?}");
        let supported = "\"gpt2\" (byte-level BPE), \"llama\" (SentencePiece); give the Hugging Face folder instead";
        return Err(unsupported(gguf, "tokenizer.ggml.model", &found, supported));
    }
    let tokens = strings(gguf, "tokenizer.ggml.tokens")?;
    let types = gguf
        .get("tokenizer.ggml.token_type")
        .and_then(Value::as_array)
        .unwrap_or_default();
    let special: Vec<&str> = tokens
        .iter()
        .zip(types)
        .filter(|(_, kind)| matches!(kind, Value::Int(CONTROL | USER_DEFINED)))
        .map(|(token, _)| *token)
        .collect();
    let tokenizer = if model == "gpt2" {
        let merges = strings(gguf, "tokenizer.ggml.merges")?;
        let pre = gguf.get("tokenizer.ggml.pre").and_then(Value::as_str);
        let pre = pre.unwrap_or("default");
        Tokenizer::from_bpe(&tokens, &merges, &special, pre).map_err(|reason| {
            unsupported(gguf, "tokenizer.ggml.pre", &reason, Tokenizer::SPLITTERS)
        })?
    } else {
        sentencepiece(gguf, &tokens, types, &special)?
    };
    let bos = gguf
        .get("tokenizer.ggml.bos_token_id")
        .and_then(Value::as_usize)
        .and_then(|id| tokens.get(id))
        .map(|token| (*token).to_owned());
    Ok((tokenizer, bos))
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
    tokenizer.map_err(|reason| {
        let supported = "tokens with a score and a type each";
        unsupported(gguf, "tokenizer.ggml.scores", &reason, supported)
    })
}

/// The tensors of the architecture, and no others.
fn weights(
    gguf: &Gguf,
    spec: &ModelSpec,
    names: &WeightNames,
    interleaved: bool,
) -> Result<Weights> {
    let mut wanted = of_ends(spec, names);
    for (layer, names) in names.layers.iter().enumerate() {
        wanted.extend(of_layer(spec, layer, names, interleaved));
    }
    let known: HashSet<String> = wanted.iter().map(|tensor| tensor.theirs.clone()).collect();
    let widened = Widened::new(gguf, wanted)?;
    let mut strangers = gguf.tensors().keys();
    if let Some(stranger) = strangers.find(|name| !known.contains(*name) && *name != ROPE_FREQS) {
        let found = "a weight that this architecture does not have";
        let supported = "the weights of its architecture, without adapters";
        return Err(unsupported(gguf, stranger, found, supported));
    }
    Weights::of_gguf(widened)
}

/// The tensors of embedding and head.
fn of_ends(spec: &ModelSpec, names: &WeightNames) -> Vec<Wanted> {
    let wanted = |theirs: &str, ours: &String, shape: &[usize]| Wanted {
        theirs: theirs.to_owned(),
        ours: ours.clone(),
        shape: shape.to_vec(),
        interleaved_heads: None,
    };
    let table = [spec.vocab, spec.d_model];
    let norm = &names.final_norm.weight;
    let mut all = vec![
        wanted("token_embd.weight", &names.embed, &table),
        wanted("output_norm.weight", norm, &[spec.d_model]),
    ];
    if !spec.tied {
        all.push(wanted("output.weight", &names.unembed, &table));
    }
    all
}

/// The tensors of a layer.
fn of_layer(
    spec: &ModelSpec,
    layer: usize,
    names: &LayerNames,
    interleaved: bool,
) -> impl Iterator<Item = Wanted> {
    let (d, d_mlp) = (spec.d_model, spec.d_mlp);
    let (q, kv) = (spec.heads * spec.d_head, spec.kv_heads * spec.d_head);
    let norm = |norm: &Option<Norm>| norm.as_ref().map(|norm| norm.weight.clone());
    let map = |of: &Linear| Some(of.weight.clone());
    let bias = |of: &Linear| of.bias.clone();
    let (q_norm, k_norm) = (names.query_norm.clone(), names.key_norm.clone());
    let gate = names.gate.as_ref().and_then(map);
    let heads = |count: usize| interleaved.then_some(count);
    let tensors = [
        ("attn_norm.weight", norm(&names.attn_norm), vec![d], None),
        (
            "attn_q.weight",
            map(&names.query),
            vec![q, d],
            heads(spec.heads),
        ),
        (
            "attn_k.weight",
            map(&names.key),
            vec![kv, d],
            heads(spec.kv_heads),
        ),
        ("attn_v.weight", map(&names.value), vec![kv, d], None),
        ("attn_q.bias", bias(&names.query), vec![q], None),
        ("attn_k.bias", bias(&names.key), vec![kv], None),
        ("attn_v.bias", bias(&names.value), vec![kv], None),
        ("attn_q_norm.weight", q_norm, vec![spec.d_head], None),
        ("attn_k_norm.weight", k_norm, vec![spec.d_head], None),
        ("attn_output.weight", map(&names.output), vec![d, q], None),
        ("ffn_norm.weight", norm(&names.mlp_norm), vec![d], None),
        ("ffn_gate.weight", gate, vec![d_mlp, d], None),
        ("ffn_up.weight", map(&names.up), vec![d_mlp, d], None),
        ("ffn_down.weight", map(&names.down), vec![d, d_mlp], None),
    ];
    tensors
        .into_iter()
        .filter_map(move |(part, ours, shape, interleaved_heads)| {
            Some(Wanted {
                theirs: format!("blk.{layer}.{part}"),
                ours: ours?,
                shape,
                interleaved_heads,
            })
        })
}
