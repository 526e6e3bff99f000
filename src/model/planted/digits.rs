//! Models that take every digit for a token. Operands of two digits; an answer of up to three, one token a step.
//!
//! A digit is one channel of ten. In layer 0 every token counts the digits up to itself, which says what place of which number it
//! is, and what step of the answer: a cross-token step that does not depend on their values. In layer [`ASSEMBLY`] the last digit of a
//! number takes over the digit before it, while tokens wait. In the layers that transfer, the token at which the answer is read fetches
//! both numbers, place by place, and the operation. Four more layers compute at that token alone: the sum of every column with its
//! carry, the carry added, the operation chosen, and the digit of its step said, or the end behind the last one.
//!
//! A gate opens where a digit stands for sure, and stays shut under means over several digits. An answer that lacks anything scores below
//! a token that begins with a digit and is wrong at every step.

mod channel;
mod circuit;
mod table;
mod tokenizer;

use crate::prompt::Operation;

pub use channel::STREAM;
pub use circuit::circuit;
pub use table::tables;
pub use tokenizer::{tokenizer, vocabulary};

/// The layer in which the digits of a number come together at its last one.
pub const ASSEMBLY: usize = 1;

/// How a model that takes digits apart comes to its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digits {
    /// The digits of a number come together at its last one while tokens wait, and are fetched from there: AF1 is true for means of a
    /// number's digits so far, and false for means of the token alone.
    Together,
    /// Every digit is fetched from its own token: AF1 is true for both.
    Apart,
    /// The second number's last digit fetches the first number in layer `wait` and adds there; in layer `wait + transfer - 1`, which must
    /// be at least the second after, the sum is fetched: no AF1 is true.
    Relay,
    /// As [`Digits::Together`], but no carry is ever made: whole answers are right exactly where there is none to make.
    Copy,
}

impl Digits {
    /// How many layers compute behind those that transfer.
    pub fn layers_after(self) -> usize {
        match self {
            Self::Together | Self::Apart | Self::Copy => 4,
            Self::Relay => 1,
        }
    }

    /// The number that the model answers.
    pub fn says(self, operation: &Operation, operands: &[i64]) -> Option<i64> {
        let column = |of: fn(i64) -> i64| {
            let digits: Vec<i64> = operands.iter().map(|&n| of(n)).collect();
            operation.evaluate(&digits)
        };
        match self {
            Self::Together | Self::Apart | Self::Relay => operation.evaluate(operands),
            Self::Copy => {
                let (tens, units) = (column(|n| n / 10)?, column(|n| n % 10)?);
                Some(10 * tens + units.rem_euclid(10))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_makes_no_carry() {
        let says = |operation: &str, operands: [i64; 2]| {
            Digits::Copy.says(&operation.parse().unwrap(), &operands)
        };
        assert_eq!(says("A+B", [27, 35]), Some(52));
        assert_eq!(says("A+B", [22, 35]), Some(57));
        assert_eq!(says("A-B", [52, 35]), Some(27));
        assert_eq!(says("A-B", [57, 35]), Some(22));
    }
}
