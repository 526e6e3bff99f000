//! Which heads of the transfer layers matter: they are taken out one by one, the least important first.

use std::collections::BTreeSet;

use super::Evaluation;
use crate::Result;
use crate::intervene::{Ablation, Head, Plan};
use crate::runtime::Engine;

/// AF1(wait, transfer) with fewer and fewer heads that peek: first with all of them, then, one cell a step, without the
/// head whose loss costs least, until none is left. The cells are added to the evaluation, which must have been prepared
/// at `wait`; the one that takes out all heads is AF1(wait, 0) by another way.
///
/// A head costs least if most of the prompts that the unmodified model answers correctly stay correct; among equals, if
/// the mean logit difference stays highest; then the first. (Greedy backward elimination, measured anew at every step.)
///
/// # Errors
/// The runtime's reason; NaN or infinity; an interrupt.
pub fn prune(
    engine: &mut Engine,
    evaluation: &mut Evaluation,
    ablation: &'static dyn Ablation,
    wait: usize,
    transfer: usize,
) -> Result<()> {
    let mut left: Vec<Head> = Head::all(wait..wait + transfer, engine.heads()).collect();
    let mut without = BTreeSet::new();
    let plan = |without: &BTreeSet<Head>| Plan::pruned(wait, transfer, without.clone());
    evaluation.add(engine, &[plan(&without)], &[ablation])?;
    while !left.is_empty() {
        let candidates: Vec<Plan> = left
            .iter()
            .map(|&head| {
                let mut more = without.clone();
                more.insert(head);
                plan(&more)
            })
            .collect();
        let known = evaluation.cells.len();
        evaluation.add(engine, &candidates, &[ablation])?;
        let mut tried = evaluation.cells.split_off(known);
        let score = |at: &usize| {
            let cell = &tried[*at];
            let sum: f64 = cell.logit_difference.iter().map(|&d| f64::from(d)).sum();
            (evaluation.kept(cell).1, sum)
        };
        let best = (0..tried.len())
            .rev()
            .max_by(|a, b| {
                let (a, b) = (score(a), score(b));
                a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
            })
            .expect("there are heads left");
        without.insert(left.remove(best));
        evaluation.cells.push(tried.swap_remove(best));
    }
    Ok(())
}
