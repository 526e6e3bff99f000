//! How many prompts, and of how many values of every operand, a claim needs.

use super::design::{at_least, enough_trials, sample_size};
use super::evidence::t_ratio;
use super::{Evidence, Inference, LEVEL, least_passing};

/// What a claim needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed {
    /// Prompts of which the share is taken: right answers of the model.
    pub prompts: usize,
    /// Values of every operand, where the claim is about other operands.
    pub values: Option<usize>,
}

impl std::fmt::Display for Needed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} right answers", self.prompts)?;
        match self.values {
            None => Ok(()),
            Some(values) => write!(f, " over {values} values of every operand"),
        }
    }
}

/// What one independent prompt takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    /// The number of prompts that depend on each other.
    pub prompts: f64,
    /// The number of units: where prompts of a unit succeed or fail together, more of them over as many units say nothing more.
    pub values: f64,
}

impl Worth {
    /// Prompts that are independent of each other.
    pub const INDEPENDENT: Self = Self {
        prompts: 1.0,
        values: 0.0,
    };

    /// What one independent prompt takes where prompts depend on each other as here.
    fn of(evidence: &Evidence) -> Self {
        evidence.design.map_or(Self::INDEPENDENT, |design| Self {
            prompts: evidence.trials as f64 / design.effective,
            values: design.units / design.effective,
        })
    }
}

/// The share below and above a 95% interval.
const TAIL: f64 = 0.025;

impl Needed {
    /// What a claim needs to pass if every right answer is kept; `None` for a claim of 0 or below, of 1 or above, and one that
    /// takes more than 10,000 prompts.
    pub fn at_least(inference: Inference, claim: f64, level: f64) -> Option<Self> {
        if !(claim > 0.0 && claim < 1.0) {
            return None;
        }
        match inference {
            Inference::Prompts => {
                let passes = |n: &usize| least_passing(*n, claim, level).is_some();
                let prompts = (1..=enough_trials(claim, 1.0, 0.5)?).find(passes)?;
                Some(Self {
                    prompts,
                    values: None,
                })
            }
            Inference::Operands => {
                let values = units(claim, 1.0, level.min(TAIL)).ceil() as usize;
                (values <= MOST_VALUES).then_some(Self {
                    prompts: values,
                    values: Some(values),
                })
            }
        }
    }

    /// What a claim needs to pass with that probability if the true share is `truth`, and prompts are worth as little as now. About other operands the values are for
    /// prompts that are drawn from all pairs of them, each about as often. `None` where the truth does not lie above the claim,
    /// or so little above that it may take more than 10,000 prompts or values.
    pub fn with_power(
        inference: Inference,
        claim: f64,
        truth: f64,
        power: f64,
        worth: Worth,
    ) -> Option<Self> {
        if inference == Inference::Prompts {
            return sample_size(claim, truth, power).map(|prompts| Self {
                prompts,
                values: None,
            });
        }
        if truth <= claim || claim <= 0.0 || !(power > 0.0 && power < 1.0) {
            return None;
        }
        // Effective prompts, from which on the exact bound reaches the claim often enough.
        let passing = |n: usize, k: usize| at_least(k, n, claim) <= TAIL.min(LEVEL);
        let often = |n: usize, k: usize| at_least(k, n, truth) >= power;
        let least = |n: usize| first(n, |k| passing(n, k));
        let enough = enough_trials(claim, truth, power)?;
        let fails = |n: &usize| !often(*n, least(*n));
        let last = (1..=enough).rev().find(fails).unwrap_or(0);
        let effective = last + 1;
        // As many successes are there with that probability; the units have to be enough for them.
        let most = first(effective, |k| !often(effective, k)) - 1;
        let units = units(claim, most as f64 / effective as f64, TAIL);
        let effective = effective as f64 / t_ratio(units, TAIL);
        let prompts = effective * worth.prompts.max(1.0);
        // With two prompts of a value at least, so that drawing them unevenly costs no more than half.
        let prompts = prompts.max(2.0 * units).ceil();
        let values = units * prompts / (prompts - units);
        let values = values.max(effective * worth.values).ceil();
        (prompts.max(values) <= MOST_VALUES as f64).then_some(Self {
            prompts: prompts as usize,
            values: Some(values as usize),
        })
    }
}

impl Evidence {
    /// What it takes, in words, that this claim passes if all answers are kept.
    pub fn least(&self, claim: f64, level: f64) -> Option<String> {
        if self.inference == Inference::Prompts && self.design.is_some() {
            let questions = units(claim, 1.0, level.min(TAIL)).ceil();
            let few = questions.is_finite() && questions <= MOST_VALUES as f64;
            return few.then(|| format!("{questions} different questions"));
        }
        Needed::at_least(self.inference, claim, level).map(|needed| needed.to_string())
    }

    /// What it takes, in words, that this claim passes with that probability if the share is the true one, and prompts depend on
    /// each other as these do.
    pub fn more(&self, claim: f64, power: f64) -> Option<String> {
        let trials = self.trials.max(1) as f64;
        let truth = self.successes as f64 / trials;
        let worth = Worth::of(self);
        let needed = Needed::with_power(self.inference, claim, truth, power, worth)?;
        if self.inference == Inference::Prompts && self.design.is_some() {
            let effective = needed.prompts as f64;
            let prompts = (effective * worth.prompts).ceil();
            let questions = units(claim, 1.0, TAIL).max(effective * worth.values).ceil();
            return Some(format!(
                "{prompts} right answers to at least {questions} different questions"
            ));
        }
        Some(needed.to_string())
    }
}

/// The most values or prompts that are named.
const MOST_VALUES: usize = 10_000;

/// Units of which none may fail as a whole, so that the bound of a share that was seen reaches the claim.
fn units(claim: f64, seen: f64, tail: f64) -> f64 {
    tail.ln() / (claim / seen).ln()
}

/// The smallest number from 1 to `n` of which that is true, if it is true of all larger ones; `n + 1` where it is of none.
fn first(n: usize, is_true: impl Fn(usize) -> bool) -> usize {
    let (mut no, mut yes) = (0, n + 1);
    while yes - no > 1 {
        let middle = no + (yes - no) / 2;
        if is_true(middle) {
            yes = middle;
        } else {
            no = middle;
        }
    }
    yes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Design;

    #[test]
    fn what_every_answer_kept_needs() {
        let prompts = Needed::at_least(Inference::Prompts, 0.95, LEVEL).unwrap();
        assert_eq!((prompts.prompts, prompts.values), (73, None));
        let operands = Needed::at_least(Inference::Operands, 0.95, LEVEL).unwrap();
        assert_eq!(operands.values, Some(72));
        let all = |units: f64| Evidence {
            inference: Inference::Operands,
            successes: 500,
            trials: 500,
            design: Some(Design {
                effective: units,
                units,
            }),
        };
        assert!(all(72.0).passes(0.95, LEVEL) && !all(71.0).passes(0.95, LEVEL));
        for claim in [0.0, 1.0, -1.0, 0.999_999] {
            assert_eq!(Needed::at_least(Inference::Operands, claim, LEVEL), None);
            assert_eq!(Needed::at_least(Inference::Prompts, claim, LEVEL), None);
        }
    }

    #[test]
    fn the_first_is_found_wherever_it_is() {
        for n in 0..12 {
            for begins in 1..=n + 1 {
                assert_eq!(first(n, |k| k >= begins), begins, "of {n}");
            }
        }
    }

    #[test]
    fn no_power_is_none_and_none_is_one() {
        let of = |claim, power| {
            Needed::with_power(Inference::Operands, claim, 0.97, power, Worth::INDEPENDENT)
        };
        assert!(of(0.9, 0.8).is_some());
        for power in [-1.0, 0.0, 1.0, 1.5] {
            assert_eq!(of(0.9, power), None, "{power}");
        }
        assert_eq!(of(0.0, 0.8), None);
        assert_eq!(of(0.97, 0.8), None);
    }

    /// What is said where nothing was lost: of prompts, of values, or of questions.
    #[test]
    fn the_least_is_told_in_words() {
        let depending = |inference| Evidence {
            inference,
            successes: 40,
            trials: 40,
            design: Some(Design {
                effective: 10.0,
                units: 10.0,
            }),
        };
        let independent = Evidence::of_prompts(40, 40);
        let (prompts, operands) = (
            depending(Inference::Prompts),
            depending(Inference::Operands),
        );
        let least = |of: &Evidence, claim: f64| of.least(claim, LEVEL);
        let said = |of: &Evidence| least(of, 0.95).unwrap();
        assert_eq!(said(&independent), "73 right answers");
        assert_eq!(said(&prompts), "72 different questions");
        let of_values = "72 right answers over 72 values of every operand";
        assert_eq!(said(&operands), of_values);
        for of in [&independent, &prompts, &operands] {
            // It takes more than 10,000, or there is no number.
            assert_eq!(least(of, 0.999_99), None);
            assert_eq!(least(of, 1.0), None);
        }
        assert!(least(&prompts, 0.9997).is_none() && least(&prompts, 0.9996).is_some());
        let more = Evidence::of_prompts(396, 400).more(0.95, 0.8);
        let sized = sample_size(0.95, 0.99, 0.8).unwrap();
        assert_eq!(more, Some(format!("{sized} right answers")));
        assert_eq!(operands.with(38).more(0.95, 0.8), None);
    }

    #[test]
    fn about_the_same_prompts_it_is_the_sample_size() {
        let found =
            Needed::with_power(Inference::Prompts, 0.95, 0.99, 0.8, Worth::INDEPENDENT).unwrap();
        assert_eq!(Some(found.prompts), sample_size(0.95, 0.99, 0.8));
    }

    #[test]
    fn dependent_prompts_need_more() {
        let of = |prompts, values| {
            let worth = Worth { prompts, values };
            Needed::with_power(Inference::Operands, 0.95, 0.99, 0.8, worth).unwrap()
        };
        let (one, five) = (of(1.0, 0.0), of(5.0, 1.0));
        assert!(five.prompts > one.prompts);
        // Where whole values fail, every independent prompt is another value.
        assert!(five.values.unwrap() >= sample_size(0.95, 0.99, 0.8).unwrap());
        assert_eq!(
            Needed::with_power(Inference::Operands, 0.95, 0.95, 0.8, Worth::INDEPENDENT),
            None
        );
        assert_eq!(
            one.to_string(),
            format!(
                "{} right answers over {} values of every operand",
                one.prompts,
                one.values.unwrap()
            )
        );
    }
}
