//! Qwen 3: Llama with norms of queries and keys. No field of a configuration says so.

use std::path::Path;

use super::architecture::{Architecture, Configuration, Description, InGguf, LlamaShaped};
use super::base;
use super::config::Config;
use crate::Result;
use crate::model::{ModelSpec, QueryKeyNorm, Weights};

/// Qwen 3.
pub struct Qwen3;

impl Architecture for Qwen3 {
    fn name(&self) -> &'static str {
        "qwen3"
    }

    fn describe(&self, config: &Configuration<'_>, _: &Weights) -> Result<Description> {
        base::read(self, config)
    }

    fn gguf(&self) -> Option<InGguf> {
        Some(InGguf {
            architecture: "qwen3",
            class: "Qwen3ForCausalLM",
            interleaved: false,
            config: |keys| base::of_gguf(keys).map(|config| config.to_json()),
        })
    }
}

impl LlamaShaped for Qwen3 {
    fn shape(&self, config: &Config, spec: &mut ModelSpec, _: &Path) -> Result<()> {
        // Only with the switch, and then in some layers: the window bounds all.
        base::within_window(config, spec, false);
        spec.qk_norm = Some(QueryKeyNorm::Head);
        Ok(())
    }
}
