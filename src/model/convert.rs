//! From a GGUF file to a model in Hugging Face's layout, in f32.

use std::collections::HashSet;
use std::path::Path;

use super::gguf::{Gguf, Value};
use super::llama::{Config, RopeFields, RopeParameters};
use super::names::{Linear, Norm, WeightNames};
use super::widened::{Wanted, Widened};
use super::{Family, ModelSpec, RopeScaling, Weights};
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
        let config = config(gguf)?;
        let spec = config.spec(gguf.path())?;
        let (tokenizer, bos) = tokenizer(gguf)?;
        let (add, rule) = adds_bos(gguf);
        let tokenizer_config =
            serde_json::json!({ "bos_token": bos, "add_bos_token": add, "rule": rule });
        let names = config.names(&spec);
        Ok(Self {
            weights: weights(gguf, &spec, &names)?,
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

/// The configuration that the metadata amounts to.
fn config(gguf: &Gguf) -> Result<Config> {
    let text = |key: &str| gguf.need(key, "a string", Value::as_str);
    let architecture = text("general.architecture")?;
    let known = [Family::Llama, Family::Qwen2, Family::Qwen3];
    let family = known
        .into_iter()
        .find(|family| family.to_string() == architecture);
    let Some(family) = family else {
        let found = format!("{architecture:?}");
        let names = known.map(|family| format!("\"{family}\"")).join(", ");
        let supported = format!("{names}; give the Hugging Face folder of others");
        return Err(unsupported(
            gguf,
            "general.architecture",
            &found,
            &supported,
        ));
    };
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
    if let (Some(rotated), Some(d_head)) = (optional("rope.dimension_count"), d_head)
        && rotated != d_head
    {
        let (found, whole) = (rotated.to_string(), format!("the whole head, {d_head}"));
        return Err(unsupported(
            gguf,
            &key("rope.dimension_count"),
            &found,
            &whole,
        ));
    }
    let theta = number("rope.freq_base").unwrap_or(10_000.0);
    let unscaled = || RopeParameters {
        rope_type: Some("default".to_owned()),
        ..RopeParameters::default()
    };
    let scaling = match gguf.tensors().get(ROPE_FREQS) {
        None => unscaled(),
        Some(_) => known_scaling(gguf, d_head.unwrap_or(0), theta)?,
    };
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
    let sizes = [d_model, heads, d_head.unwrap_or(0), d_mlp];
    Ok(Config {
        model_type: family.to_string(),
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

/// The scaling of Llama 3 whose divisors a file has; it does not say the parameters.
fn known_scaling(gguf: &Gguf, d_head: usize, theta: f64) -> Result<RopeParameters> {
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
/// Those that are matched in a text before it is split.
const CONTROL: i128 = 3;
const USER_DEFINED: i128 = 4;

/// The tokenizer that the metadata amounts to, and its beginning-of-sequence token.
fn tokenizer(gguf: &Gguf) -> Result<(Tokenizer, Option<String>)> {
    let model = gguf.need("tokenizer.ggml.model", "a string", Value::as_str)?;
    if !["gpt2", "llama"].contains(&model) {
        let found = format!("{model:?}");
        let supported = "\"gpt2\" (byte-level BPE), \"llama\" (SentencePiece); give the Hugging Face folder instead";
        return Err(unsupported(gguf, "tokenizer.ggml.model", &found, supported));
    }
    let strings = |key: &str| {
        gguf.need(key, "an array of strings", |value| {
            let strings = value.as_array()?.iter().map(Value::as_str);
            strings.collect::<Option<Vec<&str>>>()
        })
    };
    let tokens = strings("tokenizer.ggml.tokens")?;
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
        let merges = strings("tokenizer.ggml.merges")?;
        let pre = gguf.get("tokenizer.ggml.pre").and_then(Value::as_str);
        let pre = pre.unwrap_or("default");
        Tokenizer::from_bpe(&tokens, &merges, &special, pre).map_err(|reason| {
            unsupported(gguf, "tokenizer.ggml.pre", &reason, Tokenizer::SPLITTERS)
        })?
    } else {
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
        Tokenizer::from_sentencepiece(&tokens, &scores, &special, unknown, space_first).map_err(
            |reason| {
                let supported = "tokens with a score and a type each";
                unsupported(gguf, "tokenizer.ggml.scores", &reason, supported)
            },
        )?
    };
    let bos = gguf
        .get("tokenizer.ggml.bos_token_id")
        .and_then(Value::as_usize)
        .and_then(|id| tokens.get(id))
        .map(|token| (*token).to_owned());
    Ok((tokenizer, bos))
}

/// The tensors of the architecture, and no others.
fn weights(gguf: &Gguf, spec: &ModelSpec, names: &WeightNames) -> Result<Weights> {
    let tensors = shapes(spec, names).into_iter();
    let wanted: Vec<Wanted> = tensors
        .map(|(theirs, ours, shape, interleaved_heads)| Wanted {
            theirs,
            ours,
            shape,
            interleaved_heads,
        })
        .collect();
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

/// For every tensor: llama.cpp's name, Hugging Face's, the shape, and the heads whose rows are interleaved.
fn shapes(
    spec: &ModelSpec,
    names: &WeightNames,
) -> Vec<(String, String, Vec<usize>, Option<usize>)> {
    let (d, q, kv) = (
        spec.d_model,
        spec.heads * spec.d_head,
        spec.kv_heads * spec.d_head,
    );
    let mut tensors = vec![
        (
            "token_embd.weight".to_owned(),
            names.embed.clone(),
            vec![spec.vocab, d],
            None,
        ),
        (
            "output_norm.weight".to_owned(),
            names.final_norm.weight.clone(),
            vec![d],
            None,
        ),
    ];
    if !spec.tied {
        let unembed = names.unembed.clone();
        tensors.push((
            "output.weight".to_owned(),
            unembed,
            vec![spec.vocab, d],
            None,
        ));
    }
    for (l, layer) in names.layers.iter().enumerate() {
        let norm = |norm: &Option<Norm>| norm.as_ref().map(|norm| norm.weight.clone());
        let map = |of: &Linear| Some(of.weight.clone());
        let bias = |of: &Linear| of.bias.clone();
        let gate = layer.gate.as_ref().and_then(map);
        // Only Llama's rows are in another order.
        let turned = |heads: usize| (spec.family == Family::Llama).then_some(heads);
        for (part, ours, shape, heads) in [
            ("attn_norm.weight", norm(&layer.attn_norm), vec![d], None),
            (
                "attn_q.weight",
                map(&layer.query),
                vec![q, d],
                turned(spec.heads),
            ),
            (
                "attn_k.weight",
                map(&layer.key),
                vec![kv, d],
                turned(spec.kv_heads),
            ),
            ("attn_v.weight", map(&layer.value), vec![kv, d], None),
            ("attn_q.bias", bias(&layer.query), vec![q], None),
            ("attn_k.bias", bias(&layer.key), vec![kv], None),
            ("attn_v.bias", bias(&layer.value), vec![kv], None),
            (
                "attn_q_norm.weight",
                layer.query_norm.clone(),
                vec![spec.d_head],
                None,
            ),
            (
                "attn_k_norm.weight",
                layer.key_norm.clone(),
                vec![spec.d_head],
                None,
            ),
            ("attn_output.weight", map(&layer.output), vec![d, q], None),
            ("ffn_norm.weight", norm(&layer.mlp_norm), vec![d], None),
            ("ffn_gate.weight", gate, vec![spec.d_mlp, d], None),
            ("ffn_up.weight", map(&layer.up), vec![spec.d_mlp, d], None),
            (
                "ffn_down.weight",
                map(&layer.down),
                vec![d, spec.d_mlp],
                None,
            ),
        ] {
            let theirs = format!("blk.{l}.{part}");
            tensors.extend(ours.map(|ours| (theirs, ours, shape, heads)));
        }
    }
    tensors
}
