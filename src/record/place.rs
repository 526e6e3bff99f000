//! Where a line stands: its sweep, its template and its cell there.

use super::Kind;
use crate::prompt::{Shape, Step};

/// What a cell is called on a template, and where it stands among the others. Both follow from what is measured there, whatever else its
/// sweep asks for: so a run takes up what an earlier one with other cells has measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellName {
    /// Cells of a template are shown in ascending order of these numbers, compared one by one.
    pub order: Vec<usize>,
    /// The name.
    pub name: String,
}

impl CellName {
    /// A cell that stands at `order`.
    pub fn new(order: impl Into<Vec<usize>>, name: impl Into<String>) -> Self {
        Self {
            order: order.into(),
            name: name.into(),
        }
    }
}

/// Which cell of which sweep a line is about; filled in by whoever runs the sweep.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// What is measured, how and on which model, in 16 hexadecimal digits.
    pub sweep: String,
    /// The kind of the experiment that asked for the cells of the sweep.
    pub kind: Kind,
    /// The template's index among those that the run asked for which wrote the line.
    pub template: usize,
    /// How many tokens the numbers of the prompts have; `None` where there are no prompts.
    pub shape: Option<Shape>,
    /// Where in the answer the prompts are asked.
    pub step: Step,
    /// The cell.
    pub cell: CellName,
    /// Cells of a template that the run asked for which wrote the line; of all templates where `templates` is not known.
    pub cells: Option<usize>,
    /// Templates that it asked for; `None` in records of schema 2.
    pub templates: Option<usize>,
}

impl Place {
    /// What tells a line about this cell, on a template of that style and operation, from all others.
    pub fn address<'a>(&'a self, style: &'a str, operation: &'a str) -> Address<'a> {
        Address {
            sweep: &self.sweep,
            style,
            operation,
            shape: self.shape.as_ref(),
            step: self.step,
            cell: &self.cell.name,
        }
    }
}

/// What tells a line from all others of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address<'a> {
    /// The sweep.
    pub sweep: &'a str,
    /// The style of the template.
    pub style: &'a str,
    /// The operation of the template.
    pub operation: &'a str,
    /// How many tokens the numbers have.
    pub shape: Option<&'a Shape>,
    /// Where in the answer the prompts are asked.
    pub step: Step,
    /// The name of the cell; empty for a template that could not be evaluated.
    pub cell: &'a str,
}

/// An [`Address`] of a line that is not at hand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OwnedAddress {
    /// The sweep.
    pub sweep: String,
    /// The template and the numbers of its prompts.
    pub set: SetOfPrompts,
    /// The name of the cell.
    pub cell: String,
}

/// A template and the numbers of its prompts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SetOfPrompts {
    style: String,
    operation: String,
    shape: Option<Shape>,
    step: Step,
}

impl Address<'_> {
    /// The template and the numbers of its prompts.
    pub(super) fn set(&self) -> SetOfPrompts {
        SetOfPrompts {
            style: self.style.to_owned(),
            operation: self.operation.to_owned(),
            shape: self.shape.cloned(),
            step: self.step,
        }
    }

    /// The same apart from its line.
    pub(crate) fn owned(&self) -> OwnedAddress {
        OwnedAddress {
            sweep: self.sweep.to_owned(),
            set: self.set(),
            cell: self.cell.to_owned(),
        }
    }

    /// The template and the numbers of its prompts, in words: `calculate A+B`, and where numbers have several tokens `2+2=2 step 0`
    /// behind it.
    pub fn template(&self) -> String {
        format!("{} {}", self.style, self.question())
    }

    /// The operation, and where numbers have several tokens their shape and the step.
    pub fn question(&self) -> String {
        match self.shape {
            Some(shape) => shape.question(self.operation, self.step),
            None => self.operation.to_owned(),
        }
    }
}
