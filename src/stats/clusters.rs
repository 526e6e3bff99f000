//! Prompts that share the values of operands: what a mean or a share over them says about other operands.
//!
//! Two prompts depend on each other where they share the value of an operand, whichever. The variance of a mean is the multi-way
//! cluster variance of Cameron, Gelbach and Miller (2011): with two operands that of clusters by A and that of clusters by B,
//! less that of clusters by both.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::{Design, Evidence, t_quantile};
use super::paired::mcnemar_greater;
use super::{Inference, Mean};

/// The unit that every prompt belongs to, in one way or several: the values of its operands, or the question that it
/// asks where the same is asked in several styles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clusters {
    inference: Inference,
    /// The units by way and then by prompt, numbered from 0 on.
    ways: Vec<Vec<i64>>,
}

impl Clusters {
    /// Prompts by the values of their operands: `ways[operand][prompt]`, about other values of them. The value of an operand that
    /// not all prompts have is told apart by the caller.
    ///
    /// # Panics
    /// If the operands have not all the same number of prompts.
    pub fn of_operands(ways: Vec<Vec<i64>>) -> Self {
        let count = ways.first().map_or(0, Vec::len);
        assert!(
            ways.iter().all(|way| way.len() == count),
            "every prompt has a value of every operand"
        );
        Self {
            inference: Inference::Operands,
            ways: ways.iter().map(|way| numbered(way)).collect(),
        }
    }

    /// Prompts by the question that they ask, about these prompts.
    pub fn of_questions(questions: Vec<i64>) -> Self {
        Self {
            inference: Inference::Prompts,
            ways: vec![numbered(&questions)],
        }
    }

    /// What is inferred with these clusters.
    pub fn inference(&self) -> Inference {
        self.inference
    }

    /// The number of prompts.
    pub fn len(&self) -> usize {
        self.ways.first().map_or(0, Vec::len)
    }

    /// Whether there are no prompts.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The prompts of which that is true.
    ///
    /// # Panics
    /// If there are not as many booleans as prompts.
    pub fn only(&self, kept: &[bool]) -> Self {
        assert_eq!(kept.len(), self.len(), "a boolean for every prompt");
        let of = |way: &Vec<i64>| {
            let kept = way.iter().zip(kept).filter(|(_, kept)| **kept);
            kept.map(|(unit, _)| *unit).collect()
        };
        Self {
            inference: self.inference,
            ways: self.ways.iter().map(of).collect(),
        }
    }

    /// Units of the way that has the fewest, as many of equal size (Kish 1965): `n^2 / sum n_unit^2`; 0 without prompts.
    pub fn units(&self) -> f64 {
        let of = |way: &Vec<i64>| {
            let count = 1 + way.iter().max().map_or(0, |&most| most as usize);
            let mut sizes = vec![0usize; count];
            for unit in way {
                sizes[*unit as usize] += 1;
            }
            let squares: usize = sizes.iter().map(|size| size * size).sum();
            (way.len() as f64).powi(2) / squares as f64
        };
        let units = self.ways.iter().filter(|way| !way.is_empty()).map(of);
        units.reduce(f64::min).unwrap_or(0.0)
    }

    /// The variance of the mean of values, one for every prompt: the multi-way cluster variance, each part of it times
    /// `G / (G - 1)` for its `G` clusters; at least that of each way alone, and that of independent prompts, because a
    /// difference of estimates can fall below what it estimates. Infinite where one of the ways has one unit.
    ///
    /// # Panics
    /// If there are not as many values as prompts.
    pub fn variance(&self, values: &[f64]) -> f64 {
        let n = values.len();
        assert_eq!(n, self.len(), "a value for every prompt");
        let mean = values.iter().sum::<f64>() / n as f64;
        let residuals: Vec<f64> = values.iter().map(|value| value - mean).collect();
        let within = |ways: &[&Vec<i64>]| {
            // No two units have the same key: units are numbered.
            let most = |way: &&Vec<i64>| 1 + way.iter().max().copied().unwrap_or(0) as u128;
            let counts: Vec<u128> = ways.iter().map(most).collect();
            let key = |prompt: usize| {
                ways.iter().zip(&counts).fold(0, |key: u128, (way, count)| {
                    key.wrapping_mul(*count).wrapping_add(way[prompt] as u128)
                })
            };
            let mut keyed: Vec<(u128, f64)> = (0..n).map(|i| (key(i), residuals[i])).collect();
            keyed.sort_by_key(|(key, _)| *key);
            let sums = keyed.chunk_by(|a, b| a.0 == b.0);
            let sums: Vec<f64> = sums
                .map(|unit| unit.iter().map(|(_, residual)| residual).sum())
                .collect();
            let clusters = sums.len() as f64;
            let squares: f64 = sums.iter().map(|sum| sum * sum).sum();
            squares / (n as f64).powi(2) * clusters / (clusters - 1.0)
        };
        let mut sum = 0.0;
        let mut most: f64 =
            residuals.iter().map(|r| r * r).sum::<f64>() / n as f64 / (n as f64 - 1.0);
        let ways = self.ways.len();
        let combinations: Vec<u32> = match ways <= MOST_WAYS {
            true => (1..1 << ways).collect(),
            // Without what is counted twice the sum is larger: on the safe side.
            false => (0..ways).map(|i| 1 << i).collect(),
        };
        for chosen in combinations {
            let ways = self.ways.iter().enumerate();
            let ways: Vec<&Vec<i64>> = ways
                .filter(|(i, _)| chosen >> i & 1 == 1)
                .map(|(_, way)| way)
                .collect();
            let part = within(&ways);
            match ways.len() % 2 {
                1 => sum += part,
                _ => sum -= part,
            }
            if ways.len() == 1 {
                most = most.max(part);
            }
        }
        match sum.is_nan() || most.is_nan() {
            true => f64::INFINITY,
            false => sum.max(most),
        }
    }

    /// The share of successes as evidence about others.
    ///
    /// # Panics
    /// If there are not as many as prompts.
    pub fn share(&self, successes: &[bool]) -> Evidence {
        let trials = successes.len();
        let right = successes.iter().filter(|s| **s).count();
        let units = self.units();
        let all_alike = right == 0 || right == trials;
        let effective = match all_alike {
            true => units,
            false => {
                let values: Vec<f64> = successes.iter().map(|&s| f64::from(u8::from(s))).collect();
                let share = right as f64 / trials as f64;
                (share * (1.0 - share) / self.variance(&values)).min(trials as f64)
            }
        };
        Evidence {
            inference: self.inference,
            successes: right,
            trials,
            design: Some(Design { effective, units }),
        }
    }

    /// The mean of values with a 95% interval about others: by the t distribution with one degree of freedom fewer than
    /// [`Clusters::units`]; endless for fewer than two units. `None` without values.
    ///
    /// # Panics
    /// If there are not as many values as prompts.
    pub fn mean(&self, values: &[f64]) -> Option<Mean> {
        if values.is_empty() {
            return None;
        }
        let value = values.iter().sum::<f64>() / values.len() as f64;
        let (units, variance) = (self.units(), self.variance(values));
        if units < 2.0 || !variance.is_finite() {
            return Some(Mean {
                value,
                low: f64::NEG_INFINITY,
                high: f64::INFINITY,
            });
        }
        let half = t_quantile(0.025, units - 1.0) * variance.sqrt();
        Some(Mean {
            value,
            low: value - half,
            high: value + half,
        })
    }

    /// The difference of two shares on the same prompts, with a 95% interval about others: that of the share that only the
    /// first has less that of the share that only the second has, each at half of the tail (Bonferroni), so that it has a
    /// width where nothing differed, too. `None` without prompts.
    ///
    /// # Panics
    /// If there are not as many of each as prompts.
    pub fn difference(&self, first: &[bool], second: &[bool]) -> Option<Mean> {
        if first.is_empty() {
            return None;
        }
        let only = |a: &[bool], b: &[bool]| -> Vec<bool> {
            a.iter().zip(b).map(|(a, b)| *a && !*b).collect()
        };
        let (wins, losses) = (
            self.share(&only(first, second)),
            self.share(&only(second, first)),
        );
        let tail = 0.0125;
        Some(Mean {
            value: (wins.successes as f64 - losses.successes as f64) / wins.trials as f64,
            low: wins.low(tail) - losses.high(tail),
            high: wins.high(tail) - losses.low(tail),
        })
    }

    /// The one-sided test that the first method is more often right than the second about others: of the prompts about which
    /// they differ the share that the first has, against one half. Never below McNemar's exact p on these prompts. 1 where they
    /// never differ.
    ///
    /// # Panics
    /// If there are not as many of each as prompts.
    pub fn greater(&self, first: &[bool], second: &[bool]) -> f64 {
        let differ: Vec<bool> = first.iter().zip(second).map(|(a, b)| a != b).collect();
        let wins: Vec<bool> = (first.iter().zip(&differ))
            .filter(|(_, differ)| **differ)
            .map(|(first, _)| *first)
            .collect();
        if wins.is_empty() {
            return 1.0;
        }
        let evidence = self.only(&differ).share(&wins);
        let losses = evidence.trials - evidence.successes;
        evidence
            .p_above(0.5)
            .max(mcnemar_greater(evidence.successes, losses))
    }
}

/// Operands of which all combinations are looked at.
const MOST_WAYS: usize = 5;

/// Numbers for names, the same for the same name: units of [`Clusters`] that are no integers.
pub fn numbered<T: Ord>(names: &[T]) -> Vec<i64> {
    let distinct: BTreeSet<&T> = names.iter().collect();
    let numbers: BTreeMap<&T, i64> = distinct.into_iter().zip(0..).collect();
    names.iter().map(|name| numbers[name]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variance is a sum over a thousand prompts in f64.
    const ROUNDING: f64 = 1e-9;

    /// A p that is smaller is no matter of level.
    const SURE: f64 = 0.001;

    fn grid(a: i64, b: i64) -> Clusters {
        let pairs: Vec<(i64, i64)> = (0..a).flat_map(|i| (0..b).map(move |j| (i, j))).collect();
        let ways = [
            pairs.iter().map(|p| p.0).collect(),
            pairs.iter().map(|p| p.1).collect(),
        ];
        Clusters::of_operands(ways.into())
    }

    #[test]
    fn values_that_fail_as_a_whole_are_what_counts() {
        let clusters = grid(20, 50);
        // One value of B in ten fails.
        let right: Vec<bool> = (0..1000).map(|i| i % 50 >= 5).collect();
        let evidence = clusters.share(&right);
        let design = evidence.design.unwrap();
        assert_eq!((evidence.successes, design.units), (900, 20.0));
        // As 50 values of B know it, less one for the mean.
        assert!((design.effective - 49.0).abs() < ROUNDING, "{design:?}");
        // Nothing failed: as many as the operand with the fewest values has.
        assert_eq!(
            clusters.share(&[true; 1000]).design.unwrap().effective,
            20.0
        );
    }

    #[test]
    fn nothing_is_known_from_one_value_or_none() {
        let one = grid(1, 50);
        assert_eq!(one.variance(&[1.0; 50]), f64::INFINITY);
        let mean = one.mean(&[1.0; 50]).unwrap();
        assert_eq!((mean.low, mean.high), (f64::NEG_INFINITY, f64::INFINITY));
        let some: Vec<bool> = (0..50).map(|i| i % 2 == 0).collect();
        let interval = one.share(&some).interval();
        assert_eq!((interval.low, interval.high), (0.0, 1.0));
        let none = Clusters::of_operands(vec![Vec::new(), Vec::new()]);
        assert_eq!(none.mean(&[]), None);
        assert_eq!(none.difference(&[], &[]), None);
        let interval = none.share(&[]).interval();
        assert_eq!(
            (interval.value, interval.low, interval.high),
            (None, 0.0, 1.0)
        );
        assert_eq!(none.greater(&[], &[]), 1.0);
    }

    #[test]
    fn clusters_know_what_they_are_about() {
        let (operands, questions) = (grid(2, 3), Clusters::of_questions(vec![4, 4, 7]));
        assert_eq!(operands.inference(), Inference::Operands);
        assert_eq!(questions.inference(), Inference::Prompts);
        assert_eq!((operands.len(), operands.is_empty()), (6, false));
        assert!(grid(0, 0).is_empty());
    }

    /// Two units of which one has nearly all prompts are worth less than two, although their variance is finite.
    #[test]
    fn uneven_units_say_nothing() {
        let uneven = Clusters::of_questions(vec![0, 0, 0, 0, 1]);
        let values = [1.0, 2.0, 0.0, 1.0, 3.0];
        assert!(uneven.units() < 2.0 && uneven.variance(&values).is_finite());
        let mean = uneven.mean(&values).unwrap();
        assert_eq!((mean.low, mean.high), (f64::NEG_INFINITY, f64::INFINITY));
    }

    #[test]
    fn a_method_that_wins_at_one_value_wins_nothing() {
        let clusters = grid(10, 10);
        let nothing = [false; 100];
        let one_value: Vec<bool> = (0..100).map(|i| i % 10 == 0).collect();
        assert!(mcnemar_greater(10, 0) < SURE);
        assert_eq!(clusters.greater(&one_value, &nothing), 1.0);
        assert!(clusters.greater(&[true; 100], &nothing) < SURE);
    }

    #[test]
    fn names_have_numbers() {
        assert_eq!(numbered(&["b", "a", "b"]), [1, 0, 1]);
    }
}
