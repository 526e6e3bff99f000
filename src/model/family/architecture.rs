//! What a family of architectures is.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::config::Config;
use crate::model::keys::Keys;
use crate::model::names::{LayerNames, WeightNames};
use crate::model::{ModelSpec, Weights};
use crate::{Error, Result};

/// A family of architectures.
pub trait Architecture: Sync {
    /// The family's name, the `model_type` of its configurations.
    fn name(&self) -> &'static str;

    /// What a configuration of the family says of a model with these weights.
    ///
    /// # Errors
    /// A field that is missing, whose value is not supported or that contradicts another one.
    fn describe(&self, config: &Configuration<'_>, weights: &Weights) -> Result<Description>;

    /// How the family is kept in a GGUF file, where such a file can be read.
    fn gguf(&self) -> Option<InGguf> {
        None
    }
}

/// A family that starts from Llama's configuration, shape and names of weights, and changes what it has of its own.
pub trait LlamaShaped: Architecture {
    /// Changes the shape of a Llama with that configuration into the family's own.
    ///
    /// # Errors
    /// A field that is missing or not supported.
    fn shape(&self, _config: &Config, _spec: &mut ModelSpec, _path: &Path) -> Result<()> {
        Ok(())
    }

    /// Changes the names of a layer's weights.
    fn layer(&self, _spec: &ModelSpec, _layer: usize, _names: &mut LayerNames) {}
}

/// A family as llama.cpp keeps it.
#[derive(Clone, Copy)]
pub struct InGguf {
    /// llama.cpp's name of it, `general.architecture`.
    pub architecture: &'static str,
    /// The name of transformers' class.
    pub class: &'static str,
    /// Whether the rows of queries and keys are in the order of interleaved rotary embedding.
    pub interleaved: bool,
    /// The fields of `config.json` to which the metadata amount; refuses what is missing, not supported or contradicts itself.
    pub config: fn(&Keys<'_>) -> Result<Value>,
}

/// What a configuration says.
#[derive(Debug)]
pub struct Description {
    /// The shape.
    pub spec: ModelSpec,
    /// The token that begins a sequence.
    pub bos: Option<u32>,
    /// What the weights are called.
    pub names: WeightNames,
}

/// What the file of a configuration is called in errors.
pub const WHAT: &str = "model configuration (config.json)";

/// The text of a configuration.
pub struct Configuration<'a> {
    /// The file.
    pub path: &'a Path,
    /// The text, in JSON.
    pub text: &'a str,
}

impl Configuration<'_> {
    /// The fields of a family's configuration.
    ///
    /// # Errors
    /// A field that is missing or of another type.
    pub fn fields<T: DeserializeOwned>(&self, family: &dyn Architecture) -> Result<T> {
        serde_json::from_str(self.text).map_err(|e| Error::Malformed {
            path: self.path.to_owned(),
            what: WHAT.to_owned(),
            expected: format!("the fields of a {} model", family.name()),
            found: e.to_string(),
        })
    }
}
