//! Gemma 3: Gemma 2 with norms of queries and keys, and a rotary embedding of their own in the layers with a window.

use std::path::Path;

use super::architecture::{Architecture, Configuration, Description, LlamaShaped};
use super::base;
use super::config::Config;
use super::gemma2::Gemma2;
use super::rope::{RopeFields, RopeParameters};
use crate::Result;
use crate::model::check::unsupported;
use crate::model::names::LayerNames;
use crate::model::{LocalRotary, ModelSpec, QueryKeyNorm, RopeScaling, Rotary, Weights};

/// Gemma 3.
pub struct Gemma3;

impl Architecture for Gemma3 {
    fn name(&self) -> &'static str {
        "gemma3_text"
    }

    fn describe(&self, config: &Configuration<'_>, _: &Weights) -> Result<Description> {
        base::read(self, config)
    }
}

impl LlamaShaped for Gemma3 {
    fn shape(&self, config: &Config, spec: &mut ModelSpec, path: &Path) -> Result<()> {
        Gemma2.shape(config, spec, path)?;
        spec.qk_norm = Some(QueryKeyNorm::Head);
        spec.local = Some(LocalRotary {
            rotary: Rotary {
                dims: spec.d_head,
                interleaved: false,
                theta: local_theta(config, path)?,
                scaling: RopeScaling::None,
            },
            layers: local_layers(config, spec.layers, path)?,
        });
        Ok(())
    }

    fn layer(&self, spec: &ModelSpec, layer: usize, names: &mut LayerNames) {
        Gemma2.layer(spec, layer, names);
    }
}

/// What a configuration calls a layer with a window.
const LOCAL: &str = "sliding_attention";

/// In older files every so many layers one is without a window.
const PATTERN: usize = 6;

/// The base of the rotary frequencies of layers with a window.
///
/// # Errors
/// A base that is no positive number; a scaling.
fn local_theta(config: &Config, path: &Path) -> Result<f64> {
    let newer = RopeFields::of(&config.rope_parameters, "sliding_attention");
    let (theta, scaling) = RopeParameters::read(path, config.rope_local_base_freq, None, newer)?;
    if scaling != RopeScaling::None {
        let field = "rope_parameters.sliding_attention.rope_type";
        let found = "a scaling".to_owned();
        return Err(unsupported(path, field, found, "\"default\""));
    }
    Ok(theta)
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
