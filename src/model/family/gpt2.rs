//! GPT-2: learned positions, LayerNorm, and matrices that are stored `[in, out]`, queries, keys and values in one.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::architecture::{Architecture, Configuration, Description, InGguf};
use super::gptj::gelu_new;
use crate::Result;
use crate::model::check::{activation, check_sizes, epsilon, even_share, unsupported};
use crate::model::keys::Keys;
use crate::model::names::{LayerNames, Linear, Norm, Outputs, WeightNames};
use crate::model::{ModelSpec, NormKind, Weights};

/// GPT-2.
pub struct Gpt2;

impl Architecture for Gpt2 {
    fn name(&self) -> &'static str {
        "gpt2"
    }

    fn describe(&self, config: &Configuration<'_>, weights: &Weights) -> Result<Description> {
        let fields: Config = config.fields(self)?;
        let spec = fields.spec(config.path)?;
        Ok(Description {
            names: names(&spec, weights),
            bos: fields.bos_token_id,
            spec,
        })
    }

    fn gguf(&self) -> Option<InGguf> {
        Some(InGguf {
            architecture: "gpt2",
            class: "GPT2LMHeadModel",
            interleaved: false,
            config: of_gguf,
        })
    }
}

/// What older files hold beside the weights.
const BUFFERS: &[&str] = &[".attn.bias", ".attn.masked_bias"];

/// `config.json`; fields that do not change the graph are ignored.
#[derive(Debug, Deserialize)]
struct Config {
    n_embd: usize,
    n_layer: usize,
    n_head: usize,
    n_inner: Option<usize>,
    n_positions: usize,
    vocab_size: usize,
    layer_norm_epsilon: f64,
    #[serde(default = "gelu_new")]
    activation_function: String,
    #[serde(default = "yes")]
    scale_attn_weights: bool,
    #[serde(default)]
    scale_attn_by_inverse_layer_idx: bool,
    #[serde(default)]
    add_cross_attention: bool,
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
    bos_token_id: Option<u32>,
}

fn yes() -> bool {
    true
}

impl Config {
    /// The shape.
    ///
    /// # Errors
    /// A field whose value is not supported or contradicts another one.
    fn spec(&self, path: &Path) -> Result<ModelSpec> {
        let (width, heads) = (("n_embd", self.n_embd), ("n_head", self.n_head));
        let d_mlp = self.n_inner.unwrap_or(4 * self.n_embd);
        let positions = ("n_positions", self.n_positions);
        let vocab = ("vocab_size", self.vocab_size);
        let sizes = [width, heads, ("n_inner", d_mlp), positions, vocab];
        check_sizes(path, ("n_layer", self.n_layer), &sizes)?;
        for (field, found, supported) in [
            (
                "scale_attn_by_inverse_layer_idx",
                self.scale_attn_by_inverse_layer_idx,
                false,
            ),
            ("add_cross_attention", self.add_cross_attention, false),
        ] {
            if found != supported {
                let found = found.to_string();
                return Err(unsupported(path, field, found, &supported.to_string()));
            }
        }
        let d_head = even_share(path, width, heads)?;
        Ok(ModelSpec {
            family: Gpt2.name(),
            layers: self.n_layer,
            d_model: self.n_embd,
            heads: self.n_head,
            kv_heads: self.n_head,
            d_head,
            d_mlp,
            vocab: self.vocab_size,
            context: self.n_positions,
            norm: NormKind::Layer,
            norm_eps: epsilon(path, "layer_norm_epsilon", self.layer_norm_epsilon)?,
            qk_norm: None,
            parallel: false,
            activation: activation(path, "activation_function", &self.activation_function)?,
            gated: false,
            rotary: None,
            local: None,
            attn_scale: match self.scale_attn_weights {
                true => 1.0 / (d_head as f64).sqrt(),
                false => 1.0,
            },
            attn_softcap: None,
            logit_softcap: None,
            embed_scale: None,
            tied: self.tie_word_embeddings,
        })
    }
}

/// The names of the weights; the first files have them without `transformer.`.
fn names(spec: &ModelSpec, weights: &Weights) -> WeightNames {
    let bare = weights.has("wte.weight");
    let prefix = if bare { "" } else { "transformer." };
    let layer = |layer: usize| {
        let of = |name: &str| format!("{prefix}h.{layer}.{name}");
        let map = |name: &str| Linear::new(&of(name), true).transposed();
        let part = |part: usize| {
            map("attn.c_attn").of(Outputs::From {
                first: part * spec.d_model,
                of: 3 * spec.d_model,
            })
        };
        LayerNames {
            attn_norm: Some(Norm::with_bias(&of("ln_1"))),
            query: part(0),
            key: part(1),
            value: part(2),
            output: map("attn.c_proj"),
            query_norm: None,
            key_norm: None,
            attn_post_norm: None,
            mlp_norm: Some(Norm::with_bias(&of("ln_2"))),
            gate: None,
            up: map("mlp.c_fc"),
            down: map("mlp.c_proj"),
            mlp_post_norm: None,
        }
    };
    let embed = format!("{prefix}wte.weight");
    WeightNames {
        positions: Some(format!("{prefix}wpe.weight")),
        layers: (0..spec.layers).map(layer).collect(),
        final_norm: Norm::with_bias(&format!("{prefix}ln_f")),
        unembed: (if spec.tied { &embed } else { "lm_head.weight" }).to_owned(),
        buffers: BUFFERS,
        unembed_bias: None,
        embed,
    }
}

/// What the metadata of a GGUF file say.
fn of_gguf(keys: &Keys<'_>) -> Result<Value> {
    let shape = keys.shape()?;
    if shape.kv_heads != shape.heads {
        let expected = format!("{}, as many as query heads", shape.heads);
        return Err(keys.refuse("attention.head_count_kv", shape.kv_heads, &expected));
    }
    keys.only("attention.key_length", (shape.d_model / shape.heads) as f64)?;
    Ok(json!({
        "n_embd": shape.d_model,
        "n_layer": shape.layers,
        "n_head": shape.heads,
        "n_inner": shape.d_mlp,
        "n_positions": shape.context,
        "vocab_size": shape.vocab,
        "layer_norm_epsilon": keys.epsilon("attention.layer_norm_epsilon")?,
        "activation_function": gelu_new(),
        "tie_word_embeddings": !keys.has("output.weight"),
    }))
}
