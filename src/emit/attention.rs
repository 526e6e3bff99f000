//! Attention with an additive mask, in plain ONNX operators, which every execution provider implements.
//!
//! Shape comments name the axes in the order `batch, pos, head, d_head`; `kv` counts key and value heads and
//! `group` the query heads that share one of them, so `head = kv * group`.

use super::linear::{concat, linear, transpose};
use super::norm::rms_norm;
use super::rotary::Angles;
use super::source::Source;
use crate::Result;
use crate::graph::{Attribute, Builder, Dim, Dtype, attn_key, attn_out, attn_pattern, attn_value};
use crate::model::{LayerNames, Linear, QueryKeyNorm};

/// `[batch, pos, heads * d_head]` to `[batch, heads, pos, d_head]`.
fn split_heads(b: &mut Builder, x: &str, heads: usize, d_head: usize) -> String {
    let shape = b.ints(&[0, 0, heads as i64, d_head as i64]);
    let split = b.op("Reshape", &[x, &shape]);
    transpose(b, &split, &[0, 2, 1, 3])
}

/// Queries or keys by head, `[batch, heads, pos, d_head]`, normed where the model norms them.
fn heads_of(
    b: &mut Builder,
    x: &str,
    of: Source<'_>,
    projection: &Linear,
    norm: Option<&String>,
    heads: usize,
) -> Result<String> {
    let (spec, width) = (of.spec, heads * of.spec.d_head);
    let mut x = linear(b, x, of, projection, [width, spec.d_model])?;
    if let (Some(QueryKeyNorm::Whole), Some(norm)) = (spec.qk_norm, norm) {
        x = rms_norm(b, &x, of, norm, width)?;
    }
    x = split_heads(b, &x, heads, spec.d_head);
    if let (Some(QueryKeyNorm::Head), Some(norm)) = (spec.qk_norm, norm) {
        x = rms_norm(b, &x, of, norm, spec.d_head)?;
    }
    Ok(x)
}

/// `cap * tanh(x / cap)`.
pub fn soft_cap(b: &mut Builder, x: &str, cap: Option<f32>) -> String {
    let Some(cap) = cap else {
        return x.to_owned();
    };
    let cap = b.scalar(cap);
    let less = b.op("Div", &[x, &cap]);
    let bent = b.op("Tanh", &[&less]);
    b.op("Mul", &[&bent, &cap])
}

/// What a layer is given besides the residual stream.
pub struct Wires<'a> {
    /// The rotary angles.
    pub angles: &'a Angles,
    /// The additive mask.
    pub bias: &'a str,
    /// Keys and values of other tokens, each `[batch, kv, past, d_head]`, which are seen before the own ones.
    pub past: Option<(&'a str, &'a str)>,
}

/// Grouped-query attention with an additive mask: `[batch, pos, d_model]` to the same shape. The graph can be cut at the
/// keys and values, at the attention weights and at what the heads read.
pub fn attention(
    b: &mut Builder,
    x: &str,
    of: Source<'_>,
    names: &LayerNames,
    layer: usize,
    wires: &Wires<'_>,
) -> Result<String> {
    let spec = of.spec;
    let (heads, kv, d_head) = (spec.heads, spec.kv_heads, spec.d_head);
    // Keys and values have public names, so that a segment can be given those of other tokens.
    let axes = || {
        let symbols = ["batch", "k_pos"].map(Dim::Symbol);
        let [batch, pos] = symbols;
        vec![batch, Dim::Fixed(kv), pos, Dim::Fixed(d_head)]
    };
    let key = heads_of(b, x, of, &names.key, names.key_norm.as_ref(), kv)?;
    let key = wires.angles.rotate(b, key, layer, spec);
    let key = b.boundary(&key, &attn_key(layer), Dtype::F32, axes());
    let value = heads_of(b, x, of, &names.value, None, kv)?;
    let value = b.boundary(&value, &attn_value(layer), Dtype::F32, axes());
    let (key, value) = match wires.past {
        None => (key, value),
        Some((keys, values)) => (concat(b, &[keys, &key], 2), concat(b, &[values, &value], 2)),
    };
    let query = heads_of(b, x, of, &names.query, names.query_norm.as_ref(), heads)?;
    let query = wires.angles.rotate(b, query, layer, spec);

    // The query heads of one group stand one below the other, so that keys and values are never repeated.
    let grouped = b.ints(&[0, kv as i64, -1, d_head as i64]);
    let query = b.op("Reshape", &[&query, &grouped]); // [batch, kv, group * pos, d_head]
    let key = transpose(b, &key, &[0, 1, 3, 2]);
    let scores = b.op("MatMul", &[&query, &key]); // [batch, kv, group * pos, pos]
    let per_head = b.ints(&[0, heads as i64, -1, 0]);
    let scores = b.op("Reshape", &[&scores, &per_head]); // [batch, head, pos, pos]
    let scale = b.scalar(spec.attn_scale as f32);
    let scores = b.op("Mul", &[&scores, &scale]);
    let scores = soft_cap(b, &scores, spec.attn_softcap);
    let scores = b.op("Add", &[&scores, wires.bias]);
    let pattern = b.op_with("Softmax", &[&scores], vec![("axis", Attribute::Int(-1))]);
    let axes = |last| {
        let symbols = ["batch", "q_pos"].map(Dim::Symbol);
        let [batch, pos] = symbols;
        vec![batch, Dim::Fixed(heads), pos, last]
    };
    let to_keys = axes(Dim::Symbol("k_pos"));
    let pattern = b.boundary(&pattern, &attn_pattern(layer), Dtype::F32, to_keys);

    let per_kv = b.ints(&[0, kv as i64, -1, 0]);
    let pattern = b.op("Reshape", &[&pattern, &per_kv]); // [batch, kv, group * pos, pos]
    let mixed = b.op("MatMul", &[&pattern, &value]); // [batch, kv, group * pos, d_head]
    let per_head = b.ints(&[0, heads as i64, -1, d_head as i64]);
    let mixed = b.op("Reshape", &[&mixed, &per_head]); // [batch, head, pos, d_head]
    let read = axes(Dim::Fixed(d_head));
    let mixed = b.boundary(&mixed, &attn_out(layer), Dtype::F32, read);
    let mixed = transpose(b, &mixed, &[0, 2, 1, 3]);
    let joined = b.ints(&[0, 0, (heads * d_head) as i64]);
    let mixed = b.op("Reshape", &[&mixed, &joined]);
    linear(b, &mixed, of, &names.output, [spec.d_model, heads * d_head])
}
