//! The prompts of a class, as they are written.

use serde::{Deserialize, Serialize};

use super::super::{Class, Stratum};
use crate::prompt::Carry;

/// The prompts of a class, which is one of a carry, of a digit, or of a word with its index.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StratumWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    carry: Option<Carry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digit: Option<char>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    word: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index: Option<i64>,
    prompts: usize,
    base_correct: usize,
    correct: usize,
    correct_given_base: usize,
}

impl From<&Stratum> for StratumWire {
    fn from(stratum: &Stratum) -> Self {
        let mut wire = Self {
            carry: None,
            digit: None,
            word: None,
            index: None,
            prompts: stratum.prompts,
            base_correct: stratum.base_correct,
            correct: stratum.correct,
            correct_given_base: stratum.correct_given_base,
        };
        match &stratum.class {
            Class::Carry(carry) => wire.carry = Some(*carry),
            Class::Digit(digit) => wire.digit = Some(*digit),
            Class::Word { index, word } => {
                (wire.index, wire.word) = (Some(*index), Some(word.clone()));
            }
        }
        wire
    }
}

impl TryFrom<StratumWire> for Stratum {
    type Error = String;

    fn try_from(wire: StratumWire) -> Result<Self, String> {
        let class = match (wire.carry, wire.digit, wire.index.zip(wire.word)) {
            (Some(carry), None, None) => Class::Carry(carry),
            (None, Some(digit), None) => Class::Digit(digit),
            (None, None, Some((index, word))) => Class::Word { index, word },
            _ => {
                return Err(
                    "one of its strata has not either a carry, a digit or a word with its index"
                        .to_owned(),
                );
            }
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
