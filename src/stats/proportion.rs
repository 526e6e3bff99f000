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

/// The beta distribution's cumulative distribution, for x above 0 and below 1.
pub(super) fn beta_cdf(a: f64, b: f64, x: f64) -> f64 {
    let gammas = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b);
    let front = (gammas + a * x.ln() + b * (-x).ln_1p()).exp();
    let below = match x > (a + 1.0) / (a + b + 2.0) {
        true => 1.0 - front * fraction(b, a, 1.0 - x) / b,
        false => front * fraction(a, b, x) / a,
    };
    below.clamp(0.0, 1.0)
}

/// The continued fraction of Numerical Recipes (section 6.4), for x about the mean or below it, with as many terms as it takes, about the
/// root of the shapes.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const MOST_TERMS: usize = 200_000;
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
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far a bound may be from scipy's, as a part of its distance from the share: with very many trials that distance is small, and a
    /// bound at the share would be nearly right.
    const OF_DISTANCE: f64 = 1e-4;

    fn bounds_are(successes: usize, trials: usize, tail: f64, low: f64, high: f64) {
        let found = exact_bounds(successes, trials, tail);
        let share = successes as f64 / trials as f64;
        for (found, expected) in [(found.0, low), (found.1, high)] {
            assert!(
                (found - expected).abs() <= OF_DISTANCE * (expected - share).abs(),
                "{successes} of {trials}, wrong in {tail}: {found}, not {expected}"
            );
        }
    }

    /// The bounds are scipy's: `beta.ppf`. The upper one of the last trials is where `beta.sf` is 0.025: there `beta.ppf` stops at 0.0249.
    /// With so many trials statrs took forever.
    #[test]
    fn bounds_of_many_trials_are_found() {
        let known = [
            (5_000_000, 10_000_000, 0.4996900525214, 0.5003099474786),
            (2_500_000, 10_000_000, 0.2497316432807, 0.2502685014704),
            (1, 10_000_000, 2.531780795224e-09, 5.571642116991e-07),
            (0, 10_000_000, 0.0, 3.688878773722e-07),
            (10_000_000, 10_000_000, 0.9999996311121, 1.0),
            (30, 10_000_000, 2.024088288605e-06, 4.282683792768e-06),
            (9_999_000, 10_000_000, 0.9998936051266, 0.9999061024165),
            // At the limit the one way ends and the other begins.
            (5_000, 9_999, 0.490200876222, 0.5098991046389),
            (5_000, 10_000, 0.49015138059, 0.50984861941),
            (7_000, 12_000, 0.5744514840312, 0.5921747374028),
            (123_456, 1_000_000, 0.1228118416296, 0.1241023402768),
            (
                3_000_000_000,
                10_000_000_000,
                0.2999910183246,
                0.3000089817912,
            ),
            (
                400_000_000_000_000,
                1_000_000_000_000_000,
                0.3999999696364,
                0.4000000303636,
            ),
        ];
        for (successes, trials, low, high) in known {
            bounds_are(successes, trials, 0.025, low, high);
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
            bounds_are(successes, trials, tail, low, high);
        }
    }

    /// A record may say any number of trials: the bounds come at once. They are about the share up to ten billion
    /// trials, more than anybody asks; beyond, the logarithms of the gamma function have too few digits.
    #[test]
    fn no_number_of_trials_is_too_large() {
        for trials in [10_001, 10_000_000_000, usize::MAX / 2] {
            for successes in [0, 1, 1_000, 1_000_000_000, trials / 2, trials - 1, trials] {
                let successes = successes.min(trials);
                let (low, high) = exact_bounds(successes, trials, 0.025);
                let share = successes as f64 / trials as f64;
                let says = format!("{successes} of {trials}: {low} {high}");
                assert!(low >= 0.0 && high <= 1.0, "{says}");
                assert!(
                    trials == usize::MAX / 2 || (low <= share && share <= high),
                    "{says}"
                );
            }
        }
    }

    #[test]
    fn no_trials_say_nothing() {
        for p in [Proportion::wilson(0, 0), Proportion::clopper_pearson(0, 0)] {
            assert_eq!((p.value, p.low, p.high), (None, 0.0, 1.0));
        }
    }
}
