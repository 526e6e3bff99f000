//! Llama-shaped models: their configuration and the names of their weights, as Hugging Face writes them. What Mistral, Qwen, Phi-3, OLMo
//! and Gemma have of their own is in files of their own.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::family::{activation, check_head, check_sizes, even_share, unsupported};
use super::names::{LayerNames, Linear, Norm, WeightNames};
use super::{
    Family, ModelSpec, NormKind, QueryKeyNorm, RopeScaling, Rotary, gemma, mistral, olmo2, phi3,
    qwen,
};
use crate::Result;

/// `config.json` of a Llama-shaped model; fields that do not change the graph are ignored.
#[derive(Debug, Deserialize, Serialize)]
pub struct Config {
    /// `LlamaForCausalLM`.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// `llama`.
    pub model_type: String,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; as many as query heads where it is not given.
    pub num_key_value_heads: Option<usize>,
    /// Width of a head; `hidden_size / num_attention_heads` where it is not given.
    pub head_dim: Option<usize>,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Longest prompt.
    pub max_position_embeddings: usize,
    /// The constant under the root of the norms.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies, as files before transformers 5 spell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f64>,
    /// Scaling of the rotary frequencies, as files before transformers 5 spell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<RopeParameters>,
    /// Both, as transformers 5 spells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_parameters: Option<RopeFields>,
    /// The part of each head that is rotated, as files before transformers 5 spell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_rotary_factor: Option<f64>,
    /// The base of the frequencies of Gemma 3's layers with a window, as files before transformers 5 spell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_local_base_freq: Option<f64>,
    /// Whether the unembedding is the embedding; a family's own default where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tie_word_embeddings: Option<bool>,
    /// Whether attention has biases.
    #[serde(default)]
    pub attention_bias: bool,
    /// Whether the MLP has biases.
    #[serde(default)]
    pub mlp_bias: bool,
    /// How many tokens a token sees, itself included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding_window: Option<usize>,
    /// Whether it does; a family's own default where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_sliding_window: Option<bool>,
    /// The kind of attention of every layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_types: Option<Vec<String>>,
    /// Every so many layers one is without a window, as files before transformers 5 spell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding_window_pattern: Option<usize>,
    /// The activation of the MLP.
    #[serde(default = "silu")]
    pub hidden_act: String,
    /// The same, as Gemma spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_activation: Option<String>,
    /// One over the square of what attention scores are multiplied by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_pre_attn_scalar: Option<f64>,
    /// The cap of attention scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attn_logit_softcapping: Option<f64>,
    /// The cap of logits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_logit_softcapping: Option<f64>,
    /// Whether tokens see those after them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_bidirectional_attention: Option<bool>,
    /// The token that begins a sequence.
    #[serde(default)]
    pub bos_token_id: Option<u32>,
}

/// How rotary frequencies are made.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct RopeParameters {
    /// Base of the frequencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f64>,
    /// `default`, or a kind of scaling.
    #[serde(default, alias = "type")]
    pub rope_type: Option<String>,
    /// By what frequencies are divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Below so many turns in the original length a frequency is low.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_freq_factor: Option<f64>,
    /// Above so many turns in the original length a frequency is high.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_freq_factor: Option<f64>,
    /// The original length in positions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_max_position_embeddings: Option<f64>,
    /// The part of each head that is rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_rotary_factor: Option<f64>,
}

/// How rotary frequencies are made, as transformers 5 spells it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum RopeFields {
    /// By the kind of attention of a layer.
    ByKind(BTreeMap<String, RopeParameters>),
    /// In all layers.
    Same(RopeParameters),
}

impl RopeFields {
    /// Those of layers of a kind.
    fn of<'a>(fields: &'a Option<Self>, kind: &str) -> Option<&'a RopeParameters> {
        match fields.as_ref()? {
            Self::ByKind(kinds) => kinds.get(kind),
            Self::Same(rope) => Some(rope),
        }
    }

    /// Those of layers without a window.
    pub fn global(fields: &Option<Self>) -> Option<&RopeParameters> {
        Self::of(fields, "full_attention")
    }
}

impl RopeParameters {
    /// The kinds of scaling that are known.
    const KINDS: &str = "\"default\", \"linear\" or \"llama3\"";

    /// The base and the scaling that a configuration says in its older fields, or in its newer ones.
    ///
    /// # Errors
    /// A field that is not supported.
    pub fn read(
        path: &Path,
        (theta, older): (Option<f64>, Option<&Self>),
        newer: Option<&Self>,
    ) -> Result<(f64, RopeScaling)> {
        let mut scaling = RopeScaling::None;
        for (name, rope) in [("rope_scaling", older), ("rope_parameters", newer)] {
            let Some(rope) = rope else { continue };
            let found = rope.scaling(name);
            let found = found
                .map_err(|[field, found, expected]| unsupported(path, &field, found, &expected))?;
            if found != RopeScaling::None {
                scaling = found;
            }
        }
        let theta = theta.or_else(|| newer.and_then(|rope| rope.rope_theta));
        Ok((
            positive(path, "rope_theta", theta.unwrap_or(THETA))?,
            scaling,
        ))
    }

    /// The scaling that a configuration spells under `name`; a field that is not as it has to be, with what was found and expected.
    fn scaling(&self, name: &str) -> Result<RopeScaling, [String; 3]> {
        let number = |field: &str, value: Option<f64>| {
            let positive = value.filter(|x| x.is_finite() && *x > 0.0);
            positive.ok_or_else(|| {
                let found = value.map_or("nothing".to_owned(), |x| x.to_string());
                [
                    format!("{name}.{field}"),
                    found,
                    "a positive number".to_owned(),
                ]
            })
        };
        let factor = || number("factor", self.factor);
        match self.rope_type.as_deref() {
            None | Some("default") => Ok(RopeScaling::None),
            Some("linear") => Ok(RopeScaling::Linear { factor: factor()? }),
            Some("llama3") => {
                let low = number("low_freq_factor", self.low_freq_factor)?;
                let high = number("high_freq_factor", self.high_freq_factor)?;
                if high <= low {
                    let field = format!("{name}.high_freq_factor");
                    let expected = format!("more than low_freq_factor, {low}");
                    return Err([field, high.to_string(), expected]);
                }
                let original = self.original_max_position_embeddings;
                Ok(RopeScaling::Llama3 {
                    factor: factor()?,
                    low,
                    high,
                    original: number("original_max_position_embeddings", original)?,
                })
            }
            Some(kind) => Err([
                format!("{name}.rope_type"),
                format!("{kind:?}"),
                Self::KINDS.to_owned(),
            ]),
        }
    }
}

fn silu() -> String {
    "silu".to_owned()
}

/// The base of the rotary frequencies where no field says it.
const THETA: f64 = 10_000.0;

/// A field that has to be a positive number.
fn positive(path: &Path, field: &str, value: f64) -> Result<f64> {
    if !(value.is_finite() && value > 0.0) {
        let found = value.to_string();
        return Err(unsupported(path, field, found, "a positive number"));
    }
    Ok(value)
}

impl Config {
    /// A configuration with the given number of layers, sizes `[d_model, heads, d_head, d_mlp]` and vocabulary, and
    /// nothing special.
    pub fn new(layers: usize, [d_model, heads, d_head, d_mlp]: [usize; 4], vocab: usize) -> Self {
        Self {
            architectures: vec!["LlamaForCausalLM".to_owned()],
            model_type: "llama".to_owned(),
            hidden_size: d_model,
            intermediate_size: d_mlp,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: None,
            head_dim: Some(d_head),
            vocab_size: vocab,
            max_position_embeddings: 2048,
            rms_norm_eps: 1e-5,
            rope_theta: None,
            rope_scaling: None,
            rope_parameters: None,
            partial_rotary_factor: None,
            rope_local_base_freq: None,
            tie_word_embeddings: Some(false),
            attention_bias: false,
            mlp_bias: false,
            sliding_window: None,
            use_sliding_window: None,
            layer_types: None,
            sliding_window_pattern: None,
            hidden_act: silu(),
            hidden_activation: None,
            query_pre_attn_scalar: None,
            attn_logit_softcapping: None,
            final_logit_softcapping: None,
            use_bidirectional_attention: None,
            bos_token_id: None,
        }
    }

    /// The spec of a configuration read from `path`.
    ///
    /// # Errors
    /// A field whose value is not supported or contradicts another one.
    pub fn spec(&self, path: &Path) -> Result<ModelSpec> {
        let family = Family::named(&self.model_type);
        let Some(family) = family else {
            let found = format!("{:?}", self.model_type);
            return Err(unsupported(path, "model_type", found, &Family::names()));
        };
        let gemma = matches!(family, Family::Gemma2 | Family::Gemma3);
        let heads = self.num_attention_heads;
        let kv_heads = self.num_key_value_heads.unwrap_or(heads);
        check_sizes(
            path,
            ("num_hidden_layers", self.num_hidden_layers),
            &[
                ("hidden_size", self.hidden_size),
                ("intermediate_size", self.intermediate_size),
                ("num_attention_heads", heads),
                ("num_key_value_heads", kv_heads),
                ("vocab_size", self.vocab_size),
            ],
        )?;
        if !heads.is_multiple_of(kv_heads) {
            let expected = format!("a divisor of num_attention_heads, {heads}");
            let found = kv_heads.to_string();
            return Err(unsupported(path, "num_key_value_heads", found, &expected));
        }
        let d_head = match self.head_dim {
            Some(d_head) => d_head,
            None => even_share(
                path,
                ("hidden_size", self.hidden_size),
                ("num_attention_heads", heads),
            )?,
        };
        let rope = RopeFields::global(&self.rope_parameters);
        let part = rope.and_then(|rope| rope.partial_rotary_factor);
        let part = part.or(self.partial_rotary_factor).unwrap_or(1.0);
        let dims = (d_head as f64 * part) as usize;
        check_head(path, ("head_dim", d_head), ("partial_rotary_factor", dims))?;
        let older = (self.rope_theta, self.rope_scaling.as_ref());
        let (theta, scaling) = RopeParameters::read(path, older, rope)?;
        let (field, name) = match &self.hidden_activation {
            Some(name) => ("hidden_activation", name),
            None => ("hidden_act", &self.hidden_act),
        };
        let mut spec = ModelSpec {
            family,
            layers: self.num_hidden_layers,
            d_model: self.hidden_size,
            heads,
            kv_heads,
            d_head,
            d_mlp: self.intermediate_size,
            vocab: self.vocab_size,
            context: match mistral::window(family, self) {
                Some(window) => self.max_position_embeddings.min(window),
                None => self.max_position_embeddings,
            },
            norm: NormKind::Rms,
            norm_eps: self.rms_norm_eps as f32,
            qk_norm: match family {
                Family::Olmo2 => Some(QueryKeyNorm::Whole),
                _ => qwen::norm(family),
            },
            parallel: false,
            activation: activation(path, field, name)?,
            gated: true,
            rotary: Some(Rotary {
                dims,
                interleaved: false,
                theta,
                scaling,
            }),
            local: None,
            attn_scale: 1.0 / (d_head as f64).sqrt(),
            attn_softcap: None,
            logit_softcap: None,
            embed_scale: None,
            tied: self.tie_word_embeddings.unwrap_or(gemma),
        };
        if gemma {
            gemma::complete(self, &mut spec, path)?;
        }
        Ok(spec)
    }

    /// The base of the rotary frequencies of layers with a window.
    ///
    /// # Errors
    /// One that is no positive number; a scaling.
    pub(super) fn local_theta(&self, path: &Path) -> Result<f64> {
        let newer = RopeFields::of(&self.rope_parameters, "sliding_attention");
        let (theta, scaling) =
            RopeParameters::read(path, (self.rope_local_base_freq, None), newer)?;
        if scaling != RopeScaling::None {
            let field = "rope_parameters.sliding_attention.rope_type";
            let found = "a scaling".to_owned();
            return Err(unsupported(path, field, found, "\"default\""));
        }
        Ok(theta)
    }

    /// The names of the weights of a model of that shape.
    pub fn names(&self, spec: &ModelSpec) -> WeightNames {
        let layer = |layer: usize| {
            let of = |part: &str| format!("model.layers.{layer}.{part}");
            let weight = |part: &str| format!("{}.weight", of(part));
            let attention = self.attention_bias || qwen::has_biases(spec.family);
            let map = |part: &str, bias: bool| Linear::new(&of(part), bias);
            let norm = |part: &str| spec.qk_norm.map(|_| weight(part));
            let mut names = LayerNames {
                attn_norm: Some(Norm::new(weight("input_layernorm"))),
                query: map("self_attn.q_proj", attention),
                key: map("self_attn.k_proj", attention),
                value: map("self_attn.v_proj", attention),
                output: map("self_attn.o_proj", self.attention_bias),
                query_norm: norm("self_attn.q_norm"),
                key_norm: norm("self_attn.k_norm"),
                attn_post_norm: None,
                mlp_norm: Some(Norm::new(weight("post_attention_layernorm"))),
                gate: Some(map("mlp.gate_proj", self.mlp_bias)),
                up: map("mlp.up_proj", self.mlp_bias),
                down: map("mlp.down_proj", self.mlp_bias),
                mlp_post_norm: None,
            };
            match spec.family {
                Family::Phi3 => phi3::fuse(&mut names, spec, layer),
                Family::Olmo2 => olmo2::norm_after(&mut names, layer),
                Family::Gemma2 | Family::Gemma3 => gemma::norm_twice(&mut names, layer),
                _ => {}
            }
            names
        };
        WeightNames {
            embed: EMBED.to_owned(),
            positions: None,
            layers: (0..spec.layers).map(layer).collect(),
            final_norm: Norm::new("model.norm.weight".to_owned()),
            unembed: (if spec.tied { EMBED } else { UNEMBED }).to_owned(),
            unembed_bias: None,
        }
    }
}

const EMBED: &str = "model.embed_tokens.weight";
const UNEMBED: &str = "lm_head.weight";

impl ModelSpec {
    /// The shape of a Llama with the given number of layers, sizes `[d_model, heads, d_head, d_mlp]` and vocabulary, and nothing special.
    #[cfg(test)]
    pub(crate) fn llama(layers: usize, sizes: [usize; 4], vocab: usize) -> Self {
        let config = Config::new(layers, sizes, vocab);
        config.spec(Path::new("config.json")).expect("it is plain")
    }
}
