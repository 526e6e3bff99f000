//! Llama-shaped models: their configuration and the names of their weights, as Hugging Face writes them. What Mistral and Qwen have
//! of their own is in [`super::mistral`] and [`super::qwen`].

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Family, ModelSpec, RopeScaling, mistral, qwen};
use crate::graph::{LayerNames, WeightNames};
use crate::{Error, Result};

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
    pub rope_parameters: Option<RopeParameters>,
    /// Whether the unembedding is the embedding.
    #[serde(default)]
    pub tie_word_embeddings: bool,
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
    /// The activation of the MLP.
    #[serde(default = "silu")]
    pub hidden_act: String,
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
}

impl RopeParameters {
    /// The kinds of scaling that are known.
    const KINDS: &str = "\"default\", \"linear\" or \"llama3\"";

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
            tie_word_embeddings: false,
            attention_bias: false,
            mlp_bias: false,
            sliding_window: None,
            use_sliding_window: None,
            hidden_act: silu(),
            bos_token_id: None,
        }
    }

    /// The spec of a configuration read from `path`.
    ///
    /// # Errors
    /// A field whose value is not supported or contradicts another one.
    pub fn spec(&self, path: &Path) -> Result<ModelSpec> {
        let unsupported = |field: &str, found: String, supported: &str| Error::UnsupportedModel {
            path: path.to_owned(),
            field: field.to_owned(),
            found,
            supported: supported.to_owned(),
        };
        let Some(family) = Family::named(&self.model_type) else {
            let found = format!("{:?}", self.model_type);
            return Err(unsupported("model_type", found, &Family::names()));
        };
        if self.hidden_act != "silu" {
            return Err(unsupported(
                "hidden_act",
                format!("{:?}", self.hidden_act),
                "\"silu\"",
            ));
        }
        for (field, set) in [
            ("attention_bias", self.attention_bias),
            ("mlp_bias", self.mlp_bias),
        ] {
            if set {
                return Err(unsupported(field, "true".to_owned(), "false"));
            }
        }
        let mut rope_scaling = RopeScaling::None;
        for (name, rope) in [
            ("rope_scaling", &self.rope_scaling),
            ("rope_parameters", &self.rope_parameters),
        ] {
            let Some(rope) = rope else { continue };
            let found = rope.scaling(name);
            let found =
                found.map_err(|[field, found, expected]| unsupported(&field, found, &expected))?;
            if found != RopeScaling::None {
                rope_scaling = found;
            }
        }

        let heads = self.num_attention_heads;
        let kv_heads = self.num_key_value_heads.unwrap_or(heads);
        for (field, value) in [
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", heads),
            ("num_key_value_heads", kv_heads),
            ("vocab_size", self.vocab_size),
        ] {
            // A slip in one number must not ask for all the memory there is.
            let most = if field == "num_hidden_layers" {
                10_000
            } else {
                1 << 24
            };
            if value == 0 || value > most {
                return Err(unsupported(
                    field,
                    value.to_string(),
                    &format!("1 to {most}"),
                ));
            }
        }
        if !heads.is_multiple_of(kv_heads) {
            return Err(unsupported(
                "num_key_value_heads",
                kv_heads.to_string(),
                &format!("a divisor of num_attention_heads, {heads}"),
            ));
        }
        let d_head = match self.head_dim {
            Some(d_head) => d_head,
            None if self.hidden_size.is_multiple_of(heads) => self.hidden_size / heads,
            None => {
                return Err(unsupported(
                    "hidden_size",
                    self.hidden_size.to_string(),
                    &format!("a multiple of num_attention_heads, {heads}"),
                ));
            }
        };
        if d_head == 0 || d_head % 2 != 0 || d_head > 1 << 16 {
            return Err(unsupported(
                "head_dim",
                d_head.to_string(),
                "an even number",
            ));
        }
        let theta = self
            .rope_theta
            .or_else(|| self.rope_parameters.as_ref().and_then(|r| r.rope_theta))
            .unwrap_or(10_000.0);
        if !(theta.is_finite() && theta > 0.0) {
            return Err(unsupported(
                "rope_theta",
                theta.to_string(),
                "a positive number",
            ));
        }
        Ok(ModelSpec {
            family,
            layers: self.num_hidden_layers,
            d_model: self.hidden_size,
            heads,
            kv_heads,
            d_head,
            d_mlp: self.intermediate_size,
            attn_bias: qwen::has_biases(family),
            qk_norm: qwen::has_norms(family),
            vocab: self.vocab_size,
            context: match mistral::window(family, self) {
                Some(window) => self.max_position_embeddings.min(window),
                None => self.max_position_embeddings,
            },
            norm_eps: self.rms_norm_eps as f32,
            rope_theta: theta,
            rope_scaling,
            tied: self.tie_word_embeddings,
        })
    }
}

const EMBED: &str = "model.embed_tokens.weight";
const UNEMBED: &str = "lm_head.weight";

/// Whether a tensor in a file is not a weight of the model: a buffer that older files hold, or the copy of a tied
/// unembedding, which transformers ignores too.
pub fn is_no_weight(name: &str, spec: &ModelSpec) -> bool {
    name.ends_with("rotary_emb.inv_freq") || spec.tied && name == UNEMBED
}

/// The names of the weights of a model of that shape.
pub fn names(spec: &ModelSpec) -> WeightNames {
    let layer = |layer: usize| {
        let of = |part: &str, what: &str| format!("model.layers.{layer}.{part}.{what}");
        let name = |part: &str| of(part, "weight");
        let bias = |part: &str| spec.attn_bias.then(|| of(part, "bias"));
        let norm = |part: &str| spec.qk_norm.then(|| name(part));
        LayerNames {
            attn_norm: name("input_layernorm"),
            query: name("self_attn.q_proj"),
            key: name("self_attn.k_proj"),
            value: name("self_attn.v_proj"),
            output: name("self_attn.o_proj"),
            query_bias: bias("self_attn.q_proj"),
            key_bias: bias("self_attn.k_proj"),
            value_bias: bias("self_attn.v_proj"),
            query_norm: norm("self_attn.q_norm"),
            key_norm: norm("self_attn.k_norm"),
            mlp_norm: name("post_attention_layernorm"),
            gate: name("mlp.gate_proj"),
            up: name("mlp.up_proj"),
            down: name("mlp.down_proj"),
        }
    };
    WeightNames {
        embed: EMBED.to_owned(),
        layers: (0..spec.layers).map(layer).collect(),
        final_norm: "model.norm.weight".to_owned(),
        unembed: (if spec.tied { EMBED } else { UNEMBED }).to_owned(),
    }
}
