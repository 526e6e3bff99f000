//! Plans with ablations: what most experiments are made of.

use std::collections::BTreeSet;

use super::unit::{Emit, Sizes, Todo, Unit, Workbench};
use crate::Result;
use crate::intervene::{Ablation, Plan, ablation};
use crate::measure::with_references;
use crate::record::{CellName, Line, measure};

/// Plans, each with some ablations: a cell for every pair, plan by plan. The first ablation is the one with which the others are
/// compared.
#[derive(Clone)]
pub struct Plans {
    /// The plans.
    pub plans: Vec<Plan>,
    /// The ablations.
    pub ablations: Vec<&'static dyn Ablation>,
}

impl Plans {
    /// Plans, a unit for every boundary, in ascending order.
    pub fn by_wait<'a>(
        plans: &[Plan],
        ablations: &[&'static dyn Ablation],
    ) -> Vec<Box<dyn Unit + 'a>> {
        let waits: BTreeSet<usize> = plans.iter().map(|plan| plan.wait).collect();
        let at = |wait: usize| plans.iter().filter(move |plan| plan.wait == wait).cloned();
        let unit = |wait: usize| -> Box<dyn Unit + 'a> {
            Box::new(Self {
                plans: at(wait).collect(),
                ablations: ablations.to_vec(),
            })
        };
        waits.into_iter().map(unit).collect()
    }

    /// The cell of a plan under an ablation: plans in their own order, then the reference, then the others in the order of their list.
    fn cell(&self, plan: &Plan, ablation: &'static dyn Ablation) -> CellName {
        let name = ablation.name();
        let mut all = ablation::ALL.iter();
        let rank = all.position(|known| known.name() == name);
        let is_reference = self
            .ablations
            .first()
            .is_some_and(|first| first.name() == name);
        let mut order = plan.order().to_vec();
        order.push(match is_reference {
            true => 0,
            false => 1 + rank.unwrap_or(ablation::ALL.len()),
        });
        CellName::new(order, format!("{} by {name}", plan.words()))
    }
}

impl Unit for Plans {
    fn words(&self) -> String {
        let reference = self.ablations.first().map_or("nothing", |by| by.name());
        format!("plans beside {reference}")
    }

    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        self.ablations.clone()
    }

    fn cells(&self, _: Sizes) -> Vec<CellName> {
        let of = |plan: &Plan| -> Vec<CellName> {
            let ablations = self.ablations.iter();
            ablations
                .map(|&ablation| self.cell(plan, ablation))
                .collect()
        };
        let mut cells: Vec<CellName> = self.plans.iter().flat_map(of).collect();
        cells.sort();
        cells.dedup();
        cells
    }

    fn plans(&self, _: Sizes) -> Vec<Plan> {
        with_references(&self.plans)
    }

    fn cuts_attention(&self) -> bool {
        self.plans.iter().any(|plan| plan.masking.cuts_attention())
    }

    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()> {
        let ablations = self.ablations.iter().copied();
        let (defined, undefined): (Vec<_>, Vec<_>) =
            ablations.partition(|&ablation| bench.defines(ablation));
        let (engine, evaluation) = bench.prepared()?;
        let compared = evaluation.compare(engine, &self.plans, &defined)?;
        let evaluation = bench.evaluation.as_ref().expect("it was just prepared");
        let mut measured = measure(evaluation, bench.run, compared.cells()).into_iter();
        let mut lines: Vec<(CellName, Line)> = Vec::new();
        for plan in &self.plans {
            for (&ablation, m) in defined.iter().zip(measured.by_ref()) {
                let cell = self.cell(plan, ablation);
                lines.push((cell.clone(), bench.line(m, &cell)));
            }
            for &ablation in &undefined {
                let cell = self.cell(plan, ablation);
                lines.push((cell.clone(), bench.undefined(ablation, &cell)));
            }
        }
        lines.sort_by(|(a, _), (b, _)| a.cmp(b));
        lines.dedup_by(|(a, _), (b, _)| a == b);
        emit.whole(lines.into_iter().map(|(_, line)| line).collect(), todo)
    }
}

/// Waiting to each of the boundaries.
pub fn waiting(waits: &[usize]) -> Vec<Plan> {
    waits.iter().map(|&wait| Plan::waiting(wait)).collect()
}

/// AF1(W, K) for every `W` and `K`.
pub fn subgraphs(waits: &[usize], transfers: &[usize]) -> Vec<Plan> {
    let pairs = waits
        .iter()
        .flat_map(|&wait| transfers.iter().map(move |&transfer| (wait, transfer)));
    pairs.map(|(wait, k)| Plan::af1(wait, k)).collect()
}

/// Knock-outs of so many layers in a row, from every layer from which they fit.
pub fn knockout_windows(layers: usize, window: usize) -> Vec<Plan> {
    let starts = 0..(layers + 1).saturating_sub(window);
    starts.map(|from| Plan::knockout(from, window)).collect()
}

/// Knock-outs of every layer from one on: where the last of them changes nothing, the routing is over.
pub fn knockouts_upward(layers: usize) -> Vec<Plan> {
    let starts = 0..layers;
    starts
        .map(|from| Plan::knockout(from, layers - from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_every_layer_and_end_at_the_last() {
        assert_eq!(knockout_windows(3, 1).len(), 3);
        assert_eq!(
            knockout_windows(3, 2),
            [Plan::knockout(0, 2), Plan::knockout(1, 2)]
        );
        assert!(knockout_windows(3, 4).is_empty());
        assert_eq!(
            knockouts_upward(2),
            [Plan::knockout(0, 2), Plan::knockout(1, 1)]
        );
        assert!(knockouts_upward(5).iter().all(|plan| plan.fits(5)));
    }
}
