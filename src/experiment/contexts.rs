//! How many contexts does a mean take: an AF1 with means over fewer of them.

use std::collections::BTreeSet;

use super::{Emit, Experiment, Shape, Todo, Unit, Workbench};
use crate::Result;
use crate::intervene::{Ablation, Plan};
use crate::measure::{Draw, Request, with_references};
use crate::record::{CellName, Kind, Measurement, Row, measure, over_draws};

/// An AF1 with means over fewer contexts, a cell for every number of them and every seed.
#[derive(Clone)]
pub struct ContextNumbers {
    /// The subgraph.
    pub af1: Plan,
    /// What replaces the residual stream of waiting tokens.
    pub ablation: &'static dyn Ablation,
    /// The draws, those of a number together.
    pub draws: Vec<Draw>,
}

impl Experiment for ContextNumbers {
    fn kind(&self) -> Kind {
        Kind::CONTEXTS
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        vec![Box::new(self.clone())]
    }
}

impl Unit for ContextNumbers {
    fn words(&self) -> String {
        // The last draw of a number says what all draws of it say.
        let seeds: BTreeSet<u64> = self.draws.iter().map(|draw| draw.seed).collect();
        let seeds: Vec<String> = seeds.iter().map(ToString::to_string).collect();
        let (af1, ablation) = (self.af1.words(), self.ablation.name());
        format!("contexts of {af1} by {ablation}, seeds {}", seeds.join(" "))
    }

    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        vec![self.ablation]
    }

    fn cells(&self, _: Shape) -> Vec<CellName> {
        self.draws.iter().map(|draw| self.cell(*draw)).collect()
    }

    fn plans(&self, _: Shape) -> Vec<Plan> {
        with_references(std::slice::from_ref(&self.af1))
    }

    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()> {
        emit.known(&todo.known)?;
        let mut seen: Vec<Measurement> = Vec::new();
        for &draw in &self.draws {
            let cell = self.cell(draw);
            if let Some(line) = todo.line(&cell) {
                if let Row::Measured(m) = &line.row {
                    seen.push((**m).clone());
                }
                continue;
            }
            let mut m = self.drawn(bench, draw)?;
            // What all draws say together is in the record of the last one: the tables of means have an error, too.
            let of_number = self.draws.iter().filter(|d| d.contexts == draw.contexts);
            seen.retain(|m| {
                m.subject
                    .draw
                    .is_some_and(|known| known.contexts == draw.contexts)
            });
            if seen.len() + 1 == of_number.count() {
                let all: Vec<&Measurement> = seen.iter().chain([&m]).collect();
                m.over_draws = over_draws(&all);
            }
            seen.push(m.clone());
            emit.new_lines(&[bench.line(m, &cell)])?;
        }
        Ok(())
    }
}

impl ContextNumbers {
    /// The cell of a draw; those of a number stand in the order in which they are drawn.
    fn cell(&self, draw: Draw) -> CellName {
        let of_number = self
            .draws
            .iter()
            .filter(|known| known.contexts == draw.contexts);
        let place = of_number
            .take_while(|known| known.seed != draw.seed)
            .count();
        let name = format!("{} contexts, seed {}", draw.contexts, draw.seed);
        CellName::new([draw.contexts, place], name)
    }

    /// The subgraph with the means of one draw.
    fn drawn(&self, bench: &mut Workbench<'_>, draw: Draw) -> Result<Measurement> {
        let request = Request {
            draw: Some(draw),
            ..bench.request
        };
        let mut evaluation = bench.prepare(&request, bench.waits)?;
        let plans = std::slice::from_ref(&self.af1);
        let compared = evaluation.compare(bench.engine, plans, &[self.ablation])?;
        let mut measured = measure(&evaluation, bench.run, compared.cells());
        Ok(measured.pop().expect("one plan has one cell"))
    }
}
