//! The blocks of a decoder layer in plain ONNX operators, which every execution provider implements.
//!
//! Shape comments name the axes in the order `batch, pos, head, d_head`; `kv` counts key and value heads and
//! `group` the query heads that share one of them, so `head = kv * group`.

use super::{Attribute, Builder, Dim, Dtype, Weight, attn_key, attn_out, attn_pattern, attn_value};
use crate::model::ModelSpec;

/// Root-mean-square norm over the last axis: `x / sqrt(mean(x^2) + eps) * weight`.
pub fn rms_norm(b: &mut Builder, x: &str, weight: &Weight, eps: f32) -> String {
    let square = b.op("Mul", &[x, x]);
    let last = b.ints(&[-1]);
    let mean = b.op_with(
        "ReduceMean",
        &[&square, &last],
        vec![("keepdims", Attribute::Int(1))],
    );
    let eps = b.scalar(eps);
    let mean = b.op("Add", &[&mean, &eps]);
    let root = b.op("Sqrt", &[&mean]);
    let scaled = b.op("Div", &[x, &root]);
    let weight = b.weight(weight);
    b.op("Mul", &[&scaled, &weight])
}

/// A linear map without bias whose weight is stored `[out, in]`, as `torch.nn.Linear` does; from f32 to f32, in the graph's
/// precision between.
pub fn linear(b: &mut Builder, x: &str, weight: &Weight) -> String {
    let precision = b.precision().dtype();
    let stored = b.stored(weight);
    let weight = b.cast(&stored, weight.dtype, precision);
    let transposed = b.op_with(
        "Transpose",
        &[&weight],
        vec![("perm", Attribute::Ints(vec![1, 0]))],
    );
    let x = b.cast(x, Dtype::F32, precision);
    let product = b.op("MatMul", &[&x, &transposed]);
    b.cast(&product, precision, Dtype::F32)
}

/// Cosine and sine of the rotary angles, each `[batch, 1, pos, d_head / 2]`.
pub fn rotary_angles(b: &mut Builder, position_ids: &str, spec: &ModelSpec) -> (String, String) {
    let positions = b.cast(position_ids, Dtype::I64, Dtype::F32);
    let axes = b.ints(&[1, 3]);
    let positions = b.op("Unsqueeze", &[&positions, &axes]); // [batch, 1, pos, 1]
    let frequencies = b.floats("rotary.inv_freq", &spec.rotary_frequencies());
    let angles = b.op("Mul", &[&positions, &frequencies]);
    (b.op("Cos", &[&angles]), b.op("Sin", &[&angles]))
}

/// Rotary embedding in the half-split layout: `[batch, head, pos, d_head]` to the same shape.
fn rotate(b: &mut Builder, x: &str, cos: &str, sin: &str) -> String {
    let halves = b.op_many(
        "Split",
        &[x],
        vec![
            ("axis", Attribute::Int(-1)),
            ("num_outputs", Attribute::Int(2)),
        ],
        2,
    );
    let first_cos = b.op("Mul", &[&halves[0], cos]);
    let second_sin = b.op("Mul", &[&halves[1], sin]);
    let first = b.op("Sub", &[&first_cos, &second_sin]);
    let second_cos = b.op("Mul", &[&halves[1], cos]);
    let first_sin = b.op("Mul", &[&halves[0], sin]);
    let second = b.op("Add", &[&second_cos, &first_sin]);
    b.op_with(
        "Concat",
        &[&first, &second],
        vec![("axis", Attribute::Int(-1))],
    )
}

/// `[batch, pos, heads * d_head]` to `[batch, heads, pos, d_head]`.
fn split_heads(b: &mut Builder, x: &str, heads: usize, d_head: usize) -> String {
    let shape = b.ints(&[0, 0, heads as i64, d_head as i64]);
    let split = b.op("Reshape", &[x, &shape]);
    b.op_with(
        "Transpose",
        &[&split],
        vec![("perm", Attribute::Ints(vec![0, 2, 1, 3]))],
    )
}

/// A bias added, where there is one.
fn biased(b: &mut Builder, x: String, bias: Option<&Weight>) -> String {
    match bias {
        Some(bias) => {
            let bias = b.weight(bias);
            b.op("Add", &[&x, &bias])
        }
        None => x,
    }
}

/// A norm over every head's own axis, where there is one.
fn normed(b: &mut Builder, x: String, weight: Option<&Weight>, eps: f32) -> String {
    match weight {
        Some(weight) => rms_norm(b, &x, weight, eps),
        None => x,
    }
}

/// The weights of one attention block.
pub struct AttentionWeights<'w> {
    /// `[heads * d_head, d_model]`.
    pub query: &'w Weight,
    /// `[kv_heads * d_head, d_model]`.
    pub key: &'w Weight,
    /// `[kv_heads * d_head, d_model]`.
    pub value: &'w Weight,
    /// `[d_model, heads * d_head]`.
    pub output: &'w Weight,
    /// `[heads * d_head]`.
    pub query_bias: Option<Weight>,
    /// `[kv_heads * d_head]`.
    pub key_bias: Option<Weight>,
    /// `[kv_heads * d_head]`.
    pub value_bias: Option<Weight>,
    /// `[d_head]`.
    pub query_norm: Option<Weight>,
    /// `[d_head]`.
    pub key_norm: Option<Weight>,
}

/// Grouped-query attention with an additive mask: `[batch, pos, d_model]` to the same shape. The graph can be cut at the
/// keys and values, at the attention weights and at what the heads read. `past` are the keys and values of other tokens, each
/// `[batch, kv, past, d_head]`, which are seen before the own ones.
#[allow(clippy::too_many_arguments)] // a block's wires
pub fn attention(
    b: &mut Builder,
    x: &str,
    weights: &AttentionWeights<'_>,
    (cos, sin): (&str, &str),
    bias: &str,
    spec: &ModelSpec,
    layer: usize,
    past: Option<(&str, &str)>,
) -> String {
    let (heads, kv, d_head) = (spec.heads, spec.kv_heads, spec.d_head);
    // Keys and values have public names, so that a segment can be given those of other tokens.
    let axes = || {
        let symbols = ["batch", "k_pos"].map(Dim::Symbol);
        let [batch, pos] = symbols;
        vec![batch, Dim::Fixed(kv), pos, Dim::Fixed(d_head)]
    };
    let key = linear(b, x, weights.key);
    let key = biased(b, key, weights.key_bias.as_ref());
    let key = split_heads(b, &key, kv, d_head);
    let key = normed(b, key, weights.key_norm.as_ref(), spec.norm_eps);
    let key = rotate(b, &key, cos, sin);
    let key = b.boundary(&key, &attn_key(layer), Dtype::F32, axes());
    let value = linear(b, x, weights.value);
    let value = biased(b, value, weights.value_bias.as_ref());
    let value = split_heads(b, &value, kv, d_head);
    let value = b.boundary(&value, &attn_value(layer), Dtype::F32, axes());
    let mut after = |past: &str, own: String| {
        b.op_with("Concat", &[past, &own], vec![("axis", Attribute::Int(2))])
    };
    let (key, value) = match past {
        None => (key, value),
        Some((keys, values)) => (after(keys, key), after(values, value)),
    };
    let query = linear(b, x, weights.query);
    let query = biased(b, query, weights.query_bias.as_ref());
    let query = split_heads(b, &query, heads, d_head);
    let query = normed(b, query, weights.query_norm.as_ref(), spec.norm_eps);
    let query = rotate(b, &query, cos, sin);

    // The query heads of one group stand one below the other, so that keys and values are never repeated.
    let grouped = b.ints(&[0, kv as i64, -1, d_head as i64]);
    let query = b.op("Reshape", &[&query, &grouped]); // [batch, kv, group * pos, d_head]
    let key = b.op_with(
        "Transpose",
        &[&key],
        vec![("perm", Attribute::Ints(vec![0, 1, 3, 2]))],
    );
    let scores = b.op("MatMul", &[&query, &key]); // [batch, kv, group * pos, pos]
    let per_head = b.ints(&[0, heads as i64, -1, 0]);
    let scores = b.op("Reshape", &[&scores, &per_head]); // [batch, head, pos, pos]
    let scale = b.scalar((1.0 / (d_head as f64).sqrt()) as f32);
    let scores = b.op("Mul", &[&scores, &scale]);
    let scores = b.op("Add", &[&scores, bias]);
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
    let mixed = b.op_with(
        "Transpose",
        &[&mixed],
        vec![("perm", Attribute::Ints(vec![0, 2, 1, 3]))],
    );
    let joined = b.ints(&[0, 0, (heads * d_head) as i64]);
    let mixed = b.op("Reshape", &[&mixed, &joined]);
    linear(b, &mixed, weights.output)
}

/// The gated MLP `down(silu(gate(x)) * up(x))`: `[batch, pos, d_model]` to the same shape.
pub fn swiglu(b: &mut Builder, x: &str, gate: &Weight, up: &Weight, down: &Weight) -> String {
    let gate = linear(b, x, gate);
    let up = linear(b, x, up);
    let sigmoid = b.op("Sigmoid", &[&gate]);
    let silu = b.op("Mul", &[&gate, &sigmoid]);
    let hidden = b.op("Mul", &[&silu, &up]);
    linear(b, &hidden, down)
}
