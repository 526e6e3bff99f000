//! Gemma 2: Llama with norms before and after attention and MLP, a scaled embedding, soft caps, and windows in some layers.

use std::path::Path;

use super::architecture::{Architecture, Configuration, Description, LlamaShaped};
use super::base;
use super::config::Config;
use crate::Result;
use crate::model::check::unsupported;
use crate::model::names::LayerNames;
use crate::model::{ModelSpec, NormKind, Weights};

/// Gemma 2.
pub struct Gemma2;

impl Architecture for Gemma2 {
    fn name(&self) -> &'static str {
        "gemma2"
    }

    fn describe(&self, config: &Configuration<'_>, _: &Weights) -> Result<Description> {
        base::read(self, config)
    }
}

impl LlamaShaped for Gemma2 {
    fn shape(&self, config: &Config, spec: &mut ModelSpec, path: &Path) -> Result<()> {
        if config.use_bidirectional_attention == Some(true) {
            let field = "use_bidirectional_attention";
            return Err(unsupported(path, field, "true".to_owned(), "false"));
        }
        let Some(scalar) = config.query_pre_attn_scalar else {
            let field = "query_pre_attn_scalar";
            return Err(unsupported(
                path,
                field,
                "nothing".to_owned(),
                "a positive number",
            ));
        };
        for (field, value) in [
            ("query_pre_attn_scalar", Some(scalar)),
            ("attn_logit_softcapping", config.attn_logit_softcapping),
            ("final_logit_softcapping", config.final_logit_softcapping),
        ] {
            if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 0.0)) {
                let found = value.to_string();
                return Err(unsupported(path, field, found, "a positive number"));
            }
        }
        spec.norm = NormKind::RmsPlusOne;
        spec.attn_scale = scalar.powf(-0.5);
        spec.attn_softcap = config.attn_logit_softcapping.map(|cap| cap as f32);
        spec.logit_softcap = config.final_logit_softcapping.map(|cap| cap as f32);
        spec.embed_scale = Some((spec.d_model as f64).sqrt() as f32);
        spec.tied = config.tie_word_embeddings.unwrap_or(true);
        base::within_window(config, spec, true);
        Ok(())
    }

    /// Gives a layer its four norms.
    fn layer(&self, _: &ModelSpec, layer: usize, names: &mut LayerNames) {
        names.attn_norm = base::norm(layer, "input_layernorm");
        names.attn_post_norm = base::norm(layer, "post_attention_layernorm");
        names.mlp_norm = base::norm(layer, "pre_feedforward_layernorm");
        names.mlp_post_norm = base::norm(layer, "post_feedforward_layernorm");
    }
}
