//! The shape of a decoder-only transformer: what its configuration says, in one vocabulary for all families.

use std::fmt;

use serde::Serialize;

/// A family of architectures that share one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Pre-norm RMSNorm, rotary embedding in the half-split layout, grouped-query attention, SwiGLU, no biases.
    Llama,
    /// As Llama, with attention limited to a window.
    Mistral,
    /// As Llama, with biases of queries, keys and values.
    Qwen2,
    /// As Llama, with norms of queries and keys.
    Qwen3,
}

impl Family {
    /// All of them.
    const ALL: [Self; 4] = [Self::Llama, Self::Mistral, Self::Qwen2, Self::Qwen3];

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
        })
    }
}

/// How rotary frequencies are changed so that a model reads longer texts than it was first trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "rope_type", rename_all = "lowercase")]
pub enum RopeScaling {
    /// They are not.
    #[default]
    #[serde(rename = "default")]
    None,
    /// All are divided by a factor: positions are interpolated (Chen et al. 2023, arXiv 2306.15595).
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Low frequencies are divided by a factor, high ones stay, those between are interpolated (Llama 3.1,
    /// `_compute_llama3_parameters` of transformers).
    Llama3 {
        /// The factor.
        factor: f64,
        /// Frequencies with fewer turns than this in the original length are low.
        low: f64,
        /// Frequencies with more turns than this in the original length are high.
        high: f64,
        /// The original length in positions.
        original: f64,
    },
}

impl RopeScaling {
    /// A frequency in radians a position, changed.
    fn change(self, frequency: f64) -> f64 {
        match self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 {
                factor,
                low,
                high,
                original,
            } => {
                let turns = original * frequency / std::f64::consts::TAU;
                if turns < low {
                    frequency / factor
                } else if turns > high {
                    frequency
                } else {
                    let smooth = (turns - low) / (high - low);
                    (1.0 - smooth) * frequency / factor + smooth * frequency
                }
            }
        }
    }
}

/// The sizes and constants of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// Which graph the model is.
    pub family: Family,
    /// Number of layers, `L`.
    pub layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head; even.
    pub d_head: usize,
    /// Width of the MLP.
    pub d_mlp: usize,
    /// Whether queries, keys and values have biases.
    pub attn_bias: bool,
    /// Whether every head's queries and keys have a root-mean-square norm before they are rotated.
    pub qk_norm: bool,
    /// Number of tokens.
    pub vocab: usize,
    /// Longest prompt in tokens: no longer than a sliding window, so that every token sees all before it.
    pub context: usize,
    /// The constant under the root of the norms.
    pub norm_eps: f32,
    /// The base of the rotary frequencies.
    pub rope_theta: f64,
    /// How these are scaled.
    pub rope_scaling: RopeScaling,
    /// Whether the unembedding is the embedding.
    pub tied: bool,
}

impl ModelSpec {
    /// The rotary frequencies `theta^(-2 i / d_head)`, scaled, in radians a position, `[d_head / 2] f32`.
    pub fn rotary_frequencies(&self) -> Vec<f32> {
        (0..self.d_head / 2)
            .map(|i| {
                let exponent = -2.0 * i as f64 / self.d_head as f64;
                self.rope_scaling.change(self.rope_theta.powf(exponent)) as f32
            })
            .collect()
    }

    /// Floating-point operations of the matrix products with weights when so many tokens of a prompt run through the layers
    /// from `from` on and the last one to the logits, two a multiply-add.
    pub fn products(&self, from: usize, tokens: usize) -> u64 {
        let (q, kv) = (self.heads * self.d_head, self.kv_heads * self.d_head);
        let layer = self.d_model * (2 * q + 2 * kv + 3 * self.d_mlp);
        2 * ((self.layers - from) * tokens * layer + self.vocab * self.d_model) as u64
    }

    /// The number of weights, tied ones counted once.
    pub fn parameters(&self) -> u64 {
        let (d, q, kv) = (
            self.d_model as u64,
            (self.heads * self.d_head) as u64,
            (self.kv_heads * self.d_head) as u64,
        );
        let biases = if self.attn_bias { q + 2 * kv } else { 0 };
        let norms = if self.qk_norm {
            2 * self.d_head as u64
        } else {
            0
        };
        let layer = d * (2 * q + 2 * kv + 3 * self.d_mlp as u64 + 2) + biases + norms;
        let embeddings = if self.tied { 1 } else { 2 };
        layer * self.layers as u64 + d + embeddings * self.vocab as u64 * d
    }
}
