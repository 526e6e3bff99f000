//! A share of prompts as evidence about a target: its interval, whether a claim passes or fails, and with what p.
//!
//! About [`Inference::Prompts`] the prompts are independent draws: the interval is Wilson's, the tests are exact binomial ones.
//! Where prompts depend on each other there is a [`Design`]: the interval is Clopper and Pearson's at the effective number of
//! prompts (Korn and Graubard 1998), and no bound is better than it may be after so few units, whatever was seen (see
//! [`Evidence::low`]).

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use statrs::function::beta::{beta_reg, inv_beta_reg};

use super::design::{at_least, fails, least_passing};
use super::{Inference, Proportion};

/// What prompts that depend on each other are worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Design {
    /// The number of independent prompts that would know the share as well: at most the number of prompts. Where all prompts failed
    /// or all succeeded the variance stays unseen, and it is the number of units.
    pub effective: f64,
    /// Units that are independent of each other: the values of the operand that has the fewest. Units of different size count
    /// as fewer of equal size, `(sum of sizes)^2 / (sum of squared sizes)` (Kish 1965).
    pub units: f64,
}

/// So many successes of so many trials, and what they are about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// What the share is about.
    pub inference: Inference,
    /// Successes.
    pub successes: usize,
    /// Trials.
    pub trials: usize,
    /// How the trials depend on each other; `None` where each is drawn for itself.
    pub design: Option<Design>,
}

/// The share below and above a 95% interval.
const TAIL: f64 = 0.025;

/// The largest tail at which quantiles of the normal and of the t distribution can be compared: at one half both are 0.
const MOST_TAIL: f64 = 0.499;

/// With fewer effective successes nothing is known: few units make the t distribution's quantile infinite and these none.
const LEAST: f64 = 1e-9;

impl Evidence {
    /// Trials that are drawn each for itself.
    pub fn of_prompts(successes: usize, trials: usize) -> Self {
        Self {
            inference: Inference::Prompts,
            successes,
            trials,
            design: None,
        }
    }

    /// The same trials with another number of successes.
    pub fn with(self, successes: usize) -> Self {
        Self { successes, ..self }
    }

    /// The failures as successes.
    fn complement(self) -> Self {
        self.with(self.trials - self.successes)
    }

    /// The share with its 95% interval.
    pub fn interval(&self) -> Proportion {
        if self.design.is_none() {
            return Proportion::wilson(self.successes, self.trials);
        }
        Proportion {
            low: self.low(TAIL),
            high: self.high(TAIL),
            ..Proportion::wilson(self.successes, self.trials)
        }
    }

    /// Whether a claim passes: the 95% interval begins at or above it, and the test rejects, at the level, that the share is
    /// only the claim.
    pub fn passes(&self, claim: f64, level: f64) -> bool {
        match self.design {
            None => least_passing(self.trials, claim, level).is_some_and(|k| self.successes >= k),
            Some(_) => self.low(TAIL) >= claim && self.p_above(claim) <= level,
        }
    }

    /// Whether a claim fails: the 95% interval ends below it, and the test rejects, at the level, that the share is as large.
    pub fn fails(&self, claim: f64, level: f64) -> bool {
        match self.design {
            None => fails(self.successes, self.trials, claim, level),
            Some(_) => self.high(TAIL) < claim && self.p_below(claim) <= level,
        }
    }

    /// The p value against "the share is at most the claim": exact binomial for independent trials, else the smallest tail at
    /// which the lower bound reaches the claim; 1 where not even the bound that is wrong in half of all samples does.
    pub fn p_above(&self, claim: f64) -> f64 {
        let Some(design) = self.design else {
            return at_least(self.successes, self.trials, claim);
        };
        if self.successes == 0 || design.units <= 1.0 {
            return 1.0;
        }
        if claim <= 0.0 {
            return 0.0;
        }
        let of_units = (claim / self.seen()).powf(design.units);
        let reaches = |tail: f64| {
            let (right, wrong) = self.shapes(tail);
            right > LEAST && (wrong <= 0.0 || beta_reg(right, wrong + 1.0, claim.min(1.0)) <= tail)
        };
        let of_prompts = match self.successes == self.trials {
            // All of them: the bound is a power of the tail.
            true => claim.min(1.0).powf(self.effective(TAIL)),
            false if !reaches(MOST_TAIL) => 1.0,
            false => {
                // Bisection of the logarithm: p values may be as small as 1e-300.
                let (mut low, mut high) = (-700.0, MOST_TAIL.ln());
                for _ in 0..60 {
                    let middle = 0.5 * (low + high);
                    match reaches(middle.exp()) {
                        true => high = middle,
                        false => low = middle,
                    }
                }
                high.exp()
            }
        };
        of_units.max(of_prompts).min(1.0)
    }

    /// The p value against "the share is at least the claim", likewise.
    pub fn p_below(&self, claim: f64) -> f64 {
        match self.design {
            None => 1.0 - at_least(self.successes + 1, self.trials, claim),
            Some(_) => self.complement().p_above(1.0 - claim),
        }
    }

    /// A lower bound of the share that is wrong with probability `tail` at most.
    ///
    /// It is Clopper and Pearson's at the effective number of prompts, but at most `tail^(1 / units)`, the bound where all
    /// units succeed: the bound with one or two failures must stay at or below the bound with none. About other operands it is
    /// that bound times the share that was seen: values whose prompts all fail may be among those that were not drawn, however
    /// the prompts of the drawn ones fail.
    pub fn low(&self, tail: f64) -> f64 {
        let Some(design) = self.design else {
            return super::proportion::exact_bounds(self.successes, self.trials, tail).0;
        };
        if self.successes == 0 || design.units <= 1.0 {
            return 0.0;
        }
        let (right, wrong) = self.shapes(tail);
        if right <= LEAST {
            return 0.0;
        }
        let of_prompts = match self.successes == self.trials {
            true => tail.powf(1.0 / right),
            false => inv_beta_reg(right, wrong + 1.0, tail),
        };
        of_prompts.min(self.seen() * tail.powf(1.0 / design.units))
    }

    /// An upper bound of the share, likewise.
    pub fn high(&self, tail: f64) -> f64 {
        match self.design {
            None => super::proportion::exact_bounds(self.successes, self.trials, tail).1,
            Some(_) => 1.0 - self.complement().low(tail),
        }
    }

    /// The share among the units that were seen which others are taken to have.
    fn seen(&self) -> f64 {
        match self.inference {
            Inference::Prompts => 1.0,
            Inference::Operands => self.successes as f64 / self.trials as f64,
        }
    }

    /// Effective successes and failures.
    fn shapes(&self, tail: f64) -> (f64, f64) {
        let effective = self.effective(tail);
        let share = self.successes as f64 / self.trials as f64;
        (share * effective, (1.0 - share) * effective)
    }

    /// The effective number of prompts for a bound with this tail: fewer than the variance says, because the variance itself is
    /// known from few units (the squared ratio of the normal's and the t distribution's quantiles, Korn and Graubard 1998).
    fn effective(&self, tail: f64) -> f64 {
        let Some(design) = self.design else {
            return self.trials as f64;
        };
        if self.successes == 0 || self.successes == self.trials {
            return design.units.min(self.trials as f64);
        }
        design.effective * t_ratio(design.units, tail)
    }
}

/// The squared ratio of the normal's and the t distribution's quantiles, with one degree of freedom fewer than units.
pub(super) fn t_ratio(units: f64, tail: f64) -> f64 {
    let tail = tail.clamp(1e-300, MOST_TAIL);
    let t = t_quantile(tail, (units - 1.0).max(f64::MIN_POSITIVE));
    let ratio = Normal::standard().inverse_cdf(tail) / t;
    (ratio * ratio).min(1.0)
}

/// What the t distribution exceeds with the probability `tail`, below one half. With very many degrees of freedom the search of statrs
/// does not come to an end. There it is Wallace's transformation (1959), which is off by less than a millionth.
pub(super) fn t_quantile(tail: f64, freedom: f64) -> f64 {
    if freedom > 1e4 {
        let z =
            Normal::standard().inverse_cdf(tail) * (8.0 * freedom + 3.0) / (8.0 * freedom + 1.0);
        return (freedom * (z * z / freedom).exp_m1()).sqrt();
    }
    let t = StudentsT::new(0.0, 1.0, freedom).expect("degrees of freedom are positive");
    -t.inverse_cdf(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same power is taken in two ways.
    const ROUNDING: f64 = 1e-12;

    /// A bound comes from a search, and the p at which it is reached from another one.
    const SEARCHED: f64 = 1e-6;

    /// With 100 million units the quantiles of t are so little larger than the normal's that the ratio is 2.4e-8 below one.
    const OF_MANY: f64 = 1e-7;

    /// The numbers of scipy are written with nine digits.
    const PRINTED: f64 = 1e-8;

    /// Wallace's transformation is off by less than a millionth.
    const WALLACE: f64 = 1e-6;

    fn of(successes: usize, effective: f64, units: f64) -> Evidence {
        Evidence {
            inference: Inference::Operands,
            successes,
            trials: 1000,
            design: Some(Design { effective, units }),
        }
    }

    #[test]
    fn independent_prompts_are_judged_as_before() {
        for (k, n) in [(73, 73), (72, 73), (40, 55), (0, 10), (0, 0)] {
            let evidence = Evidence::of_prompts(k, n);
            assert_eq!(evidence.interval(), Proportion::wilson(k, n));
            assert_eq!(
                evidence.passes(0.95, 0.05),
                least_passing(n, 0.95, 0.05).is_some_and(|least| k >= least)
            );
            assert_eq!(evidence.fails(0.95, 0.05), fails(k, n, 0.95, 0.05));
        }
    }

    /// What was seen can only get worse with another failure, whatever the variance looks like.
    #[test]
    fn a_failure_never_helps() {
        let all = of(1000, 99.0, 99.0).interval();
        assert!((all.low - 0.025f64.powf(1.0 / 99.0)).abs() < ROUNDING);
        for failures in 1..100 {
            // Failures that look independent, the best case.
            let here = of(1000 - failures, 1000.0, 99.0).interval();
            let before = of(1001 - failures, 1000.0, 99.0).interval();
            assert!(here.low < before.low, "{failures}");
        }
    }

    #[test]
    fn p_values_are_where_bounds_meet_the_claim() {
        for (k, effective, units) in [
            (990, 300.0, 99.0),
            (950, 1000.0, 90.0),
            (400, 50.0, 12.0),
            (1000, 40.0, 40.0),
        ] {
            let evidence = of(k, effective, units);
            for tail in [0.2, 0.05, 0.001] {
                let p = evidence.p_above(evidence.low(tail));
                assert!((p / tail - 1.0).abs() < SEARCHED, "{k} {tail} {p}");
                let p = evidence.p_below(evidence.high(tail));
                assert!(
                    k == 1000 || (p / tail - 1.0).abs() < SEARCHED,
                    "{k} {tail} {p}"
                );
            }
        }
    }

    /// Both must hold, the interval and the test.
    #[test]
    fn a_claim_fails_below_the_interval_and_at_the_level() {
        let evidence = of(900, 300.0, 99.0);
        let high = |tail: f64| evidence.high(tail);
        assert!(!evidence.fails(high(0.025), 0.05), "it ends at the claim");
        assert!(evidence.fails(high(0.02), 0.05));
        // The test rejects, and the interval reaches the claim.
        assert!(!evidence.fails(high(0.03), 0.05));
        // The interval ends below the claim, and the test does not reject.
        assert!(!evidence.fails(high(0.01), 0.005) && evidence.fails(high(0.004), 0.005));
    }

    #[test]
    fn what_is_not_above_a_claim_has_a_p_of_one() {
        assert_eq!(of(500, 300.0, 99.0).p_above(0.7), 1.0);
        assert_eq!(of(500, 300.0, 99.0).p_below(0.3), 1.0);
        // Below the share that was seen, and still above all that so few prompts show.
        assert_eq!(of(900, 5.0, 99.0).p_above(0.88), 1.0);
    }

    #[test]
    fn with_many_units_the_variance_is_known() {
        assert!((t_ratio(1e8, 0.025) - 1.0).abs() < OF_MANY);
        // By scipy: (norm.ppf(.025) / t.ppf(.025, units - 1)) ** 2.
        for (units, expected) in [(1e3, 0.997_578_366), (10.0, 0.750_672_720)] {
            let found = t_ratio(units, 0.025);
            assert!((found - expected).abs() < PRINTED, "{found}");
        }
    }

    /// The quantiles are scipy's: `t.isf(tail, freedom)`. Those with many degrees of freedom took statrs minutes, or forever.
    #[test]
    fn quantiles_are_found_whatever_the_degrees_of_freedom() {
        let known = [
            (3.0, 0.4, 0.2766706623326898),
            (3.0, 0.025, 3.1824463052837086),
            (3.0, 1e-06, 103.29946778041935),
            (100.0, 0.4, 0.25402218245822766),
            (100.0, 0.025, 1.983971518523552),
            (100.0, 1e-06, 5.048830877228346),
            (9999.0, 0.4, 0.2533538441198359),
            (9999.0, 0.025, 1.9602012636213577),
            (9999.0, 1e-06, 4.7562299657670435),
            (9999.0, 1e-100, 21.516998780141567),
            (10001.0, 0.4, 0.2533538427717526),
            (10001.0, 0.025, 1.9602012161646414),
            (10001.0, 1e-06, 4.75622940440268),
            (10001.0, 1e-100, 21.5169496126518),
            (99999.0, 0.4, 0.2533477771639205),
            (99999.0, 0.025, 1.9599877077718448),
            (99999.0, 1e-06, 4.753704719195536),
            (99999.0, 1e-100, 21.29759863139487),
            (299999.0, 0.4, 0.253347327810105),
            (299999.0, 0.025, 1.959971892168542),
            (299999.0, 1e-06, 4.753517775113876),
            (299999.0, 1e-100, 21.281496780879028),
        ];
        for (freedom, tail, expected) in known {
            let found = t_quantile(tail, freedom);
            assert!(
                (found / expected - 1.0).abs() < WALLACE,
                "{freedom} {tail}: {found}"
            );
        }
        // As of 100,000 prompts in three styles.
        let many = Evidence {
            trials: 300_000,
            ..of(250_000, 290_000.0, 100_000.0)
        };
        assert!(many.p_above(0.5) < 1e-100 && many.p_below(0.9) < 1e-100);
    }

    #[test]
    fn one_value_says_nothing_about_others() {
        let one = of(500, 1.0, 1.0).interval();
        assert_eq!((one.low, one.high), (0.0, 1.0));
        assert_eq!(of(1000, 1.0, 1.0).interval().low, 0.0);
        assert_eq!(of(500, 1.0, 1.0).p_above(0.1), 1.0);
        assert!(!of(1000, 1.0, 1.0).passes(0.1, 0.05) && !of(0, 1.0, 1.0).fails(0.9, 0.05));
    }
}
