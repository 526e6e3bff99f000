//! Two methods on the same prompts.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::proportion::{MANY, beta_cdf, exact_bounds};

/// The exact one-sided McNemar test on pairs: the probability of `wins` or more of the `wins + losses` discordant pairs
/// if both methods were equally good. 1 where no pair is discordant.
pub fn mcnemar_greater(wins: usize, losses: usize) -> f64 {
    if wins == 0 {
        return 1.0;
    }
    let pairs = (wins + losses) as u64;
    if wins + losses > MANY {
        return beta_cdf(wins as f64, losses as f64 + 1.0, 0.5);
    }
    let binomial = Binomial::new(0.5, pairs).expect("one half is a probability");
    binomial.sf(wins as u64 - 1)
}

/// The exact two-sided McNemar test: the probability of a split of the discordant pairs at least as uneven, in either
/// direction, if both methods were equally good. 1 where no pair is discordant.
pub fn mcnemar_two_sided(wins: usize, losses: usize) -> f64 {
    (2.0 * mcnemar_greater(wins.max(losses), wins.min(losses))).min(1.0)
}

/// A lower and an upper bound of the difference of two shares of successes on the same `trials`, of which `wins` succeeded only
/// first and `losses` only second; each bound is wrong with probability `tail` at most. It is the difference of the exact
/// bounds of the two discordant shares, each at half of `tail` (Bonferroni): no approximation, and so a little wide.
pub fn difference_bounds(wins: usize, losses: usize, trials: usize, tail: f64) -> (f64, f64) {
    let (win_low, win_high) = exact_bounds(wins, trials, tail / 2.0);
    let (loss_low, loss_high) = exact_bounds(losses, trials, tail / 2.0);
    (win_low - loss_high, win_high - loss_low)
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

    /// The p values of scipy are written with nine digits: `binom.sf(wins - 1, wins + losses, 0.5)`.
    const PRINTED: f64 = 1e-8;

    /// Logarithms of the gamma function of millions are large numbers, whose differences lose half of the digits of f64.
    const OF_MILLIONS: f64 = 1e-6;

    #[test]
    fn many_pairs_have_the_p_of_scipy() {
        for (wins, losses, p) in [(5100, 4950, 0.0685993896), (10000, 9900, 0.241404787)] {
            assert!(wins + losses > MANY);
            let found = mcnemar_greater(wins, losses);
            assert!((found / p - 1.0).abs() < PRINTED, "{found}, not {p}");
        }
        // The terms of statrs are too few for the last one.
        for (wins, losses, p) in [
            (5_003_000, 4_997_000, 0.0289106426579216),
            (60_000_000, 59_990_000, 0.180669219912361),
            (5_000_100, 4_999_900, 0.474911391605469),
        ] {
            let found = mcnemar_greater(wins, losses);
            assert!((found / p - 1.0).abs() < OF_MILLIONS, "{found}, not {p}");
        }
    }

    /// Over every outcome of 20 pairs, for shares from rare to common: neither bound is wrong more often than promised.
    #[test]
    fn bounds_of_a_difference_hold() {
        let (n, tail) = (20usize, 0.025);
        let ln_factorial = |n: usize| (1..=n).map(|i| (i as f64).ln()).sum::<f64>();
        for (win, loss) in [(0.02, 0.02), (0.3, 0.1), (0.05, 0.5), (0.45, 0.45)] {
            let (mut below, mut above) = (0.0, 0.0);
            for wins in 0..=n {
                for losses in 0..=n - wins {
                    let rest = n - wins - losses;
                    let ways = ln_factorial(n)
                        - ln_factorial(wins)
                        - ln_factorial(losses)
                        - ln_factorial(rest);
                    let log = |count: usize, share: f64| count as f64 * f64::ln(share);
                    let p =
                        (ways + log(wins, win) + log(losses, loss) + log(rest, 1.0 - win - loss))
                            .exp();
                    let (low, high) = difference_bounds(wins, losses, n, tail);
                    below += if win - loss < low { p } else { 0.0 };
                    above += if win - loss > high { p } else { 0.0 };
                }
            }
            assert!(
                below <= tail && above <= tail,
                "{win} {loss}: {below} {above}"
            );
        }
        assert_eq!(difference_bounds(0, 0, 0, tail), (-1.0, 1.0));
    }
}
