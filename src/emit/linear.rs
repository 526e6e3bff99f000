//! Linear maps, however their matrices are stored.

use super::source::Source;
use crate::Result;
use crate::graph::{Attribute, Builder, Dtype};
use crate::model::{Linear, Outputs};

/// A linear map from `input` to `out` entries of the last axis; from f32 to f32, its product in the graph's precision.
pub fn linear(
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
    let weight = take(b, names.outputs, weight, axis, out, Some(input));
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
            let bias = take(b, names.outputs, bias, 0, out, None);
            b.op("Add", &[&product, &bias])
        }
        None => product,
    })
}

/// The `out` outputs that are a map's own of a stored value whose outputs are the axis `axis`; another axis has `input` entries, if there
/// is one.
fn take(
    b: &mut Builder,
    outputs: Outputs,
    value: String,
    axis: i64,
    out: usize,
    input: Option<usize>,
) -> String {
    match outputs {
        Outputs::All => value,
        Outputs::From { first, .. } => slice(b, &value, first..first + out, axis),
        Outputs::OfEveryHead { part, parts, heads } => {
            let own = out / heads;
            let rest: Vec<i64> = input.map(|input| input as i64).into_iter().collect();
            let by_head = [&[heads as i64, (parts * own) as i64], &*rest].concat();
            let by_head = b.ints(&by_head);
            let split = b.op("Reshape", &[&value, &by_head]);
            let taken = slice(b, &split, part * own..(part + 1) * own, 1);
            let joined = b.ints(&[&[out as i64], &*rest].concat());
            b.op("Reshape", &[&taken, &joined])
        }
    }
}

/// A range of a value along an axis.
fn slice(b: &mut Builder, value: &str, range: std::ops::Range<usize>, axis: i64) -> String {
    let bounds = [range.start as i64, range.end as i64, axis].map(|bound| b.ints(&[bound]));
    let [from, to, axis] = &bounds;
    b.op("Slice", &[value, from, to, axis])
}

/// A value with its axes in another order.
pub fn transpose(b: &mut Builder, x: &str, axes: &[i64]) -> String {
    let perm = vec![("perm", Attribute::Ints(axes.to_vec()))];
    b.op_with("Transpose", &[x], perm)
}

/// Values one after another along an axis.
pub fn concat(b: &mut Builder, parts: &[&str], axis: i64) -> String {
    b.op_with("Concat", parts, vec![("axis", Attribute::Int(axis))])
}
