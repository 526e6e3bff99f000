//! How many tokens the numbers of prompts have, as they are asked for.

use std::collections::BTreeSet;

use crate::model::Model;
use crate::prompt::{KeyedBy, Numbers, PromptSet, Selection, Shape, Step, Template, shapes};
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
    /// The sets of prompts of a template.
    ///
    /// # Errors
    /// A template without prompts; a step behind the answer of every shape.
    pub fn of(
        &self,
        template: &Template,
        model: &Model,
        selection: &Selection,
    ) -> Result<Vec<Numbers>> {
        let shapes = match self.shapes.is_empty() {
            true => vec![default_shape(template, model, selection)?],
            false => self.fitting(template)?,
        };
        let mut all = Vec::new();
        for shape in shapes {
            let steps = self.steps_of(&shape);
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
    fn steps_of(&self, shape: &Shape) -> Vec<Step> {
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
    fn fitting(&self, template: &Template) -> Result<Vec<Shape>> {
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

/// The shape of single tokens, or where there is no such prompt the one that most prompts have.
fn default_shape(template: &Template, model: &Model, selection: &Selection) -> Result<Shape> {
    let single = Shape::single(template.operation.operands());
    let built = PromptSet::build(template, &model.tokenizer, model.bos(), selection);
    if !matches!(built, Err(Error::NoPrompts { .. })) {
        return Ok(single);
    }
    let found = shapes(template, &model.tokenizer, selection)?;
    let most = found
        .into_iter()
        .max_by_key(|(shape, count)| (*count, std::cmp::Reverse(shape.clone())));
    // Where there is none at all, the reason is that of single tokens.
    Ok(most.map_or(single, |(shape, _)| shape))
}
