//! Plans with ablations: what most experiments are made of.

use super::unit::{Emit, Shape, Todo, Unit, Workbench};
use crate::Result;
use crate::intervene::{Ablation, Plan};
use crate::measure::with_references;
use crate::record::{Line, measure};

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
    /// Plans, a unit for every boundary, in the order in which the boundaries first occur.
    pub fn by_wait<'a>(
        plans: &[Plan],
        ablations: &[&'static dyn Ablation],
    ) -> Vec<Box<dyn Unit + 'a>> {
        let mut waits: Vec<usize> = Vec::new();
        for plan in plans {
            if !waits.contains(&plan.wait) {
                waits.push(plan.wait);
            }
        }
        let at = |wait: usize| plans.iter().filter(move |plan| plan.wait == wait).cloned();
        let unit = |wait: usize| -> Box<dyn Unit + 'a> {
            Box::new(Self {
                plans: at(wait).collect(),
                ablations: ablations.to_vec(),
            })
        };
        waits.into_iter().map(unit).collect()
    }
}

impl Unit for Plans {
    fn words(&self) -> String {
        let plans: Vec<String> = self.plans.iter().map(Plan::words).collect();
        let ablations: Vec<&str> = self.ablations.iter().map(|by| by.name()).collect();
        format!("{} by {}", plans.join(", "), ablations.join(", "))
    }

    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        self.ablations.clone()
    }

    fn cells(&self, _: Shape) -> usize {
        self.plans.len() * self.ablations.len()
    }

    fn plans(&self, _: Shape) -> Vec<Plan> {
        with_references(&self.plans)
    }

    fn cuts_attention(&self) -> bool {
        self.plans.iter().any(|plan| plan.masking.cuts_attention())
    }

    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()> {
        let columns = self.ablations.iter().copied().enumerate();
        let (defined, undefined): (Vec<_>, Vec<_>) =
            columns.partition(|(_, ablation)| bench.defines(*ablation));
        let ablations: Vec<&'static dyn Ablation> = defined.iter().map(|(_, by)| *by).collect();
        let (engine, evaluation) = bench.prepared()?;
        let compared = evaluation.compare(engine, &self.plans, &ablations)?;
        let evaluation = bench.evaluation.as_ref().expect("it was just prepared");
        let mut measured = measure(evaluation, bench.run, compared.cells()).into_iter();
        let mut lines: Vec<Line> = Vec::new();
        for plan in 0..self.plans.len() {
            let first = todo.cells.start + plan * self.ablations.len();
            for ((column, _), m) in defined.iter().zip(measured.by_ref()) {
                lines.push(bench.line(m, first + column));
            }
            for (column, ablation) in &undefined {
                lines.push(bench.undefined(*ablation, first + column));
            }
        }
        lines.sort_by_key(|line| line.key().map(|(_, cell)| cell));
        emit.whole(lines, todo)
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
