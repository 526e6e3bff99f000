//! Phi-3: Llama whose queries, keys and values are one matrix, and gate and up another.

use std::path::Path;

use serde_json::Value;

use super::architecture::{Architecture, Configuration, Description, InGguf, LlamaShaped};
use super::base;
use super::config::Config;
use crate::Result;
use crate::model::check::unsupported;
use crate::model::keys::Keys;
use crate::model::names::{LayerNames, Linear, Outputs};
use crate::model::{ModelSpec, Weights};

/// Phi-3.
pub struct Phi3;

impl Architecture for Phi3 {
    fn name(&self) -> &'static str {
        "phi3"
    }

    fn describe(&self, config: &Configuration<'_>, _: &Weights) -> Result<Description> {
        base::read(self, config)
    }

    fn gguf(&self) -> Option<InGguf> {
        Some(InGguf {
            architecture: "phi3",
            class: "Phi3ForCausalLM",
            interleaved: false,
            config: of_gguf,
        })
    }
}

impl LlamaShaped for Phi3 {
    fn shape(&self, config: &Config, spec: &mut ModelSpec, _: &Path) -> Result<()> {
        base::within_window(config, spec, true);
        Ok(())
    }

    /// Gives the maps of a layer their places in the fused matrices.
    fn layer(&self, spec: &ModelSpec, layer: usize, names: &mut LayerNames) {
        let (q, kv) = (spec.heads * spec.d_head, spec.kv_heads * spec.d_head);
        let map = |name: &str, first: usize, of: usize| {
            Linear::new(&base::of_layer(layer, name), false).of(Outputs::From { first, of })
        };
        let attention = |first: usize| map("self_attn.qkv_proj", first, q + 2 * kv);
        names.query = attention(0);
        names.key = attention(q);
        names.value = attention(q + kv);
        names.gate = Some(map("mlp.gate_up_proj", 0, 2 * spec.d_mlp));
        names.up = map("mlp.gate_up_proj", spec.d_mlp, 2 * spec.d_mlp);
    }
}

/// What the metadata of a GGUF file say; no window is written as one of 0 tokens.
fn of_gguf(keys: &Keys<'_>) -> Result<Value> {
    for tensor in ["rope_factors_long.weight", "rope_factors_short.weight"] {
        if keys.has(tensor) {
            let found = "there: rotary frequencies of long texts";
            return Err(unsupported(
                keys.path(),
                tensor,
                found.to_owned(),
                "frequencies without factors, as those of the 4k models",
            ));
        }
    }
    let mut config = base::of_gguf(keys)?;
    let window = keys.size_if("attention.sliding_window")?;
    config.sliding_window = window.filter(|window| *window > 0);
    Ok(config.to_json())
}
