//! Taking out heads one by one.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::Result;
use crate::intervene::{Ablation, Head, Plan};
use crate::measure::{Cell, Evaluation, Part};
use crate::record::{Measurement, PruningOrder};
use crate::runtime::Engine;

/// In which order heads go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The one whose loss costs least first, measured anew at every step (greedy backward elimination).
    Greedy,
    /// An order that is drawn by this seed: the control.
    Random(u64),
}

impl Order {
    /// What records say of a step.
    pub fn of_steps(self) -> PruningOrder {
        match self {
            Self::Greedy => PruningOrder::Greedy,
            Self::Random(_) => PruningOrder::RandomOrder,
        }
    }
}

/// AF1(wait, transfer) with fewer and fewer heads that peek: first with all of them, then, a plan a step, without one more,
/// until none is left; the plan that takes out all heads is AF1(wait, 0) by another way.
pub struct Pruning {
    wait: usize,
    transfer: usize,
    order: Order,
    left: Vec<Head>,
    without: Option<BTreeSet<Head>>,
}

impl Pruning {
    /// All heads of the transfer layers, of which there are so many a layer.
    pub fn new(wait: usize, transfer: usize, heads: usize, order: Order) -> Self {
        let mut left: Vec<Head> = Head::all(wait..wait + transfer, heads).collect();
        if let Order::Random(seed) = order {
            left.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        }
        Self {
            wait,
            transfer,
            order,
            left,
            without: None,
        }
    }

    /// Goes on from where these heads are out.
    pub fn resume(&mut self, without: BTreeSet<Head>) {
        self.left.retain(|head| !without.contains(head));
        self.without = Some(without);
    }

    /// The next plan, chosen on an evaluation that was prepared at `wait`. `None` when no head is left.
    ///
    /// A head costs least if most of the prompts that the unmodified model answers correctly stay correct; among equals, if
    /// the mean logit difference stays highest; then the first.
    ///
    /// # Errors
    /// The runtime's reason; NaN or infinity; an interrupt.
    pub fn next(
        &mut self,
        engine: &mut Engine,
        evaluation: &mut Evaluation,
        ablation: &'static dyn Ablation,
    ) -> Result<Option<Plan>> {
        let (wait, transfer) = (self.wait, self.transfer);
        let plan = |without: &BTreeSet<Head>| Plan::pruned(wait, transfer, without.clone());
        let Some(without) = &mut self.without else {
            let none = BTreeSet::new();
            let first = plan(&none);
            self.without = Some(none);
            return Ok(Some(first));
        };
        if self.left.is_empty() {
            return Ok(None);
        }
        let best = match self.order {
            Order::Random(_) => 0,
            Order::Greedy => {
                let candidates: Vec<Plan> = self
                    .left
                    .iter()
                    .map(|&head| {
                        let mut more = without.clone();
                        more.insert(head);
                        plan(&more)
                    })
                    .collect();
                let tried = evaluation.sweep(engine, &candidates, &[ablation])?;
                let score = |at: &usize| {
                    let cell = &tried[*at];
                    let sum: f64 = cell.logit_difference.iter().map(|&d| f64::from(d)).sum();
                    (evaluation.kept(cell).1, sum)
                };
                (0..tried.len())
                    .rev()
                    .max_by(|a, b| {
                        let (a, b) = (score(a), score(b));
                        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
                    })
                    .expect("there are heads left")
            }
        };
        without.insert(self.left.remove(best));
        Ok(Some(plan(without)))
    }
}

/// The largest set of heads that can be taken out greedily so that what is left of AF1(wait, transfer) holds; `None` where it never does.
///
/// # Errors
/// As [`Pruning::next`].
pub fn most_pruned(
    engine: &mut Engine,
    evaluation: &mut Evaluation,
    wait: usize,
    transfer: usize,
    ablation: &'static dyn Ablation,
    holds: impl Fn(&Evaluation, &Cell) -> bool,
) -> Result<Option<BTreeSet<Head>>> {
    let mut pruning = Pruning::new(wait, transfer, engine.heads(), Order::Greedy);
    let mut most = None;
    while let Some(plan) = pruning.next(engine, evaluation, ablation)? {
        let cells = evaluation.sweep(engine, &[plan], &[ablation])?;
        if holds(evaluation, &cells[0]) {
            most.clone_from(&pruning.without);
        }
    }
    Ok(most)
}

/// What the comparison of a pruned set of heads with random sets is worth: what was tuned must not meet what was not on the
/// prompts on which it was tuned.
pub fn fairness(chosen: &Measurement) -> &'static str {
    match (chosen.subject.part, chosen.subject.pruning) {
        (Part::HeldOut, Some(PruningOrder::RandomOrder)) => {
            "; the number of heads was chosen on other prompts, which share no operand with these"
        }
        (Part::HeldOut, _) => {
            "; the heads and their number were chosen on other prompts, which share no operand with these"
        }
        (_, Some(PruningOrder::RandomOrder)) => {
            "; the number of heads was chosen on these very prompts, which flatters this order: --held-out chooses it on others"
        }
        _ => {
            "; the heads were chosen on these very prompts and the random sets were not, so p is too small: --held-out \
             chooses them on others"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Subject;

    #[test]
    fn tuned_sets_do_not_meet_random_ones_unsaid() {
        let of = |part: Part, pruning: PruningOrder| {
            fairness(&Measurement {
                subject: Subject {
                    part,
                    pruning: Some(pruning),
                    ..Subject::default()
                },
                ..Measurement::default()
            })
        };
        assert!(
            of(Part::HeldOut, PruningOrder::Greedy)
                .contains("heads and their number were chosen on other")
        );
        assert!(
            of(Part::HeldOut, PruningOrder::RandomOrder)
                .contains("number of heads was chosen on other")
        );
        assert!(of(Part::All, PruningOrder::Greedy).contains("p is too small: --held-out"));
        assert!(
            of(Part::All, PruningOrder::RandomOrder).contains("flatters this order: --held-out")
        );
    }
}
