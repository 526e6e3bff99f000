//! How many tokens the numbers of prompts have, as they are asked for.

use std::collections::BTreeSet;
use std::fmt;

use crate::prompt::{KeyedBy, Numbers, Shape, Step, Template};
use crate::{Error, Result};

/// Which shapes and steps are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedNumbers {
    /// The shapes; where it is empty that of single tokens, or where a template has no such prompt the most frequent one.
    pub shapes: Vec<Shape>,
    /// The steps; where it is empty one for every token of the answer.
    pub steps: Vec<Step>,
    /// What means are conditioned on.
    pub keyed_by: KeyedBy,
}

impl AskedNumbers {
    /// The sets of prompts of these shapes.
    ///
    /// # Errors
    /// A step behind the answer of every shape.
    pub(super) fn of(&self, shapes: &[Shape]) -> Result<Vec<Numbers>> {
        let mut all = Vec::new();
        for shape in shapes {
            let steps = self.steps_of(shape);
            all.extend(steps.into_iter().map(|step| Numbers {
                shape: shape.clone(),
                step,
                keyed_by: self.keyed_by,
            }));
        }
        match all.is_empty() {
            false => Ok(all),
            true => Err(Error::Usage(
                "--step: no answer of the shapes that are asked for has so many tokens".to_owned(),
            )),
        }
    }

    /// The steps that are asked for of a shape, in order; the whole answers follow from all that give a token.
    pub(super) fn steps_of(&self, shape: &Shape) -> Vec<Step> {
        let asked: BTreeSet<Step> = self.steps.iter().copied().collect();
        let every = asked.is_empty() || asked.contains(&Step::Whole);
        let tokens = (0..shape.answer).map(Step::At);
        let mut steps: Vec<Step> = tokens
            .filter(|step| every || asked.contains(step))
            .collect();
        steps.extend(asked.contains(&Step::Stop).then_some(Step::Stop));
        steps
    }

    /// The shapes that are asked for and fit the template.
    pub(super) fn fitting(&self, template: &Template) -> Result<Vec<Shape>> {
        let fits = |shape: &&Shape| shape.fits(&template.operation);
        let fitting: Vec<Shape> = self.shapes.iter().filter(fits).cloned().collect();
        match fitting.is_empty() {
            false => Ok(fitting),
            true => Err(Error::Usage(format!(
                "--shape: {} {} has {} operands, and no shape that is asked for has as many",
                template.style,
                template.operation,
                template.operation.operands()
            ))),
        }
    }
}

/// How many tokens the numbers of a template have; one each where it has no prompts.
pub(super) fn shape_or_single(shape: Option<&Shape>, template: &Template) -> Shape {
    let single = || Shape::single(template.operation.operands());
    shape.cloned().unwrap_or_else(single)
}

/// Why prompts of a shape are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The user asks for the shape.
    Asked,
    /// A list that the user asks for has prompts of it.
    Listed,
    /// The template has prompts whose numbers are one token each.
    Single,
    /// The shape has at least as many prompts as any other, in a template without prompts whose numbers are one token each.
    MostFrequent,
}

impl Because {
    /// Why prompts of this shape are asked, where these numbers are asked for, of a list or of ranges.
    pub fn of(asked: &AskedNumbers, listed: bool, shape: &Shape) -> Self {
        match asked.shapes.is_empty() {
            false => Self::Asked,
            true if listed => Self::Listed,
            true if shape.is_single() => Self::Single,
            true => Self::MostFrequent,
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "--shape asks for it",
            Self::Listed => "prompts of the list have it",
            Self::Single => "it is asked by default, because every number is one token",
            Self::MostFrequent => {
                "it is asked by default, because no prompt has numbers of one token each and no other shape has more prompts"
            }
        })
    }
}
