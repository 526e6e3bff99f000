//! Numbers of one token or several: shapes of prompts, steps of answers, and the keys of means.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Operation;

/// How many tokens each operand and the answer have. Prompts of one shape have one length and the same roles.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape {
    /// Tokens of every operand, in order.
    pub operands: Vec<usize>,
    /// Tokens of the answer.
    pub answer: usize,
}

impl Shape {
    /// Every number is one token.
    pub fn single(operands: usize) -> Self {
        Self {
            operands: vec![1; operands],
            answer: 1,
        }
    }

    /// Whether every number is one token.
    pub fn is_single(&self) -> bool {
        self.answer == 1 && self.operands.iter().all(|&tokens| tokens == 1)
    }

    /// The shape of an operation in words, `2+2=2`; where its operands do not stand once each in their order, or numbers or brackets
    /// between them, `2:2=2`.
    pub fn words(&self, operation: &str) -> String {
        let is_due = |(i, c): (usize, char)| match i % 2 {
            0 => c == Operation::letter(i / 2),
            _ => OPERATORS.contains(&c),
        };
        let is_plain = operation.chars().count() + 1 == 2 * self.operands.len();
        if !(is_plain && operation.chars().enumerate().all(is_due)) {
            let tokens: Vec<String> = self.operands.iter().map(ToString::to_string).collect();
            return format!("{}={}", tokens.join(":"), self.answer);
        }
        let mut tokens = self.operands.iter();
        let left = operation.chars().map(|c| match c.is_ascii_alphabetic() {
            true => tokens.next().map_or(String::new(), ToString::to_string),
            false => c.to_string(),
        });
        format!("{}={}", left.collect::<String>(), self.answer)
    }

    /// What prompts of the shape ask at a step, in words: the operation, and where a number has several tokens `2+2=2 step 0` behind it.
    pub fn question(&self, operation: &str, step: Step) -> String {
        if self.is_single() && step == Step::At(0) {
            return operation.to_owned();
        }
        let shape = self.words(operation);
        match step {
            Step::Whole => format!("{operation} {shape} whole"),
            step => format!("{operation} {shape} step {step}"),
        }
    }

    /// Whether it is a shape of the operation.
    pub fn fits(&self, operation: &Operation) -> bool {
        self.operands.len() == operation.operands()
    }
}

/// What stands between the numbers of tokens, where an operation has it between its operands.
const OPERATORS: [char; 5] = ['+', '-', '*', '/', '%'];

/// The shape as it is asked for: the numbers of tokens with any operators or colons between them, `2+2=2`.
impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let reason = || {
            format!(
                "{text:?} is no shape: expected how many tokens every operand and the answer have, from 1 to {MOST_TOKENS}, as in 2+2=2"
            )
        };
        let (left, right) = text.split_once('=').ok_or_else(reason)?;
        let tokens = |text: &str| {
            let count: usize = text.trim().parse().ok()?;
            (1..=MOST_TOKENS).contains(&count).then_some(count)
        };
        let between = |c: char| c == ':' || OPERATORS.contains(&c);
        let operands: Option<Vec<usize>> = left.split(between).map(tokens).collect();
        match (operands, tokens(right)) {
            (Some(operands), Some(answer)) => Ok(Self { operands, answer }),
            _ => Err(reason()),
        }
    }
}

/// The most tokens of a number.
pub const MOST_TOKENS: usize = 6;

/// Where in an answer the next token is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The place behind so many tokens of the right answer: the next token of it is right.
    At(usize),
    /// The place behind the whole answer: what does not begin with a digit is right.
    Stop,
    /// Every token of the answer, one after the other: nothing is read of itself, it follows from the steps.
    Whole,
}

impl Default for Step {
    fn default() -> Self {
        Self::At(0)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(step) => write!(f, "{step}"),
            Self::Stop => f.write_str("stop"),
            Self::Whole => f.write_str("whole"),
        }
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(step) if step < MOST_TOKENS => Ok(Self::At(step)),
            _ if text == "stop" => Ok(Self::Stop),
            _ if text == "whole" => Ok(Self::Whole),
            _ => Err(format!(
                "{text:?} is no step: expected how many tokens of the answer stand before it, below {MOST_TOKENS}, stop or whole"
            )),
        }
    }
}

impl Serialize for Step {
    /// Writes the step as it is printed.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Step {
    /// Reads the step as it is printed.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a mean at a position of a number is conditioned on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum KeyedBy {
    /// The tokens of the number up to the position: a number's digits may assemble while it waits, but numbers do not meet.
    #[default]
    Span,
    /// The token at the position alone.
    Token,
}

impl KeyedBy {
    /// Both, the default first.
    pub const ALL: [Self; 2] = [Self::Span, Self::Token];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Span => Self::Token,
            Self::Token => Self::Span,
        }
    }

    /// The name, on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Span => "span",
            Self::Token => "token",
        }
    }
}

impl FromStr for KeyedBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|key| key.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            format!(
                "{text:?} is no key of means; expected {}",
                names.join(" or ")
            )
        })
    }
}

/// What a mean is conditioned on, beside its position: one token, or the first tokens of a number. Keys of one length are in the order of
/// their tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u128);

impl Key {
    /// Bits of a token.
    const BITS: u32 = 21;

    /// The key of some tokens, of which there are [`MOST_TOKENS`] at most; `None` where a token has too large an id.
    pub fn of(tokens: &[u32]) -> Option<Self> {
        let fits = |token: &u32| (token + 1) >> Self::BITS == 0;
        (tokens.len() <= MOST_TOKENS && tokens.iter().all(fits)).then(|| {
            let add = |key: u128, &token: &u32| key << Self::BITS | u128::from(token + 1);
            Self(tokens.iter().fold(0, add))
        })
    }
}

/// Which of a template's prompts are one set: how many tokens their numbers have, and where in the answer they are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// How many tokens each operand and the answer have.
    pub shape: Shape,
    /// Where in the answer the next token is read.
    pub step: Step,
    /// What means are conditioned on.
    pub keyed_by: KeyedBy,
}

impl Numbers {
    /// Every number is one token.
    pub fn single(operands: usize) -> Self {
        Self {
            shape: Shape::single(operands),
            step: Step::At(0),
            keyed_by: KeyedBy::Span,
        }
    }

    /// The number of tokens of the answer that stand in the prompt.
    pub fn given(&self) -> usize {
        match self.step {
            Step::At(step) => step,
            Step::Stop | Step::Whole => self.shape.answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_what_they_are_written_as() {
        let shape: Shape = "2+1=3".parse().unwrap();
        assert_eq!((&*shape.operands, shape.answer), (&[2, 1][..], 3));
        assert_eq!(shape.words("A-B"), "2-1=3");
        assert!(Shape::single(2).is_single() && !shape.is_single());
        // Of one operand that stands twice, and of operands with more than operators between them.
        let one: Shape = "2=1".parse().unwrap();
        assert_eq!(one.words("A+A"), "2=1");
        assert_eq!(shape.words("(A+B)%7"), "2:1=3");
        assert_eq!(shape.words("B-A"), "2:1=3");
        assert_eq!("2:1=3".parse(), Ok(shape));
        for wrong in ["", "2", "=1", "2+2", "0+1=1", "2+x=1", "2+2=7", "2+2=2=2"] {
            assert!(wrong.parse::<Shape>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn steps_are_what_they_are_written_as() {
        for step in [Step::At(0), Step::At(2), Step::Stop, Step::Whole] {
            assert_eq!(step.to_string().parse(), Ok(step));
        }
        assert!("6".parse::<Step>().is_err() && "-1".parse::<Step>().is_err());
    }

    #[test]
    fn keys_of_other_tokens_are_other_keys() {
        let keys = [&[0][..], &[1], &[0, 0], &[0, 1], &[1, 0], &[0, 0, 0]].map(Key::of);
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert!(Key::of(&[3]) < Key::of(&[4]), "in the order of tokens");
        assert_eq!(Key::of(&[(1 << 21) - 1]), None);
    }
}
