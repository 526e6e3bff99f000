//! GPT-NeoX (Pythia): attention and MLP side by side, LayerNorm, biases, a part of each head rotated, and of every head queries, keys and
//! values one after another in one matrix.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::architecture::{Architecture, Configuration, Description, InGguf};
use super::rope::{RopeFields, RopeParameters, Rotated, THETA};
use crate::Result;
use crate::model::check::{activation, check_head, check_sizes, epsilon, even_share};
use crate::model::keys::Keys;
use crate::model::names::{LayerNames, Linear, Norm, Outputs, WeightNames};
use crate::model::{ModelSpec, NormKind, Rotary, Weights};

/// Pythia.
pub struct GptNeoX;

impl Architecture for GptNeoX {
    fn name(&self) -> &'static str {
        "gpt_neox"
    }

    fn describe(&self, config: &Configuration<'_>, _: &Weights) -> Result<Description> {
        let fields: Config = config.fields(self)?;
        let spec = fields.spec(config.path)?;
        Ok(Description {
            names: fields.names(&spec),
            bos: fields.bos_token_id,
            spec,
        })
    }

    fn gguf(&self) -> Option<InGguf> {
        Some(InGguf {
            architecture: "gptneox",
            class: "GPTNeoXForCausalLM",
            interleaved: false,
            config: of_gguf,
        })
    }
}

/// What older files hold beside the weights.
const BUFFERS: &[&str] = &[
    ".attention.bias",
    ".attention.masked_bias",
    "rotary_emb.inv_freq",
];

/// `config.json`; fields that do not change the graph are ignored.
#[derive(Debug, Deserialize)]
struct Config {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    layer_norm_eps: f64,
    #[serde(default = "gelu")]
    hidden_act: String,
    /// The part of each head that is rotated, and the base, as older files spell them.
    rotary_pct: Option<f64>,
    rotary_emb_base: Option<f64>,
    rope_scaling: Option<RopeParameters>,
    rope_parameters: Option<RopeFields>,
    #[serde(default = "yes")]
    use_parallel_residual: bool,
    #[serde(default = "yes")]
    attention_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    bos_token_id: Option<u32>,
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn yes() -> bool {
    true
}

/// What is rotated where no field says so.
const ROTATED: f64 = 0.25;

impl Config {
    /// The shape.
    ///
    /// # Errors
    /// A field whose value is not supported or contradicts another one.
    fn spec(&self, path: &Path) -> Result<ModelSpec> {
        let heads = ("num_attention_heads", self.num_attention_heads);
        let hidden = ("hidden_size", self.hidden_size);
        check_sizes(
            path,
            ("num_hidden_layers", self.num_hidden_layers),
            &[
                hidden,
                ("intermediate_size", self.intermediate_size),
                heads,
                ("vocab_size", self.vocab_size),
            ],
        )?;
        let d_head = even_share(path, hidden, heads)?;
        let rope = RopeFields::global(&self.rope_parameters);
        let part = rope.and_then(|rope| rope.partial_rotary_factor);
        let part = part.or(self.rotary_pct).unwrap_or(ROTATED);
        let dims = (d_head as f64 * part) as usize;
        check_head(path, ("hidden_size", d_head), ("rotary_pct", dims))?;
        let older = self.rope_scaling.as_ref();
        let of = Rotated { dims, theta: THETA };
        let (theta, scaling) = RopeParameters::read(path, of, self.rotary_emb_base, older, rope)?;
        Ok(ModelSpec {
            family: GptNeoX.name(),
            layers: self.num_hidden_layers,
            d_model: self.hidden_size,
            heads: heads.1,
            kv_heads: heads.1,
            d_head,
            d_mlp: self.intermediate_size,
            vocab: self.vocab_size,
            context: self.max_position_embeddings,
            norm: NormKind::Layer,
            norm_eps: epsilon(path, "layer_norm_eps", self.layer_norm_eps)?,
            qk_norm: None,
            parallel: self.use_parallel_residual,
            activation: activation(path, "hidden_act", &self.hidden_act)?,
            gated: false,
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
            tied: self.tie_word_embeddings,
        })
    }

    /// The names of the weights.
    fn names(&self, spec: &ModelSpec) -> WeightNames {
        let layer = |layer: usize| {
            let of = |name: &str| format!("gpt_neox.layers.{layer}.{name}");
            let bias = self.attention_bias;
            let part = |part: usize| {
                let heads = spec.heads;
                let outputs = Outputs::OfEveryHead {
                    part,
                    parts: 3,
                    heads,
                };
                Linear::new(&of("attention.query_key_value"), bias).of(outputs)
            };
            LayerNames {
                attn_norm: Some(Norm::with_bias(&of("input_layernorm"))),
                query: part(0),
                key: part(1),
                value: part(2),
                output: Linear::new(&of("attention.dense"), bias),
                query_norm: None,
                key_norm: None,
                attn_post_norm: None,
                mlp_norm: Some(Norm::with_bias(&of("post_attention_layernorm"))),
                gate: None,
                up: Linear::new(&of("mlp.dense_h_to_4h"), true),
                down: Linear::new(&of("mlp.dense_4h_to_h"), true),
                mlp_post_norm: None,
            }
        };
        let embed = "gpt_neox.embed_in.weight";
        WeightNames {
            embed: embed.to_owned(),
            positions: None,
            layers: (0..spec.layers).map(layer).collect(),
            final_norm: Norm::with_bias("gpt_neox.final_layer_norm"),
            unembed: (if spec.tied { embed } else { "embed_out.weight" }).to_owned(),
            buffers: BUFFERS,
            unembed_bias: None,
        }
    }
}

/// GPT-NeoX-20B has so many layers, and an activation of its own.
const LAYERS_OF_20B: usize = 44;

/// What the metadata of a GGUF file say. No key says the activation.
fn of_gguf(keys: &Keys<'_>) -> Result<Value> {
    let shape = keys.shape()?;
    if shape.kv_heads != shape.heads {
        let expected = format!("{}, as many as query heads", shape.heads);
        return Err(keys.refuse("attention.head_count_kv", shape.kv_heads, &expected));
    }
    keys.only("attention.key_length", (shape.d_model / shape.heads) as f64)?;
    let parallel = keys.flag_if("use_parallel_residual")?;
    Ok(json!({
        "hidden_size": shape.d_model,
        "intermediate_size": shape.d_mlp,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "vocab_size": shape.vocab,
        "max_position_embeddings": shape.context,
        "layer_norm_eps": keys.epsilon("attention.layer_norm_epsilon")?,
        "hidden_act": if shape.layers == LAYERS_OF_20B { "gelu_fast" } else { "gelu" },
        "rope_parameters": RopeParameters::of_gguf(keys, shape.d_head, shape.rotated)?,
        "use_parallel_residual": parallel.unwrap_or(true),
        "attention_bias": keys.has("blk.0.attn_qkv.bias"),
        "tie_word_embeddings": !keys.has("output.weight"),
    }))
}
