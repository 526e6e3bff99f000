//! Statistics of proportions: intervals and paired tests. Pure functions of numbers; nothing here knows what was
//! measured.

use statrs::distribution::{Binomial, DiscreteCDF};

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

impl Proportion {
    /// A proportion with the Wilson score interval at 95%, without continuity correction (Wilson 1927).
    pub fn wilson(successes: usize, trials: usize) -> Self {
        debug_assert!(successes <= trials);
        if trials == 0 {
            return Self {
                successes,
                trials,
                value: None,
                low: 0.0,
                high: 1.0,
            };
        }
        let (n, p) = (trials as f64, successes as f64 / trials as f64);
        let z2 = Z95 * Z95;
        let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = Z95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        Self {
            successes,
            trials,
            value: Some(p),
            // At the ends the interval is exact; rounding must not leave it.
            low: if successes == 0 {
                0.0
            } else {
                (centre - half).max(0.0)
            },
            high: if successes == trials {
                1.0
            } else {
                (centre + half).min(1.0)
            },
        }
    }
}

/// The exact one-sided McNemar test on pairs: the probability of `wins` or more of the `wins + losses` discordant pairs
/// if both methods were equally good. 1 where no pair is discordant.
pub fn mcnemar_greater(wins: usize, losses: usize) -> f64 {
    if wins == 0 {
        return 1.0;
    }
    let pairs = (wins + losses) as u64;
    let binomial = Binomial::new(0.5, pairs).expect("one half is a probability");
    binomial.sf(wins as u64 - 1)
}

/// The number of pairs in which only the first succeeded, and in which only the second did.
pub fn discordant(pairs: impl IntoIterator<Item = (bool, bool)>) -> (usize, usize) {
    pairs
        .into_iter()
        .fold((0, 0), |(wins, losses), pair| match pair {
            (true, false) => (wins + 1, losses),
            (false, true) => (wins, losses + 1),
            _ => (wins, losses),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// The references are printed with ten digits.
    const PRINTED: f64 = 1e-9;

    // scipy 1.17.1: scipy.stats.binomtest(k, n).proportion_ci(method="wilson").
    #[rstest]
    #[case(0, 55, 0.0000000000, 0.0652849011)]
    #[case(1, 55, 0.0032167805, 0.0960577606)]
    #[case(26, 44, 0.4440975374, 0.7231214437)]
    #[case(42, 50, 0.7148578394, 0.9166257932)]
    #[case(55, 55, 0.9347150989, 1.0000000000)]
    #[case(995, 1000, 0.9883490446, 0.9978624645)]
    #[case(950, 1000, 0.9346861798, 0.9618697376)]
    #[case(1, 1, 0.2065493144, 1.0000000000)]
    fn wilson_equals_scipy(
        #[case] k: usize,
        #[case] n: usize,
        #[case] low: f64,
        #[case] high: f64,
    ) {
        let p = Proportion::wilson(k, n);
        assert!((p.low - low).abs() < PRINTED, "{} {low}", p.low);
        assert!((p.high - high).abs() < PRINTED, "{} {high}", p.high);
    }

    #[test]
    fn no_trials_say_nothing() {
        let p = Proportion::wilson(0, 0);
        assert_eq!((p.value, p.low, p.high), (None, 0.0, 1.0));
    }

    // scipy 1.17.1: scipy.stats.binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue.
    #[rstest]
    #[case(0, 4, 1.0)]
    #[case(1, 0, 0.5000000000)]
    #[case(5, 0, 0.0312500000)]
    #[case(10, 3, 0.0461425781)]
    #[case(3, 10, 0.9887695312)]
    #[case(20, 20, 0.5626853438)]
    #[case(41, 1, 0.0000000000)]
    #[case(300, 260, 0.0496279350)]
    fn mcnemar_equals_scipy(#[case] wins: usize, #[case] losses: usize, #[case] p: f64) {
        assert!((mcnemar_greater(wins, losses) - p).abs() < PRINTED);
    }

    #[test]
    fn only_discordant_pairs_count() {
        let pairs = [
            (true, true),
            (true, false),
            (false, true),
            (true, false),
            (false, false),
        ];
        assert_eq!(discordant(pairs), (2, 1));
    }
}
