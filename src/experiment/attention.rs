//! What the last token's attention rests on, head by head, in the unmodified model.

use std::collections::BTreeMap;

use ndarray::Axis;

use super::evaluate::Halves;
use super::{Biases, Request, last_attention};
use crate::Result;
use crate::prompt::{Operation, PromptSet, Role};
use crate::runtime::Engine;

/// The attention of one head.
pub struct Attended {
    /// Its layer.
    pub layer: usize,
    /// Its index in the layer.
    pub head: usize,
    /// By what stands there, the sum of the last query's weights on it, for every evaluated prompt: `bos`, the operands `A`, `B`
    /// and so on, `text`, and `last` for the last token itself.
    pub weights: BTreeMap<String, Vec<f64>>,
}

/// The attention of all heads, layer by layer, and the indices of the prompts that were evaluated.
///
/// # Errors
/// The runtime's reason; a graph that cannot be cut at its attention; an interrupt.
pub fn attention(
    engine: &mut Engine,
    set: &PromptSet,
    request: &Request<'_>,
) -> Result<(Vec<Attended>, Vec<usize>)> {
    let evaluated = Halves::new(set, request).evaluated;
    let name = |role: &Role| match role {
        Role::Bos => "bos".to_owned(),
        Role::Operand(i) => Operation::letter(*i).to_string(),
        Role::Text => "text".to_owned(),
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
    let bar = crate::progress::steps(&label, evaluated.len().div_ceil(request.batch) as u64);
    for prompts in evaluated.chunks(request.batch) {
        let layers = last_attention(engine, set.ids(prompts), &biases)?;
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
    Ok((all, evaluated))
}
