//! Rotary embedding of queries and keys.

use super::linear::concat;
use crate::graph::{Attribute, Builder, Dtype};
use crate::model::{ModelSpec, Rotary};

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
    /// The angles at the positions `[batch, pos]`.
    pub fn new(b: &mut Builder, position_ids: &str, spec: &ModelSpec) -> Self {
        let mut turn = |rotary: &Rotary, name: &str| {
            let positions = b.cast(position_ids, Dtype::I64, Dtype::F32);
            let axes = b.ints(&[1, 3]);
            let positions = b.op("Unsqueeze", &[&positions, &axes]); // [batch, 1, pos, 1]
            let frequencies = b.floats(name, &rotary.frequencies());
            let angles = b.op("Mul", &[&positions, &frequencies]);
            let [cos, sin] = ["Cos", "Sin"].map(|op| {
                let turned = b.op(op, &[&angles]);
                match rotary.attention() {
                    Some(factor) => {
                        let factor = b.scalar(factor);
                        b.op("Mul", &[&turned, &factor])
                    }
                    None => turned,
                }
            });
            Turn { cos, sin }
        };
        let global = (spec.rotary.as_ref()).map(|rotary| turn(rotary, "rotary.inv_freq"));
        let local = (spec.local.as_ref()).map(|local| turn(&local.rotary, "rotary.local_inv_freq"));
        Self { global, local }
    }

    /// Queries or keys of a layer, rotated: `[batch, head, pos, d_head]` to the same shape.
    pub fn rotate(&self, b: &mut Builder, x: String, layer: usize, spec: &ModelSpec) -> String {
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
