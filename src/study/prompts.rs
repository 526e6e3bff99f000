//! The prompts of templates, as they are asked for.

use super::Asked;
use crate::model::Model;
use crate::prompt::{Numbers, PromptSet, Selection, Template, shapes};
use crate::{Error, Result};

/// A template with its prompts of a shape and step.
pub struct TemplatePrompts {
    /// The template.
    pub template: Template,
    /// The prompts, or why there are none.
    pub set: Result<PromptSet>,
}

impl TemplatePrompts {
    /// The prompts, if there are any.
    pub fn prompts(&self) -> Option<&PromptSet> {
        self.set.as_ref().ok()
    }

    /// A template without prompts.
    pub fn none(template: Template, why: Error) -> Self {
        Self {
            template,
            set: Err(why),
        }
    }
}

/// The prompts of a template, a set for every shape and step that is asked for, or why there are none.
pub fn build_all(
    template: Template,
    model: &Model,
    selection: &Selection,
    asked: &Asked,
) -> Vec<TemplatePrompts> {
    let selection = match asked.selection_of(selection, &template) {
        Ok(selection) => &selection.clone(),
        Err(error) => return vec![TemplatePrompts::none(template, error)],
    };
    let asked = &asked.numbers;
    let set = |numbers: Numbers| build(template.clone(), model, selection, &numbers);
    let shapes = match asked.shapes.is_empty() {
        false => asked.fitting(&template),
        // Each line of a list is asked, whatever its shape is.
        true if selection.listed.is_some() => {
            let found = shapes(&template, &model.tokenizer, selection);
            match found.map(|found| found.counts.into_keys().collect::<Vec<_>>()) {
                Ok(found) if found.is_empty() => {
                    return vec![set(Numbers::single(template.operation.operands()))];
                }
                found => found,
            }
        }
        true => {
            let single = Numbers::single(template.operation.operands());
            let built = set(single.clone());
            match &built.set {
                Err(Error::NoPrompts { .. }) => {
                    let found = shapes(&template, &model.tokenizer, selection);
                    match found.map(|found| found.most_frequent().cloned()) {
                        // There is none at all, for the reason that single tokens have.
                        Ok(None) => return vec![built],
                        Ok(Some(shape)) => Ok(vec![shape]),
                        Err(error) => Err(error),
                    }
                }
                _ if asked.steps_of(&single.shape) == [single.step] => return vec![built],
                _ => Ok(vec![single.shape]),
            }
        }
    };
    match shapes.and_then(|shapes| asked.of(&shapes)) {
        Ok(all) => all.into_iter().map(set).collect(),
        Err(error) => vec![TemplatePrompts::none(template, error)],
    }
}

/// The prompts of a template whose numbers have so many tokens.
pub(super) fn build(
    template: Template,
    model: &Model,
    selection: &Selection,
    numbers: &Numbers,
) -> TemplatePrompts {
    let (tokenizer, bos) = (&model.tokenizer, model.bos());
    // One that is too long is none of millions.
    let operands: Vec<i64> = (1..).take(template.operation.operands()).collect();
    let least = tokenizer
        .encode(&template.render(&operands).text)
        .map_or(0, |tokens| tokens.len());
    if let Err(error) = check_length(least, &template, model) {
        return TemplatePrompts::none(template, error);
    }
    let set = PromptSet::of_numbers(&template, tokenizer, bos, selection, numbers);
    let set = set.and_then(|set| fits(set, model));
    TemplatePrompts { template, set }
}

/// Passes on prompts that fit the model's context.
fn fits(set: PromptSet, model: &Model) -> Result<PromptSet> {
    check_length(set.positions(), &set.template, model)?;
    Ok(set)
}

fn check_length(tokens: usize, template: &Template, model: &Model) -> Result<()> {
    let context = model.sizes.context.unwrap_or(usize::MAX);
    match tokens <= context {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "style {:?}: prompts of {tokens} tokens do not fit the model's context of {context}",
            template.style
        ))),
    }
}
