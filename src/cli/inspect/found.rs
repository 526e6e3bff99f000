//! What is found of a model, before it is rendered.

use super::chat::Written;
use super::numbers::Numbers;
use crate::graph::{Graph, Weight};
use crate::measure::Fronts;
use crate::model::{Expected, Model};
use crate::prompt::{Excluded, Operation, PromptSet, Role};

/// What is found of a model and its templates.
pub struct Found {
    /// The model.
    pub model: Model,
    /// The graph of the model.
    pub graph: Graph,
    /// Which numbers are one token.
    pub numbers: Numbers,
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
    /// The prompts; why there are none otherwise.
    pub prompts: Result<Prompts, String>,
}

/// The prompts of a template.
pub struct Prompts {
    /// How many can be asked.
    pub asked: usize,
    /// How many cannot.
    pub excluded: Excluded,
    /// What stands at each position.
    pub roles: Vec<Role>,
    /// The text of one of them.
    pub example: String,
    /// The same as the chat template writes it, if one stands around the text.
    pub chat: Option<Written>,
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

impl Prompts {
    /// What is found of prompts, of which there is one at least.
    pub fn of(model: &Model, set: &PromptSet) -> Self {
        let asked = set.asked();
        let example = asked[asked.len() / 2];
        Self {
            asked: asked.len(),
            excluded: set.excluded,
            roles: set.roles.clone(),
            example: set.prompts[example].text.clone(),
            chat: Written::of(model, set, example),
        }
    }
}
