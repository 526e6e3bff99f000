//! Choosing a subgraph by counts of right answers, and what plans keep of them.

use super::plans::{knockout_windows, subgraphs, waiting};
use super::pruning::most_pruned;
use super::unit::Workbench;
use crate::intervene::{Ablation, Plan};
use crate::measure::{Cell, Evaluation, Part, Request};
use crate::record::{Chosen, Measurement, PruningOrder, measure};
use crate::runtime::Engine;
use crate::stats::Criterion;
use crate::{Error, Result};

/// What was found on an evaluation that was prepared at every boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// The last boundary up to which the ablation holds at every boundary; `None` where the model answers nothing correctly.
    pub waits: Option<usize>,
    /// The AF1 that holds with the longest wait, up to `waits`, and then the fewest transfer layers, `(W, K)`.
    pub holds: Option<(usize, usize)>,
}

/// Looks for the AF1 that holds: that keeps the share `claim` of the right answers by the criterion.
///
/// # Errors
/// The runtime's reason; NaN or infinity; an interrupt.
pub fn discover(
    engine: &mut Engine,
    evaluation: &mut Evaluation,
    ablation: &'static dyn Ablation,
    claim: f64,
    criterion: Criterion,
) -> Result<Discovered> {
    let layers = engine.layers();
    let right = evaluation.base_right();
    let sweep = waiting(&(0..=layers).collect::<Vec<_>>());
    let kept = counts(engine, evaluation, &sweep, ablation)?;
    let af1 = |wait: usize| {
        let transfers: Vec<usize> = (0..=layers - wait).collect();
        counts(
            engine,
            evaluation,
            &subgraphs(&[wait], &transfers),
            ablation,
        )
    };
    choose(&kept, af1, |kept| criterion.holds(kept, right, claim))
}

/// The rule by which [`discover`] chooses, on counts of right answers: `waiting[W]` is how many are kept when every token waits to
/// W, `af1(W)[K]` how many by AF1(W, K), and `holds` whether so many are enough.
///
/// # Errors
/// Those of `af1`.
pub fn choose(
    waiting: &[usize],
    mut af1: impl FnMut(usize) -> Result<Vec<usize>>,
    holds: impl Fn(usize) -> bool,
) -> Result<Discovered> {
    let held = waiting.iter().take_while(|kept| holds(**kept)).count();
    let mut found = Discovered {
        waits: held.checked_sub(1),
        holds: None,
    };
    for wait in (0..held).rev() {
        if let Some(transfer) = af1(wait)?.iter().position(|kept| holds(*kept)) {
            found.holds = Some((wait, transfer));
            break;
        }
    }
    Ok(found)
}

/// The AF1 that keeps most of the right answers, whether it holds or not, of all that wait and transfer; among equals the one
/// with the longest wait, and then with the fewest transfer layers. `None` for a model of one layer.
///
/// # Errors
/// As [`discover`].
pub fn keeps_most(
    engine: &mut Engine,
    evaluation: &mut Evaluation,
    ablation: &'static dyn Ablation,
) -> Result<Option<(usize, usize)>> {
    let layers = engine.layers();
    let mut best = None;
    let mut most = f64::NEG_INFINITY;
    for wait in (1..layers).rev() {
        let transfers: Vec<usize> = (1..=layers - wait).collect();
        let kept = shares(
            engine,
            evaluation,
            &subgraphs(&[wait], &transfers),
            ablation,
        )?;
        for (share, transfer) in kept.into_iter().zip(transfers) {
            if share > most {
                most = share;
                best = Some((wait, transfer));
            }
        }
    }
    Ok(best)
}

/// The share of the right answers that a plan keeps.
///
/// # Errors
/// As [`discover`].
pub fn share_under(
    engine: &mut Engine,
    evaluation: &mut Evaluation,
    plan: &Plan,
    ablation: &'static dyn Ablation,
) -> Result<f64> {
    let share = shares(engine, evaluation, std::slice::from_ref(plan), ablation)?;
    Ok(share[0])
}

/// What preflight is to try before an AF1 of a model of so many layers is chosen: every boundary is looked at.
pub fn plans_of_a_choice(layers: usize) -> Vec<Plan> {
    let mut plans = waiting(&(0..=layers).collect::<Vec<_>>());
    plans.push(Plan::af1(layers / 2, 1));
    plans
}

/// An AF1 that was chosen on one half of the prompts, with both halves, which share no operand.
pub struct OnAHalf {
    choose: Evaluation,
    report: Evaluation,
    subgraph: (usize, usize),
    chosen: Chosen,
}

impl OnAHalf {
    /// Chooses on a half that is drawn by the seed: the AF1 that holds, or where none does the one that keeps most.
    ///
    /// # Errors
    /// Prompts that have no such halves; a model of one layer; as [`discover`].
    pub fn choose(
        bench: &mut Workbench<'_>,
        ablation: &'static dyn Ablation,
        seed: u64,
    ) -> Result<Self> {
        let (request, claim) = (bench.request, bench.run.claim);
        let half = |part| Request {
            part,
            seed,
            ..request
        };
        let mut choose = bench.prepare(&half(Part::Development), bench.waits)?;
        let criterion = Criterion::of_choice(choose.base_right(), claim);
        let engine = &mut *bench.engine;
        let found = discover(engine, &mut choose, ablation, claim, criterion)?;
        let subgraph = match found.holds {
            Some(holds) => Some(holds),
            None => keeps_most(engine, &mut choose, ablation)?,
        };
        let subgraph = subgraph
            .ok_or_else(|| Error::Usage("a model of one layer has no AF1 to choose".to_owned()))?;
        Ok(Self {
            report: bench.prepare(&half(Part::HeldOut), &[subgraph.0])?,
            choose,
            subgraph,
            chosen: Chosen {
                by: criterion,
                holds: found.holds.is_some(),
            },
        })
    }

    /// The AF1.
    pub fn plan(&self) -> Plan {
        Plan::af1(self.subgraph.0, self.subgraph.1)
    }

    /// The AF1 without the heads that can go, taken out greedily on the half on which it was chosen: of the sets that hold the largest;
    /// with all of its heads where nothing holds.
    ///
    /// # Errors
    /// As [`discover`].
    pub fn fewest_heads(
        &mut self,
        bench: &mut Workbench<'_>,
        ablation: &'static dyn Ablation,
    ) -> Result<Plan> {
        let (wait, transfer) = self.subgraph;
        let (right, claim) = (self.choose.base_right(), bench.run.claim);
        let holds =
            |of: &Evaluation, cell: &Cell| (self.chosen.by).holds(of.kept(cell).1, right, claim);
        let (engine, choose) = (&mut *bench.engine, &mut self.choose);
        let most = most_pruned(engine, choose, wait, transfer, ablation, holds)?;
        Ok(Plan::pruned(wait, transfer, most.unwrap_or_default()))
    }

    /// What a plan at the boundary of the AF1 keeps on both halves, that on which it was chosen first.
    ///
    /// # Errors
    /// As [`discover`].
    pub fn measure(
        &mut self,
        bench: &mut Workbench<'_>,
        plan: &Plan,
        ablation: &'static dyn Ablation,
    ) -> Result<Vec<Measurement>> {
        let plans = std::slice::from_ref(plan);
        let mut all = Vec::new();
        for evaluation in [&mut self.choose, &mut self.report] {
            let compared = evaluation.compare(bench.engine, plans, &[ablation])?;
            let measured = measure(evaluation, bench.run, compared.cells());
            all.extend(measured.into_iter().map(|mut m| {
                m.choice = Some(self.chosen);
                m.subject.pruning = m.subject.pruned_heads().map(|_| PruningOrder::Greedy);
                m
            }));
        }
        Ok(all)
    }
}

/// The layers whose knock-out, alone, keeps less than half of the right answers.
///
/// # Errors
/// As [`discover`].
pub fn needed_layers(
    engine: &mut Engine,
    evaluation: &mut Evaluation,
    nothing: &'static dyn Ablation,
) -> Result<Vec<usize>> {
    let single = knockout_windows(engine.layers(), 1);
    let kept = shares(engine, evaluation, &single, nothing)?;
    Ok((0..single.len())
        .filter(|&layer| kept[layer] < 0.5)
        .collect())
}

/// How many of the right answers every plan keeps.
fn counts(
    engine: &mut Engine,
    evaluation: &mut Evaluation,
    plans: &[Plan],
    ablation: &'static dyn Ablation,
) -> Result<Vec<usize>> {
    let cells = evaluation.sweep(engine, plans, &[ablation])?;
    Ok(cells.iter().map(|cell| evaluation.kept(cell).1).collect())
}

/// The share of the right answers that every plan keeps; 0 where there are none.
fn shares(
    engine: &mut Engine,
    evaluation: &mut Evaluation,
    plans: &[Plan],
    ablation: &'static dyn Ablation,
) -> Result<Vec<f64>> {
    let kept = counts(engine, evaluation, plans, ablation)?;
    let right = evaluation.base_right().max(1) as f64;
    Ok(kept.into_iter().map(|kept| kept as f64 / right).collect())
}
