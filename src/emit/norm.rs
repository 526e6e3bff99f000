//! Norms over the last axis.

use super::source::Source;
use crate::Result;
use crate::graph::{Attribute, Builder};
use crate::model::{Norm, NormKind};

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
pub fn rms_norm(
    b: &mut Builder,
    x: &str,
    of: Source<'_>,
    weight: &str,
    len: usize,
) -> Result<String> {
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
