//! The experiments together, on one template and without a hint: what they find is compared with what was planted.

use serde::Serialize;

use super::{Evaluation, Order, Pruning, Request, knockout_windows, prepare, subgraphs, waiting};
use crate::Result;
use crate::intervene::{Ablation, Head, Plan, Tail, ablation};
use crate::prompt::PromptSet;
use crate::runtime::Engine;

/// What the experiments find on a template.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// Evaluated prompts.
    pub prompts: usize,
    /// Those that the unmodified model answers correctly.
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

/// Runs the waiting sweep, the grid, the knock-outs and, where an AF1 is found, head pruning, with CAMA. A subgraph holds
/// if its faithfulness is at least `claim`. The plans and ablations of the request are not used.
///
/// # Errors
/// As [`super::evaluate`].
pub fn recover(
    engine: &mut Engine,
    set: PromptSet,
    request: &Request<'_>,
    claim: f64,
) -> Result<Found> {
    let layers = engine.layers();
    let cama = ablation::named("cama").expect("it is built in");
    let nothing = ablation::named("identity").expect("it is built in");
    let boundaries: Vec<usize> = (0..=layers).collect();
    let mut evaluation = prepare(engine, set, request, &boundaries)?;

    let sweep = waiting(&boundaries);
    evaluation.add(engine, &sweep, &[cama])?;
    let held = sweep
        .iter()
        .take_while(|plan| holds(&evaluation, plan, cama, claim))
        .count();
    let waits = held.checked_sub(1);

    let single = knockout_windows(layers, 1);
    evaluation.add(engine, &single, &[nothing])?;
    let knockouts: Vec<usize> = match waits {
        None => Vec::new(),
        Some(_) => (0..layers)
            .filter(|&layer| !holds(&evaluation, &single[layer], nothing, 0.5))
            .collect(),
    };

    let mut af1 = None;
    for wait in (0..held).rev() {
        let transfers: Vec<usize> = (0..=layers - wait).collect();
        let grid = subgraphs(&[wait], &transfers);
        evaluation.add(engine, &grid, &[cama])?;
        let mut holding = grid
            .iter()
            .filter(|plan| holds(&evaluation, plan, cama, claim));
        if let Some(plan) = holding.next() {
            af1 = plan.tail.transfer().map(|transfer| (wait, transfer));
            break;
        }
    }

    let mut heads = Vec::new();
    if let Some((wait, transfer)) = af1 {
        let mut pruning = Pruning::new(wait, transfer, engine.heads(), Order::Greedy);
        while let Some(plan) = pruning.next(engine, &mut evaluation, cama)? {
            evaluation.add(engine, &[plan], &[cama])?;
        }
        let fewest = evaluation
            .cells
            .iter()
            .filter_map(|cell| match &cell.plan.tail {
                Tail::Pruned { without, .. } if share(&evaluation, cell) >= claim => Some(without),
                _ => None,
            })
            .max_by_key(|without| without.len());
        let all = Head::all(wait..wait + transfer, engine.heads());
        heads = all
            .filter(|head| fewest.is_some_and(|without| !without.contains(head)))
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

fn share(evaluation: &Evaluation, cell: &super::Cell) -> f64 {
    let (base, kept) = evaluation.kept(cell);
    match base {
        0 => 0.0,
        _ => kept as f64 / base as f64,
    }
}

/// Whether the last cell of a plan is faithful at least to that share.
fn holds(evaluation: &Evaluation, plan: &Plan, ablation: &dyn Ablation, claim: f64) -> bool {
    let mut cells = evaluation.cells.iter().rev();
    let cell = cells.find(|cell| cell.plan == *plan && cell.ablation.name() == ablation.name());
    cell.is_some_and(|cell| share(evaluation, cell) >= claim)
}
