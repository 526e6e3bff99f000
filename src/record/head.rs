//! A head's attention.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Address, Kind, Place, Provenance};
use crate::intervene::Head;
use crate::stats::Inference;

/// How much of the last token's attention a head gives to what, in the unmodified model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadAttention {
    /// Which cell of which sweep it is.
    pub place: Place,
    /// The experiment.
    pub experiment: Kind,
    /// The model's name.
    pub model: String,
    /// The style of the template.
    pub style: String,
    /// The operation of the template.
    pub operation: String,
    /// What the intervals are about.
    pub inference: Inference,
    /// The number of layers of the model.
    pub layers: usize,
    /// The head.
    pub head: Head,
    /// The number of evaluated prompts.
    pub prompts: usize,
    /// The mean weight, by the name of what stands there.
    pub weights: BTreeMap<String, Weight>,
    /// Under what it was read.
    pub provenance: Provenance,
}

impl HeadAttention {
    /// What tells it from all others.
    pub fn address(&self) -> Address<'_> {
        self.place.address(&self.style, &self.operation)
    }
}

/// A mean attention weight with its 95% interval over prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// The mean.
    pub mean: f64,
    /// The lower end; `None` where it is not known.
    pub low: Option<f64>,
    /// The upper end; `None` where it is not known.
    pub high: Option<f64>,
}
