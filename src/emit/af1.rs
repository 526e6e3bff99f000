//! What an AF1 leaves of a model, as a graph: the last token through the layers from `W` on, and tables.
//!
//! The inputs of the graph are the tokens of whole prompts, as of the model itself, but nothing is computed of the waiting tokens: the keys
//! and values with which each of them is seen in the transfer layers are rows of a table, by position and token. A token
//! that the tables do not have where it stands makes all logits of its prompt NaN: never a plausible answer.

use super::attention::Wires;
use super::layer::{decoder_layer, unembed};
use super::linear::{concat, transpose};
use super::rotary::Angles;
use super::source::Source;
use crate::Result;
use crate::graph::{Attribute, Builder, Dim, Dtype, Graph, INPUT_IDS, LOGITS, resid};
use crate::model::{ModelSpec, WeightNames, Weights};

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
    let source = Source { spec, weights };
    let mut b = Builder::new();
    let batch = Dim::Symbol("batch");
    let shape = vec![batch.clone(), Dim::Fixed(of.positions)];
    let ids = b.input(INPUT_IDS, Dtype::I64, shape);

    b.scope("rows");
    let found = look_up(&mut b, &ids, spec.vocab, of);

    b.scope("rotary");
    let position = b.ints(&[of.positions as i64 - 1]);
    let first = b.ints(&[0]);
    let position = b.op("Unsqueeze", &[&position, &first]); // [1, 1]
    let angles = Angles::new(&mut b, &position, spec);

    b.scope("last");
    let last = b.weight(&weights.reference(LAST, &[1, 1, spec.d_model])?);
    let repeats = Repeats::of(&mut b, &ids);
    let expanded = b.op("Expand", &[&last, &repeats.streams]);
    let stream = || {
        vec![
            Dim::Symbol("batch"),
            Dim::Fixed(1),
            Dim::Fixed(spec.d_model),
        ]
    };
    let mut x = b.boundary(&expanded, &resid(of.wait), Dtype::F32, stream());
    let bias = b.scalar(0.0);

    for layer in of.wait..spec.layers {
        b.scope(format!("layer.{layer}/tables"));
        let row = (layer < of.wait + of.transfer).then_some(&*found.row);
        let [keys, values] = past(&mut b, source, layer, of, row, &repeats)?;
        let wires = Wires {
            angles: &angles,
            bias: &bias,
            past: Some((&keys, &values)),
        };
        let sum = decoder_layer(&mut b, &x, layer, source, &names.layers[layer], &wires)?;
        x = b.boundary(&sum, &resid(layer + 1), Dtype::F32, stream());
    }

    b.scope("head");
    let one = b.ints(&[1]);
    let last = b.op("Squeeze", &[&x, &one]);
    let logits = unembed(&mut b, &last, source, names)?;
    let checked = b.op("Add", &[&logits, &found.unknown]);
    let shape = vec![batch, Dim::Fixed(spec.vocab)];
    b.output(&checked, LOGITS, Dtype::F32, shape);
    Ok(b.finish(&format!(
        "{} AF1({}, {})",
        spec.family, of.wait, of.transfer
    )))
}

/// What the tables have of the tokens of a prompt.
struct Found {
    /// The row of every waiting token, `[batch, pos - 2]`.
    row: String,
    /// `[batch, 1]`: 0 where every token has a row and the last one is the one, NaN otherwise.
    unknown: String,
}

/// Looks the tokens `ids`, `[batch, pos]`, up.
fn look_up(b: &mut Builder, ids: &str, vocab: usize, of: &Af1) -> Found {
    // A key is a number: position * vocab + token.
    let key = |t: usize, token: u32| (t * vocab) as i64 + i64::from(token);
    let offsets: Vec<i64> = (0..of.positions).map(|t| key(t, 0)).collect();
    let offsets = b.ints(&offsets);
    let keys = b.op("Add", &[ids, &offsets]);
    let (axis, end) = (b.ints(&[1]), b.ints(&[of.positions as i64 - 1]));
    let waiting = b.op("Slice", &[&keys, &axis, &end, &axis]); // [batch, pos - 2]
    let last_axis = b.ints(&[-1]);
    let waiting = b.op("Unsqueeze", &[&waiting, &last_axis]);
    let rows: Vec<i64> = of.rows.iter().map(|&(t, token)| key(t, token)).collect();
    let rows = b.ints(&rows);
    let is_row = b.op("Equal", &[&waiting, &rows]); // [batch, pos - 2, row]
    let is_row = b.indicator(&is_row);
    let largest = vec![
        ("axis", Attribute::Int(-1)),
        ("keepdims", Attribute::Int(0)),
    ];
    let row = b.op_with("ArgMax", &[&is_row], largest); // [batch, pos - 2]
    let keep = |keep| vec![("keepdims", Attribute::Int(keep))];
    let found = b.op_with("ReduceSum", &[&is_row, &last_axis], keep(0));
    let found = b.op_with("ReduceMin", &[&found, &last_axis], keep(1)); // [batch, 1]
    let stop = b.ints(&[i64::MAX]);
    let last = b.op("Slice", &[&keys, &end, &stop, &axis]);
    let expected = b.ints(&[key(of.positions - 1, of.last)]);
    let same = b.op("Equal", &[&last, &expected]);
    let same = b.indicator(&same);
    let known = b.op("Mul", &[&found, &same]);
    let zero = b.scalar(0.0);
    let unknown = b.op("Div", &[&zero, &known]); // 0 / 0 is NaN
    Found { row, unknown }
}

/// How often what is the same in every prompt is repeated, as the shapes that `Expand` takes.
struct Repeats {
    /// The shape for streams, `[batch, 1, 1]`.
    streams: String,
    /// The shape for keys, `[batch, 1, 1, 1]`.
    keys: String,
}

impl Repeats {
    /// Once for each prompt of `ids`, `[batch, pos]`.
    fn of(b: &mut Builder, ids: &str) -> Self {
        let shape = b.op("Shape", &[ids]);
        let (first, one) = (b.ints(&[0]), b.ints(&[1]));
        let prompts = b.op("Slice", &[&shape, &first, &one, &first]);
        let mut ones = |count: usize| {
            let ones = b.ints(&vec![1; count]);
            concat(b, &[&prompts, &ones], 0)
        };
        Self {
            streams: ones(2),
            keys: ones(3),
        }
    }
}

/// The keys and the values, each `[batch, kv, past, d_head]`, that a layer sees before the last token's own: those of position 0, and
/// in a transfer layer, where there is a `row`, those that the tables have of the waiting tokens.
fn past(
    b: &mut Builder,
    source: Source<'_>,
    layer: usize,
    of: &Af1,
    row: Option<&str>,
    repeats: &Repeats,
) -> Result<[String; 2]> {
    let (kv, d_head) = (source.spec.kv_heads, source.spec.d_head);
    let mut past = [String::new(), String::new()];
    let names = sinks(layer).into_iter().zip(tables(layer));
    for (past, (sink, table)) in past.iter_mut().zip(names) {
        let sink = source.weights.reference(&sink, &[1, kv, 1, d_head])?;
        let sink = b.weight(&sink);
        *past = b.op("Expand", &[&sink, &repeats.keys]); // [batch, kv, 1, d_head]
        if let Some(row) = row {
            let shape = [of.rows.len(), kv, d_head];
            let table = b.weight(&source.weights.reference(&table, &shape)?);
            let seen = b.op("Gather", &[&table, row]); // [batch, pos - 2, kv, d_head]
            let seen = transpose(b, &seen, &[0, 2, 1, 3]);
            *past = concat(b, &[past.as_str(), &seen], 2);
        }
    }
    Ok(past)
}
