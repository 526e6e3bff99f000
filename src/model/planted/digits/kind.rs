//! What the models that take digits apart do.

use crate::prompt::Operation;

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
