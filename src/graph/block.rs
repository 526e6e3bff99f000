//! The blocks of a decoder layer in plain ONNX operators, which every execution provider implements.
//!
//! Shape comments name the axes in the order `batch, pos, head, d_head`; `kv` counts key and value heads and
//! `group` the query heads that share one of them, so `head = kv * group`.

use super::{
    Attribute, Builder, Dim, Dtype, LayerNames, Linear, Norm, attn_key, attn_out, attn_pattern,
    attn_value,
};
use crate::Result;
use crate::model::{Activation, ModelSpec, NormKind, QueryKeyNorm, Rotary, Weights};

/// What blocks are built from: the shape of the model, and where its weights lie.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The shape.
    pub spec: &'a ModelSpec,
    /// The weights.
    pub weights: &'a Weights,
}

fn mean(b: &mut Builder, x: &str) -> String {
    let last = b.ints(&[-1]);
    let keep = vec![("keepdims", Attribute::Int(1))];
    b.op_with("ReduceMean", &[x, &last], keep)
}

/// `x / sqrt(mean(square) + eps)` over the last axis.
fn over_root(b: &mut Builder, x: &str, square: &str, eps: f32) -> String {
    let mean = mean(b, square);
    let eps = b.scalar(eps);
    let mean = b.op("Add", &[&mean, &eps]);
    let root = b.op("Sqrt", &[&mean]);
    b.op("Div", &[x, &root])
}

/// Root-mean-square norm over the last axis: `x / sqrt(mean(x^2) + eps) * weight`, Gemma's with `1 + weight`.
fn rms_norm(b: &mut Builder, x: &str, of: Source<'_>, weight: &str, len: usize) -> Result<String> {
    let square = b.op("Mul", &[x, x]);
    let scaled = over_root(b, x, &square, of.spec.norm_eps);
    let weight = b.weight(&of.weights.reference(weight, &[len])?);
    let weight = match of.spec.norm {
        NormKind::RmsPlusOne => {
            let one = b.scalar(1.0);
            b.op("Add", &[&weight, &one])
        }
        _ => weight,
    };
    Ok(b.op("Mul", &[&scaled, &weight]))
}

/// The norm of the model's kind over the last axis, which has `len` entries; LayerNorm is `(x - mean(x)) / sqrt(var(x) + eps) * weight
/// + bias`.
pub fn norm(b: &mut Builder, x: &str, of: Source<'_>, names: &Norm, len: usize) -> Result<String> {
    if of.spec.norm != NormKind::Layer {
        return rms_norm(b, x, of, &names.weight, len);
    }
    let mean = mean(b, x);
    let centred = b.op("Sub", &[x, &mean]);
    let square = b.op("Mul", &[&centred, &centred]);
    let scaled = over_root(b, &centred, &square, of.spec.norm_eps);
    let weight = b.weight(&of.weights.reference(&names.weight, &[len])?);
    let scaled = b.op("Mul", &[&scaled, &weight]);
    Ok(match &names.bias {
        Some(bias) => {
            let bias = b.weight(&of.weights.reference(bias, &[len])?);
            b.op("Add", &[&scaled, &bias])
        }
        None => scaled,
    })
}

/// A linear map from `input` to `out` entries of the last axis; from f32 to f32, its product in the graph's precision.
fn linear(
    b: &mut Builder,
    x: &str,
    of: Source<'_>,
    names: &Linear,
    [out, input]: [usize; 2],
) -> Result<String> {
    let precision = b.precision().dtype();
    let total = names.outputs.stored(out);
    let (shape, axis) = match names.transposed {
        true => ([input, total], 1),
        false => ([total, input], 0),
    };
    let weight = of.weights.reference(&names.weight, &shape)?;
    let stored = b.stored(&weight);
    let weight = b.cast(&stored, weight.dtype, precision);
    let weight = names.outputs.take(b, weight, axis, (out, Some(input)));
    let weight = match names.transposed {
        true => weight,
        false => transpose(b, &weight, &[1, 0]),
    };
    let x = b.cast(x, Dtype::F32, precision);
    let product = b.op("MatMul", &[&x, &weight]);
    let product = b.cast(&product, precision, Dtype::F32);
    Ok(match &names.bias {
        Some(bias) => {
            let bias = b.weight(&of.weights.reference(bias, &[total])?);
            let bias = names.outputs.take(b, bias, 0, (out, None));
            b.op("Add", &[&product, &bias])
        }
        None => product,
    })
}

fn transpose(b: &mut Builder, x: &str, axes: &[i64]) -> String {
    let perm = vec![("perm", Attribute::Ints(axes.to_vec()))];
    b.op_with("Transpose", &[x], perm)
}

fn concat(b: &mut Builder, parts: &[&str], axis: i64) -> String {
    b.op_with("Concat", parts, vec![("axis", Attribute::Int(axis))])
}

/// Cosine and sine of rotary angles, each `[batch, 1, pos, rotated / 2]`.
#[derive(Clone)]
struct Turn {
    cos: String,
    sin: String,
}

/// The rotary angles of every layer.
pub struct Angles {
    global: Option<Turn>,
    local: Option<Turn>,
}

impl Angles {
    /// Those at the positions `[batch, pos]`.
    pub fn new(b: &mut Builder, position_ids: &str, spec: &ModelSpec) -> Self {
        let mut turn = |rotary: &Rotary, name: &str| {
            let positions = b.cast(position_ids, Dtype::I64, Dtype::F32);
            let axes = b.ints(&[1, 3]);
            let positions = b.op("Unsqueeze", &[&positions, &axes]); // [batch, 1, pos, 1]
            let frequencies = b.floats(name, &rotary.frequencies());
            let angles = b.op("Mul", &[&positions, &frequencies]);
            Turn {
                cos: b.op("Cos", &[&angles]),
                sin: b.op("Sin", &[&angles]),
            }
        };
        let global = (spec.rotary.as_ref()).map(|rotary| turn(rotary, "rotary.inv_freq"));
        let local = (spec.local.as_ref()).map(|local| turn(&local.rotary, "rotary.local_inv_freq"));
        Self { global, local }
    }

    /// Queries or keys of a layer, rotated: `[batch, head, pos, d_head]` to the same shape.
    fn rotate(&self, b: &mut Builder, x: String, layer: usize, spec: &ModelSpec) -> String {
        let local = (spec.local.as_ref()).filter(|local| local.layers.contains(&layer));
        let (turn, rotary) = match (local, &self.local, &self.global, &spec.rotary) {
            (Some(local), Some(turn), ..) => (turn, &local.rotary),
            (_, _, Some(turn), Some(rotary)) => (turn, rotary),
            _ => return x,
        };
        if rotary.dims == spec.d_head {
            return rotated(b, &x, turn, rotary.interleaved);
        }
        let sizes = b.ints(&[rotary.dims as i64, (spec.d_head - rotary.dims) as i64]);
        let last = vec![("axis", Attribute::Int(-1))];
        let parts = b.op_many("Split", &[&x, &sizes], last, 2);
        let first = rotated(b, &parts[0], turn, rotary.interleaved);
        concat(b, &[&first, &parts[1]], -1)
    }
}

/// Rotary embedding of whole heads: pairs are the two halves, or neighbours where they are interleaved.
fn rotated(b: &mut Builder, x: &str, Turn { cos, sin }: &Turn, interleaved: bool) -> String {
    let in_two = || {
        vec![
            ("axis", Attribute::Int(-1)),
            ("num_outputs", Attribute::Int(2)),
        ]
    };
    let halves = if interleaved {
        let pairs = b.ints(&[0, 0, 0, -1, 2]);
        let x = b.op("Reshape", &[x, &pairs]);
        let parts = b.op_many("Split", &[&x], in_two(), 2);
        let last = b.ints(&[-1]);
        let squeeze = |part: &String| b.op("Squeeze", &[part, &last]);
        parts.iter().map(squeeze).collect()
    } else {
        b.op_many("Split", &[x], in_two(), 2)
    };
    let first_cos = b.op("Mul", &[&halves[0], cos]);
    let second_sin = b.op("Mul", &[&halves[1], sin]);
    let first = b.op("Sub", &[&first_cos, &second_sin]);
    let second_cos = b.op("Mul", &[&halves[1], cos]);
    let first_sin = b.op("Mul", &[&halves[0], sin]);
    let second = b.op("Add", &[&second_cos, &first_sin]);
    if !interleaved {
        return concat(b, &[&first, &second], -1);
    }
    let last = b.ints(&[-1]);
    let parts = [first, second].map(|part| b.op("Unsqueeze", &[&part, &last]));
    let pairs = concat(b, &[&parts[0], &parts[1]], -1);
    let joined = b.ints(&[0, 0, 0, -1]);
    b.op("Reshape", &[&pairs, &joined])
}

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
    names: (&Linear, Option<&String>),
    heads: usize,
) -> Result<String> {
    let (spec, width) = (of.spec, heads * of.spec.d_head);
    let mut x = linear(b, x, of, names.0, [width, spec.d_model])?;
    if let (Some(QueryKeyNorm::Whole), Some(norm)) = (spec.qk_norm, names.1) {
        x = rms_norm(b, &x, of, norm, width)?;
    }
    x = split_heads(b, &x, heads, spec.d_head);
    if let (Some(QueryKeyNorm::Head), Some(norm)) = (spec.qk_norm, names.1) {
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
    let key = heads_of(b, x, of, (&names.key, names.key_norm.as_ref()), kv)?;
    let key = wires.angles.rotate(b, key, layer, spec);
    let key = b.boundary(&key, &attn_key(layer), Dtype::F32, axes());
    let value = heads_of(b, x, of, (&names.value, None), kv)?;
    let value = b.boundary(&value, &attn_value(layer), Dtype::F32, axes());
    let (key, value) = match wires.past {
        None => (key, value),
        Some((keys, values)) => (concat(b, &[keys, &key], 2), concat(b, &[values, &value], 2)),
    };
    let query = heads_of(b, x, of, (&names.query, names.query_norm.as_ref()), heads)?;
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

/// The activation of an MLP, element by element.
fn activation(b: &mut Builder, x: &str, kind: Activation) -> String {
    match kind {
        Activation::Silu => {
            let sigmoid = b.op("Sigmoid", &[x]);
            b.op("Mul", &[x, &sigmoid])
        }
        // x / 2 * (1 + erf(x / sqrt(2)))
        Activation::Gelu => {
            let root = b.scalar(std::f32::consts::SQRT_2);
            let less = b.op("Div", &[x, &root]);
            let bent = b.op("Erf", &[&less]);
            half_of(b, x, &bent)
        }
        // x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
        Activation::GeluTanh => {
            let square = b.op("Mul", &[x, x]);
            let cube = b.op("Mul", &[&square, x]);
            let small = b.scalar(0.044_715);
            let cube = b.op("Mul", &[&cube, &small]);
            let sum = b.op("Add", &[x, &cube]);
            let scale = b.scalar((2.0 / std::f64::consts::PI).sqrt() as f32);
            let inner = b.op("Mul", &[&sum, &scale]);
            let bent = b.op("Tanh", &[&inner]);
            half_of(b, x, &bent)
        }
    }
}

/// `x / 2 * (1 + bent)`.
fn half_of(b: &mut Builder, x: &str, bent: &str) -> String {
    let (half, one) = (b.scalar(0.5), b.scalar(1.0));
    let more = b.op("Add", &[bent, &one]);
    let half = b.op("Mul", &[x, &half]);
    b.op("Mul", &[&half, &more])
}

/// The MLP: `down(act(up(x)))`, or gated `down(act(gate(x)) * up(x))`; `[batch, pos, d_model]` to the same shape.
pub fn mlp(b: &mut Builder, x: &str, of: Source<'_>, names: &LayerNames) -> Result<String> {
    let (d, d_mlp) = (of.spec.d_model, of.spec.d_mlp);
    let gate = match &names.gate {
        Some(gate) => Some(linear(b, x, of, gate, [d_mlp, d])?),
        None => None,
    };
    let up = linear(b, x, of, &names.up, [d_mlp, d])?;
    let hidden = match gate {
        Some(gate) => {
            let open = activation(b, &gate, of.spec.activation);
            b.op("Mul", &[&open, &up])
        }
        None => activation(b, &up, of.spec.activation),
    };
    linear(b, &hidden, of, &names.down, [d, d_mlp])
}
