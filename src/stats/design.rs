//! What a claim about a proportion takes: the rule by which it passes, and how many prompts decide it.

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

use super::Proportion;

/// The exact one-sided test of non-inferiority against a fixed reference share: the probability of `successes` or more of
/// `trials` if the true share were only `reference - margin`. Where it is small, the share is less than the margin below
/// the reference.
pub fn noninferiority(successes: usize, trials: usize, reference: f64, margin: f64) -> f64 {
    at_least(successes, trials, reference - margin)
}

/// The probability of `successes` or more of `trials` if each succeeds with that share.
pub(super) fn at_least(successes: usize, trials: usize, share: f64) -> f64 {
    if successes == 0 {
        return 1.0;
    }
    if successes > trials {
        return 0.0;
    }
    let share = share.clamp(0.0, 1.0);
    let binomial = Binomial::new(share, trials as u64).expect("a share is a probability");
    binomial.sf(successes as u64 - 1)
}

/// The level at which claims pass: a share that is only just the claim passes with at most this probability.
pub const LEVEL: f64 = 0.05;

/// The fewest successes of so many trials with which a claim passes: its 95% Wilson interval begins at or above the claim,
/// and the exact test rejects, at the level, that the share is only the claim. (The second follows from the first but for
/// very few trials: 4 of 4 have an interval from 0.51 on, and one coin in 16 falls so.) `None` where not even `trials`
/// successes are enough.
pub fn least_passing(trials: usize, claim: f64, level: f64) -> Option<usize> {
    let passes = |k: usize| {
        Proportion::wilson(k, trials).low >= claim && at_least(k, trials, claim) <= level
    };
    if !passes(trials) {
        return None;
    }
    // Both grow stricter with fewer successes.
    let (mut fails, mut good) = (0, trials);
    while good - fails > 1 {
        let middle = fails + (good - fails) / 2;
        if passes(middle) {
            good = middle;
        } else {
            fails = middle;
        }
    }
    Some(good)
}

/// Whether a claim fails: the 95% Wilson interval ends below it, and the exact test rejects, at the level, that the share
/// is as large as the claim. (For few trials the second does not follow from the first: at a claim of 0.95 one sample in
/// ten has 9 or fewer of 11.)
pub fn fails(successes: usize, trials: usize, claim: f64, level: f64) -> bool {
    let at_most = 1.0 - at_least(successes + 1, trials, claim);
    Proportion::wilson(successes, trials).high < claim && at_most <= level
}

/// The probability that a claim passes at [`LEVEL`] on so many trials if the true share is `truth`: the power where the truth lies
/// above the claim, the error where it does not.
pub fn pass_probability(trials: usize, claim: f64, truth: f64) -> f64 {
    least_passing(trials, claim, LEVEL).map_or(0.0, |least| at_least(least, trials, truth))
}

/// The most trials that [`sample_size`] considers.
const MOST_TRIALS: usize = 10_000;

/// The number of trials from which on a claim passes with at least that probability if the true share is `truth`. The
/// probability goes up and down with the number of trials, because successes are whole; from here on it stays. `None`
/// where the truth does not lie above the claim, or so little above that it may take more than 10,000 trials.
pub fn sample_size(claim: f64, truth: f64, power: f64) -> Option<usize> {
    if truth <= claim || !(power > 0.0 && power < 1.0) {
        return None;
    }
    let enough = enough_trials(claim, truth, power)?;
    let fails = |n: &usize| pass_probability(*n, claim, truth) < power;
    (1..=enough)
        .rev()
        .find(fails)
        .map_or(Some(1), |last| Some(last + 1))
}

/// More trials than decide a claim; `None` where that may be more than 10,000.
pub(super) fn enough_trials(claim: f64, truth: f64, power: f64) -> Option<usize> {
    // The normal approximation, and a quarter more: from there on the power does not fall back.
    let spread = |p: f64| (p * (1.0 - p)).sqrt();
    let z = |q: f64| Normal::standard().inverse_cdf(q);
    let normal = ((z(0.975) * spread(claim) + z(power) * spread(truth)) / (truth - claim)).powi(2);
    let enough = (1.25 * normal).ceil() as usize + 200;
    (enough <= MOST_TRIALS).then_some(enough)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One less a sum of probabilities rounds in the last places.
    const ROUNDING: f64 = 1e-12;

    #[test]
    fn the_least_passing_is_the_least() {
        for (trials, claim) in [(73, 0.95), (100, 0.9), (1000, 0.5), (10, 0.1)] {
            let least = least_passing(trials, claim, LEVEL).unwrap();
            let both = |k: usize| {
                Proportion::wilson(k, trials).low >= claim
                    && noninferiority(k, trials, claim, 0.0) <= LEVEL
            };
            assert!(both(least) && !both(least - 1), "{trials} {claim}");
        }
        assert_eq!(least_passing(72, 0.95, LEVEL), None);
        assert_eq!(least_passing(73, 0.95, LEVEL), Some(73));
        assert_eq!(least_passing(4, 0.5, LEVEL), None);
    }

    #[test]
    fn no_number_of_trials_shows_what_is_not_so() {
        assert_eq!(sample_size(0.95, 0.95, 0.8), None);
        assert_eq!(sample_size(0.95, 0.9, 0.8), None);
        assert_eq!(sample_size(0.95, 0.9501, 0.8), None);
        for power in [-1.0, 0.0, 1.0, 1.5] {
            assert_eq!(sample_size(0.9, 0.95, power), None, "{power}");
        }
    }

    /// The power that there is with the sample size and more is reached with it, too: "at least" means that.
    #[test]
    fn the_power_that_is_there_is_enough() {
        let (claim, truth) = (0.9, 0.97);
        let begin = sample_size(claim, truth, 0.8).unwrap();
        let power = |n: usize| pass_probability(n, claim, truth);
        let all = begin..=enough_trials(claim, truth, 0.8).unwrap();
        let worst = all.min_by(|&a, &b| power(a).total_cmp(&power(b))).unwrap();
        assert!(sample_size(claim, truth, power(worst)).unwrap() <= worst);
    }

    #[test]
    fn enough_trials_are_those_of_scipy() {
        let fixture = include_str!("../../fixtures/reference/stats.json");
        let fixture: serde_json::Value = serde_json::from_str(fixture).unwrap();
        for row in fixture["enough_trials"].as_array().unwrap() {
            let number = |name: &str| row[name].as_f64().unwrap();
            let n = enough_trials(number("claim"), number("truth"), number("power")).unwrap();
            assert_eq!(n as u64, row["n"].as_u64().unwrap(), "{row}");
        }
    }

    /// An interval that ends just at the claim does not end below it.
    #[test]
    fn what_ends_at_the_claim_does_not_fail() {
        let claim = Proportion::wilson(80, 100).high;
        assert!(!fails(80, 100, claim, LEVEL) && fails(79, 100, claim, LEVEL));
    }

    /// A share that is just the claim fails in at most 5% of all samples.
    #[test]
    fn no_claim_fails_by_chance() {
        for claim in [0.5, 0.8, 0.95, 0.99] {
            for trials in 1..=300 {
                let least = (0..=trials)
                    .find(|&k| !fails(k, trials, claim, LEVEL))
                    .unwrap_or(0);
                let error = 1.0 - at_least(least, trials, claim);
                assert!(error <= LEVEL + ROUNDING, "{claim} {trials} {error}");
            }
        }
        assert!(!fails(9, 11, 0.95, LEVEL) && fails(8, 11, 0.95, LEVEL));
    }

    #[test]
    fn nothing_is_inferior_to_nothing() {
        assert_eq!(noninferiority(0, 10, 0.0, 0.05), 1.0);
        assert_eq!(noninferiority(1, 10, 0.05, 0.1), 0.0);
    }
}
