//! Gemma 3: Gemma 2 with norms of queries and keys, and a rotary embedding of their own in the layers with a window.

use std::path::Path;

use serde_json::Value;

use super::architecture::{Architecture, Configuration, Description, InGguf, LlamaShaped};
use super::base::{self, GLOBAL, LOCAL, local_layers, local_theta};
use super::config::Config;
use super::gemma2::{Gemma2, gemma};
use super::rope::{RopeParameters, Rotated, THETA};
use crate::Result;
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
        let of = Rotated {
            dims: spec.d_head,
            theta: THETA,
        };
        let theta = local_theta(config, path, config.rope_local_base_freq, of)?;
        spec.local = Some(LocalRotary {
            rotary: Rotary {
                dims: spec.d_head,
                interleaved: false,
                theta,
                scaling: RopeScaling::None,
            },
            layers: local_layers(config, spec.layers, path, PATTERN)?,
        });
        Ok(())
    }

    fn layer(&self, spec: &ModelSpec, layer: usize, names: &mut LayerNames) {
        Gemma2.layer(spec, layer, names);
    }
}

/// In older files every so many layers one is without a window.
const PATTERN: usize = 6;

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
