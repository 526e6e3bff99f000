//! Mistral: Llama whose tokens see only a window of those before them.

use std::path::Path;

use super::architecture::{Architecture, Configuration, Description, LlamaShaped};
use super::base;
use super::config::Config;
use crate::Result;
use crate::model::{ModelSpec, Weights};

/// Mistral.
pub struct Mistral;

impl Architecture for Mistral {
    fn name(&self) -> &'static str {
        "mistral"
    }

    fn describe(&self, config: &Configuration<'_>, _: &Weights) -> Result<Description> {
        base::read(self, config)
    }
}

impl LlamaShaped for Mistral {
    fn shape(&self, config: &Config, spec: &mut ModelSpec, _: &Path) -> Result<()> {
        base::within_window(config, spec, true);
        Ok(())
    }
}
