//! The configuration of a Llama-shaped model, as Hugging Face writes it.

use serde::{Deserialize, Serialize};

use super::rope::{RopeFields, RopeParameters};

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
    /// Base and scaling of the rotary frequencies, as transformers 5 spells them.
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
    /// Whether a token sees only so many; a family's own default where it is not given.
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
    /// The reciprocal of the square of what attention scores are multiplied by.
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

fn silu() -> String {
    "silu".to_owned()
}

impl Config {
    /// The fields of `config.json`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a configuration is plain data")
    }

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
}
