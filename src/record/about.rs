//! What is inferred from the evaluated prompts: their shares and means with intervals about the target of inference.

use crate::prompt::PromptSet;
use crate::stats::{
    Clusters, Evidence, Inference, Mean, bootstrap_clustered, discordant, mcnemar_greater,
};

/// The evaluated prompts of a template, and what their numbers are about.
pub(super) struct About {
    inference: Inference,
    /// `[operand][prompt]`.
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

    /// The difference of two shares of successes on the same prompts.
    pub fn difference(&self, first: &[bool], second: &[bool]) -> Option<Mean> {
        match self.inference {
            Inference::Operands => self.clusters.difference(first, second),
            Inference::Prompts => {
                let number = |success: &bool| f64::from(u8::from(*success));
                let pairs = first.iter().zip(second);
                let differences: Vec<f64> = pairs.map(|(a, b)| number(a) - number(b)).collect();
                self.mean(&differences)
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
