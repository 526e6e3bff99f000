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

    fn gguf(&'static self) -> Option<InGguf> {
        Some(InGguf {
            family: self,
            interleaved: true,
        })
    }
}

impl LlamaShaped for Llama {}
