//! An experiment as a sweep over the templates of a study: its cells, where their lines stand, and which of them are still to be measured.

use std::collections::BTreeSet;

use super::Method;
use super::identity::{Identity, VERSION};
use super::numbers::shape_or_single;
use super::prompts::TemplatePrompts;
use crate::Error;
use crate::experiment::{Experiment, Seat, Sizes, Todo, Unit};
use crate::intervene::Plan;
use crate::measure;
use crate::model::{Confidence, Model};
use crate::prompt::{Step, Template};
use crate::record::{Address, CellName, Failure, Journal, Line, Provenance, Row, Run};
use crate::runtime::Engine;

/// Around what a sweep is made: a study without its prompts.
#[derive(Clone, Copy)]
pub(super) struct Around<'s> {
    /// The model.
    pub model: &'s Model,
    /// The sessions of the model.
    pub engine: &'s Engine,
    /// How prompts are measured and judged.
    pub method: &'s Method,
    /// Under what measurements are made.
    pub provenance: &'s Provenance,
}

/// An experiment as a sweep over the templates of a study.
pub(super) struct Sweep<'a> {
    pub experiment: &'a dyn Experiment,
    units: &'a [Box<dyn Unit + 'a>],
    pub identity: String,
    /// The cells of each unit on a template.
    cells: Vec<Vec<CellName>>,
    /// The number of boundaries of all units.
    pub boundaries: usize,
}

impl<'a> Sweep<'a> {
    pub fn new(
        around: Around<'_>,
        experiment: &'a dyn Experiment,
        units: &'a [Box<dyn Unit + 'a>],
    ) -> Self {
        let sizes = sizes(around.engine);
        let words: BTreeSet<String> = units.iter().map(|unit| unit.words()).collect();
        let method = around.method;
        let kind = experiment.kind();
        let identity = Identity {
            version: VERSION,
            kind: kind.name(),
            about: experiment.words(),
            units: words.into_iter().collect(),
            model: &around.model.name,
            estimator: method.estimator.name(),
            claim: method.claim,
            level: method.level,
            inference: method.inference.name(),
            provenance: around.provenance,
        };
        Self {
            identity: identity.digest(),
            cells: units.iter().map(|unit| unit.cells(sizes)).collect(),
            boundaries: {
                let plans: Vec<Plan> = units.iter().flat_map(|unit| unit.plans(sizes)).collect();
                measure::boundaries(&plans).len()
            },
            experiment,
            units,
        }
    }

    /// Where the lines of a template stand.
    pub fn seat(&self, sets: &[TemplatePrompts], template: usize) -> Seat {
        let of = &sets[template];
        let numbers = of.prompts().map(|set| &set.numbers);
        let shape = shape_or_single(numbers.map(|numbers| &numbers.shape), &of.template);
        let units = self.units.iter().zip(&self.cells);
        let of_template = units.filter(|(unit, _)| unit.applies(&shape));
        Seat {
            sweep: self.identity.clone(),
            kind: self.experiment.kind(),
            template,
            shape: numbers.map(|numbers| numbers.shape.clone()),
            step: numbers.map_or(Step::default(), |numbers| numbers.step),
            cells: of_template.map(|(_, cells)| cells.len()).sum(),
            templates: sets.len(),
        }
    }

    /// The units of a template that are a shard's, with what the record holds of them.
    pub fn todo(
        &self,
        (t, template): (usize, &Template),
        seat: &Seat,
        shard: super::Shard,
        journal: Option<&Journal>,
    ) -> Vec<(&'a dyn Unit, Todo)> {
        let operation = template.operation.to_string();
        let known = |cell: &CellName| {
            journal?.cell(Address {
                sweep: &self.identity,
                style: &template.style,
                operation: &operation,
                shape: seat.shape.as_ref(),
                step: seat.step,
                cell: &cell.name,
            })
        };
        let units = self.units.iter().map(|unit| &**unit);
        let units = units.zip(&self.cells).enumerate();
        let shape = shape_or_single(seat.shape.as_ref(), template);
        let of_shard = units
            .filter(|(u, (unit, _))| unit.applies(&shape) && shard.takes(t * self.units.len() + u));
        let todo = |(_, (unit, cells)): (usize, (&'a dyn Unit, &Vec<CellName>))| {
            let known = cells.iter().filter_map(known);
            let known = known.map(|line| line.clone().of_template(t)).collect();
            let cells = cells.clone();
            (unit, Todo { cells, known })
        };
        of_shard.map(todo).collect()
    }

    /// The line of a template that could not be evaluated.
    pub fn failed(
        &self,
        around: Around<'_>,
        template: &Template,
        seat: &Seat,
        error: &Error,
    ) -> Line {
        let run = run_of(
            around.model,
            around.method,
            self.experiment,
            around.provenance,
        );
        let mut failure = Failure::of(&run, template, error);
        failure.place = seat.place(&CellName::default());
        Line::new(Row::Failed(Box::new(failure)))
    }
}

/// The sizes of a model that decide how many cells an experiment has.
pub(super) fn sizes(engine: &Engine) -> Sizes {
    Sizes {
        layers: engine.layers(),
        heads: engine.heads(),
    }
}

/// What all records of an experiment have in common.
pub(super) fn run_of<'a>(
    model: &'a Model,
    method: &Method,
    experiment: &dyn Experiment,
    provenance: &'a Provenance,
) -> Run<'a> {
    let guessed = model
        .preset
        .filter(|preset| preset.confidence == Confidence::Guess);
    Run {
        experiment: experiment.kind_of_af1(),
        estimator: method.estimator,
        model: &model.name,
        tokenizer: &model.tokenizer,
        layers: model.sizes.layers,
        heads: model.sizes.heads,
        guess: guessed.map(|preset| preset.af1),
        claim: method.claim,
        level: method.level,
        inference: method.inference,
        provenance,
        each: false,
    }
}
