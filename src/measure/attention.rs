//! What the last token's attention rests on, head by head, in the unmodified model.

use std::collections::BTreeMap;

use ndarray::{Array3, Axis};

use super::forward::failed;
use super::memory::in_batches_that_fit;
use super::split::Split;
use super::{Biases, Request, last_attention};
use crate::Result;
use crate::progress::{Unit, steps};
use crate::prompt::{Operation, PromptSet, Role};
use crate::runtime::Engine;

/// The attention of one head.
pub struct Attended {
    /// The layer of the head.
    pub layer: usize,
    /// The index of the head in the layer.
    pub head: usize,
    /// By what stands there, the sum of the last query's weights on it, for every evaluated prompt: `bos`, the operands `A`, `B`
    /// and so on, `text`, and `last` for the last token itself.
    pub weights: BTreeMap<String, Vec<f64>>,
}

/// Checks that the weights of queries, `[batch, head, k_pos]` a layer, are weights: not negative, and together 1. What another
/// program's graph calls so may be something else.
///
/// # Errors
/// The first that are not, in words.
pub(super) fn check_weights(layers: &[Array3<f32>]) -> Result<(), String> {
    for (layer, weights) in layers.iter().enumerate() {
        for (head, of_head) in weights.axis_iter(Axis(1)).enumerate() {
            for row in of_head.outer_iter() {
                let least = row.iter().copied().fold(f32::INFINITY, f32::min);
                let sum = row.sum();
                let are_weights = least >= 0.0 && (sum - 1.0).abs() <= OF_ONE; // NaN is none
                if !are_weights {
                    let name = crate::graph::attn_pattern(layer);
                    return Err(format!(
                        "{name} has numbers from {least} on with the sum {sum} in head {head}; expected weights after softmax, from 0 \
                         on with the sum 1"
                    ));
                }
            }
        }
    }
    Ok(())
}

/// How far the weights of a query may be from 1 together: thousands of keys in f32, or some in 16 bits.
const OF_ONE: f32 = 1e-2;

/// The attention of all heads, layer by layer, and the indices of the prompts that were evaluated.
///
/// # Errors
/// The runtime's reason; a graph that cannot be cut at its attention; an interrupt.
pub fn attention(
    engine: &mut Engine,
    set: &PromptSet,
    request: &Request<'_>,
) -> Result<(Vec<Attended>, Vec<usize>)> {
    let evaluated = Split::new(set, request)?.evaluated;
    let all = in_batches_that_fit(request.batch, evaluated.len(), |batch| {
        in_batches(engine, set, &evaluated, batch)
    })?;
    Ok((all, evaluated))
}

/// The same of these prompts, in batches of that size.
fn in_batches(
    engine: &mut Engine,
    set: &PromptSet,
    evaluated: &[usize],
    batch: usize,
) -> Result<Vec<Attended>> {
    let name = |role: &Role| match role {
        Role::Bos => "bos".to_owned(),
        Role::Operand(i) => Operation::letter(*i).to_string(),
        Role::Text => "text".to_owned(),
        Role::Answer => "answer".to_owned(),
        Role::Last => "last".to_owned(),
    };
    let names: Vec<String> = set.roles.iter().map(name).collect();
    let heads = (0..engine.layers()).flat_map(|l| (0..engine.heads()).map(move |h| (l, h)));
    let mut all: Vec<Attended> = heads
        .map(|(layer, head)| Attended {
            layer,
            head,
            weights: names
                .iter()
                .map(|name| (name.clone(), Vec::new()))
                .collect(),
        })
        .collect();
    let biases = Biases::new(set.positions())?;
    let label = format!(
        "{} {}: attention",
        set.template.style, set.template.operation
    );
    let bar = steps(
        &label,
        evaluated.len().div_ceil(batch) as u64,
        Unit::Batches,
    );
    for prompts in evaluated.chunks(batch) {
        let layers = last_attention(engine, set.ids(prompts), &biases)?;
        check_weights(&layers).map_err(|reason| failed(set, "attention", reason))?;
        for attended in &mut all {
            let of_head = layers[attended.layer].index_axis(Axis(1), attended.head);
            for weights in of_head.outer_iter() {
                for sums in attended.weights.values_mut() {
                    sums.push(0.0);
                }
                for (name, weight) in names.iter().zip(weights) {
                    let sums = attended.weights.get_mut(name).expect("every role has sums");
                    *sums.last_mut().expect("it was just pushed") += f64::from(*weight);
                }
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(all)
}
