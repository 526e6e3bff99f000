//! Small graphs that put tensors together where they are, between segments of a model.

use super::{Attribute, Builder, Dim, Dtype, Graph};

/// Rows of `table`, `[row, ...]`, by `index`.
pub const TABLE: &str = "table";
/// Which rows.
pub const INDEX: &str = "index";
/// What comes first.
pub const FIRST: &str = "first";
/// Zeros, `[batch, 1, 1, 1]`: as many as the batch has, of which `first` has one or all.
pub const ZEROS: &str = "zeros";
/// What comes last.
pub const LAST: &str = "last";
/// The result.
pub const OUT: &str = "out";

/// Keys or values of a batch of 1 or of every prompt, `first`, before those of every prompt, `last`, along `k_pos`: `[1|batch, kv, past,
/// d_head]` and `[batch, kv, pos, d_head]` to `[batch, kv, past + pos, d_head]`. With `table`, `[row, kv, 1, d_head]`, and `index`, `[batch, len]`, those of
/// rows of a table stand between the two.
pub fn keys(kv: usize, d_head: usize, with_table: bool) -> Graph {
    let mut b = Builder::new();
    let axes = |batch, pos| vec![batch, Dim::Fixed(kv), Dim::Symbol(pos), Dim::Fixed(d_head)];
    let one = || Dim::Fixed(1);
    let first = b.input(FIRST, Dtype::F32, axes(Dim::Symbol("first"), "past"));
    let zeros = vec![Dim::Symbol("batch"), one(), one(), one()];
    let zeros = b.input(ZEROS, Dtype::F32, zeros);
    let last = b.input(LAST, Dtype::F32, axes(Dim::Symbol("batch"), "pos"));
    // Broadcast by adding zeros: every provider has that.
    let first = b.op("Add", &[&first, &zeros]);
    let along = |axis| vec![("axis", Attribute::Int(axis))];
    let joined = if with_table {
        let table = vec![
            Dim::Symbol("row"),
            Dim::Fixed(kv),
            one(),
            Dim::Fixed(d_head),
        ];
        let table = b.input(TABLE, Dtype::F32, table);
        let index = vec![Dim::Symbol("batch"), Dim::Symbol("len")];
        let index = b.input(INDEX, Dtype::I64, index);
        let rows = b.op_with("Gather", &[&table, &index], along(0)); // [batch, len, kv, 1, d_head]
        let axis = b.ints(&[3]);
        let rows = b.op("Squeeze", &[&rows, &axis]);
        let order = vec![("perm", Attribute::Ints(vec![0, 2, 1, 3]))];
        let rows = b.op_with("Transpose", &[&rows], order); // [batch, kv, len, d_head]
        b.op_with("Concat", &[&first, &rows, &last], along(2))
    } else {
        b.op_with("Concat", &[&first, &last], along(2))
    };
    b.output(
        &joined,
        OUT,
        Dtype::F32,
        axes(Dim::Symbol("batch"), "k_pos"),
    );
    b.finish(if with_table {
        "keys from a table"
    } else {
        "keys after others"
    })
}

/// Rows of residual streams, `[row, 1, d_model]`, by `index`, `[out]`.
pub fn rows(d_model: usize) -> Graph {
    let mut b = Builder::new();
    let axes = |n| vec![Dim::Symbol(n), Dim::Fixed(1), Dim::Fixed(d_model)];
    let table = b.input(TABLE, Dtype::F32, axes("row"));
    let index = b.input(INDEX, Dtype::I64, vec![Dim::Symbol("out")]);
    let along = vec![("axis", Attribute::Int(0))];
    let rows = b.op_with("Gather", &[&table, &index], along);
    b.output(&rows, OUT, Dtype::F32, axes("out"));
    b.finish("rows")
}

/// Residual streams one below the other: `[first, 1, d_model]` and `[last, 1, d_model]`.
pub fn stack(d_model: usize) -> Graph {
    let mut b = Builder::new();
    let axes = |n| vec![Dim::Symbol(n), Dim::Fixed(1), Dim::Fixed(d_model)];
    let first = b.input(FIRST, Dtype::F32, axes("first"));
    let last = b.input(LAST, Dtype::F32, axes("last"));
    let along = vec![("axis", Attribute::Int(0))];
    let all = b.op_with("Concat", &[&first, &last], along);
    b.output(&all, OUT, Dtype::F32, axes("all"));
    b.finish("stack")
}
