//! OLMo 2: Llama that norms what attention and MLP add instead of what they read, and whole queries and keys.

use std::path::Path;

use super::architecture::{Architecture, Configuration, Description, LlamaShaped};
use super::base;
use super::config::Config;
use crate::Result;
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
