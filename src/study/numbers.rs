//! How many tokens the numbers of prompts have, as they are asked for.

use std::collections::BTreeSet;

use crate::prompt::{KeyedBy, Numbers, Selection, Shape, Step, Template, Tokenizer, shapes};
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

/// The shape that most prompts of a template have; `None` where no prompt has one.
///
/// # Errors
/// Too many combinations to enumerate; the tokenizer's own reason.
pub(super) fn most_frequent(
    template: &Template,
    tokenizer: &Tokenizer,
    selection: &Selection,
) -> Result<Option<Shape>> {
    let found = shapes(template, tokenizer, selection)?.into_iter();
    // The smallest of equals.
    let most = found.max_by_key(|(shape, count)| (*count, std::cmp::Reverse(shape.clone())));
    Ok(most.map(|(shape, _)| shape))
}
