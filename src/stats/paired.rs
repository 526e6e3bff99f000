//! Two methods on the same prompts.

use statrs::distribution::{Binomial, DiscreteCDF};

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

/// The exact two-sided McNemar test: the probability of a split of the discordant pairs at least as uneven, in either
/// direction, if both methods were equally good. 1 where no pair is discordant.
pub fn mcnemar_two_sided(wins: usize, losses: usize) -> f64 {
    (2.0 * mcnemar_greater(wins.max(losses), wins.min(losses))).min(1.0)
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
}
