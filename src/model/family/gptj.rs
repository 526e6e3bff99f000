//! GPT-J: attention and MLP side by side after one LayerNorm, an interleaved rotary embedding, a bias of the unembedding.

use std::path::Path;

use serde::Deserialize;

use super::architecture::{Architecture, Configuration, Description};
use crate::Result;
use crate::model::check::{activation, check_head, check_sizes, epsilon, even_share};
use crate::model::names::{LayerNames, Linear, Norm, WeightNames};
use crate::model::{ModelSpec, NormKind, RopeScaling, Rotary, Weights};

/// GPT-J.
pub struct GptJ;

impl Architecture for GptJ {
    fn name(&self) -> &'static str {
        "gptj"
    }

    fn describe(&self, config: &Configuration<'_>, _: &Weights) -> Result<Description> {
        let fields: Config = config.fields(self)?;
        let spec = fields.spec(config.path)?;
        Ok(Description {
            names: names(&spec),
            bos: fields.bos_token_id,
            spec,
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
    /// How many dimensions of each head are rotated; all where it is not given.
    rotary_dim: Option<usize>,
    layer_norm_epsilon: f64,
    #[serde(default = "gelu_new")]
    activation_function: String,
    #[serde(default)]
    tie_word_embeddings: bool,
    bos_token_id: Option<u32>,
}

pub(super) fn gelu_new() -> String {
    "gelu_new".to_owned()
}

/// The base of the rotary frequencies; no field says it.
const THETA: f64 = 10_000.0;

impl Config {
    /// The shape.
    ///
    /// # Errors
    /// A field whose value is not supported or contradicts another one.
    fn spec(&self, path: &Path) -> Result<ModelSpec> {
        let (width, heads) = (("n_embd", self.n_embd), ("n_head", self.n_head));
        let d_mlp = self.n_inner.unwrap_or(4 * self.n_embd);
        let sizes = [
            width,
            heads,
            ("n_inner", d_mlp),
            ("vocab_size", self.vocab_size),
        ];
        check_sizes(path, ("n_layer", self.n_layer), &sizes)?;
        let d_head = even_share(path, width, heads)?;
        let dims = self.rotary_dim.unwrap_or(d_head);
        check_head(path, ("n_embd", d_head), ("rotary_dim", dims))?;
        Ok(ModelSpec {
            family: GptJ.name(),
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
            parallel: true,
            activation: activation(path, "activation_function", &self.activation_function)?,
            gated: false,
            rotary: Some(Rotary {
                dims,
                interleaved: true,
                theta: THETA,
                scaling: RopeScaling::None,
            }),
            local: None,
            attn_scale: 1.0 / (d_head as f64).sqrt(),
            attn_softcap: None,
            logit_softcap: None,
            embed_scale: None,
            tied: self.tie_word_embeddings,
        })
    }
}

/// The names of the weights.
fn names(spec: &ModelSpec) -> WeightNames {
    let layer = |layer: usize| {
        let of = |name: &str| format!("transformer.h.{layer}.{name}");
        let map = |name: &str| Linear::new(&of(name), false);
        let norm = Norm::with_bias(&of("ln_1"));
        LayerNames {
            attn_norm: Some(norm.clone()),
            query: map("attn.q_proj"),
            key: map("attn.k_proj"),
            value: map("attn.v_proj"),
            output: map("attn.out_proj"),
            query_norm: None,
            key_norm: None,
            attn_post_norm: None,
            mlp_norm: Some(norm),
            gate: None,
            up: Linear::new(&of("mlp.fc_in"), true),
            down: Linear::new(&of("mlp.fc_out"), true),
            mlp_post_norm: None,
        }
    };
    let embed = "transformer.wte.weight";
    WeightNames {
        embed: embed.to_owned(),
        positions: None,
        layers: (0..spec.layers).map(layer).collect(),
        final_norm: Norm::with_bias("transformer.ln_f"),
        unembed: (if spec.tied { embed } else { "lm_head.weight" }).to_owned(),
        buffers: BUFFERS,
        unembed_bias: Some("lm_head.bias".to_owned()),
    }
}
