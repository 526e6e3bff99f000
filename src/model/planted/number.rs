//! Numbers, as a planted model knows them.

use std::f64::consts::TAU;

/// Numbers from 0 to 999 are tokens; those below this one have features and can be operands and answers.
pub const NUMBERS: usize = 200;
pub const NUMERALS: usize = 1000;
/// The period of the features; prime, and larger than every result.
pub const PERIOD: f64 = 211.0;
/// Numbers are well apart in these, and the mean of a frequency over twenty values or more is small: no low frequency tells
/// something of a number to those who know only the range.
pub const FREQUENCIES: [f64; 6] = [51.0, 57.0, 65.0, 69.0, 84.0, 86.0];
pub const FEATURES: usize = 2 * FREQUENCIES.len();

/// The last frequency in [`Route::Leak`](super::Route::Leak). Its period is some 30 numbers, the range of the self-check's operands, so
/// that its mean over all of them is nothing and over neighbours nearly their own.
pub const LOW_FREQUENCY: f64 = 7.0;

/// The index of that frequency: it is fetched in the last transfer layer.
pub const LEAKED: usize = FREQUENCIES.len() - 1;

/// `cos, sin, cos, sin, ...` of a number.
pub fn features(number: usize, frequencies: [f64; FREQUENCIES.len()]) -> impl Iterator<Item = f64> {
    frequencies.into_iter().flat_map(move |k| {
        let angle = TAU * k * number as f64 / PERIOD;
        [angle.cos(), angle.sin()]
    })
}
