//! OLMo 2: Llama that norms what attention and MLP add instead of what they read, and whole queries and keys.

use super::names::{LayerNames, Norm};

/// Moves the norms of a layer behind attention and MLP.
pub fn norm_after(names: &mut LayerNames, layer: usize) {
    let norm = |name: &str| Norm::new(format!("model.layers.{layer}.{name}.weight"));
    names.attn_norm = None;
    names.attn_post_norm = Some(norm("post_attention_layernorm"));
    names.mlp_norm = None;
    names.mlp_post_norm = Some(norm("post_feedforward_layernorm"));
}
