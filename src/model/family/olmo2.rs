//! OLMo 2: Llama that norms what attention and MLP add instead of what they read, and whole queries and keys.

use std::path::Path;

use serde_json::Value;

use super::architecture::{Architecture, Configuration, Description, InGguf, LlamaShaped};
use super::base;
use super::config::Config;
use crate::Result;
use crate::model::keys::Keys;
use crate::model::names::LayerNames;
use crate::model::{ModelSpec, QueryKeyNorm, Weights};

/// OLMo 2.
pub struct Olmo2;

impl Architecture for Olmo2 {
    fn name(&self) -> &'static str {
        "olmo2"
    }

    fn describe(&self, config: &Configuration<'_>, _: &Weights) -> Result<Description> {
        base::read(self, config)
    }

    fn gguf(&self) -> Option<InGguf> {
        Some(InGguf {
            architecture: "olmo2",
            class: "Olmo2ForCausalLM",
            interleaved: false,
            config: of_gguf,
        })
    }
}

impl LlamaShaped for Olmo2 {
    fn shape(&self, _: &Config, spec: &mut ModelSpec, _: &Path) -> Result<()> {
        spec.qk_norm = Some(QueryKeyNorm::Whole);
        Ok(())
    }

    /// Moves the norms of a layer behind attention and MLP.
    fn layer(&self, _: &ModelSpec, layer: usize, names: &mut LayerNames) {
        names.attn_norm = None;
        names.attn_post_norm = base::norm(layer, "post_attention_layernorm");
        names.mlp_norm = None;
        names.mlp_post_norm = base::norm(layer, "post_feedforward_layernorm");
    }
}

/// What the metadata of a GGUF file say. OLMo 3, whose layers have windows, goes by the same name there.
fn of_gguf(keys: &Keys<'_>) -> Result<Value> {
    let window = keys.size_if("attention.sliding_window")?;
    if let Some(window) = window.filter(|window| *window > 0) {
        return Err(keys.refuse(
            "attention.sliding_window",
            window,
            "none: OLMo 2, not OLMo 3",
        ));
    }
    Ok(base::of_gguf(keys)?.to_json())
}
