//! Plans under which tokens look at each other, run on trees of what replaces the residual streams: what several prompts share is run
//! once. Equal to [`super::forward`] up to rounding, as the compiled way of an AF1 is.

use std::collections::HashMap;

use ndarray::{Array3, Axis};

use super::biases::Biases;
use super::scores::{Logits, Seen};
use super::tree::{Tokens, Trees};
use crate::Result;
use crate::interrupt::interrupted;
use crate::intervene::{Plan, Tail};
use crate::runtime::{Engine, Tensor};

/// Whether a plan can be run this way: its masks are the same in all heads and cut attention before softmax.
pub fn shares(engine: &Engine, plan: &Plan, biases: &Biases) -> bool {
    let plain = match plan.tail {
        Tail::Causal | Tail::Knockout { .. } => true,
        Tail::Af1 { .. } | Tail::Pruned { .. } | Tail::Apart { .. } => false,
    };
    plain && biases.prefix().is_some() && engine.takes_keys_values()
}

/// Runs plans that share, all with the same boundary, from the replaced streams `[batch, pos, d_model]`; calls `done` with the index of
/// each plan and its logits. Returns the first plan whose logits are not finite; with it the run ends.
///
/// # Errors
/// The runtime's reason; an interrupt; what `done` fails with.
pub fn run_plans(
    engine: &mut Engine,
    replaced: &Array3<f32>,
    plans: &[&Plan],
    mut done: impl FnMut(&mut Engine, usize, &Logits<'_>) -> Result<Seen>,
) -> Result<Option<usize>> {
    if plans.is_empty() {
        return Ok(None);
    }
    let rows = numbered(replaced);
    let rows: Vec<&[usize]> = rows.iter().map(Vec::as_slice).collect();
    let pos = replaced.len_of(Axis(1));
    let mut trees = Trees::new(0, pos, &rows);
    let start = Tensor::from_f32(trees.gather(replaced.view()))?;
    let (firsts, which) = trees.lasts();
    let lasts = Tokens {
        prompts: &firsts,
        token: pos - 1,
    };
    for (i, plan) in plans.iter().enumerate() {
        let last = last_streams(engine, &mut trees, &start, plan, &lasts)?;
        let logits = engine.logits(&last)?;
        if done(engine, i, &Logits::rows(&logits, which.clone()))? == Seen::NotFinite {
            return Ok(Some(i));
        }
    }
    Ok(None)
}

/// The streams of the last tokens of prompts at the end of the model, `[prompt, 1, d_model]`, when the streams of all nodes are
/// `start` at the plan's boundary.
fn last_streams(
    engine: &mut Engine,
    trees: &mut Trees,
    start: &Tensor,
    plan: &Plan,
    lasts: &Tokens<'_>,
) -> Result<Tensor> {
    let end = engine.layers();
    let mut next: Option<Tensor> = None;
    for layer in plan.wait..end {
        interrupted()?;
        let mask = plan.mask(layer);
        trees.include(&mask)?;
        let here = next.as_ref().unwrap_or(start);
        if layer + 1 == end {
            let seen = trees.seen(engine, layer, here, None)?;
            return trees.layer_at(engine, layer, here, &seen, &mask, lasts);
        }
        next = Some(trees.layer(engine, layer, here, None, &mask)?);
    }
    let last = lasts.token..lasts.token + 1;
    Tensor::from_f32(trees.spread(start.view()?, lasts.prompts, last))
}

/// A number for every stream of every prompt, the same for the same bits.
fn numbered(replaced: &Array3<f32>) -> Vec<Vec<usize>> {
    let bits = replaced.mapv(f32::to_bits);
    let bits = bits.as_standard_layout();
    let mut known: HashMap<&[u32], usize> = HashMap::new();
    let width = bits.len_of(Axis(2)).max(1);
    let streams = bits
        .as_slice()
        .expect("standard layout")
        .chunks_exact(width);
    let numbers: Vec<usize> = streams
        .map(|stream| {
            let next = known.len();
            *known.entry(stream).or_insert(next)
        })
        .collect();
    let pos = bits.len_of(Axis(1)).max(1);
    numbers.chunks_exact(pos).map(<[usize]>::to_vec).collect()
}
