//! A whole decoder-only transformer as one instrumented graph.

use super::block::{Angles, Source, Wires, attention, mlp, norm, soft_cap};
use super::names::{LayerNames, Norm, WeightNames};
use super::{
    Attribute, Builder, Dim, Dtype, Graph, INPUT_IDS, LOGITS, POSITION_IDS, Precision, attn_bias,
    resid,
};
use crate::Result;
use crate::model::{ModelSpec, Weights};

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
    let of = Source { spec, weights };

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
    let angles = Angles::new(&mut b, &positions, spec);

    b.scope("embed");
    let embedded = embed(&mut b, (&ids, &positions), of, names)?;
    let mut x = b.boundary(&embedded, &resid(0), Dtype::F32, stream());

    for (layer, names) in names.layers.iter().enumerate() {
        let wires = Wires {
            angles: &angles,
            bias: &biases[layer],
            past: None,
        };
        let sum = decoder_layer(&mut b, &x, layer, (of, names), &wires)?;
        x = b.boundary(&sum, &resid(layer + 1), Dtype::F32, stream());
    }

    b.scope("head");
    let last = last_position(&mut b, &x);
    let logits = unembed(&mut b, &last, of, names)?;
    b.output(
        &logits,
        LOGITS,
        Dtype::F32,
        vec![Dim::Symbol("batch"), Dim::Fixed(spec.vocab)],
    );
    Ok(b.finish(&spec.family.to_string()))
}

/// Tokens and positions, each `[batch, pos]`, to the stream that enters the first layer, `[batch, pos, d_model]`.
fn embed(
    b: &mut Builder,
    (ids, positions): (&str, &str),
    of: Source<'_>,
    names: &WeightNames,
) -> Result<String> {
    let spec = of.spec;
    let mut row_of = |name: &str, rows: usize, index: &str| -> Result<String> {
        let table = of.weights.reference(name, &[rows, spec.d_model])?;
        let stored = b.stored(&table);
        let row = b.op("Gather", &[&stored, index]);
        Ok(b.cast(&row, table.dtype, Dtype::F32))
    };
    let embedded = row_of(&names.embed, spec.vocab, ids)?;
    let learned = match &names.positions {
        Some(name) => Some(row_of(name, spec.context, positions)?),
        None => None,
    };
    let embedded = match spec.embed_scale {
        Some(scale) => {
            let scale = b.scalar(scale);
            b.op("Mul", &[&embedded, &scale])
        }
        None => embedded,
    };
    Ok(match learned {
        Some(learned) => b.op("Add", &[&embedded, &learned]),
        None => embedded,
    })
}

/// One layer: attention and MLP, each added to the stream, one after the other or side by side.
pub(super) fn decoder_layer(
    b: &mut Builder,
    x: &str,
    layer: usize,
    (of, names): (Source<'_>, &LayerNames),
    wires: &Wires<'_>,
) -> Result<String> {
    let normed = |b: &mut Builder, x: &str, names: &Option<Norm>| match names {
        Some(names) => norm(b, x, of, names, of.spec.d_model),
        None => Ok(x.to_owned()),
    };
    b.scope(format!("layer.{layer}/attn"));
    let before = normed(b, x, &names.attn_norm)?;
    let attended = attention(b, &before, of, names, layer, wires)?;
    let attended = normed(b, &attended, &names.attn_post_norm)?;
    let mid = b.op("Add", &[x, &attended]);

    b.scope(format!("layer.{layer}/mlp"));
    let seen = if of.spec.parallel { x } else { &mid };
    let before = normed(b, seen, &names.mlp_norm)?;
    let hidden = mlp(b, &before, of, names)?;
    let hidden = normed(b, &hidden, &names.mlp_post_norm)?;
    Ok(b.op("Add", &[&mid, &hidden]))
}

/// The final norm and the unembedding: `[batch, d_model]` to `[batch, vocab]`.
pub(super) fn unembed(
    b: &mut Builder,
    last: &str,
    of: Source<'_>,
    names: &WeightNames,
) -> Result<String> {
    let spec = of.spec;
    let normed = norm(b, last, of, &names.final_norm, spec.d_model)?;
    let table = (of.weights).reference(&names.unembed, &[spec.vocab, spec.d_model])?;
    // `Gemm` takes the table as it is stored: the largest weight is not copied to be transposed.
    let table = b.weight(&table);
    let mut inputs = vec![normed, table];
    if let Some(bias) = &names.unembed_bias {
        inputs.push(b.weight(&of.weights.reference(bias, &[spec.vocab])?));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let transposed = vec![("transB", Attribute::Int(1))];
    let logits = b.op_with("Gemm", &inputs, transposed);
    Ok(soft_cap(b, &logits, spec.logit_softcap))
}

/// `[batch, pos, d_model]` to `[batch, d_model]` at the last position.
pub(super) fn last_position(b: &mut Builder, x: &str) -> String {
    let (start, end, axis) = (b.ints(&[-1]), b.ints(&[i64::MAX]), b.ints(&[1]));
    let last = b.op("Slice", &[x, &start, &end, &axis]);
    b.op("Squeeze", &[&last, &axis])
}
