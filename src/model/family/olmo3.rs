//! OLMo 3: OLMo 2 with a window in most layers, in which rotary frequencies are not scaled.

use std::path::Path;

use super::architecture::{Architecture, Configuration, Description, LlamaShaped};
use super::base::{self, local_layers, local_theta};
use super::config::Config;
use super::olmo2::Olmo2;
use super::rope::Rotated;
use crate::Result;
use crate::model::names::LayerNames;
use crate::model::{LocalRotary, ModelSpec, RopeScaling, Rotary, Weights};

/// OLMo 3.
pub struct Olmo3;

/// One of so many layers is without a window, where no field says which.
const PATTERN: usize = 4;

impl Architecture for Olmo3 {
    fn name(&self) -> &'static str {
        "olmo3"
    }

    fn describe(&self, config: &Configuration<'_>, _: &Weights) -> Result<Description> {
        base::read(self, config)
    }
}

impl LlamaShaped for Olmo3 {
    fn shape(&self, config: &Config, spec: &mut ModelSpec, path: &Path) -> Result<()> {
        Olmo2.shape(config, spec, path)?;
        base::within_window(config, spec, true);
        let Some(rotary) = &spec.rotary else {
            return Ok(());
        };
        let of = Rotated {
            dims: rotary.dims,
            theta: rotary.theta,
        };
        spec.local = Some(LocalRotary {
            rotary: Rotary {
                theta: local_theta(config, path, config.rope_theta, of)?,
                scaling: RopeScaling::None,
                ..rotary.clone()
            },
            layers: local_layers(config, spec.layers, path, PATTERN)?,
        });
        Ok(())
    }

    fn layer(&self, spec: &ModelSpec, layer: usize, names: &mut LayerNames) {
        Olmo2.layer(spec, layer, names);
    }
}
