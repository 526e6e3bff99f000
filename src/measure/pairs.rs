//! Pairs of prompts that differ in what is asked about and are as hard as each other.

use std::fmt;
use std::str::FromStr;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Evaluation;
use crate::prompt::{Carry, Operation, PromptSet};

/// What a counterfactual prompt changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// The operand of that index, and no other.
    Operand(usize),
    /// Every operand.
    All,
    /// The operation, and no operand.
    Operator,
}

/// The letters of operands.
const LETTERS: u8 = 26;

impl Change {
    /// How many there are.
    pub const COUNT: usize = LETTERS as usize + 2;

    /// Where it stands among others: operands in their order, then all of them, then the operation.
    pub fn order(self) -> usize {
        match self {
            Self::Operand(operand) => operand,
            Self::All => usize::from(LETTERS),
            Self::Operator => usize::from(LETTERS) + 1,
        }
    }

    /// Whether it can be made to prompts with so many operands.
    pub fn fits(self, operands: usize) -> bool {
        match self {
            Self::Operand(operand) => operand < operands,
            Self::All | Self::Operator => true,
        }
    }

    /// Whether two prompts with these operands differ in it and in nothing else.
    fn is_between(self, one: &[i64], other: &[i64]) -> bool {
        let mut pairs = one.iter().zip(other).enumerate();
        pairs.all(|(i, (a, b))| match self {
            Self::Operand(operand) => (a != b) == (i == operand),
            Self::All => a != b,
            Self::Operator => a == b,
        })
    }
}

impl Default for Change {
    fn default() -> Self {
        Self::Operand(0)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operand(operand) => write!(f, "{}", Operation::letter(*operand)),
            Self::All => f.write_str("all"),
            Self::Operator => f.write_str("operator"),
        }
    }
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            [letter @ b'A'..=b'Z'] => Ok(Self::Operand(usize::from(letter - b'A'))),
            b"all" => Ok(Self::All),
            b"operator" => Ok(Self::Operator),
            _ => Err(format!(
                "{text:?} is no change of a prompt; expected the letter of an operand, as in A, or all, or operator"
            )),
        }
    }
}

impl Serialize for Change {
    /// Writes the change as it is printed.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Change {
    /// Reads the change as it is printed.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A prompt and its counterfactual, by their indices in their sets: one set, or those of two operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The prompt that is run.
    pub prompt: usize,
    /// The prompt from which residuals are taken.
    pub other: usize,
}

/// Pairs of prompts that differ in `change`, at most so many, drawn by the seed: an evaluated prompt each, and any that can be asked of
/// `others`, which is the same evaluation, or under [`Change::Operator`] that of another operation. The unmodified model is right about both,
/// what is right of one is wrong of the other, and as much is carried in both (see [`Carry`]).
pub fn pairs(
    evaluation: &Evaluation,
    others: &Evaluation,
    change: Change,
    most: usize,
    seed: u64,
) -> Vec<Pair> {
    let set = &evaluation.set;
    let carry =
        |of: &PromptSet, p: usize| Carry::of(&of.template.operation, &of.prompts[p].operands);
    let right: Vec<usize> = (others.set.asked().into_iter())
        .filter(|&prompt| others.base_correct(prompt))
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ change.order() as u64);
    let mut prompts = evaluation.evaluated.clone();
    prompts.shuffle(&mut random);
    prompts.retain(|&prompt| evaluation.base_correct(prompt));
    let mut drawn = Vec::new();
    for prompt in prompts {
        if drawn.len() == most {
            break;
        }
        let this = &set.prompts[prompt];
        let fits = |other: &usize| {
            let that = &others.set.prompts[*other];
            let differ = !(that.answers.iter()).any(|answer| this.answers.contains(answer));
            differ
                && change.is_between(&this.operands, &that.operands)
                && carry(set, prompt) == carry(&others.set, *other)
        };
        let others: Vec<usize> = right.iter().copied().filter(fits).collect();
        if !others.is_empty() {
            let other = others[random.random_range(0..others.len())];
            drawn.push(Pair { prompt, other });
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_have_names() {
        for (text, change) in [
            ("A", Change::Operand(0)),
            ("C", Change::Operand(2)),
            ("all", Change::All),
            ("operator", Change::Operator),
        ] {
            assert_eq!(text.parse(), Ok(change));
            assert_eq!(change.to_string(), text);
        }
        assert!("both".parse::<Change>().is_err() && "a".parse::<Change>().is_err());
    }

    #[test]
    fn every_change_has_a_place_of_its_own() {
        let operands = (0..usize::from(LETTERS)).map(Change::Operand);
        let changes = operands.chain([Change::All, Change::Operator]);
        assert!(changes.map(Change::order).eq(0..Change::COUNT));
    }

    #[test]
    fn a_change_is_of_nothing_else() {
        let between = |change: Change, other: [i64; 2]| change.is_between(&[3, 4], &other);
        assert!(between(Change::Operand(0), [5, 4]) && !between(Change::Operand(0), [5, 6]));
        assert!(between(Change::Operand(1), [3, 6]) && !between(Change::Operand(1), [3, 4]));
        assert!(between(Change::All, [5, 6]) && !between(Change::All, [5, 4]));
        assert!(between(Change::Operator, [3, 4]) && !between(Change::Operator, [3, 5]));
        assert!(Change::Operand(1).fits(2) && !Change::Operand(2).fits(2) && Change::All.fits(2));
    }
}
