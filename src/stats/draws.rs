//! A share over contexts of which a few were drawn.

use statrs::distribution::{ChiSquared, ContinuousCDF, Normal, StudentsT};

/// A lower bound of a share over all contexts, from the successes of the same `trials` prompts under a few draws of them. By
/// simulation it is wrong in at most 5% of all samples where the contexts' own shares are normal on the probit scale and
/// have at most half of the answers' variance there. `None` for fewer than two draws, or without trials.
///
/// Shares near 1 are skewed: most contexts keep nearly all, some much less, and a few draws often have none of these, so that what is
/// resampled from them is too narrow. So the bound does not take the spread that was seen, but the one that there may be in truth.
/// (It sees only what some draw shows: a rare context that loses everything takes many draws.)
///
/// Let the share of a context be `Phi(z)` with `z` of mean `m` and variance `s^2`: the share over contexts is then
/// `Phi(m / sqrt(1 + s^2))`. For `m` it takes the lower end of Student's 95% interval, for `s^2` the upper end of the 95% interval
/// by the chi-squared distribution. A draw is taken as `(successes + 1/2) / (trials + 1)`, so that it has a `z`; more successes
/// than trials are as many.
pub fn lower_over_contexts(successes: &[usize], trials: usize) -> Option<f64> {
    let draws = successes.len() as f64;
    if successes.len() < 2 || trials == 0 {
        return None;
    }
    let normal = Normal::standard();
    let z = |&k: &usize| normal.inverse_cdf((k.min(trials) as f64 + 0.5) / (trials as f64 + 1.0));
    let z: Vec<f64> = successes.iter().map(z).collect();
    let mean = z.iter().sum::<f64>() / draws;
    let freedom = draws - 1.0;
    let variance = z.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / freedom;
    let student = StudentsT::new(0.0, 1.0, freedom).expect("degrees of freedom are positive");
    let chi = ChiSquared::new(freedom).expect("degrees of freedom are positive");
    let least = mean - student.inverse_cdf(0.975) * (variance / draws).sqrt();
    let most = variance * freedom / chi.inverse_cdf(0.025);
    Some(normal.cdf(least / (1.0 + most).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::lower_over_contexts;

    /// The normal quantile function and its inverse undo each other up to this.
    const UNDONE: f64 = 1e-9;

    #[test]
    fn draws_that_agree_are_taken_at_their_word() {
        let bound = lower_over_contexts(&[300; 5], 300).unwrap();
        assert!((bound - 300.5 / 301.0).abs() < UNDONE, "{bound}");
        assert!(lower_over_contexts(&[150; 5], 300).unwrap() > 0.499);
    }

    #[test]
    fn nothing_is_known_of_one_draw() {
        assert_eq!(lower_over_contexts(&[3], 5), None);
        assert_eq!(lower_over_contexts(&[], 5), None);
        assert_eq!(lower_over_contexts(&[0, 0], 0), None);
    }
}
