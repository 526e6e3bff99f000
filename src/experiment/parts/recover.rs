//! The experiments together, on one template and without a hint: what they find is compared with what was planted.

use serde::Serialize;

use super::choosing::{discover, needed_layers};
use super::pruning::most_pruned;
use crate::Result;
use crate::intervene::{Head, ablation};
use crate::measure::{Cell, Evaluation, Request, prepare};
use crate::prompt::PromptSet;
use crate::runtime::Engine;
use crate::stats::Criterion;

/// What the experiments find on a template.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// Evaluated prompts.
    pub prompts: usize,
    /// Evaluated prompts that the unmodified model answers correctly.
    pub base_correct: usize,
    /// The last boundary up to which CAMA holds at every boundary; `None` where the model answers nothing correctly.
    pub waits: Option<usize>,
    /// The AF1 that holds with the longest wait, up to `waits`, and then the fewest transfer layers, `(W, K)`.
    pub af1: Option<(usize, usize)>,
    /// The layers whose knock-out, alone, costs more than half of the correct answers.
    pub knockouts: Vec<usize>,
    /// The fewest heads of the transfer layers of `af1` with which it holds, by pruning.
    pub heads: Vec<Head>,
}

/// Looks on a template with CAMA, as [`recover_on`] does. The plans and ablations of the request are not used.
///
/// # Errors
/// As [`crate::measure::evaluate`].
pub fn recover(
    engine: &mut Engine,
    set: PromptSet,
    request: &Request<'_>,
    claim: f64,
) -> Result<Found> {
    let boundaries: Vec<usize> = (0..=engine.layers()).collect();
    let mut evaluation = prepare(engine, set, request, &boundaries)?;
    recover_on(engine, &mut evaluation, claim)
}

/// Runs the waiting sweep, the grid, the knock-outs and, where an AF1 is found, head pruning, with CAMA, on an evaluation that was
/// prepared at every boundary. A subgraph holds if its faithfulness, by the point estimate, is at least `claim`: what was planted is exact.
///
/// # Errors
/// The runtime's reason; NaN or infinity; an interrupt.
pub fn recover_on(engine: &mut Engine, evaluation: &mut Evaluation, claim: f64) -> Result<Found> {
    let cama = ablation::CAMA;
    let nothing = ablation::IDENTITY;
    let discovered = discover(engine, evaluation, cama, claim, Criterion::PointEstimate)?;
    let (waits, af1) = (discovered.waits, discovered.holds);
    let knockouts = match waits {
        None => Vec::new(),
        Some(_) => needed_layers(engine, evaluation, nothing)?,
    };

    let mut heads = Vec::new();
    if let Some((wait, transfer)) = af1 {
        let holds = |of: &Evaluation, cell: &Cell| of.share_kept(cell) >= claim;
        let fewest = most_pruned(engine, evaluation, wait, transfer, cama, holds)?;
        let all = Head::all(wait..wait + transfer, engine.heads());
        heads = all
            .filter(|head| {
                fewest
                    .as_ref()
                    .is_some_and(|without| !without.contains(head))
            })
            .collect();
    }
    let base_correct = evaluation
        .evaluated
        .iter()
        .filter(|&&prompt| evaluation.base_correct(prompt));
    Ok(Found {
        prompts: evaluation.evaluated.len(),
        base_correct: base_correct.count(),
        waits,
        af1,
        knockouts,
        heads,
    })
}
