//! What could not be measured.

use super::{Address, Kind, Place, Run};
use crate::Error;
use crate::prompt::Template;

/// A template that could not be evaluated, or an ablation that is not defined on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failure {
    /// Which cell of which sweep it is; the cell has no name where the whole template could not be evaluated.
    pub place: Place,
    /// The experiment.
    pub experiment: Kind,
    /// The model's name.
    pub model: String,
    /// The style of the template.
    pub style: String,
    /// The operation of the template.
    pub operation: String,
    /// The ablation that is not defined on it; `None` where the whole template could not be evaluated.
    pub ablation: Option<String>,
    /// Why, in words.
    pub error: String,
    /// The exit code of the error.
    pub exit_code: u8,
}

impl Failure {
    /// What tells it from all others.
    pub fn address(&self) -> Address<'_> {
        self.place.address(&self.style, &self.operation)
    }

    /// A template that could not be evaluated in a run, and why.
    pub fn of(run: &Run<'_>, template: &Template, error: &Error) -> Self {
        Self {
            place: Place::default(),
            experiment: run.experiment.clone(),
            model: run.model.to_owned(),
            style: template.style.clone(),
            operation: template.operation.to_string(),
            ablation: None,
            error: error.to_string(),
            exit_code: error.exit_code(),
        }
    }
}
