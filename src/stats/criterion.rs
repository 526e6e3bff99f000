//! When a subgraph is taken to keep a claimed share of the right answers on the prompts on which it is looked for.

use serde::{Deserialize, Serialize};

use super::Proportion;

/// The rule. What is chosen because its share reaches the claim is as often below the claim as above it in truth: the choice takes
/// what was lucky. So a subgraph that is to be reported on other prompts must do better than the claim where it is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// The share itself reaches the claim: for what is exact, such as a planted truth on all of its prompts.
    PointEstimate,
    /// The lower end of the share's 95% Wilson interval reaches the claim.
    LowerBound,
    /// The share less one standard error, `sqrt(p (1 - p) / n)`, reaches the claim.
    StandardError,
}

impl Criterion {
    /// The rule for choosing among so many right answers: the lower bound, unless it is out of reach even for what keeps all
    /// of them.
    pub fn of_choice(right: usize, claim: f64) -> Self {
        match Self::LowerBound.holds(right, right, claim) {
            true => Self::LowerBound,
            false => Self::StandardError,
        }
    }

    /// Whether what keeps so many of the right answers holds. Nothing is kept of none.
    pub fn holds(self, kept: usize, right: usize, claim: f64) -> bool {
        let n = right.max(1) as f64;
        let p = kept as f64 / n;
        let bound = match self {
            Self::PointEstimate => p,
            Self::LowerBound => Proportion::wilson(kept, right).low,
            Self::StandardError => p - (p * (1.0 - p) / n).sqrt(),
        };
        bound >= claim
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_ever_stricter() {
        use Criterion::{LowerBound, PointEstimate, StandardError};
        let least = |rule: Criterion| (0..=200).find(|&kept| rule.holds(kept, 200, 0.95));
        // 190 / 200 is 0.95; 193 / 200 less its error is 0.952; Wilson's interval of 196 / 200 begins at 0.9497, of 197 at 0.957.
        assert_eq!(least(PointEstimate), Some(190));
        assert_eq!(least(StandardError), Some(193));
        assert_eq!(least(LowerBound), Some(197));
    }

    #[test]
    fn the_bound_is_asked_where_it_can_be_reached() {
        assert_eq!(Criterion::of_choice(73, 0.95), Criterion::LowerBound);
        assert_eq!(Criterion::of_choice(72, 0.95), Criterion::StandardError);
        assert_eq!(Criterion::of_choice(0, 0.95), Criterion::StandardError);
        assert!(!Criterion::StandardError.holds(0, 0, 0.95));
        assert!(Criterion::StandardError.holds(12, 12, 0.95));
        assert!(!Criterion::StandardError.holds(11, 12, 0.9));
    }
}
