//! What is found of a model, before it is rendered.

use std::collections::BTreeMap;

use super::chat::Written;
use super::numbers::SingleNumbers;
use crate::graph::{Graph, Weight};
use crate::measure::Fronts;
use crate::model::{Expected, Model};
use crate::prompt::{Excluded, Key, Numbers, Operation, PromptSet, Role, Shapes, Step};
use crate::study::Because;

/// What is found of a model and its templates.
pub struct Found {
    /// The model.
    pub model: Model,
    /// The graph of the model.
    pub graph: Graph,
    /// Which numbers are one token.
    pub numbers: SingleNumbers,
    /// Whether the model would rather be asked with something else in front; `None` where no template can be asked.
    pub front: Option<OtherFront>,
    /// What is expected of the model, if it is a preset with a file of that.
    pub expected: Option<Expected>,
    /// The templates, in the order of the styles.
    pub templates: Vec<Templated>,
}

/// What is found of a template.
pub struct Templated {
    /// The style.
    pub style: String,
    /// The operation.
    pub operation: Operation,
    /// How many prompts of every shape there are; why they cannot be counted otherwise.
    pub shapes: Result<Shapes, String>,
    /// The prompts, a set for every shape and step that is asked; why there are none otherwise.
    pub sets: Vec<Result<Prompts, String>>,
}

/// The prompts of a template that have one shape and are asked at one step.
pub struct Prompts {
    /// How many tokens their numbers have, and where in the answer they are asked.
    pub numbers: Numbers,
    /// Why this shape is asked.
    pub because: Because,
    /// How many can be asked.
    pub asked: usize,
    /// How many cannot.
    pub excluded: Excluded,
    /// What stands at each position.
    pub roles: Vec<Role>,
    /// The text of one of them, without a part of the answer.
    pub example: String,
    /// The same as the chat template writes it, if one stands around the text.
    pub chat: Option<Written>,
    /// The tokens of the example, those of the answer that stand before the place where the next one is read, too.
    pub tokens: Vec<String>,
    /// The tokens that are right there; none where any is that ends the answer.
    pub right: Vec<String>,
    /// What is right behind the answer, in words.
    pub end: &'static str,
    /// What means are conditioned on: how many keys there are, over all positions from 1 on.
    pub keys: usize,
    /// The fewest contexts of a key.
    pub fewest: usize,
}

/// What a model answers on a template with something else in front.
pub struct OtherFront {
    /// The template.
    pub template: String,
    /// What was found, or why nothing was; `None` where there is nothing else that could stand there.
    pub found: crate::Result<Option<Fronts>>,
}

impl Found {
    /// The number of weights. Tied ones count once: they have one name.
    pub fn parameters(&self) -> usize {
        let size = |weight: &Weight| weight.shape.iter().product::<usize>();
        self.graph.weights.iter().map(size).sum()
    }
}

impl Templated {
    /// Whether a template has prompts in which a number has several tokens or is taken together with the text before it, or prompts are
    /// asked behind the first step.
    pub fn has_several(&self) -> bool {
        let several = |found: &Shapes| {
            found.merged > 0 || found.counts.keys().any(|shape| !shape.is_single())
        };
        let mut sets = self.sets.iter().flatten();
        self.shapes.as_ref().is_ok_and(several)
            || sets.any(|set| set.numbers.step != Step::At(0) || !set.numbers.shape.is_single())
    }

    /// The shapes that are asked, each with its first set of prompts.
    pub fn asked(&self) -> Vec<&Prompts> {
        let mut asked: Vec<&Prompts> = Vec::new();
        for set in self.sets.iter().flatten() {
            if asked
                .iter()
                .all(|known| known.numbers.shape != set.numbers.shape)
            {
                asked.push(set);
            }
        }
        asked
    }
}

impl Prompts {
    /// What is found of prompts, of which there is one at least.
    pub fn of(model: &Model, set: &PromptSet, because: Because) -> Self {
        let (asked, tokenizer) = (set.asked(), &model.tokenizer);
        let index = asked[asked.len() / 2];
        let example = &set.prompts[index];
        let text = |&id: &u32| match tokenizer.decode(id) {
            // Special tokens have no text, but a name.
            text if text.is_empty() => tokenizer.name(id).unwrap_or(text),
            text => text,
        };
        let mut contexts: BTreeMap<(usize, Key), usize> = BTreeMap::new();
        for prompt in &set.prompts {
            for (t, key) in prompt.keys.iter().enumerate().skip(1) {
                *contexts.entry((t, *key)).or_insert(0) += 1;
            }
        }
        Self {
            because,
            asked: asked.len(),
            excluded: set.excluded,
            roles: set.roles.clone(),
            chat: Written::of(model, set, index),
            example: example.text.clone(),
            tokens: example.ids.iter().map(text).collect(),
            right: match set.numbers.step {
                Step::At(_) => example.answers.iter().map(text).collect(),
                Step::Stop | Step::Whole => Vec::new(),
            },
            end: set.template.answer.end(),
            keys: contexts.len(),
            fewest: contexts.values().min().copied().unwrap_or(0),
            numbers: set.numbers.clone(),
        }
    }

    /// The tokens of the example as they stand side by side, with what each of them is: `Role::Text` of several tokens once.
    pub fn parts(&self) -> Vec<(Role, &[String])> {
        let mut parts = Vec::new();
        let mut rest = &*self.tokens;
        for roles in self.roles.chunk_by(|a, b| a == b) {
            let (part, behind) = rest.split_at(roles.len());
            parts.push((roles[0], part));
            rest = behind;
        }
        parts
    }
}
