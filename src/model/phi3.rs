//! Phi-3: Llama whose queries, keys and values are one matrix, and gate and up another.

use super::ModelSpec;
use super::names::{LayerNames, Linear, Outputs};

/// Gives the maps of a layer their places in the fused matrices.
pub fn fuse(names: &mut LayerNames, spec: &ModelSpec, layer: usize) {
    let (q, kv) = (spec.heads * spec.d_head, spec.kv_heads * spec.d_head);
    let map = |name: &str, first: usize, of: usize| {
        let name = format!("model.layers.{layer}.{name}");
        Linear::new(&name, false).of(Outputs::From { first, of })
    };
    let attention = |first: usize| map("self_attn.qkv_proj", first, q + 2 * kv);
    names.query = attention(0);
    names.key = attention(q);
    names.value = attention(q + kv);
    names.gate = Some(map("mlp.gate_up_proj", 0, 2 * spec.d_mlp));
    names.up = map("mlp.gate_up_proj", spec.d_mlp, 2 * spec.d_mlp);
}
