//! The fields of a configuration that say how rotary frequencies are made.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::model::RopeScaling;
use crate::model::check::{base_of_rotations, unsupported};
use crate::model::keys::Keys;

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
    /// YaRN: by what cosines and sines are multiplied; follows from the factor where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention_factor: Option<f64>,
    /// YaRN: pairs with more turns than this in the original length stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_fast: Option<f64>,
    /// YaRN: pairs with fewer turns than this in the original length are divided by the whole factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_slow: Option<f64>,
    /// YaRN: the weight of the factor's logarithm in the numerator of `attention_factor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mscale: Option<f64>,
    /// YaRN: the same in its denominator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mscale_all_dim: Option<f64>,
    /// YaRN: whether the places between which pairs are interpolated are whole numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncate: Option<bool>,
}

/// The heads whose pairs a scaling changes.
#[derive(Clone, Copy)]
pub struct Rotated {
    /// How many of a head's dimensions are rotated.
    pub dims: usize,
    /// The base of the frequencies where no field says it.
    pub theta: f64,
}

/// How rotary frequencies are made, as transformers 5 spells it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum RopeFields {
    /// Fields by the kind of attention of a layer.
    ByKind(BTreeMap<String, RopeParameters>),
    /// Fields that all layers share.
    Same(RopeParameters),
}

impl RopeFields {
    /// The same for layers of one kind, and others for those of another kind.
    pub fn with(self, kind: &str, other: &str, others: RopeParameters) -> Self {
        match self {
            Self::ByKind(kinds) => Self::ByKind(kinds),
            Self::Same(own) => {
                let kinds = [(kind.to_owned(), own), (other.to_owned(), others)];
                Self::ByKind(kinds.into())
            }
        }
    }

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
    /// What the metadata of a GGUF file say of heads of that width, of which so many dimensions are rotated.
    ///
    /// # Errors
    /// A scaling that is not known.
    pub fn of_gguf(keys: &Keys<'_>, d_head: usize, rotated: usize) -> Result<Self> {
        let theta = keys.positive_if("rope.freq_base")?.unwrap_or(THETA);
        let kind = keys.word_if("rope.scaling.type")?;
        if let Some(kind) = kind.filter(|kind| !["none", "linear"].contains(kind)) {
            let found = format!("{kind:?}");
            return Err(keys.refuse("rope.scaling.type", found, "\"none\" or \"linear\""));
        }
        keys.only("rope.scaling.attn_factor", 1.0)?;
        let factor = match keys.number_if("rope.scaling.factor")? {
            Some(factor) => Some(factor),
            None => keys.number_if("rope.scale_linear")?,
        };
        // A factor without a kind is linear, 0 is none.
        let factor = factor.filter(|factor| ![0.0, 1.0].contains(factor) && kind != Some("none"));
        let mut found = Self {
            rope_type: Some("default".to_owned()),
            ..Self::default()
        };
        if let Some(factor) = factor {
            if factor < 0.0 {
                return Err(keys.refuse("rope.scaling.factor", factor, "a positive number"));
            }
            found.rope_type = Some("linear".to_owned());
            found.factor = Some(factor);
        }
        if keys.has(ROPE_FREQS) {
            if let Some(factor) = factor {
                let supported = format!("no scaling beside that of {ROPE_FREQS}");
                return Err(keys.refuse("rope.scaling.factor", factor, &supported));
            }
            found = Self::of_divisors(keys, rotated, theta)?;
        }
        found.rope_theta = Some(theta);
        found.partial_rotary_factor = (rotated != d_head).then(|| share(rotated, d_head));
        Ok(found)
    }

    /// The scaling of Llama 3 whose divisors a file has, which does not say the parameters.
    fn of_divisors(keys: &Keys<'_>, dims: usize, theta: f64) -> Result<Self> {
        let (low, high, original) = (1.0, 4.0, 8192.0);
        let divisors = keys.vector(ROPE_FREQS, dims / 2).unwrap_or_default();
        let is_of = |factor: &f64| {
            let scaling = RopeScaling::Llama3 {
                factor: *factor,
                low,
                high,
                original,
            };
            let divisor = |i: usize| {
                let frequency = theta.powf(-2.0 * i as f64 / dims as f64);
                frequency / scaling.change(i, frequency)
            };
            let near = |(i, found): (usize, &f32)| {
                (f64::from(*found) / divisor(i) - 1.0).abs() < SAME_DIVISOR
            };
            !divisors.is_empty() && divisors.iter().enumerate().all(near)
        };
        let Some(factor) = LLAMA3_FACTORS.into_iter().find(is_of) else {
            let found = "a tensor of scaled rotary frequencies of an unknown kind".to_owned();
            let supported =
                "the scaling of Llama 3.1, 3.2 or 3.3; give the Hugging Face folder of others";
            return Err(unsupported(keys.path(), ROPE_FREQS, found, supported));
        };
        Ok(Self {
            rope_type: Some("llama3".to_owned()),
            factor: Some(factor),
            low_freq_factor: Some(low),
            high_freq_factor: Some(high),
            original_max_position_embeddings: Some(original),
            ..Self::default()
        })
    }

    /// The kinds of scaling that are known.
    const KINDS: &str = "\"default\", \"linear\", \"llama3\" or \"yarn\"";

    /// The base and the scaling that a configuration says in its older fields, or in its newer ones.
    ///
    /// # Errors
    /// A field that is not supported.
    pub fn read(
        path: &Path,
        of: Rotated,
        theta: Option<f64>,
        older: Option<&Self>,
        newer: Option<&Self>,
    ) -> Result<(f64, RopeScaling)> {
        let theta = theta.or_else(|| newer.and_then(|rope| rope.rope_theta));
        let theta = base_of_rotations(path, "rope_theta", theta.unwrap_or(of.theta))?;
        let mut scaling = RopeScaling::None;
        for (name, rope) in [("rope_scaling", older), ("rope_parameters", newer)] {
            let Some(rope) = rope else { continue };
            let found = rope.scaling(name, Rotated { theta, ..of });
            let found = found
                .map_err(|[field, found, expected]| unsupported(path, &field, found, &expected))?;
            if found != RopeScaling::None {
                scaling = found;
            }
        }
        Ok((theta, scaling))
    }

    /// The scaling that a configuration spells under `name`; a field that is not as it has to be, with what was found and expected.
    fn scaling(&self, name: &str, of: Rotated) -> Result<RopeScaling, [String; 3]> {
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
            Some("yarn") => {
                let original = self.original_max_position_embeddings;
                let original = number("original_max_position_embeddings", original)?;
                let fast = number("beta_fast", self.beta_fast.or(Some(32.0)))?;
                let slow = number("beta_slow", self.beta_slow.or(Some(1.0)))?;
                let factor = factor()?;
                let attention = match self.attention_factor {
                    Some(_) => number("attention_factor", self.attention_factor)?,
                    None => self.yarn_attention(factor),
                };
                let [first, last] = of.places([fast, slow], original, self.truncate != Some(false));
                Ok(RopeScaling::Yarn {
                    factor,
                    attention,
                    first,
                    last,
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

impl RopeParameters {
    /// By what YaRN multiplies cosines and sines where no field says it.
    fn yarn_attention(&self, factor: f64) -> f64 {
        let scale = |weight: f64| match factor > 1.0 {
            true => 0.1 * weight * factor.ln() + 1.0,
            false => 1.0,
        };
        let given = |weight: Option<f64>| weight.filter(|weight| *weight != 0.0);
        match (given(self.mscale), given(self.mscale_all_dim)) {
            (Some(weight), Some(all)) => scale(weight) / scale(all),
            _ => scale(1.0),
        }
    }
}

impl Rotated {
    /// The places of the pairs with so many turns in the original length, the fast ones first.
    fn places(self, turns: [f64; 2], original: f64, whole: bool) -> [f64; 2] {
        let place = |turns: f64| {
            self.dims as f64 * (original / (turns * std::f64::consts::TAU)).ln()
                / (2.0 * self.theta.ln())
        };
        let [first, last] = turns.map(place);
        let (first, last) = match whole {
            true => (first.floor(), last.ceil()),
            false => (first, last),
        };
        let (first, last) = (first.max(0.0), last.min(self.dims as f64 - 1.0));
        // As in transformers: a ramp has a length.
        [first, if first == last { last + 0.001 } else { last }]
    }
}

/// The base of the rotary frequencies where no field says it, and no key of a GGUF file.
pub const THETA: f64 = 10_000.0;

/// The tensor by which llama.cpp divides rotary frequencies.
pub const ROPE_FREQS: &str = "rope_freqs.weight";

/// The factors of Llama 3.1 and 3.3, and of Llama 3.2. Their other parameters are the same.
const LLAMA3_FACTORS: [f64; 2] = [8.0, 32.0];

/// How far a divisor may be from that of a known scaling, of itself: both are computed in f32.
const SAME_DIVISOR: f64 = 1e-4;

/// The part of a head that is so many dimensions when it is taken of all and rounded down, as configurations say it.
fn share(dims: usize, of: usize) -> f64 {
    let part = dims as f64 / of as f64;
    match (of as f64 * part) as usize == dims {
        true => part,
        false => part.next_up(),
    }
}

#[test]
fn shares_of_heads_come_back() {
    for of in (2..=512).step_by(2) {
        for dims in (2..=of).step_by(2) {
            assert_eq!(
                (of as f64 * share(dims, of)) as usize,
                dims,
                "{dims} of {of}"
            );
        }
    }
}
