//! A whole decoder-only transformer as one instrumented graph.

use super::block::{AttentionWeights, attention, rms_norm, rotary_angles, swiglu};
use super::{
    Attribute, Builder, Dim, Dtype, Graph, INPUT_IDS, LOGITS, POSITION_IDS, Precision, Weight,
    attn_bias, resid,
};
use crate::Result;
use crate::model::{ModelSpec, Weights};

/// The names of one layer's weights in the model's file.
#[derive(Clone, Debug)]
pub struct LayerNames {
    /// Norm before attention, `[d_model]`.
    pub attn_norm: String,
    /// `[heads * d_head, d_model]`.
    pub query: String,
    /// `[kv_heads * d_head, d_model]`.
    pub key: String,
    /// `[kv_heads * d_head, d_model]`.
    pub value: String,
    /// `[d_model, heads * d_head]`.
    pub output: String,
    /// `[heads * d_head]`, where queries have a bias.
    pub query_bias: Option<String>,
    /// `[kv_heads * d_head]`, where keys have a bias.
    pub key_bias: Option<String>,
    /// `[kv_heads * d_head]`, where values have a bias.
    pub value_bias: Option<String>,
    /// `[d_head]`, where queries are normed.
    pub query_norm: Option<String>,
    /// `[d_head]`, where keys are normed.
    pub key_norm: Option<String>,
    /// Norm before the MLP, `[d_model]`.
    pub mlp_norm: String,
    /// `[d_mlp, d_model]`.
    pub gate: String,
    /// `[d_mlp, d_model]`.
    pub up: String,
    /// `[d_model, d_mlp]`.
    pub down: String,
}

impl LayerNames {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let matrices = [
            &self.attn_norm,
            &self.query,
            &self.key,
            &self.value,
            &self.output,
            &self.mlp_norm,
            &self.gate,
            &self.up,
            &self.down,
        ];
        let some = [
            &self.query_bias,
            &self.key_bias,
            &self.value_bias,
            &self.query_norm,
            &self.key_norm,
        ];
        let some = some.into_iter().filter_map(Option::as_deref);
        matrices.into_iter().map(String::as_str).chain(some)
    }
}

/// The names of a model's weights in its file.
#[derive(Clone, Debug)]
pub struct WeightNames {
    /// Token embedding, `[vocab, d_model]`.
    pub embed: String,
    /// One entry a layer.
    pub layers: Vec<LayerNames>,
    /// Norm before the unembedding, `[d_model]`.
    pub final_norm: String,
    /// Unembedding, `[vocab, d_model]`; the embedding's name where the two are tied.
    pub unembed: String,
}

/// Builds the graph of a whole model: every layer boundary named, one additive mask a layer, logits at the last
/// position. Products with the weights of layers are computed in `precision`, all else in f32.
///
/// # Errors
/// A weight that is missing, has another shape than the configuration promises, or a type that cannot be read.
pub fn decoder(
    spec: &ModelSpec,
    weights: &Weights,
    names: &WeightNames,
    precision: Precision,
) -> Result<Graph> {
    let batch_pos = || vec![Dim::Symbol("batch"), Dim::Symbol("pos")];
    let stream = || {
        vec![
            Dim::Symbol("batch"),
            Dim::Symbol("pos"),
            Dim::Fixed(spec.d_model),
        ]
    };

    let mut b = Builder::with_precision(precision);
    let ids = b.input(INPUT_IDS, Dtype::I64, batch_pos());
    let positions = b.input(POSITION_IDS, Dtype::I64, batch_pos());
    let biases: Vec<String> = (0..spec.layers)
        .map(|layer| {
            // Axes of their own: a mask of one batch row or one head is broadcast.
            let shape = ["mask_batch", "mask_head", "q_pos", "k_pos"].map(Dim::Symbol);
            b.input(&attn_bias(layer), Dtype::F32, shape.to_vec())
        })
        .collect();

    b.scope("rotary");
    let (cos, sin) = rotary_angles(&mut b, &positions, spec);

    b.scope("embed");
    let table = weights.reference(&names.embed, &[spec.vocab, spec.d_model])?;
    let stored = b.stored(&table);
    let embedded = b.op("Gather", &[&stored, &ids]);
    let embedded = b.cast(&embedded, table.dtype, Dtype::F32);
    let mut x = b.boundary(&embedded, &resid(0), Dtype::F32, stream());

    for (layer, names) in names.layers.iter().enumerate() {
        let wires = Wires {
            angles: (&cos, &sin),
            bias: &biases[layer],
            past: None,
        };
        let sum = decoder_layer(&mut b, &x, layer, (spec, weights, names), &wires)?;
        x = b.boundary(&sum, &resid(layer + 1), Dtype::F32, stream());
    }

    b.scope("head");
    let last = last_position(&mut b, &x);
    let logits = unembed(&mut b, &last, spec, weights, names)?;
    b.output(
        &logits,
        LOGITS,
        Dtype::F32,
        vec![Dim::Symbol("batch"), Dim::Fixed(spec.vocab)],
    );
    Ok(b.finish(&spec.family.to_string()))
}

/// What a layer is given besides the residual stream.
pub(super) struct Wires<'a> {
    /// Cosine and sine of the rotary angles.
    pub angles: (&'a str, &'a str),
    /// The additive mask.
    pub bias: &'a str,
    /// Keys and values of other tokens, which are seen before the own ones.
    pub past: Option<(&'a str, &'a str)>,
}

/// One layer: attention and MLP, each on a normed stream and added to it.
pub(super) fn decoder_layer(
    b: &mut Builder,
    x: &str,
    layer: usize,
    (spec, weights, names): (&ModelSpec, &Weights, &LayerNames),
    wires: &Wires<'_>,
) -> Result<String> {
    let (d, q, kv) = (
        spec.d_model,
        spec.heads * spec.d_head,
        spec.kv_heads * spec.d_head,
    );
    let weight = |name: &str, shape: &[usize]| weights.reference(name, shape);
    let some = |name: &Option<String>, len: usize| {
        let name = name.as_ref();
        name.map(|name| weight(name, &[len])).transpose()
    };
    b.scope(format!("layer.{layer}/attn"));
    let normed = rms_norm(b, x, &weight(&names.attn_norm, &[d])?, spec.norm_eps);
    let attended = attention(
        b,
        &normed,
        &AttentionWeights {
            query: &weight(&names.query, &[q, d])?,
            key: &weight(&names.key, &[kv, d])?,
            value: &weight(&names.value, &[kv, d])?,
            output: &weight(&names.output, &[d, q])?,
            query_bias: some(&names.query_bias, q)?,
            key_bias: some(&names.key_bias, kv)?,
            value_bias: some(&names.value_bias, kv)?,
            query_norm: some(&names.query_norm, spec.d_head)?,
            key_norm: some(&names.key_norm, spec.d_head)?,
        },
        wires.angles,
        wires.bias,
        spec,
        layer,
        wires.past,
    );
    let mid = b.op("Add", &[x, &attended]);

    b.scope(format!("layer.{layer}/mlp"));
    let normed = rms_norm(b, &mid, &weight(&names.mlp_norm, &[d])?, spec.norm_eps);
    let hidden = swiglu(
        b,
        &normed,
        &weight(&names.gate, &[spec.d_mlp, d])?,
        &weight(&names.up, &[spec.d_mlp, d])?,
        &weight(&names.down, &[d, spec.d_mlp])?,
    );
    Ok(b.op("Add", &[&mid, &hidden]))
}

/// The final norm and the unembedding: `[batch, d_model]` to `[batch, vocab]`.
pub(super) fn unembed(
    b: &mut Builder,
    last: &str,
    spec: &ModelSpec,
    weights: &Weights,
    names: &WeightNames,
) -> Result<String> {
    let final_norm: Weight = weights.reference(&names.final_norm, &[spec.d_model])?;
    let normed = rms_norm(b, last, &final_norm, spec.norm_eps);
    let table = weights.reference(&names.unembed, &[spec.vocab, spec.d_model])?;
    // `Gemm` takes the table as it is stored: the largest weight is not copied to be transposed.
    let table = b.weight(&table);
    let transposed = vec![("transB", Attribute::Int(1))];
    Ok(b.op_with("Gemm", &[&normed, &table], transposed))
}

/// `[batch, pos, d_model]` to `[batch, d_model]` at the last position.
pub(super) fn last_position(b: &mut Builder, x: &str) -> String {
    let (start, end, axis) = (b.ints(&[-1]), b.ints(&[i64::MAX]), b.ints(&[1]));
    let last = b.op("Slice", &[x, &start, &end, &axis]);
    b.op("Squeeze", &[&last, &axis])
}
