//! Which numbers are one token.

use std::fmt;
use std::ops::RangeInclusive;

use serde::Serialize;

use crate::prompt::{Selection, Tokenizer};

/// Which numbers are one token.
#[derive(Serialize)]
pub struct SingleNumbers {
    /// The numbers that are looked at: all that an operand or a result may be, and those up to three digits.
    looked_at: String,
    /// One token as they stand.
    bare: String,
    /// One token with a space before them.
    after_a_space: String,
    /// Operands of several tokens: prompts with them have other shapes.
    operands_of_several: String,
    /// Results of several tokens: prompts with them have other shapes.
    results_of_several: String,
}

impl SingleNumbers {
    /// Looks at every number that the ranges hold.
    pub fn of(tokenizer: &Tokenizer, selection: &Selection) -> Self {
        let (operands, results) = (&selection.operands, &selection.results);
        let first = 0.min(*operands.start()).min(*results.start()).max(-MOST);
        let last = 999.max(*operands.end()).max(*results.end()).min(MOST);
        let of_kind = |spaced: bool| {
            let kind = move |n: &i64| {
                let mut tokens = tokenizer.numeral(*n).iter();
                tokens.any(|&id| tokenizer.begins_with_space(id) == spaced)
            };
            ranges((first..=last).filter(kind))
        };
        let several = |span: &RangeInclusive<i64>| {
            let span = (*span.start()).max(first)..=(*span.end()).min(last);
            ranges(span.filter(|&n| tokenizer.numeral(n).is_empty()))
        };
        Self {
            looked_at: ranges(first..=last),
            bare: of_kind(false),
            after_a_space: of_kind(true),
            operands_of_several: several(operands),
            results_of_several: several(results),
        }
    }
}

impl fmt::Display for SingleNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |text: &str| if text.is_empty() { "none" } else { text }.to_owned();
        write!(
            f,
            "numbers that are one token, of {}: {}; with a space before them: {}\n\
             of several tokens, so that prompts with them have other shapes: operands: {}; results: {}",
            self.looked_at,
            some(&self.bare),
            some(&self.after_a_space),
            some(&self.operands_of_several),
            some(&self.results_of_several)
        )
    }
}

/// Numbers further from 0 are not looked at one by one.
const MOST: i64 = 100_000;

/// Ascending numbers as ranges, both ends included.
fn ranges(numbers: impl Iterator<Item = i64>) -> String {
    let mut found: Vec<RangeInclusive<i64>> = Vec::new();
    for n in numbers {
        match found.last_mut() {
            Some(range) if *range.end() + 1 == n => *range = *range.start()..=n,
            _ => found.push(n..=n),
        }
    }
    let text = found
        .iter()
        .map(|range| match range.start() == range.end() {
            true => range.start().to_string(),
            false => format!("{}..={}", range.start(), range.end()),
        });
    text.collect::<Vec<String>>().join(", ")
}
