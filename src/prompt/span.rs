//! Ranges of values, as they are written.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// A range of values, `0..=9`, `0..10` or a single value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span(pub RangeInclusive<i64>);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("{text:?} is not a range; expected 0..=9, 0..10 or 7");
        let number = |text: &str| text.trim().parse::<i64>().map_err(|_| fail());
        // Far beyond any operand, and far from where counting would overflow.
        let in_reach = |value: i64| value.unsigned_abs() <= 1 << 53;
        let (first, last) = if let Some((first, last)) = text.split_once("..=") {
            (number(first)?, number(last)?)
        } else if let Some((first, end)) = text.split_once("..") {
            (
                number(first)?,
                number(end)?.checked_sub(1).ok_or_else(fail)?,
            )
        } else {
            (number(text)?, number(text)?)
        };
        if !in_reach(first) || !in_reach(last) {
            return Err(format!(
                "{text:?} is out of reach; expected values below 2^53"
            ));
        }
        if first > last {
            return Err(format!(
                "{text:?} is an empty range; expected the smaller value first"
            ));
        }
        Ok(Self(first..=last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0..=9", 0, 9)]
    #[case("0..10", 0, 9)]
    #[case("-5..=5", -5, 5)]
    #[case("7", 7, 7)]
    fn spans(#[case] text: &str, #[case] first: i64, #[case] last: i64) {
        assert_eq!(text.parse(), Ok(Span(first..=last)));
    }

    #[rstest]
    #[case("")]
    #[case("a..b")]
    #[case("9..=0")]
    #[case("5..5")]
    #[case("0..-9223372036854775808")]
    #[case("0..=9223372036854775807")]
    fn broken_spans(#[case] text: &str) {
        assert!(
            text.parse::<Span>()
                .unwrap_err()
                .contains(&format!("{text:?}"))
        );
    }
}
