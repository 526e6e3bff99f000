//! Cells beside those that they are compared with.

use super::{Cell, Evaluation};
use crate::Result;
use crate::intervene::{Ablation, MaskedBy, Plan, Tail};
use crate::runtime::Engine;

/// A cell and what it is compared with, on the same prompts.
#[derive(Clone, Copy)]
pub struct Compared<'a> {
    /// The cell.
    pub cell: &'a Cell,
    /// The subgraph that never transfers, AF1(W, 0), with the same ablation and masking, where the cell is an AF1.
    pub empty: Option<&'a Cell>,
    /// The same plan with the first ablation and attention-based peeking, if that is another cell.
    pub reference: Option<&'a Cell>,
}

/// The cells of some plans, with those that they are compared with.
pub struct Comparison {
    /// Plan by plan, ablation by ablation: first the plans that were asked for.
    cells: Vec<Cell>,
    links: Vec<Links>,
    ablations: usize,
}

/// Which plans a plan is compared with, by index.
struct Links {
    empty: Option<usize>,
    reference: usize,
}

impl Comparison {
    /// The cells that were asked for, plan by plan, ablation by ablation.
    pub fn cells(&self) -> impl Iterator<Item = Compared<'_>> {
        let plans = self.links.iter().enumerate();
        plans.flat_map(move |(plan, links)| {
            (0..self.ablations).map(move |ablation| {
                let at = |plan: usize| plan * self.ablations + ablation;
                let reference = links.reference * self.ablations;
                Compared {
                    cell: &self.cells[at(plan)],
                    empty: links.empty.map(|empty| &self.cells[at(empty)]),
                    reference: (reference != at(plan)).then(|| &self.cells[reference]),
                }
            })
        })
    }
}

impl Evaluation {
    /// What [`Self::sweep`] measures, with what the plans are compared with.
    ///
    /// # Errors
    /// As [`Self::sweep`].
    pub fn compare(
        &mut self,
        engine: &mut Engine,
        plans: &[Plan],
        ablations: &[&'static dyn Ablation],
    ) -> Result<Comparison> {
        let all = with_references(plans);
        let at = |wanted: &Plan| all.iter().position(|plan| plan == wanted);
        let link = |(i, plan): (usize, &Plan)| Links {
            empty: empty(plan).and_then(|empty| at(&empty)),
            reference: at(&plan.clone().with(MaskedBy::ABP)).unwrap_or(i),
        };
        let links = plans.iter().enumerate().map(link).collect();
        let cells = self.sweep(engine, &all, ablations)?;
        Ok(Comparison {
            cells,
            links,
            ablations: ablations.len(),
        })
    }
}

/// The AF1 without transfer that an AF1 is compared with; `None` for plans of another kind.
fn empty(plan: &Plan) -> Option<Plan> {
    plan.tail.transfer()?;
    Some(Plan {
        tail: Tail::Af1 { transfer: 0 },
        ..plan.clone()
    })
}

/// The plans with what they are compared with: for every AF1 the subgraph that never transfers, because `AF1(W, 0)` is what
/// an answer without transfer is worth, and for one of another masking the same plan with ABP.
pub fn with_references(plans: &[Plan]) -> Vec<Plan> {
    let mut all = plans.to_vec();
    for plan in plans {
        let Some(empty) = empty(plan) else { continue };
        for reference in [empty, plan.clone().with(MaskedBy::ABP)] {
            if !all.contains(&reference) {
                all.push(reference);
            }
        }
    }
    all
}
