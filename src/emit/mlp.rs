//! The MLP of a layer, gated or not.

use super::linear::linear;
use super::source::Source;
use crate::Result;
use crate::graph::Builder;
use crate::model::{Activation, LayerNames};

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
