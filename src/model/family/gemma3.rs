//! Gemma 3: Gemma 2 with norms of queries and keys, and a rotary embedding of their own in the layers with a window.

use std::path::Path;

use serde_json::Value;

use super::architecture::{Architecture, Configuration, Description, InGguf, LlamaShaped};
use super::base;
use super::config::Config;
use super::gemma2::{Gemma2, gemma};
use super::rope::{RopeFields, RopeParameters, THETA};
use crate::Result;
use crate::model::check::unsupported;
use crate::model::keys::Keys;
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

    fn gguf(&self) -> Option<InGguf> {
        Some(InGguf {
            architecture: "gemma3",
            class: "Gemma3ForCausalLM",
            interleaved: false,
            config: of_gguf,
        })
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

/// What a configuration calls a layer without one.
const GLOBAL: &str = "full_attention";

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
    let known = |kind: &&String| [LOCAL, GLOBAL].contains(&kind.as_str());
    if types.len() != layers || !types.iter().all(|kind| known(&kind)) {
        let found = format!("{types:?}");
        let expected = format!("\"{GLOBAL}\" or \"{LOCAL}\" for each of {layers} layers");
        return Err(unsupported(path, "layer_types", found, &expected));
    }
    Ok((0..layers).filter(|&layer| types[layer] == LOCAL).collect())
}

/// Gemma 3 27B has so many layers.
const LAYERS_OF_27B: usize = 62;

/// What the metadata of a GGUF file say. Layers have a window only where the file says how long it is; their frequencies are not scaled.
fn of_gguf(keys: &Keys<'_>) -> Result<Value> {
    let mut config = gemma(keys, LAYERS_OF_27B)?;
    let window = keys.size_if("attention.sliding_window")?;
    let window = window.filter(|window| *window > 0);
    let layers = config.num_hidden_layers;
    let slides = match window {
        Some(_) => keys.pattern("attention.sliding_window_pattern", layers, PATTERN)?,
        None => vec![false; layers],
    };
    let kind = |slides: &bool| (if *slides { LOCAL } else { GLOBAL }).to_owned();
    config.layer_types = Some(slides.iter().map(kind).collect());
    config.sliding_window = window;
    config.final_logit_softcapping = keys.positive_if("final_logit_softcapping")?;
    let local = RopeParameters {
        rope_type: Some("default".to_owned()),
        rope_theta: Some(keys.positive_if("rope.freq_base_swa")?.unwrap_or(THETA)),
        ..RopeParameters::default()
    };
    config.rope_parameters = config
        .rope_parameters
        .take()
        .map(|rope| rope.with(GLOBAL, LOCAL, local));
    Ok(config.to_json())
}
