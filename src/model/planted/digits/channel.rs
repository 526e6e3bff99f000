//! Channels of the residual stream where every digit is a token. Those that are common to all planted models are
//! [`crate::model::planted::channel`]'s.

use std::ops::RangeInclusive;

use crate::model::planted::channel::Stream;

/// The residual stream. Four gates stand one behind the other, and what a norm takes off the input of the first comes out of the last some
/// three hundred times as large: so the constant is larger than where numbers are one token.
pub const STREAM: Stream = Stream {
    channels: 256,
    large: 1000.0,
};

/// Digits.
pub const TEN: usize = 10;
/// Sum, difference, and the difference the other way round: `first + second`, `first - second`, `second - first` in the order of the text.
pub const OPERATIONS: usize = 3;
/// Columns of a sum or a difference.
pub const TENS: usize = 0;
pub const UNITS: usize = 1;
/// Steps of an answer: its digits, and what follows them.
pub const STEPS: usize = 4;

/// The operation at its token, and, fetched, where the answer is read.
pub const OPERATION: usize = 6;
pub const FETCHED_OPERATION: usize = OPERATION + OPERATIONS;
/// Whether this is that digit of the number, by number and place.
const PLACE: usize = FETCHED_OPERATION + OPERATIONS;
/// Whether the answer is read here, by step.
pub const STEP: usize = PLACE + 4;
/// A digit at its own token; the digit before it.
pub const DIGIT: usize = STEP + STEPS;
pub const BEFORE: usize = DIGIT + TEN;
/// The digits of the operands where they were fetched, by number and place.
const OPERANDS: usize = BEFORE + TEN;
/// The tens without a carry, by operation.
const COLUMN: usize = OPERANDS + 4 * TEN;
/// Whether the units carry, by operation (a difference: whether they do not borrow); whether the units are known.
pub const CARRY: usize = COLUMN + SUMS + 2 * TEN;
pub const KNOWN: usize = CARRY + OPERATIONS;
/// The units of the result, by operation.
pub const RESULT_UNITS: usize = KNOWN + 1;
/// The tens of the result, its hundreds included, by operation.
const TOTAL: usize = RESULT_UNITS + OPERATIONS * TEN;
/// The same of the operation that is asked for.
pub const CHOSEN: usize = TOTAL + TOTALS + 2 * TEN;
pub const CHOSEN_UNITS: usize = CHOSEN + TOTALS;
/// What is said: a digit, or the end.
pub const SAID: usize = CHOSEN_UNITS + TEN;
pub const END: usize = SAID + TEN;
/// What nothing reads.
pub const JUNK: usize = END + 1;

/// Sums of two digits, and with a carry.
const SUMS: usize = 19;
pub const TOTALS: usize = SUMS + 1;

/// The channel of a place of a number.
pub fn place(number: usize, place: usize) -> usize {
    PLACE + 2 * number + place
}

/// The first channel of the digit at a place of an operand.
pub fn operand(number: usize, place: usize) -> usize {
    OPERANDS + (2 * number + place) * TEN
}

/// What the tens of a column are without a carry. A difference counts as one less, and carries where it does not borrow.
pub fn columns(operation: usize) -> RangeInclusive<i64> {
    match operation {
        0 => 0..=SUMS as i64 - 1,
        _ => -1..=TEN as i64 - 2,
    }
}

/// The channel of the tens of a column without a carry.
pub fn column(operation: usize, tens: i64) -> usize {
    let first = match operation {
        0 => COLUMN,
        _ => COLUMN + SUMS + (operation - 1) * TEN,
    };
    first + (tens - columns(operation).start()) as usize
}

/// How many values the tens of a result may have.
pub fn totals(operation: usize) -> usize {
    match operation {
        0 => TOTALS,
        _ => TEN,
    }
}

/// The channel of the tens of a result.
pub fn total(operation: usize, tens: usize) -> usize {
    let first = match operation {
        0 => TOTAL,
        _ => TOTAL + TOTALS + (operation - 1) * TEN,
    };
    first + tens
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::planted::channel::{CONSTANT, IS_BOS, IS_LAST, IS_NUMBER, ROLE as COUNT};

    #[test]
    fn channels_do_not_overlap() {
        let mut seen = BTreeSet::from([CONSTANT, IS_NUMBER, IS_LAST, IS_BOS, COUNT]);
        let mut own = |channel: usize| assert!(seen.insert(channel), "{channel} stands for two");
        let blocks = [
            (OPERATION, OPERATIONS),
            (FETCHED_OPERATION, OPERATIONS),
            (STEP, STEPS),
            (DIGIT, TEN),
            (BEFORE, TEN),
            (CARRY, OPERATIONS),
            (KNOWN, 1),
            (RESULT_UNITS, OPERATIONS * TEN),
            (CHOSEN, TOTALS),
            (CHOSEN_UNITS, TEN),
            (SAID, TEN),
            (END, 1),
            (JUNK, TEN),
        ];
        for (first, count) in blocks {
            (first..first + count).for_each(&mut own);
        }
        for number in 0..2 {
            for of in [TENS, UNITS] {
                own(place(number, of));
                (operand(number, of)..operand(number, of) + TEN).for_each(&mut own);
            }
        }
        for operation in 0..OPERATIONS {
            columns(operation).for_each(|tens| own(column(operation, tens)));
            (0..totals(operation)).for_each(|tens| own(total(operation, tens)));
        }
        assert!(seen.last() < Some(&STREAM.channels));
    }
}
