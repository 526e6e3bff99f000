//! Qwen 2 and 2.5: Llama with biases of queries, keys and values. No field of a configuration says so.

use std::path::Path;

use super::architecture::{Architecture, Configuration, Description, InGguf, LlamaShaped};
use super::base;
use super::config::Config;
use crate::Result;
use crate::model::names::{LayerNames, Linear};
use crate::model::{ModelSpec, Weights};

/// Qwen 2 and 2.5.
pub struct Qwen2;

impl Architecture for Qwen2 {
    fn name(&self) -> &'static str {
        "qwen2"
    }

    fn describe(&self, config: &Configuration<'_>, _: &Weights) -> Result<Description> {
        base::read(self, config)
    }

    fn gguf(&self) -> Option<InGguf> {
        Some(InGguf {
            architecture: "qwen2",
            class: "Qwen2ForCausalLM",
            interleaved: false,
            config: |keys| base::of_gguf(keys).map(|config| config.to_json()),
        })
    }
}

impl LlamaShaped for Qwen2 {
    fn shape(&self, config: &Config, spec: &mut ModelSpec, _: &Path) -> Result<()> {
        // Only with the switch, and then in some layers: the window bounds all.
        base::within_window(config, spec, false);
        Ok(())
    }

    fn layer(&self, _: &ModelSpec, layer: usize, names: &mut LayerNames) {
        let map = |part: &str| Linear::new(&base::of_layer(layer, part), true);
        names.query = map("self_attn.q_proj");
        names.key = map("self_attn.k_proj");
        names.value = map("self_attn.v_proj");
    }
}
