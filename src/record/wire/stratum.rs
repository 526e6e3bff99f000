//! The prompts of a class, as they are written.

use serde::{Deserialize, Serialize};

use super::super::{Class, Stratum};
use crate::prompt::Carry;

/// The prompts of a class, which is one of a carry or one of a digit.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StratumWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    carry: Option<Carry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digit: Option<char>,
    prompts: usize,
    base_correct: usize,
    correct: usize,
    correct_given_base: usize,
}

impl From<&Stratum> for StratumWire {
    fn from(stratum: &Stratum) -> Self {
        let (carry, digit) = match stratum.class {
            Class::Carry(carry) => (Some(carry), None),
            Class::Digit(digit) => (None, Some(digit)),
        };
        Self {
            carry,
            digit,
            prompts: stratum.prompts,
            base_correct: stratum.base_correct,
            correct: stratum.correct,
            correct_given_base: stratum.correct_given_base,
        }
    }
}

impl TryFrom<StratumWire> for Stratum {
    type Error = String;

    fn try_from(wire: StratumWire) -> Result<Self, String> {
        let class = match (wire.carry, wire.digit) {
            (Some(carry), None) => Class::Carry(carry),
            (None, Some(digit)) => Class::Digit(digit),
            _ => return Err("one of its strata has not either a carry or a digit".to_owned()),
        };
        Ok(Self {
            class,
            prompts: wire.prompts,
            base_correct: wire.base_correct,
            correct: wire.correct,
            correct_given_base: wire.correct_given_base,
        })
    }
}
