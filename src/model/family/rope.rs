//! The fields of a configuration that say how rotary frequencies are made.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::model::RopeScaling;
use crate::model::check::{positive, unsupported};

/// How rotary frequencies are made.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct RopeParameters {
    /// Base of the frequencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f64>,
    /// `default`, or a kind of scaling.
    #[serde(default, alias = "type")]
    pub rope_type: Option<String>,
    /// By what frequencies are divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Below so many turns in the original length a frequency is low.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_freq_factor: Option<f64>,
    /// Above so many turns in the original length a frequency is high.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_freq_factor: Option<f64>,
    /// The original length in positions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_max_position_embeddings: Option<f64>,
    /// The part of each head that is rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_rotary_factor: Option<f64>,
}

/// How rotary frequencies are made, as transformers 5 spells it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum RopeFields {
    /// By the kind of attention of a layer.
    ByKind(BTreeMap<String, RopeParameters>),
    /// In all layers.
    Same(RopeParameters),
}

impl RopeFields {
    /// The fields for layers of a kind.
    pub fn of<'a>(fields: &'a Option<Self>, kind: &str) -> Option<&'a RopeParameters> {
        match fields.as_ref()? {
            Self::ByKind(kinds) => kinds.get(kind),
            Self::Same(rope) => Some(rope),
        }
    }

    /// The fields for layers without a window.
    pub fn global(fields: &Option<Self>) -> Option<&RopeParameters> {
        Self::of(fields, "full_attention")
    }
}

impl RopeParameters {
    /// The kinds of scaling that are known.
    const KINDS: &str = "\"default\", \"linear\" or \"llama3\"";

    /// The base and the scaling that a configuration says in its older fields, or in its newer ones.
    ///
    /// # Errors
    /// A field that is not supported.
    pub fn read(
        path: &Path,
        theta: Option<f64>,
        older: Option<&Self>,
        newer: Option<&Self>,
    ) -> Result<(f64, RopeScaling)> {
        let mut scaling = RopeScaling::None;
        for (name, rope) in [("rope_scaling", older), ("rope_parameters", newer)] {
            let Some(rope) = rope else { continue };
            let found = rope.scaling(name);
            let found = found
                .map_err(|[field, found, expected]| unsupported(path, &field, found, &expected))?;
            if found != RopeScaling::None {
                scaling = found;
            }
        }
        let theta = theta.or_else(|| newer.and_then(|rope| rope.rope_theta));
        Ok((
            positive(path, "rope_theta", theta.unwrap_or(THETA))?,
            scaling,
        ))
    }

    /// The scaling that a configuration spells under `name`; a field that is not as it has to be, with what was found and expected.
    fn scaling(&self, name: &str) -> Result<RopeScaling, [String; 3]> {
        let number = |field: &str, value: Option<f64>| {
            let positive = value.filter(|x| x.is_finite() && *x > 0.0);
            positive.ok_or_else(|| {
                let found = value.map_or("nothing".to_owned(), |x| x.to_string());
                [
                    format!("{name}.{field}"),
                    found,
                    "a positive number".to_owned(),
                ]
            })
        };
        let factor = || number("factor", self.factor);
        match self.rope_type.as_deref() {
            None | Some("default") => Ok(RopeScaling::None),
            Some("linear") => Ok(RopeScaling::Linear { factor: factor()? }),
            Some("llama3") => {
                let low = number("low_freq_factor", self.low_freq_factor)?;
                let high = number("high_freq_factor", self.high_freq_factor)?;
                if high <= low {
                    let field = format!("{name}.high_freq_factor");
                    let expected = format!("more than low_freq_factor, {low}");
                    return Err([field, high.to_string(), expected]);
                }
                let original = self.original_max_position_embeddings;
                Ok(RopeScaling::Llama3 {
                    factor: factor()?,
                    low,
                    high,
                    original: number("original_max_position_embeddings", original)?,
                })
            }
            Some(kind) => Err([
                format!("{name}.rope_type"),
                format!("{kind:?}"),
                Self::KINDS.to_owned(),
            ]),
        }
    }
}

/// The base of the rotary frequencies where no field says it.
const THETA: f64 = 10_000.0;
