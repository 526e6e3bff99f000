//! Llama's shape and names of weights, from which Llama-shaped families start.

use std::path::Path;

use super::architecture::{Configuration, Description, LlamaShaped};
use super::config::Config;
use super::rope::{RopeFields, RopeParameters, Rotated, THETA};
use crate::Result;
use crate::model::check::{activation, check_head, check_sizes, epsilon, even_share, unsupported};
use crate::model::keys::Keys;
use crate::model::names::{LayerNames, Linear, Norm, WeightNames};
use crate::model::{ModelSpec, NormKind, RopeScaling, Rotary};

const EMBED: &str = "model.embed_tokens.weight";
const UNEMBED: &str = "lm_head.weight";

/// What older files hold beside the weights.
const BUFFERS: &[&str] = &["rotary_emb.inv_freq"];

/// Reads a configuration of a family.
///
/// # Errors
/// A field that is missing, whose value is not supported or that contradicts another one.
pub fn read(family: &dyn LlamaShaped, config: &Configuration<'_>) -> Result<Description> {
    describe(family, &config.fields(family)?, config.path)
}

/// What a configuration of a family says, which was read from `path`.
///
/// # Errors
/// A field whose value is not supported or that contradicts another one.
pub fn describe(family: &dyn LlamaShaped, config: &Config, path: &Path) -> Result<Description> {
    let mut spec = spec(family, config, path)?;
    family.shape(config, &mut spec, path)?;
    Ok(Description {
        names: names(family, config, &spec),
        bos: config.bos_token_id,
        spec,
    })
}

/// What the metadata of a GGUF file say of a Llama-shaped model.
///
/// # Errors
/// A key that is missing, not supported or contradicts another one.
pub fn of_gguf(keys: &Keys<'_>) -> Result<Config> {
    let shape = keys.shape()?;
    let rope = RopeParameters::of_gguf(keys, shape.d_head, shape.rotated)?;
    let biases = |weight: &str| keys.has(&format!("blk.0.{weight}.bias"));
    let sizes = [shape.d_model, shape.heads, shape.d_head, shape.d_mlp];
    Ok(Config {
        num_key_value_heads: Some(shape.kv_heads),
        max_position_embeddings: shape.context,
        rms_norm_eps: keys.epsilon("attention.layer_norm_rms_epsilon")?,
        rope_parameters: Some(RopeFields::Same(rope)),
        tie_word_embeddings: Some(!keys.has("output.weight")),
        attention_bias: biases("attn_output"),
        mlp_bias: biases("ffn_down"),
        ..Config::new(shape.layers, sizes, shape.vocab)
    })
}

/// Bounds prompts by the window of attention, which is in tokens, the token itself included, if there is one: prompts that fit into
/// it are read as without. Where no field says whether attention slides, `slides` does.
pub fn within_window(config: &Config, spec: &mut ModelSpec, slides: bool) {
    let slides = config.use_sliding_window.unwrap_or(slides);
    if let Some(window) = config.sliding_window.filter(|_| slides) {
        spec.context = spec.context.min(window);
    }
}

/// What a configuration calls a layer with a window.
pub const LOCAL: &str = "sliding_attention";

/// What a configuration calls a layer without one.
pub const GLOBAL: &str = "full_attention";

/// The layers with a window. Where no field says which, one of so many layers is without.
///
/// # Errors
/// A kind that is not known; more or fewer than one for each layer.
pub fn local_layers(
    config: &Config,
    layers: usize,
    path: &Path,
    pattern: usize,
) -> Result<Vec<usize>> {
    let Some(types) = &config.layer_types else {
        let pattern = config.sliding_window_pattern.unwrap_or(pattern).max(1);
        return Ok((0..layers)
            .filter(|layer| (layer + 1) % pattern != 0)
            .collect());
    };
    let known = |kind: &&String| [LOCAL, GLOBAL].contains(&kind.as_str());
    if types.len() != layers || !types.iter().all(|kind| known(&kind)) {
        let found = format!("{types:?}");
        let expected = format!("\"{GLOBAL}\" or \"{LOCAL}\" for each of {layers} layers");
        return Err(unsupported(path, "layer_types", found, &expected));
    }
    Ok((0..layers).filter(|&layer| types[layer] == LOCAL).collect())
}

/// The base of the rotary frequencies of layers with a window: `theta` where no field says it.
///
/// # Errors
/// A base that is no positive number; a scaling.
pub fn local_theta(config: &Config, path: &Path, older: Option<f64>, of: Rotated) -> Result<f64> {
    let newer = RopeFields::of(&config.rope_parameters, LOCAL);
    let (theta, scaling) = RopeParameters::read(path, of, older, None, newer)?;
    if scaling != RopeScaling::None {
        let field = "rope_parameters.sliding_attention.rope_type";
        let found = "a scaling".to_owned();
        return Err(unsupported(path, field, found, "\"default\""));
    }
    Ok(theta)
}

/// The name of a part of a layer.
pub fn of_layer(layer: usize, part: &str) -> String {
    format!("model.layers.{layer}.{part}")
}

/// The norm of that name in a layer.
pub fn norm(layer: usize, part: &str) -> Option<Norm> {
    Some(Norm::new(format!("{}.weight", of_layer(layer, part))))
}

/// Llama's shape.
fn spec(family: &dyn LlamaShaped, config: &Config, path: &Path) -> Result<ModelSpec> {
    let heads = config.num_attention_heads;
    let kv_heads = config.num_key_value_heads.unwrap_or(heads);
    check_sizes(
        path,
        ("num_hidden_layers", config.num_hidden_layers),
        &[
            ("hidden_size", config.hidden_size),
            ("intermediate_size", config.intermediate_size),
            ("num_attention_heads", heads),
            ("num_key_value_heads", kv_heads),
            ("vocab_size", config.vocab_size),
        ],
    )?;
    if !heads.is_multiple_of(kv_heads) {
        let expected = format!("a divisor of num_attention_heads, {heads}");
        let found = kv_heads.to_string();
        return Err(unsupported(path, "num_key_value_heads", found, &expected));
    }
    let d_head = match config.head_dim {
        Some(d_head) => d_head,
        None => even_share(
            path,
            ("hidden_size", config.hidden_size),
            ("num_attention_heads", heads),
        )?,
    };
    let rope = RopeFields::global(&config.rope_parameters);
    let part = rope.and_then(|rope| rope.partial_rotary_factor);
    let part = part.or(config.partial_rotary_factor).unwrap_or(1.0);
    let dims = (d_head as f64 * part) as usize;
    check_head(path, ("head_dim", d_head), ("partial_rotary_factor", dims))?;
    let older = config.rope_scaling.as_ref();
    let of = Rotated { dims, theta: THETA };
    let (theta, scaling) = RopeParameters::read(path, of, config.rope_theta, older, rope)?;
    let (field, name) = match &config.hidden_activation {
        Some(name) => ("hidden_activation", name),
        None => ("hidden_act", &config.hidden_act),
    };
    Ok(ModelSpec {
        family: family.name(),
        layers: config.num_hidden_layers,
        d_model: config.hidden_size,
        heads,
        kv_heads,
        d_head,
        d_mlp: config.intermediate_size,
        vocab: config.vocab_size,
        context: config.max_position_embeddings,
        norm: NormKind::Rms,
        norm_eps: epsilon(path, "rms_norm_eps", config.rms_norm_eps)?,
        qk_norm: None,
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
        tied: config.tie_word_embeddings.unwrap_or(false),
    })
}

/// The names of the weights of a model of that shape.
fn names(family: &dyn LlamaShaped, config: &Config, spec: &ModelSpec) -> WeightNames {
    let layer = |layer: usize| {
        let of = |part: &str| of_layer(layer, part);
        let attention = |part: &str| Linear::new(&of(part), config.attention_bias);
        let mlp = |part: &str| Linear::new(&of(part), config.mlp_bias);
        let of_heads = |part: &str| spec.qk_norm.map(|_| format!("{}.weight", of(part)));
        let mut names = LayerNames {
            attn_norm: norm(layer, "input_layernorm"),
            query: attention("self_attn.q_proj"),
            key: attention("self_attn.k_proj"),
            value: attention("self_attn.v_proj"),
            output: attention("self_attn.o_proj"),
            query_norm: of_heads("self_attn.q_norm"),
            key_norm: of_heads("self_attn.k_norm"),
            attn_post_norm: None,
            mlp_norm: norm(layer, "post_attention_layernorm"),
            gate: Some(mlp("mlp.gate_proj")),
            up: mlp("mlp.up_proj"),
            down: mlp("mlp.down_proj"),
            mlp_post_norm: None,
        };
        family.layer(spec, layer, &mut names);
        names
    };
    WeightNames {
        embed: EMBED.to_owned(),
        positions: None,
        layers: (0..spec.layers).map(layer).collect(),
        final_norm: Norm::new("model.norm.weight".to_owned()),
        unembed: (if spec.tied { EMBED } else { UNEMBED }).to_owned(),
        unembed_bias: None,
        buffers: BUFFERS,
    }
}
