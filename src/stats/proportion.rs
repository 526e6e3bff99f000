//! Proportions with intervals.

use statrs::distribution::{Beta, ContinuousCDF};

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
    let quantile = |a: usize, b: usize, q: f64| {
        let beta = Beta::new(a as f64, b as f64).expect("both shapes are at least 1");
        beta.inverse_cdf(q)
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_trials_say_nothing() {
        for p in [Proportion::wilson(0, 0), Proportion::clopper_pearson(0, 0)] {
            assert_eq!((p.value, p.low, p.high), (None, 0.0, 1.0));
        }
    }
}
