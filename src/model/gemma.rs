//! Gemma 2 and 3: norms before and after attention and MLP, a scaled embedding, soft caps; in Gemma 3 norms of queries and keys, and a
//! rotary embedding of their own in the layers with a window.

use std::path::Path;

use super::family::unsupported;
use super::llama::Config;
use super::names::{LayerNames, Norm};
use super::{Family, LocalRotary, ModelSpec, NormKind, QueryKeyNorm, RopeScaling, Rotary};
use crate::Result;

/// What a configuration calls a layer with a window.
const LOCAL: &str = "sliding_attention";

/// In older files every so many layers one is without a window.
const PATTERN: usize = 6;

/// Completes the shape of a Llama with what a Gemma has of its own.
///
/// # Errors
/// A field that is missing or not supported.
pub fn complete(config: &Config, spec: &mut ModelSpec, path: &Path) -> Result<()> {
    if config.use_bidirectional_attention == Some(true) {
        let field = "use_bidirectional_attention";
        return Err(unsupported(path, field, "true".to_owned(), "false"));
    }
    let Some(scalar) = config.query_pre_attn_scalar else {
        let field = "query_pre_attn_scalar";
        return Err(unsupported(
            path,
            field,
            "nothing".to_owned(),
            "a positive number",
        ));
    };
    for (field, value) in [
        ("query_pre_attn_scalar", Some(scalar)),
        ("attn_logit_softcapping", config.attn_logit_softcapping),
        ("final_logit_softcapping", config.final_logit_softcapping),
    ] {
        if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 0.0)) {
            let found = value.to_string();
            return Err(unsupported(path, field, found, "a positive number"));
        }
    }
    spec.norm = NormKind::RmsPlusOne;
    spec.attn_scale = scalar.powf(-0.5);
    spec.attn_softcap = config.attn_logit_softcapping.map(|cap| cap as f32);
    spec.logit_softcap = config.final_logit_softcapping.map(|cap| cap as f32);
    spec.embed_scale = Some((spec.d_model as f64).sqrt() as f32);
    if spec.family == Family::Gemma3 {
        spec.qk_norm = Some(QueryKeyNorm::Head);
        spec.local = Some(LocalRotary {
            rotary: Rotary {
                dims: spec.d_head,
                interleaved: false,
                theta: config.local_theta(path)?,
                scaling: RopeScaling::None,
            },
            layers: local_layers(config, spec.layers, path)?,
        });
    }
    Ok(())
}

/// The layers with a window.
fn local_layers(config: &Config, layers: usize, path: &Path) -> Result<Vec<usize>> {
    let Some(types) = &config.layer_types else {
        let pattern = config.sliding_window_pattern.unwrap_or(PATTERN).max(1);
        return Ok((0..layers)
            .filter(|layer| (layer + 1) % pattern != 0)
            .collect());
    };
    let known = |kind: &&String| [LOCAL, "full_attention"].contains(&kind.as_str());
    if types.len() != layers || !types.iter().all(|kind| known(&kind)) {
        let found = format!("{types:?}");
        let expected = format!("\"full_attention\" or \"{LOCAL}\" for each of {layers} layers");
        return Err(unsupported(path, "layer_types", found, &expected));
    }
    Ok((0..layers).filter(|&layer| types[layer] == LOCAL).collect())
}

/// Gives a layer its four norms.
pub fn norm_twice(names: &mut LayerNames, layer: usize) {
    let norm = |name: &str| Some(Norm::new(format!("model.layers.{layer}.{name}.weight")));
    names.attn_norm = norm("input_layernorm");
    names.attn_post_norm = norm("post_attention_layernorm");
    names.mlp_norm = norm("pre_feedforward_layernorm");
    names.mlp_post_norm = norm("post_feedforward_layernorm");
}
