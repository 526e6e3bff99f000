//! Arithmetic operations over operands named `A`, `B`, `C`, ...

use std::fmt;
use std::str::FromStr;

/// An operation such as `A+B-C`: operands in alphabetical order, joined by `+`, `-`, `*` and `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operation {
    /// The operators between the operands, in order.
    operators: Vec<u8>,
}

/// The most operands that an operation can have, one a letter.
const MOST_OPERANDS: usize = 26;

impl Operation {
    /// The number of operands.
    pub fn operands(&self) -> usize {
        self.operators.len() + 1
    }

    /// The letter of operand `index`.
    pub fn letter(index: usize) -> char {
        char::from(b'A' + index as u8)
    }

    /// The result over the integers: products and quotients before sums and differences, each from left to right.
    /// `None` where a division is not exact, divides by zero, or a value leaves 64 bits.
    ///
    /// # Panics
    /// If `operands` has another length than [`Self::operands`].
    pub fn evaluate(&self, operands: &[i64]) -> Option<i64> {
        assert_eq!(operands.len(), self.operands(), "one value an operand");
        // The terms of the sum, each with its sign.
        let mut terms = vec![operands[0]];
        for (&operator, &value) in self.operators.iter().zip(&operands[1..]) {
            let last = terms.last_mut().expect("there is a first term");
            match operator {
                b'*' => *last = last.checked_mul(value)?,
                b'/' if value == 0 || *last % value != 0 => return None,
                b'/' => *last /= value,
                b'-' => terms.push(value.checked_neg()?),
                _ => terms.push(value),
            }
        }
        terms.into_iter().try_fold(0i64, i64::checked_add)
    }
}

impl Operation {
    /// The terms of a sum, each with its sign; `None` where something is multiplied or divided.
    ///
    /// # Panics
    /// If `operands` has another length than [`Self::operands`].
    pub fn terms(&self, operands: &[i64]) -> Option<Vec<i64>> {
        assert_eq!(operands.len(), self.operands(), "one value an operand");
        let mut terms = vec![operands[0]];
        for (&operator, &value) in self.operators.iter().zip(&operands[1..]) {
            terms.push(match operator {
                b'+' => value,
                b'-' => value.checked_neg()?,
                _ => return None,
            });
        }
        Some(terms)
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let reason = || {
            format!(
                "{text:?} is not an operation: expected operands A, B, C, ... in order, joined by +, -, * or / \
                 (A+B, A-B+C)"
            )
        };
        let bytes: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        let mut operators = Vec::new();
        for (i, &byte) in bytes.iter().enumerate() {
            let fits = if i % 2 == 0 {
                i / 2 < MOST_OPERANDS && byte == b'A' + (i / 2) as u8
            } else {
                operators.push(byte);
                b"+-*/".contains(&byte)
            };
            if !fits {
                return Err(reason());
            }
        }
        if bytes.len().is_multiple_of(2) || operators.is_empty() {
            return Err(reason());
        }
        Ok(Self { operators })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Self::letter(0))?;
        for (i, &operator) in self.operators.iter().enumerate() {
            write!(f, "{}{}", char::from(operator), Self::letter(i + 1))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("A+B", &[3, 4], Some(7))]
    #[case("A-B", &[3, 4], Some(-1))]
    #[case("A*B", &[3, 4], Some(12))]
    #[case("A/B", &[12, 4], Some(3))]
    #[case("A/B", &[13, 4], None)]
    #[case("A/B", &[13, 0], None)]
    #[case("A+B-C", &[3, 4, 5], Some(2))]
    #[case("A-B+C", &[3, 4, 5], Some(4))]
    #[case("A-B-C", &[9, 4, 5], Some(0))]
    #[case("A+B*C", &[3, 4, 5], Some(23))]
    #[case("A*B", &[i64::MAX, 2], None)]
    fn results(#[case] text: &str, #[case] operands: &[i64], #[case] result: Option<i64>) {
        let operation: Operation = text.parse().unwrap();
        assert_eq!(operation.evaluate(operands), result);
        assert_eq!(operation.to_string(), text);
    }

    #[rstest]
    #[case("")]
    #[case("A")]
    #[case("A+")]
    #[case("B+A")]
    #[case("A+A")]
    #[case("A%B")]
    #[case("a+b")]
    fn refused(#[case] text: &str) {
        assert!(
            text.parse::<Operation>()
                .unwrap_err()
                .contains(&format!("{text:?}"))
        );
    }
}
