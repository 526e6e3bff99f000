//! What an AF1 leaves of a model, as a graph: the last token through the layers from `W` on, and tables.
//!
//! Its inputs are the tokens of whole prompts, as of the model itself, but nothing is computed of the waiting tokens: the keys
//! and values with which each of them is seen in the transfer layers are rows of a table, by position and token. A token
//! that the tables do not have where it stands makes all logits of its prompt NaN: never a plausible answer.

use super::block::{Angles, Source, Wires};
use super::decoder::{decoder_layer, unembed};
use super::{Attribute, Builder, Dim, Dtype, Graph, INPUT_IDS, LOGITS, WeightNames, resid};
use crate::Result;
use crate::model::{ModelSpec, Weights};

/// An AF1 of one template, and what its tables are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Af1 {
    /// `W`, the first layer that runs.
    pub wait: usize,
    /// `K`, the number of layers that look at the tables.
    pub transfer: usize,
    /// Tokens in a prompt.
    pub positions: usize,
    /// The position, from 1 on, and the token of each row of the tables, the last position not among them.
    pub rows: Vec<(usize, u32)>,
    /// The last token.
    pub last: u32,
}

/// The name of the table of keys of a transfer layer, `[row, kv, d_head]`, and of values.
pub fn tables(layer: usize) -> [String; 2] {
    ["af1.keys", "af1.values"].map(|name| format!("{name}.{layer}"))
}

/// The name of the key of position 0 in a layer, `[1, kv, 1, d_head]`, and of its value.
pub fn sinks(layer: usize) -> [String; 2] {
    ["af1.sink_key", "af1.sink_value"].map(|name| format!("{name}.{layer}"))
}

/// The name of `resid[W]` of the last token, `[1, 1, d_model]`.
pub const LAST: &str = "af1.last";

/// Builds the graph; tables and weights are all in `weights`.
///
/// # Errors
/// A weight or a table that is missing or has another shape.
pub fn af1(spec: &ModelSpec, weights: &Weights, names: &WeightNames, of: &Af1) -> Result<Graph> {
    let (kv, d_head, d) = (spec.kv_heads, spec.d_head, spec.d_model);
    let source = Source { spec, weights };
    let mut b = Builder::new();
    let batch = Dim::Symbol("batch");
    let shape = vec![batch.clone(), Dim::Fixed(of.positions)];
    let ids = b.input(INPUT_IDS, Dtype::I64, shape);

    b.scope("rows");
    // A key is a number: position * vocab + token.
    let key = |t: usize, token: u32| (t * spec.vocab) as i64 + i64::from(token);
    let offsets: Vec<i64> = (0..of.positions).map(|t| key(t, 0)).collect();
    let offsets = b.ints(&offsets);
    let keys = b.op("Add", &[&ids, &offsets]);
    let (one, axis, end) = (
        b.ints(&[1]),
        b.ints(&[1]),
        b.ints(&[of.positions as i64 - 1]),
    );
    let waiting = b.op("Slice", &[&keys, &one, &end, &axis]); // [batch, pos - 2]
    let last_axis = b.ints(&[-1]);
    let waiting = b.op("Unsqueeze", &[&waiting, &last_axis]);
    let rows: Vec<i64> = of.rows.iter().map(|&(t, token)| key(t, token)).collect();
    let rows = b.ints(&rows);
    let is_row = b.op("Equal", &[&waiting, &rows]); // [batch, pos - 2, row]
    let to_f32 = |b: &mut Builder, x: &str| {
        let to = Attribute::Int(super::encode::data_type(Dtype::F32));
        b.op_with("Cast", &[x], vec![("to", to)])
    };
    let is_row = to_f32(&mut b, &is_row);
    let axis_of = |axis, keep| {
        vec![
            ("axis", Attribute::Int(axis)),
            ("keepdims", Attribute::Int(keep)),
        ]
    };
    let row = b.op_with("ArgMax", &[&is_row], axis_of(-1, 0)); // [batch, pos - 2]
    // 0 where every token has a row and the last one is the one, 0 / 0 otherwise.
    let keep = |keep| vec![("keepdims", Attribute::Int(keep))];
    let found = b.op_with("ReduceSum", &[&is_row, &last_axis], keep(0));
    let found = b.op_with("ReduceMin", &[&found, &last_axis], keep(1)); // [batch, 1]
    let stop = b.ints(&[i64::MAX]);
    let last = b.op("Slice", &[&keys, &end, &stop, &axis]);
    let expected = b.ints(&[key(of.positions - 1, of.last)]);
    let same = b.op("Equal", &[&last, &expected]);
    let same = to_f32(&mut b, &same);
    let known = b.op("Mul", &[&found, &same]);
    let zero = b.scalar(0.0);
    let unknown = b.op("Div", &[&zero, &known]);

    b.scope("rotary");
    let position = b.ints(&[of.positions as i64 - 1]);
    let first = b.ints(&[0]);
    let position = b.op("Unsqueeze", &[&position, &first]); // [1, 1]
    let angles = Angles::new(&mut b, &position, spec);

    b.scope("last");
    let last = b.weight(&weights.reference(LAST, &[1, 1, d])?);
    // [batch, 1, 1, 1]: how often what is the same in every prompt is repeated.
    let shape = b.op("Shape", &[&ids]);
    let prompts = b.op("Slice", &[&shape, &first, &one, &first]);
    let ones = |b: &mut Builder, count: usize| {
        let ones = b.ints(&vec![1; count]);
        b.op_with(
            "Concat",
            &[&prompts, &ones],
            vec![("axis", Attribute::Int(0))],
        )
    };
    let (of_three, of_four) = (ones(&mut b, 2), ones(&mut b, 3));
    let expanded = b.op("Expand", &[&last, &of_three]);
    let stream = || vec![Dim::Symbol("batch"), Dim::Fixed(1), Dim::Fixed(d)];
    let mut x = b.boundary(&expanded, &resid(of.wait), Dtype::F32, stream());
    let bias = b.scalar(0.0);

    for layer in of.wait..spec.layers {
        b.scope(format!("layer.{layer}/tables"));
        let mut past = [String::new(), String::new()];
        let names_here = sinks(layer).into_iter().zip(tables(layer));
        for (past, (sink, table)) in past.iter_mut().zip(names_here) {
            let sink = b.weight(&weights.reference(&sink, &[1, kv, 1, d_head])?);
            *past = b.op("Expand", &[&sink, &of_four]); // [batch, kv, 1, d_head]
            if layer < of.wait + of.transfer {
                let table = weights.reference(&table, &[of.rows.len(), kv, d_head])?;
                let table = b.weight(&table);
                let seen = b.op("Gather", &[&table, &row]); // [batch, pos - 2, kv, d_head]
                let perm = vec![("perm", Attribute::Ints(vec![0, 2, 1, 3]))];
                let seen = b.op_with("Transpose", &[&seen], perm);
                *past = b.op_with(
                    "Concat",
                    &[past.as_str(), &seen],
                    vec![("axis", Attribute::Int(2))],
                );
            }
        }
        let wires = Wires {
            angles: &angles,
            bias: &bias,
            past: Some((&past[0], &past[1])),
        };
        let sum = decoder_layer(&mut b, &x, layer, (source, &names.layers[layer]), &wires)?;
        x = b.boundary(&sum, &resid(layer + 1), Dtype::F32, stream());
    }

    b.scope("head");
    let last = b.op("Squeeze", &[&x, &one]);
    let logits = unembed(&mut b, &last, source, names)?;
    let checked = b.op("Add", &[&logits, &unknown]);
    let shape = vec![batch, Dim::Fixed(spec.vocab)];
    b.output(&checked, LOGITS, Dtype::F32, shape);
    Ok(b.finish(&format!(
        "{} AF1({}, {})",
        spec.family, of.wait, of.transfer
    )))
}
