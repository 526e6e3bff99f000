//! Proportions with intervals.

use statrs::distribution::{Beta, ContinuousCDF, Normal};
use statrs::function::gamma::ln_gamma;

/// The two-sided 95% quantile of the normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// A proportion with its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proportion {
    /// Successes.
    pub successes: usize,
    /// Trials.
    pub trials: usize,
    /// `successes / trials`; `None` without trials.
    pub value: Option<f64>,
    /// Lower end of the interval; 0 without trials.
    pub low: f64,
    /// Upper end of the interval; 1 without trials.
    pub high: f64,
}

impl Default for Proportion {
    /// Nothing was tried.
    fn default() -> Self {
        Self::wilson(0, 0)
    }
}

impl Proportion {
    /// A proportion with the Wilson score interval at 95%, without continuity correction (Wilson 1927). Its coverage is 95%
    /// on average over proportions, not for each.
    pub fn wilson(successes: usize, trials: usize) -> Self {
        if trials == 0 {
            return Self::nothing();
        }
        let (n, p) = (trials as f64, successes as f64 / trials as f64);
        let z2 = Z95 * Z95;
        let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = Z95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        Self::new(successes, trials, centre - half, centre + half)
    }

    /// A proportion with the exact interval of Clopper and Pearson (1934) at 95%: its coverage is at least 95% for every
    /// proportion, and more than that for most.
    pub fn clopper_pearson(successes: usize, trials: usize) -> Self {
        if trials == 0 {
            return Self::nothing();
        }
        let (low, high) = exact_bounds(successes, trials, 0.025);
        Self::new(successes, trials, low, high)
    }

    fn nothing() -> Self {
        Self {
            successes: 0,
            trials: 0,
            value: None,
            low: 0.0,
            high: 1.0,
        }
    }

    fn new(successes: usize, trials: usize, low: f64, high: f64) -> Self {
        debug_assert!(successes <= trials);
        Self {
            successes,
            trials,
            value: Some(successes as f64 / trials as f64),
            // At the ends the interval is exact; rounding must not leave it.
            low: if successes == 0 { 0.0 } else { low.max(0.0) },
            high: if successes == trials {
                1.0
            } else {
                high.min(1.0)
            },
        }
    }
}

/// A lower and an upper bound of a proportion, each of which is wrong with probability `tail` at most (Clopper and Pearson
/// 1934). 0 and 1 without trials.
pub(super) fn exact_bounds(successes: usize, trials: usize, tail: f64) -> (f64, f64) {
    let failures = trials - successes;
    let low = match successes {
        0 => 0.0,
        _ => quantile(successes, failures + 1, tail),
    };
    let high = match failures {
        0 => 1.0,
        _ => quantile(successes + 1, failures, 1.0 - tail),
    };
    (low, high)
}

/// From so many trials on the search of statrs for a quantile may not come to an end, and its terms of the beta distribution are too few.
pub(super) const MANY: usize = 10_000;

/// With more of both successes and failures the beta distribution is the normal one.
const AS_MANY: f64 = 1e9;

/// What a beta distribution exceeds with the probability 1 - q. Both shapes are at least 1.
fn quantile(a: usize, b: usize, q: f64) -> f64 {
    let (many, a, b) = (a + b > MANY, a as f64, b as f64);
    if !many {
        let beta = Beta::new(a, b).expect("both shapes are at least 1");
        return beta.inverse_cdf(q);
    }
    if a.min(b) > AS_MANY {
        let mean = a / (a + b);
        let deviation = (mean * (1.0 - mean) / (a + b)).sqrt();
        return (mean + Normal::standard().inverse_cdf(q) * deviation).clamp(0.0, 1.0);
    }
    let (mut low, mut high) = (0.0, 1.0);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        match beta_cdf(a, b, middle) < q {
            true => low = middle,
            false => high = middle,
        }
    }
}

/// The beta distribution's cumulative distribution: the continued fraction of Numerical Recipes (section 6.4) with as many terms as it
/// takes, about the root of the shapes.
pub(super) fn beta_cdf(a: f64, b: f64, x: f64) -> f64 {
    const MOST_TERMS: usize = 200_000;
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_cdf(b, a, 1.0 - x);
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    let kept = |term: f64| if term.abs() < 1e-300 { 1e-300 } else { term };
    let (mut c, mut d) = (1.0, 1.0 / kept(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..MOST_TERMS {
        let m = m as f64;
        let even = m * (b - m) * x / ((a - 1.0 + 2.0 * m) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 1.0 + 2.0 * m));
        let before = fraction;
        for term in [even, odd] {
            d = 1.0 / kept(1.0 + term * d);
            c = kept(1.0 + term / c);
            fraction *= c * d;
        }
        if (fraction - before).abs() < f64::EPSILON * before.abs() {
            break;
        }
    }
    (front.exp() * fraction / a).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far a bound may be from scipy's, as a part of its distance from the share: with very many trials that distance is small, and a
    /// bound at the share would be nearly right.
    const OF_DISTANCE: f64 = 1e-4;

    /// The bounds are scipy's: `beta.ppf`. The upper one of the last trials is where `beta.sf` is 0.025: there `beta.ppf` stops at 0.0249.
    /// With so many trials statrs took forever.
    #[test]
    fn bounds_of_many_trials_are_found() {
        let known = [
            (
                5_000_000,
                10_000_000,
                0.499_690_052_521_371_1,
                0.500_309_947_478_628_9,
            ),
            (
                2_500_000,
                10_000_000,
                0.249_731_643_280_661,
                0.250_268_501_470_392_6,
            ),
            (
                1,
                10_000_000,
                2.531_780_795_224_03e-9,
                5.571_642_116_990_813e-7,
            ),
            (0, 10_000_000, 0.0, 3.688_878_773_722_437_6e-7),
            (10_000_000, 10_000_000, 0.999_999_631_112_122_6, 1.0),
            (
                30,
                10_000_000,
                2.024_088_288_604_87e-6,
                4.282_683_792_768_434e-6,
            ),
            (
                9_999_000,
                10_000_000,
                0.999_893_605_126_616_1,
                0.999_906_102_416_497_2,
            ),
            // At the limit the one way ends and the other begins.
            (
                5_000,
                9_999,
                0.490_200_876_221_961_5,
                0.509_899_104_638_872_3,
            ),
            (
                5_000,
                10_000,
                0.490_151_380_589_980_5,
                0.509_848_619_410_019_6,
            ),
            (
                7_000,
                12_000,
                0.574_451_484_031_188_3,
                0.592_174_737_402_771_2,
            ),
            (
                123_456,
                1_000_000,
                0.122_811_841_629_629_73,
                0.124_102_340_276_802_68,
            ),
            (
                3_000_000_000,
                10_000_000_000,
                0.299_991_018_324_569,
                0.300_008_981_791_204_1,
            ),
            (
                400_000_000_000_000,
                1_000_000_000_000_000,
                0.399_999_969_636_368_36,
                0.400_000_030_363_632,
            ),
        ];
        for (successes, trials, low, high) in known {
            let found = exact_bounds(successes, trials, 0.025);
            let share = successes as f64 / trials as f64;
            for (found, expected) in [(found.0, low), (found.1, high)] {
                assert!(
                    (found - expected).abs() <= OF_DISTANCE * (expected - share).abs(),
                    "{successes} of {trials}: {found}, not {expected}"
                );
            }
        }
    }

    /// Bounds that are wrong more often are nearer to the share. They are scipy's `beta.isf(1 - tail, ...)` and `beta.isf(tail, ...)`.
    #[test]
    fn bounds_with_large_tails_are_found() {
        let known = [
            (7_000, 12_000, 0.4, 0.5821488720760648, 0.5845125380361493),
            (
                5_000_000,
                10_000_000,
                0.49,
                0.49999598625767333,
                0.5000040137423267,
            ),
            (
                900_000_000,
                2_000_000_000,
                0.45,
                0.4499986018643611,
                0.4500013981528321,
            ),
        ];
        for (successes, trials, tail, low, high) in known {
            let found = exact_bounds(successes, trials, tail);
            assert!(
                (found.0 - low).abs() <= OF_DISTANCE * (high - low),
                "{found:?}"
            );
            assert!(
                (found.1 - high).abs() <= OF_DISTANCE * (high - low),
                "{found:?}"
            );
        }
    }

    #[test]
    fn no_trials_say_nothing() {
        for p in [Proportion::wilson(0, 0), Proportion::clopper_pearson(0, 0)] {
            assert_eq!((p.value, p.low, p.high), (None, 0.0, 1.0));
        }
    }
}
