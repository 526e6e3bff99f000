//! Statistics against published values, scipy, statsmodels and full enumeration; and by simulation: intervals cover what
//! they say. Only `af1::stats` is used here, so that `tests/mutants` can build it alone.

mod coverage;
mod dependent;
mod reference;

use std::ops::RangeInclusive;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The coverage of an interval of 95% by simulation, with its own error: ten thousand experiments have a standard error of 0.2%, and
/// intervals of discrete answers cover a little more than they say.
pub const COVERS: RangeInclusive<f64> = 0.94..=0.965;

/// A standard normal number (Box and Muller).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
