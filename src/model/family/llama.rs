//! Llama: pre-norm, rotary embedding, grouped-query attention, SwiGLU.

use super::architecture::{Architecture, Configuration, Description, InGguf, LlamaShaped};
use super::base;
use crate::Result;
use crate::model::Weights;

/// Llama and SmolLM, from which others start.
pub struct Llama;

impl Architecture for Llama {
    fn name(&self) -> &'static str {
        "llama"
    }

    fn describe(&self, config: &Configuration<'_>, _: &Weights) -> Result<Description> {
        base::read(self, config)
    }

    fn gguf(&self) -> Option<InGguf> {
        Some(InGguf {
            architecture: "llama",
            class: "LlamaForCausalLM",
            interleaved: true,
            config: |keys| base::of_gguf(keys).map(|config| config.to_json()),
        })
    }
}

impl LlamaShaped for Llama {}

#[cfg(test)]
impl crate::model::ModelSpec {
    /// The shape of a Llama with the given number of layers, sizes `[d_model, heads, d_head, d_mlp]` and vocabulary, and nothing special.
    pub(crate) fn llama(layers: usize, sizes: [usize; 4], vocab: usize) -> Self {
        let config = super::config::Config::new(layers, sizes, vocab);
        let described = base::describe(&Llama, &config, std::path::Path::new("config.json"));
        described.expect("it is plain").spec
    }
}
