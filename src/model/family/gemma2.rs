//! Gemma 2: Llama with norms before and after attention and MLP, a scaled embedding, soft caps, and windows in some layers.

use std::path::Path;

use serde_json::Value;

use super::architecture::{Architecture, Configuration, Description, InGguf, LlamaShaped};
use super::base;
use super::config::Config;
use super::rope::THETA;
use crate::Result;
use crate::model::check::unsupported;
use crate::model::keys::Keys;
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

    fn gguf(&self) -> Option<InGguf> {
        Some(InGguf {
            architecture: "gemma2",
            class: "Gemma2ForCausalLM",
            interleaved: false,
            config: of_gguf,
        })
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

/// Gemma 2 27B has so many layers.
const LAYERS_OF_27B: usize = 46;

/// llama.cpp's, where a file does not say them.
const ATTENTION_CAP: f64 = 50.0;
const LOGIT_CAP: f64 = 30.0;
const WINDOW: usize = 4096;

/// What the metadata of a GGUF file say.
fn of_gguf(keys: &Keys<'_>) -> Result<Value> {
    let mut config = gemma(keys, LAYERS_OF_27B)?;
    let number =
        |name: &str, silent: f64| keys.positive_if(name).map(|found| found.unwrap_or(silent));
    config.attn_logit_softcapping = Some(number("attn_logit_softcapping", ATTENTION_CAP)?);
    config.final_logit_softcapping = Some(number("final_logit_softcapping", LOGIT_CAP)?);
    config.sliding_window = window(keys)?.or(Some(WINDOW));
    // The layers with a window have the same frequencies.
    let theta = keys.positive_if("rope.freq_base")?;
    keys.only("rope.freq_base_swa", theta.unwrap_or(THETA))?;
    Ok(config.to_json())
}

/// How far back the layers with a window see, where the file says it. One of no token at all would leave such a layer nothing to see.
fn window(keys: &Keys<'_>) -> Result<Option<usize>> {
    let key = "attention.sliding_window";
    match keys.size_if(key)? {
        Some(0) => Err(keys.refuse(key, 0, "a size from 1 on")),
        window => Ok(window),
    }
}

/// What Gemma 2 and Gemma 3 share. No key says the scale of attention: it is that of a head, but in the largest model, which has so many
/// layers, that of an even share of the stream.
pub(super) fn gemma(keys: &Keys<'_>, layers_of_27b: usize) -> Result<Config> {
    let mut config = base::of_gguf(keys)?;
    let (d_model, heads) = (config.hidden_size, config.num_attention_heads);
    let scalar = match config.num_hidden_layers == layers_of_27b {
        true => Some(d_model / heads),
        false => config.head_dim,
    };
    config.query_pre_attn_scalar = scalar.map(|scalar| scalar as f64);
    config.hidden_activation = Some("gelu_pytorch_tanh".to_owned());
    Ok(config)
}
