//! A whole decoder-only transformer as one instrumented graph.

use super::attention::Wires;
use super::layer::{decoder_layer, unembed};
use super::rotary::Angles;
use super::source::Source;
use crate::Result;
use crate::graph::{
    Builder, Dim, Dtype, Graph, INPUT_IDS, LOGITS, POSITION_IDS, Precision, attn_bias, resid,
};
use crate::model::{Decoder, WeightNames};

/// Builds the graph of a whole model: every layer boundary named, one additive mask a layer, logits at the last
/// position. Products with the weights of layers are computed in `precision`, all else in f32.
///
/// # Errors
/// A weight that is missing, has another shape than the configuration promises, a type that cannot be read, or no place in the graph.
pub fn decoder(decoder: &Decoder, precision: Precision) -> Result<Graph> {
    let Decoder {
        spec,
        weights,
        names,
    } = decoder;
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
    let embedded = embed(&mut b, &ids, &positions, of, names)?;
    let mut x = b.boundary(&embedded, &resid(0), Dtype::F32, stream());

    for (layer, names) in names.layers.iter().enumerate() {
        let wires = Wires {
            angles: &angles,
            bias: &biases[layer],
            past: None,
        };
        let sum = decoder_layer(&mut b, &x, layer, of, names, &wires)?;
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
    let graph = b.finish(spec.family);
    weights.check_all_used(&graph, |name| names.is_no_weight(name))?;
    Ok(graph)
}

/// Tokens and positions, each `[batch, pos]`, to the stream that enters the first layer, `[batch, pos, d_model]`.
fn embed(
    b: &mut Builder,
    ids: &str,
    positions: &str,
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

/// `[batch, pos, d_model]` to `[batch, d_model]` at the last position.
fn last_position(b: &mut Builder, x: &str) -> String {
    let (start, end, axis) = (b.ints(&[-1]), b.ints(&[i64::MAX]), b.ints(&[1]));
    let last = b.op("Slice", &[x, &start, &end, &axis]);
    b.op("Squeeze", &[&last, &axis])
}
