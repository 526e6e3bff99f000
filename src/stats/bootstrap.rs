//! Means with bootstrap intervals: over prompts, over groups of prompts, over prompts and drawn contexts.
//!
//! Intervals are percentiles of the resampled means, widened for the number of units that were resampled as Hesterberg
//! (2015) does, because plain percentiles of few units are too narrow: at the levels `Phi(-a), Phi(a)` with
//! `a = sqrt(n / (n - 1)) * t(0.975; n - 1)`. With two levels the factor and the degrees of freedom are those of the sum of
//! their variances (Satterthwaite 1946), which comes to the same where one of them is all.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// The number of resamples where nothing else is asked for.
pub const RESAMPLES: usize = 2000;

/// A mean with its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Lower end of the interval; minus infinity where there are fewer than two units.
    pub low: f64,
    /// Upper end of the interval; infinity where there are fewer than two units.
    pub high: f64,
}

/// The mean of independent values; `None` without any.
pub fn bootstrap(values: &[f64], resamples: usize, seed: u64) -> Option<Mean> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let n = values.len();
    interval(mean(values)?, tail(n), resamples, || {
        (0..n)
            .map(|_| values[random.random_range(0..n)])
            .sum::<f64>()
            / n as f64
    })
}

/// The mean of the differences `a - b` of pairs; `None` without any.
///
/// # Panics
/// If there are not as many of the one as of the other.
pub fn bootstrap_paired(a: &[f64], b: &[f64], resamples: usize, seed: u64) -> Option<Mean> {
    assert_eq!(a.len(), b.len(), "pairs");
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    bootstrap(&differences, resamples, seed)
}

/// The mean of values that come in groups, such as prompts that share an operand: whole groups are resampled. `groups`
/// names the group of each value. `None` without any.
///
/// # Panics
/// If there are not as many groups as values.
pub fn bootstrap_clustered(
    values: &[f64],
    groups: &[i64],
    resamples: usize,
    seed: u64,
) -> Option<Mean> {
    assert_eq!(values.len(), groups.len(), "a group for every value");
    let mut sums: std::collections::BTreeMap<i64, (f64, usize)> = Default::default();
    for (value, group) in values.iter().zip(groups) {
        let (sum, count) = sums.entry(*group).or_default();
        *sum += value;
        *count += 1;
    }
    let sums: Vec<(f64, usize)> = sums.into_values().collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let n = sums.len();
    interval(mean(values)?, tail(n), resamples, || {
        let drawn = (0..n).map(|_| sums[random.random_range(0..n)]);
        let (sum, count) = drawn.fold((0.0, 0), |(s, c), (sum, count)| (s + sum, c + count));
        sum / count as f64
    })
}

/// The mean of values that were measured for every pair of a drawn context (a table of means, by its seed) and a prompt:
/// `values[context][prompt]`. Contexts and prompts are resampled independently of each other (the pigeonhole bootstrap of
/// Owen 2007), so that the interval holds for other contexts as well as for other prompts. It is too wide where most of
/// the spread is neither the context's nor the prompt's own. `None` without any.
///
/// # Panics
/// If the contexts have not all the same number of prompts.
pub fn bootstrap_two_level(values: &[Vec<f64>], resamples: usize, seed: u64) -> Option<Mean> {
    let (contexts, prompts) = (values.len(), values.first()?.len());
    assert!(
        values.iter().all(|row| row.len() == prompts),
        "every context has the same prompts"
    );
    let all: Vec<f64> = values.iter().flatten().copied().collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // How often each was drawn: the mean of a resample is a weighted one.
    let mut weights = |n: usize| {
        let mut weights = vec![0u32; n];
        for _ in 0..n {
            weights[random.random_range(0..n)] += 1;
        }
        weights.into_iter().map(f64::from).collect::<Vec<f64>>()
    };
    let of_contexts: Vec<f64> = values.iter().filter_map(|row| mean(row)).collect();
    let column = |prompt: usize| values.iter().map(|row| row[prompt]).sum::<f64>();
    let of_prompts: Vec<f64> = (0..prompts).map(|p| column(p) / contexts as f64).collect();
    let tail = tail_of_two(&of_contexts, &of_prompts);
    interval(mean(&all)?, tail, resamples, || {
        let (of_context, of_prompt) = (weights(contexts), weights(prompts));
        let row = |row: &Vec<f64>| -> f64 { row.iter().zip(&of_prompt).map(|(v, w)| v * w).sum() };
        let sum: f64 = values
            .iter()
            .zip(&of_context)
            .map(|(v, w)| w * row(v))
            .sum();
        sum / (contexts * prompts) as f64
    })
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The interval of a mean by drawing resampled means, with that share of them below it; endless where that is `None`.
fn interval(
    value: f64,
    tail: Option<f64>,
    resamples: usize,
    draw: impl FnMut() -> f64,
) -> Option<Mean> {
    let Some(tail) = tail else {
        return Some(Mean {
            value,
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
        });
    };
    let mut means: Vec<f64> = std::iter::repeat_with(draw).take(resamples).collect();
    means.sort_by(f64::total_cmp);
    Some(Mean {
        value,
        low: quantile(&means, tail),
        high: quantile(&means, 1.0 - tail),
    })
}

/// The share of resampled means below the interval when `n` units were resampled; `None` for fewer than two.
fn tail(n: usize) -> Option<f64> {
    let n = n as f64;
    (n >= 2.0).then(|| widened(n / (n - 1.0), n - 1.0))
}

/// The same for two levels, by the means of their units.
fn tail_of_two(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let parts = [a, b].map(|means| {
        let n = means.len() as f64;
        let centre = means.iter().sum::<f64>() / n;
        let squares: f64 = means.iter().map(|m| (m - centre).powi(2)).sum();
        (squares / (n - 1.0) / n, n)
    });
    let variance: f64 = parts.iter().map(|(v, _)| v).sum();
    if variance == 0.0 {
        // All the same: any levels give the same interval.
        return tail(a.len().min(b.len()));
    }
    let resampled: f64 = parts.iter().map(|(v, n)| v * (n - 1.0) / n).sum();
    let freedom = variance * variance / parts.iter().map(|(v, n)| v * v / (n - 1.0)).sum::<f64>();
    Some(widened(variance / resampled, freedom))
}

/// The share below when resampled variances are too small by that factor, and known with that many degrees of freedom.
fn widened(factor: f64, freedom: f64) -> f64 {
    let t = StudentsT::new(0.0, 1.0, freedom).expect("degrees of freedom are positive");
    Normal::standard().cdf(-factor.sqrt() * t.inverse_cdf(0.975))
}

/// A quantile of sorted values, by linear interpolation (Hyndman and Fan's type 7).
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (at - low as f64) * (sorted[high] - sorted[low])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scipy computes tails with the same functions in double precision.
    const EQUAL: f64 = 1e-9;

    #[test]
    fn one_unit_says_nothing_about_others() {
        let one = bootstrap(&[2.0], 100, 1).unwrap();
        assert_eq!(
            (one.value, one.low, one.high),
            (2.0, f64::NEG_INFINITY, f64::INFINITY)
        );
        let one = bootstrap_clustered(&[1.0, 3.0], &[7, 7], 100, 1).unwrap();
        assert_eq!((one.value, one.high), (2.0, f64::INFINITY));
        assert_eq!(bootstrap(&[], 100, 1), None);
        assert_eq!(bootstrap_two_level(&[], 100, 1), None);
    }

    #[test]
    fn equal_seeds_give_equal_intervals() {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i * i % 17)).collect();
        let interval = |seed| bootstrap(&values, 500, seed).unwrap();
        assert_eq!(interval(1), interval(1));
        assert_ne!(interval(1), interval(2));
    }

    #[test]
    fn one_unit_of_two_levels_says_nothing_about_others() {
        for values in [vec![vec![1.0, 2.0, 3.0]], vec![vec![1.0]; 3]] {
            let found = bootstrap_two_level(&values, 100, 1).unwrap();
            assert_eq!((found.low, found.high), (f64::NEG_INFINITY, f64::INFINITY));
        }
    }

    #[test]
    fn tails_are_those_of_scipy() {
        let fixture = include_str!("../../fixtures/reference/stats.json");
        let fixture: serde_json::Value = serde_json::from_str(fixture).unwrap();
        let number = |value: &serde_json::Value| value.as_f64().unwrap();
        let close = |found: Option<f64>, row: &serde_json::Value| {
            let (found, expected) = (found.unwrap(), number(&row["tail"]));
            assert!((found / expected - 1.0).abs() < EQUAL, "{found}: {row}");
        };
        let rows = |levels: &str| fixture["tails"][levels].as_array().unwrap().clone();
        for row in rows("one") {
            close(tail(row["units"].as_u64().unwrap() as usize), &row);
        }
        for row in rows("two") {
            let means = |name: &str| -> Vec<f64> {
                let means = row[name].as_array().unwrap();
                means.iter().map(number).collect()
            };
            close(tail_of_two(&means("rows"), &means("columns")), &row);
        }
        // Where all units are the same, the smaller number of them counts.
        assert_eq!(tail_of_two(&[2.0; 4], &[2.0; 3]), tail(3));
    }

    #[test]
    fn quantiles_are_interpolated() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(quantile(&sorted, 0.0), 1.0);
        assert_eq!(quantile(&sorted, 0.5), 3.0);
        assert_eq!(quantile(&sorted, 1.0), 8.0);
    }
}
