//! How the digits of a sum or a difference depend on each other: by what is carried from one to the next.

use serde::{Deserialize, Serialize};

use super::Operation;

/// What is carried in a sum that is written out digit by digit, or borrowed in a difference. Every prompt is of one class.
///
/// The numbers are added without their signs where all terms have the same one; of two terms with other signs the smaller is taken away from
/// the larger, as it is done on paper. A digit is carried out of a position where its digits and what is carried in make ten or more; it is
/// borrowed where what is taken away is more than what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Carry {
    /// Nothing is carried or borrowed.
    None,
    /// Something is carried from the units into the tens, and nowhere else.
    Tens,
    /// Something is carried elsewhere, or at several positions, each of which would carry without the others, too.
    Other,
    /// Some position carries, or carries more, only because of what is carried into it: 45 + 55, 100 - 1.
    Cascading,
}

impl Carry {
    /// All classes, in the order of tables.
    pub const ALL: [Self; 4] = [Self::None, Self::Tens, Self::Other, Self::Cascading];

    /// The name of the class, as records have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Tens => "tens",
            Self::Other => "other",
            Self::Cascading => "cascading",
        }
    }

    /// The class of these operands; `None` of products, quotients and remainders, of what stands in brackets, and of three terms or more
    /// with both signs, which nobody writes out in one go.
    pub fn of(operation: &Operation, operands: &[i64]) -> Option<Self> {
        let terms = operation.terms(operands)?;
        // A term of 0 has any sign.
        let negative = |term: &i64| *term < 0;
        let same = terms.iter().all(|term| *term <= 0) || !terms.iter().any(negative);
        let mut sizes: Vec<u64> = terms.iter().map(|term| term.unsigned_abs()).collect();
        match (same, sizes.len()) {
            (true, _) => Some(Self::of_positions(&positions_of_sum(&sizes))),
            (false, 2) => {
                sizes.sort_unstable();
                Some(Self::of_positions(&positions_of_difference(
                    sizes[1], sizes[0],
                )))
            }
            (false, _) => None,
        }
    }

    /// Whether an operation's prompts have a class at all, whatever their operands are.
    pub fn is_defined(operation: &Operation) -> bool {
        Self::of(operation, &vec![1; operation.operands()]).is_some()
    }

    fn of_positions(positions: &[Position]) -> Self {
        let mut carrying = positions
            .iter()
            .enumerate()
            .filter(|(_, position)| position.carries);
        if positions.iter().any(|position| position.is_caused) {
            return Self::Cascading;
        }
        match (carrying.next(), carrying.next()) {
            (None, _) => Self::None,
            (Some((0, _)), None) => Self::Tens,
            _ => Self::Other,
        }
    }
}

/// What is carried out of a position.
struct Position {
    carries: bool,
    /// Whether the position carries, or carries more, only because of what is carried in.
    is_caused: bool,
}

/// The positions of a sum, from the units on.
fn positions_of_sum(terms: &[u64]) -> Vec<Position> {
    let mut rest = terms.to_vec();
    let (mut positions, mut carried) = (Vec::new(), 0);
    while carried > 0 || rest.iter().any(|&term| term > 0) {
        let digits: u64 = rest.iter().map(|term| term % 10).sum();
        let out = (digits + carried) / 10;
        positions.push(Position {
            carries: out > 0,
            is_caused: out > digits / 10,
        });
        rest.iter_mut().for_each(|term| *term /= 10);
        carried = out;
    }
    positions
}

/// The positions of a difference of which the first number is not the smaller one, from the units on.
fn positions_of_difference(mut from: u64, mut take: u64) -> Vec<Position> {
    let (mut positions, mut borrowed) = (Vec::new(), false);
    while from > 0 || take > 0 {
        let (above, below) = (from % 10, take % 10);
        let borrows = above < below + u64::from(borrowed);
        positions.push(Position {
            carries: borrows,
            is_caused: borrows && above >= below,
        });
        (from, take, borrowed) = (from / 10, take / 10, borrows);
    }
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carry(operation: &str, operands: &[i64]) -> Option<Carry> {
        Carry::of(&operation.parse().unwrap(), operands)
    }

    #[test]
    fn classes_are_what_they_say() {
        use Carry::{Cascading, None, Other, Tens};
        for (a, b, sum, difference) in [
            (12, 34, None, None),
            (34, 12, None, None),
            (18, 25, Tens, Tens),
            (25, 18, Tens, Tens),
            (60, 50, Other, None),
            (75, 68, Other, Tens),
            (45, 55, Cascading, None),
            (99, 1, Cascading, None),
            (100, 1, None, Cascading),
            (505, 606, Other, None),
            (0, 0, None, None),
        ] {
            assert_eq!(carry("A+B", &[a, b]), Some(sum), "{a} + {b}");
            assert_eq!(carry("A-B", &[a, b]), Some(difference), "{a} - {b}");
            // A sum of other signs is a difference, and a difference of other signs a sum.
            assert_eq!(carry("A-B", &[a, -b]), Some(sum), "{a} - {}", -b);
            assert_eq!(carry("A+B", &[-a, b]), Some(difference), "{} + {b}", -a);
        }
        assert_eq!(carry("A+B+C", &[9, 9, 9]), Some(Tens));
        // Two are carried, where one would be without what is carried in.
        assert_eq!(carry("A+B+C", &[69, 69, 69]), Some(Cascading));
        assert_eq!(carry("A+B-C", &[1, 2, 3]), Option::None);
        assert_eq!(carry("A*B", &[12, 34]), Option::None);
        // An operand that stands twice is written twice; of other expressions there is no written sum.
        assert_eq!(carry("A+A", &[6]), Some(Tens));
        assert_eq!(carry("B-A", &[18, 25]), Some(Tens));
        for other in ["(A+B)%7", "A*B-A", "A-(B-A)"] {
            assert_eq!(carry(other, &[18, 25]), Option::None, "{other}");
        }
    }

    /// Every sum and difference of two numbers below 1000, digit by digit on paper: strings, from the last digit on.
    #[test]
    fn classes_are_those_of_written_addition() {
        let digits = |n: i64| -> Vec<i64> {
            let text = format!("{n:04}");
            text.bytes()
                .rev()
                .map(|digit| i64::from(digit - b'0'))
                .collect()
        };
        let classified = |out: &[bool], alone: &[bool]| {
            let caused = out.iter().zip(alone).any(|(out, alone)| *out && !*alone);
            match (caused, out) {
                (true, _) => Carry::Cascading,
                (false, out) if !out.contains(&true) => Carry::None,
                (false, out) if out[0] && !out[1..].contains(&true) => Carry::Tens,
                (false, _) => Carry::Other,
            }
        };
        for a in 0..1000i64 {
            for b in (0..1000i64).step_by(7).chain([9, 99, 999]) {
                let (upper, lower) = (digits(a), digits(b));
                // A carry goes out of a position where the sum's digit is not the digits' sum and what came in.
                let sum = digits(a + b);
                let came_in: Vec<bool> = (0..4)
                    .map(|i| sum[i] != (upper[i] + lower[i]) % 10)
                    .collect();
                let out: Vec<bool> = came_in[1..].to_vec();
                let alone: Vec<bool> = (0..3).map(|i| upper[i] + lower[i] >= 10).collect();
                assert_eq!(
                    carry("A+B", &[a, b]),
                    Some(classified(&out, &alone)),
                    "{a} + {b}"
                );
                let (large, small) = (digits(a.max(b)), digits(a.min(b)));
                let rest = digits((a - b).abs());
                let came_in: Vec<bool> = (0..4)
                    .map(|i| rest[i] != (large[i] - small[i]).rem_euclid(10))
                    .collect();
                let out: Vec<bool> = came_in[1..].to_vec();
                let alone: Vec<bool> = (0..3).map(|i| large[i] < small[i]).collect();
                assert_eq!(
                    carry("A-B", &[a, b]),
                    Some(classified(&out, &alone)),
                    "{a} - {b}"
                );
            }
        }
    }

    #[test]
    fn names_are_those_of_records() {
        for class in Carry::ALL {
            let text = serde_json::to_string(&class).unwrap();
            assert_eq!(text, format!("{:?}", class.name()));
        }
    }
}
