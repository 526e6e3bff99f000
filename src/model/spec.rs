//! The shape of a decoder-only transformer: what its configuration says, in one vocabulary for all families.

use serde::Serialize;

/// The norm of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormKind {
    /// Root-mean-square norm.
    Rms,
    /// Root-mean-square norm whose weight is stored less one, as Gemma's.
    RmsPlusOne,
    /// LayerNorm.
    Layer,
}

/// The norm of queries and keys before they are rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueryKeyNorm {
    /// A norm of every head by itself.
    Head,
    /// A norm of all heads together.
    Whole,
}

/// The activation of the MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// GELU by the error function.
    Gelu,
    /// GELU by the hyperbolic tangent.
    GeluTanh,
}

impl Activation {
    /// What [`Self::named`] knows.
    pub const NAMES: &str =
        "\"silu\", \"gelu\", \"gelu_new\", \"gelu_fast\" or \"gelu_pytorch_tanh\"";

    /// The one that a configuration names.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "silu" | "swish" => Self::Silu,
            "gelu" => Self::Gelu,
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Self::GeluTanh,
            _ => return None,
        })
    }
}

/// How rotary frequencies are changed so that a model reads longer texts than it was first trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "rope_type", rename_all = "lowercase")]
pub enum RopeScaling {
    /// The frequencies are not changed.
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
    /// The slow pairs are divided by a factor, the fast ones stay, those between are interpolated by their place; cosines and sines are
    /// multiplied (Peng et al. 2023, arXiv 2309.00071, `_compute_yarn_parameters` of transformers).
    Yarn {
        /// The factor.
        factor: f64,
        /// By what cosines and sines are multiplied.
        attention: f64,
        /// The place of the last pair that stays, a whole number where the configuration does not say otherwise.
        first: f64,
        /// The place of the first pair that is divided.
        last: f64,
    },
}

impl RopeScaling {
    /// The frequency of pair `i`, in radians a position, changed.
    pub(super) fn change(self, i: usize, frequency: f64) -> f64 {
        match self {
            Self::None => frequency,
            Self::Yarn {
                factor,
                first,
                last,
                ..
            } => {
                let divided = ((i as f64 - first) / (last - first)).clamp(0.0, 1.0);
                frequency * (divided / factor + (1.0 - divided))
            }
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

/// Rotary embedding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rotary {
    /// How many of a head's dimensions are rotated, the first ones; even.
    pub dims: usize,
    /// Whether pairs are neighbours; else they are the two halves.
    pub interleaved: bool,
    /// The base of the frequencies.
    pub theta: f64,
    /// How these are scaled.
    pub scaling: RopeScaling,
}

impl Rotary {
    /// The frequencies `theta^(-2 i / dims)`, scaled, in radians a position, `[dims / 2] f32`.
    pub fn frequencies(&self) -> Vec<f32> {
        (0..self.dims / 2)
            .map(|i| {
                let exponent = -2.0 * i as f64 / self.dims as f64;
                self.scaling.change(i, self.theta.powf(exponent)) as f32
            })
            .collect()
    }

    /// By what cosines and sines are multiplied; `None` where they are not.
    pub fn attention(&self) -> Option<f32> {
        match self.scaling {
            RopeScaling::Yarn { attention, .. } if attention != 1.0 => Some(attention as f32),
            _ => None,
        }
    }
}

/// Rotary embedding of some layers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LocalRotary {
    /// The embedding.
    pub rotary: Rotary,
    /// The layers.
    pub layers: Vec<usize>,
}

/// The sizes and constants of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// The name of its family, as configurations say it.
    pub family: &'static str,
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
    /// Number of tokens.
    pub vocab: usize,
    /// Longest prompt in tokens: no longer than a sliding window, so that every token sees all before it.
    pub context: usize,
    /// The norms.
    pub norm: NormKind,
    /// The constant under their roots.
    pub norm_eps: f32,
    /// The norm of queries and keys, if there is one.
    pub qk_norm: Option<QueryKeyNorm>,
    /// Whether attention and MLP read the same stream, side by side.
    pub parallel: bool,
    /// The activation of the MLP.
    pub activation: Activation,
    /// Whether the MLP is gated.
    pub gated: bool,
    /// The rotary embedding, if positions are not learned.
    pub rotary: Option<Rotary>,
    /// The rotary embedding of layers with a window, if it is another one.
    pub local: Option<LocalRotary>,
    /// By what attention scores are multiplied.
    pub attn_scale: f64,
    /// The cap of attention scores, if there is one.
    pub attn_softcap: Option<f32>,
    /// The cap of logits, if there is one.
    pub logit_softcap: Option<f32>,
    /// By what embedded tokens are multiplied, if by something.
    pub embed_scale: Option<f32>,
    /// Whether the unembedding is the embedding.
    pub tied: bool,
}

/// The sizes of a model that every experiment needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Number of layers, `L`.
    pub layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Width of the MLP, where it is known.
    pub d_mlp: Option<usize>,
    /// Number of tokens.
    pub vocab: usize,
    /// Longest prompt in tokens, where there is a limit.
    pub context: Option<usize>,
}

impl ModelSpec {
    /// The sizes of the model.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            layers: self.layers,
            d_model: self.d_model,
            heads: self.heads,
            d_mlp: Some(self.d_mlp),
            vocab: self.vocab,
            context: Some(self.context),
        }
    }

    /// Floating-point operations of the matrix products with weights when so many tokens of a prompt run through the layers
    /// from `from` on and the last one to the logits, two a multiply-add.
    pub fn products(&self, from: usize, tokens: usize) -> u64 {
        let (q, kv) = (self.heads * self.d_head, self.kv_heads * self.d_head);
        let of_mlp = if self.gated { 3 } else { 2 };
        let layer = self.d_model * (2 * q + 2 * kv + of_mlp * self.d_mlp);
        2 * ((self.layers - from) * tokens * layer + self.vocab * self.d_model) as u64
    }
}
