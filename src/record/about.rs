//! What is inferred from the evaluated prompts: their shares and means with intervals about the target of inference.

use crate::prompt::PromptSet;
use crate::stats::{
    Clusters, Evidence, Inference, Mean, bootstrap_clustered, difference_bounds, discordant,
    mcnemar_greater,
};

/// The evaluated prompts of a template, and what their numbers are about.
pub(super) struct About {
    inference: Inference,
    /// The values of the operands, `[operand][prompt]`.
    by_operand: Vec<Vec<i64>>,
    clusters: Clusters,
}

/// The seed of the bootstraps; the resamples of a record are the same wherever it is made.
const BOOTSTRAP_SEED: u64 = 42;

/// Resamples of the intervals in records: enough for two digits, cheap enough for every cell of a grid.
const RECORD_RESAMPLES: usize = 1000;

impl About {
    pub fn of(set: &PromptSet, evaluated: &[usize], inference: Inference) -> Self {
        let operand = |i: usize| {
            let prompts = evaluated.iter();
            let values = prompts.map(|&prompt| set.prompts[prompt].operands[i]);
            values.collect()
        };
        let operands = 0..set.template.operation.operands();
        Self::of_operands(operands.map(operand).collect(), inference)
    }

    /// Prompts with these operands, `[operand][prompt]`.
    pub fn of_operands(by_operand: Vec<Vec<i64>>, inference: Inference) -> Self {
        Self {
            inference,
            clusters: Clusters::of_operands(by_operand.clone()),
            by_operand,
        }
    }

    /// The share of successes, one for every prompt.
    pub fn share(&self, successes: &[bool]) -> Evidence {
        match self.inference {
            Inference::Prompts => {
                let right = successes.iter().filter(|s| **s).count();
                Evidence::of_prompts(right, successes.len())
            }
            Inference::Operands => self.clusters.share(successes),
        }
    }

    /// The share of successes among the prompts of which `of` is true.
    pub fn share_of(&self, successes: &[bool], of: &[bool]) -> Evidence {
        let chosen = successes.iter().zip(of).filter(|(_, of)| **of);
        let chosen: Vec<bool> = chosen.map(|(success, _)| *success).collect();
        match self.inference {
            Inference::Prompts => self.share(&chosen),
            Inference::Operands => self.clusters.only(of).share(&chosen),
        }
    }

    /// A mean over the prompts. About these prompts with the widest of the intervals that come of resampling the values of one
    /// operand.
    pub fn mean(&self, values: &[f64]) -> Option<Mean> {
        if self.inference == Inference::Operands {
            return self.clusters.mean(values);
        }
        let of_operand = |groups: &Vec<i64>| {
            bootstrap_clustered(values, groups, RECORD_RESAMPLES, BOOTSTRAP_SEED)
        };
        self.by_operand
            .iter()
            .filter_map(of_operand)
            .reduce(|a, b| Mean {
                value: a.value,
                low: a.low.min(b.low),
                high: a.high.max(b.high),
            })
    }

    /// The difference of two shares of successes on the same prompts, with a 95% interval. Resampling cannot see beyond prompts of which
    /// every one says the same, such as that the two never differ; there the bounds are the exact ones of the discordant shares.
    pub fn difference(&self, first: &[bool], second: &[bool]) -> Option<Mean> {
        match self.inference {
            Inference::Operands => self.clusters.difference(first, second),
            Inference::Prompts => {
                let number = |success: &bool| f64::from(u8::from(*success));
                let pairs = first.iter().zip(second);
                let differences: Vec<f64> = pairs.map(|(a, b)| number(a) - number(b)).collect();
                let mean = self.mean(&differences)?;
                if differences.iter().any(|of| *of != differences[0]) {
                    return Some(mean);
                }
                let of_all = |difference: f64| match differences[0] == difference {
                    true => differences.len(),
                    false => 0,
                };
                let (low, high) =
                    difference_bounds(of_all(1.0), of_all(-1.0), differences.len(), 0.025);
                Some(Mean { low, high, ..mean })
            }
        }
    }

    /// One-sided: the first is more often right than the second.
    pub fn greater(&self, first: &[bool], second: &[bool]) -> f64 {
        match self.inference {
            Inference::Operands => self.clusters.greater(first, second),
            Inference::Prompts => {
                let pairs = first.iter().copied().zip(second.iter().copied());
                let (wins, losses) = discordant(pairs);
                mcnemar_greater(wins, losses)
            }
        }
    }

    /// Two-sided: one is more often right than the other.
    pub fn different(&self, first: &[bool], second: &[bool]) -> f64 {
        let p = self.greater(first, second).min(self.greater(second, first));
        (2.0 * p).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scipy's bound is written with six digits behind the point.
    const PRINTED: f64 = 1e-6;

    /// Of 100 prompts about which two techniques never differ, or always, the bounds are those of 0 discordant pairs of 100: scipy's
    /// `beta.ppf(1 - 0.0125, 1, 100)` is 0.042874.
    #[test]
    fn a_difference_that_never_varies_has_a_width() {
        let operands = |of: fn(i64) -> i64| (0..100).map(of).collect();
        let by_operand = vec![operands(|i| i / 10), operands(|i| i % 10)];
        let about = About::of_operands(by_operand, Inference::Prompts);
        let bounds = |first: bool, second: bool| {
            let mean = about.difference(&[first; 100], &[second; 100]).unwrap();
            [mean.value, mean.low, mean.high]
        };
        let close = |found: [f64; 3], due: [f64; 3]| {
            let apart = |(found, due): (f64, f64)| (found - due).abs();
            assert!(
                found.into_iter().zip(due).map(apart).all(|by| by < PRINTED),
                "{found:?}, {due:?}"
            );
        };
        let most = 0.042874;
        close(bounds(true, true), [0.0, -most, most]);
        close(bounds(false, true), [-1.0, -1.0, 2.0 * most - 1.0]);
        // Where one prompt is otherwise, values of operands are resampled.
        let mut one = [true; 100];
        one[0] = false;
        let mean = about.difference(&one, &[true; 100]).unwrap();
        assert!(mean.low < mean.value && mean.high == 0.0, "{mean:?}");
    }
}
