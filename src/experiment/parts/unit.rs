//! What an experiment is made of, and what a unit has at hand while it is measured.

use crate::intervene::{Ablation, Plan};
use crate::measure::{Evaluation, Request, prepare};
use crate::prompt::{self, PromptSet, Step};
use crate::record::{
    CellName, Failure, HeadAttention, Kind, Line, Measurement, Patched, Place, Reading, Row, Run,
};
use crate::runtime::Engine;
use crate::{Error, Result};

/// An experiment with its options.
pub trait Experiment {
    /// What kind of experiment its records are of.
    fn kind(&self) -> Kind;

    /// What kind its cells of AF1 are of; those of other plans are of their own.
    fn kind_of_af1(&self) -> Kind {
        self.kind()
    }

    /// What its sweep is about besides its kind, in words that stay the same from version to version: runs that differ in them share no
    /// cells.
    fn words(&self) -> String {
        String::new()
    }

    /// Whether its cells say what is answered to each prompt.
    fn has_answers(&self) -> bool {
        true
    }

    /// The parts of the experiment, which are measured one after the other on every template.
    fn units(&self) -> Vec<Box<dyn Unit + '_>>;
}

/// What is measured at once and recorded at once.
pub trait Unit {
    /// What its numbers depend on, besides the model, the prompts, how they are measured and what the names of its cells say, in words
    /// that stay the same from version to version. Cells of runs that differ in them are not the same.
    fn words(&self) -> String;

    /// The ablations that it needs.
    fn ablations(&self) -> Vec<&'static dyn Ablation>;

    /// The cells of the unit on a template. The name of a cell says all that tells it from others of the same words, so that a run that
    /// asks for other cells, too, takes it up.
    fn cells(&self, sizes: Sizes) -> Vec<CellName>;

    /// The plans that preflight is to try; their boundaries are those at which the unit needs means.
    fn plans(&self, sizes: Sizes) -> Vec<Plan>;

    /// Whether there is something to measure on prompts whose numbers have so many tokens; if not, a template has none of its cells.
    fn applies(&self, _: &prompt::Shape) -> bool {
        true
    }

    /// Whether it needs the prompts of the style's other operations.
    fn needs_operations(&self) -> bool {
        let ablations = self.ablations();
        (ablations.iter()).any(|ablation| ablation.needs_operations())
    }

    /// Whether it reads or changes what attention has computed.
    fn cuts_attention(&self) -> bool {
        false
    }

    /// Measures the cells that are still to be measured and emits the lines of all of them, those that are known, too.
    ///
    /// # Errors
    /// The runtime's reason; NaN or infinity; an interrupt; what is emitted cannot be written.
    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()>;
}

/// The sizes of a model that decide how many cells an experiment has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Layers.
    pub layers: usize,
    /// Query heads of a layer.
    pub heads: usize,
}

/// The cells of a unit on a template, and which of them the record holds.
#[derive(Clone, Debug)]
pub struct Todo {
    /// The names of the cells, in their order.
    pub cells: Vec<CellName>,
    /// The lines that the record holds.
    pub known: Vec<Line>,
}

impl Todo {
    /// Whether the record holds all of them.
    pub fn is_done(&self) -> bool {
        self.known.len() == self.cells.len()
    }

    /// The line of a cell that the record holds.
    pub fn line(&self, cell: &CellName) -> Option<&Line> {
        let of = |line: &&Line| line.address().is_some_and(|at| at.cell == cell.name);
        self.known.iter().find(of)
    }
}

/// Where lines go: known ones are shown, new ones are written down first.
pub struct Emit<'a> {
    /// Takes lines, and whether they are new.
    pub take: &'a mut dyn FnMut(&[Line], bool) -> Result<()>,
}

impl Emit<'_> {
    /// Lines that the record holds.
    ///
    /// # Errors
    /// They cannot be shown.
    pub fn known(&mut self, lines: &[Line]) -> Result<()> {
        (self.take)(lines, false)
    }

    /// Lines that were just measured.
    ///
    /// # Errors
    /// They cannot be written or shown.
    pub fn new_lines(&mut self, lines: &[Line]) -> Result<()> {
        (self.take)(lines, true)
    }

    /// The lines of a unit that is measured as a whole: those that the record holds as it holds them, the others as new ones. A unit is
    /// written at once, but its last lines may not have reached the disk.
    ///
    /// # Errors
    /// They cannot be written or shown.
    pub fn whole(&mut self, lines: Vec<Line>, todo: &Todo) -> Result<()> {
        let mut new = lines;
        new.retain(|line| {
            todo.known
                .iter()
                .all(|known| known.address() != line.address())
        });
        self.known(&todo.known)?;
        self.new_lines(&new)
    }
}

/// What a unit has at hand on a template.
pub struct Workbench<'a> {
    /// The model.
    pub engine: &'a mut Engine,
    /// The prompts.
    pub set: &'a PromptSet,
    /// How they are measured; its plans and ablations are those of all units that are still to be measured.
    pub request: Request<'a>,
    /// The boundaries of all of these units.
    pub waits: &'a [usize],
    /// What all records have in common.
    pub run: &'a Run<'a>,
    /// Where the lines of the template stand.
    pub seat: &'a Seat,
    /// Makes the first pass over the template, which steps of the same answer share.
    pub first_pass: &'a mut dyn FnMut(&mut Engine) -> Result<Evaluation>,
    /// The template after the first pass, once a unit has needed it.
    pub evaluation: Option<Evaluation>,
}

impl<'a> Workbench<'a> {
    /// The engine and the template after the first pass, which is made once for all units.
    ///
    /// # Errors
    /// As [`prepare`].
    pub fn prepared(&mut self) -> Result<(&mut Engine, &mut Evaluation)> {
        if self.evaluation.is_none() {
            self.evaluation = Some((self.first_pass)(self.engine)?);
        }
        let evaluation = self.evaluation.as_mut().expect("it was just made");
        Ok((self.engine, evaluation))
    }

    /// A template after a first pass of its own.
    ///
    /// # Errors
    /// As [`prepare`].
    pub fn prepare(&mut self, request: &Request<'_>, waits: &[usize]) -> Result<Evaluation> {
        prepare(self.engine, self.set.clone(), request, waits)
    }

    /// One of the style's other operations after a first pass of its own, by its index; `None` where there are no more, or no unit needs
    /// them.
    ///
    /// # Errors
    /// As [`prepare`].
    pub fn other_operation(&mut self, index: usize) -> Result<Option<Evaluation>> {
        let plain = Request {
            plans: &[],
            ablations: &[],
            operations: &[],
            limit: None,
            ..self.request
        };
        let set = self.request.operations.get(index);
        set.map(|set| prepare(self.engine, set.clone(), &plain, &[]))
            .transpose()
    }

    /// Whether an ablation can be made on the template: those that take the means of other operations need one.
    pub fn defines(&self, ablation: &'static dyn Ablation) -> bool {
        !ablation.needs_operations() || !self.request.operations.is_empty()
    }

    /// The line of a measurement.
    pub fn line(&self, mut measurement: Measurement, cell: &CellName) -> Line {
        measurement.place = self.seat.place(cell);
        Line::new(Row::Measured(Box::new(measurement)))
    }

    /// The line of a head's attention.
    pub fn head_line(&self, mut head: HeadAttention, cell: &CellName) -> Line {
        head.place = self.seat.place(cell);
        Line::new(Row::Attention(Box::new(head)))
    }

    /// The line of what swapped residuals do.
    pub fn patched_line(&self, mut patched: Patched, cell: &CellName) -> Line {
        patched.place = self.seat.place(cell);
        Line::new(Row::Patched(Box::new(patched)))
    }

    /// The line of what the lens reads.
    pub fn reading_line(&self, mut reading: Reading, cell: &CellName) -> Line {
        reading.place = self.seat.place(cell);
        Line::new(Row::Reading(Box::new(reading)))
    }

    /// The line of a cell whose ablation cannot be made on the template.
    pub fn undefined(&self, ablation: &'static dyn Ablation, cell: &CellName) -> Line {
        let template = &self.set.template;
        let error = Error::NoPrompts {
            style: template.style.clone(),
            operation: template.operation.to_string(),
            reason: format!(
                "{} takes the means of another operation, and the style has none whose prompts have operands \
                 and text at the same positions",
                ablation.name()
            ),
        };
        let mut failure = Failure::of(self.run, template, &error);
        failure.place = self.seat.place(cell);
        failure.ablation = Some(ablation.name().to_owned());
        Line::new(Row::Failed(Box::new(failure)))
    }
}

/// Where the lines of a template stand.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The identity of the sweep.
    pub sweep: String,
    /// The experiment that asks for it.
    pub kind: Kind,
    /// The template's index among those that are asked for.
    pub template: usize,
    /// How many tokens the numbers of its prompts have; `None` where there are no prompts.
    pub shape: Option<prompt::Shape>,
    /// Where in the answer they are asked.
    pub step: Step,
    /// Cells of a template that are asked for.
    pub cells: usize,
    /// Templates that are asked for.
    pub templates: usize,
}

impl Seat {
    /// The place of a cell of the template.
    pub fn place(&self, cell: &CellName) -> Place {
        Place {
            sweep: self.sweep.clone(),
            kind: self.kind.clone(),
            template: self.template,
            shape: self.shape.clone(),
            step: self.step,
            cell: cell.clone(),
            cells: Some(self.cells),
            templates: Some(self.templates),
        }
    }
}
