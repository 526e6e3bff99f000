//! The gate: claims about a model, read from a file, and what measurements say about them. Measuring is the command line's
//! business, showing [`crate::report`]'s.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::intervene::{Ablation, Estimator, Plan, ablation};
use crate::prompt::Operation;
use crate::record::{Measurement, Outcome, bits_of_hex, judge_at, key};
use crate::stats::{LEVEL, Proportion, discordant, fails, least_passing, mcnemar_greater};
use crate::{Error, Result};

/// What a gate asks.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The level of every test, at most [`LEVEL`].
    pub level: f64,
    /// How means are estimated.
    pub estimator: Estimator,
    /// Most prompts of a template.
    pub limit: u32,
    /// The seed of every draw.
    pub seed: u64,
    /// The values of every operand, as a range.
    pub operands: Option<String>,
    /// The values of results, as a range.
    pub results: Option<String>,
    /// A file of styles.
    pub styles: Option<PathBuf>,
    /// What is claimed, in the order of the file.
    pub claims: Vec<Claim>,
}

/// A claim about one template.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The style.
    pub style: String,
    /// The operation.
    pub operation: Operation,
    /// `W`.
    pub wait: usize,
    /// `K`.
    pub transfer: usize,
    /// The share of right answers that AF1 is claimed to keep.
    pub faithful: f64,
    /// By how much it may fall short of that.
    pub margin: f64,
    /// AF1 with CAMA is more often right than with these.
    pub better_than: Vec<&'static dyn Ablation>,
    /// The share of right answers that is lost when the last token sees no other in the transfer layers.
    pub necessity_drop: Option<f64>,
    /// The fewest right answers of the model that are enough.
    pub right_answers: usize,
    /// By how much the accuracy may fall below that of a baseline.
    pub baseline_margin: f64,
}

impl Claim {
    /// The subgraph.
    pub fn af1(&self) -> Plan {
        Plan::af1(self.wait, self.transfer)
    }

    /// The knock-out of its transfer layers.
    pub fn knockout(&self) -> Plan {
        Plan::knockout(self.wait, self.transfer)
    }
}

/// The file format.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GateWire {
    level: Option<f64>,
    estimator: Option<String>,
    limit: Option<u32>,
    seed: Option<u64>,
    operands: Option<String>,
    results: Option<String>,
    styles: Option<PathBuf>,
    #[serde(default)]
    claim: Vec<ClaimWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimWire {
    style: String,
    operation: String,
    wait: usize,
    transfer: usize,
    faithful: f64,
    #[serde(default)]
    margin: f64,
    #[serde(default)]
    better_than: Vec<String>,
    necessity_drop: Option<f64>,
    #[serde(default)]
    right_answers: usize,
    #[serde(default = "baseline_margin")]
    baseline_margin: f64,
}

/// Five points, where the file says nothing.
fn baseline_margin() -> f64 {
    0.05
}

impl Gate {
    /// Reads a gate's file.
    ///
    /// # Errors
    /// A file that cannot be read, or is no gate: everything that is wrong with it at once.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::reading(path, "gate", e))?;
        let fail = |reason: String| Error::Gate {
            path: path.to_owned(),
            reason,
        };
        let wire: GateWire = toml::from_str(&text).map_err(|e| fail(e.to_string()))?;
        let mut problems = Vec::new();
        let level = wire.level.unwrap_or(LEVEL);
        if !(level > 0.0 && level <= LEVEL) {
            problems.push(format!(
                "level {level}: expected more than 0 and at most {LEVEL}"
            ));
        }
        let estimator = match wire.estimator.as_deref() {
            None => Estimator::default(),
            Some(name) => Estimator::named(name).unwrap_or_else(|| {
                problems.push(format!(
                    "estimator {name:?}: expected plug-in, leave-one-out or split"
                ));
                Estimator::default()
            }),
        };
        let limit = wire.limit.unwrap_or(1000);
        if limit == 0 {
            problems.push("limit 0: expected at least 1".to_owned());
        }
        if wire.claim.is_empty() {
            problems.push("it claims nothing: expected at least one [[claim]]".to_owned());
        }
        let claims = wire.claim.into_iter().enumerate();
        let claims: Vec<Option<Claim>> = claims
            .map(|(i, claim)| {
                let mut here = Vec::new();
                let found = claim.checked(&mut here);
                problems.extend(here.into_iter().map(|p| format!("claim {}: {p}", i + 1)));
                found
            })
            .collect();
        if !problems.is_empty() {
            return Err(fail(problems.join("; ")));
        }
        let styles = wire.styles.map(|styles| match path.parent() {
            Some(folder) => folder.join(styles),
            None => styles,
        });
        Ok(Self {
            level,
            estimator,
            limit,
            seed: wire.seed.unwrap_or(42),
            operands: wire.operands,
            results: wire.results,
            styles,
            claims: claims.into_iter().flatten().collect(),
        })
    }
}

impl ClaimWire {
    fn checked(self, problems: &mut Vec<String>) -> Option<Claim> {
        let least = self.faithful - self.margin;
        if !((0.0..1.0).contains(&self.margin) && least > 0.0 && least < 1.0) {
            problems.push(format!(
                "faithful {} with margin {}: expected a difference above 0 and below 1, because no sample can show 1",
                self.faithful, self.margin
            ));
        }
        if self.transfer == 0 {
            problems.push("transfer 0: an AF1 that transfers nothing claims nothing".to_owned());
        }
        if let Some(drop) = self
            .necessity_drop
            .filter(|drop| !(*drop > 0.0 && *drop < 1.0))
        {
            problems.push(format!(
                "necessity_drop {drop}: expected more than 0 and less than 1"
            ));
        }
        if !(self.baseline_margin > 0.0 && self.baseline_margin < 1.0) {
            problems.push(format!(
                "baseline_margin {}: expected more than 0 and less than 1",
                self.baseline_margin
            ));
        }
        let mut better_than = Vec::new();
        for name in &self.better_than {
            match ablation::named(name).filter(|a| a.replaces() && a.name() != "cama") {
                Some(ablation) => better_than.push(ablation),
                None => problems.push(format!(
                    "better_than {name:?}: expected an ablation other than cama and identity, of {}",
                    ablation::names().join(", ")
                )),
            }
        }
        let operation = self.operation.parse();
        let operation: Option<Operation> = operation.map_err(|e| problems.push(e)).ok();
        Some(Claim {
            style: self.style,
            operation: operation?,
            wait: self.wait,
            transfer: self.transfer,
            faithful: self.faithful,
            margin: self.margin,
            better_than,
            necessity_drop: self.necessity_drop,
            right_answers: self.right_answers,
            baseline_margin: self.baseline_margin,
        })
    }
}

/// What a gate says about one condition of a claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// What is asked, in words.
    pub asked: String,
    /// The answer.
    pub outcome: Outcome,
    /// Why, in words and numbers.
    pub reason: String,
}

/// What a gate says about a claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The template and the subgraph, in words.
    pub claim: String,
    /// Fail if one condition fails, pass if all of them pass.
    pub outcome: Outcome,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

/// The outcome of several: fail if one fails, pass if there are some and all pass.
pub fn all(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    let outcomes: Vec<Outcome> = outcomes.into_iter().collect();
    if outcomes.contains(&Outcome::Fail) {
        Outcome::Fail
    } else if outcomes.is_empty() || outcomes.contains(&Outcome::Inconclusive) {
        Outcome::Inconclusive
    } else {
        Outcome::Pass
    }
}

/// What measurements say about a claim: `cells` are those of its template, AF1 with CAMA and with what it is to be better than,
/// and the knock-out; `baseline` are those of an earlier run.
///
/// All conditions must pass, each at the level, so a claim of which one condition is false passes with at most that
/// probability, however many there are (an intersection-union test).
pub fn answer(
    claim: &Claim,
    level: f64,
    cells: &[Measurement],
    baseline: Option<&[Measurement]>,
) -> Answer {
    let af1 = |name: &str| {
        cells.iter().find(|m| {
            m.ablation == name && m.wait == claim.wait && m.transfer == Some(claim.transfer)
        })
    };
    let mut conditions = Vec::new();
    let cama = af1("cama");
    // What a model that cannot do the task keeps or loses says nothing, whichever way it points.
    let able = cama.is_none_or(|m| m.p_base_above_constant <= level);
    let mut add = |asked: String, (outcome, reason): (Outcome, String)| {
        let (outcome, reason) = match able {
            true => (outcome, reason),
            false if reason.contains("cannot do the task") => (outcome, reason),
            false => (
                Outcome::Inconclusive,
                format!("the model cannot do the task; else: {reason}"),
            ),
        };
        conditions.push(Condition {
            asked,
            outcome,
            reason,
        });
    };
    let missing = || (Outcome::Inconclusive, "it was not measured".to_owned());
    let least = claim.faithful - claim.margin;
    let asked = match claim.margin {
        0.0 => format!("faithful at least {}", claim.faithful),
        margin => format!(
            "faithful at least {}, less a margin of {margin}",
            claim.faithful
        ),
    };
    let faithful = cama.and_then(|m| judge_at(m, least, level));
    add(
        asked,
        faithful.map_or_else(missing, |v| (v.outcome, v.reason)),
    );
    if claim.right_answers > 0 {
        let asked = format!(
            "at least {} right answers of the model",
            claim.right_answers
        );
        let enough = |m: &Measurement| match m.base_correct >= claim.right_answers {
            true => (Outcome::Pass, format!("{}", m.base_correct)),
            false => (
                Outcome::Inconclusive,
                format!(
                    "only {}: widen the operands or raise the limit",
                    m.base_correct
                ),
            ),
        };
        add(asked, cama.map_or_else(missing, enough));
    }
    for other in &claim.better_than {
        let asked = format!("more often right with cama than with {}", other.name());
        let compared = cama
            .zip(af1(other.name()))
            .map(|(m, o)| better(m, o, level));
        add(asked, compared.unwrap_or_else(missing));
    }
    if let Some(drop) = claim.necessity_drop {
        let asked = format!(
            "at least {drop} of the right answers lost when the last token sees no other in the transfer layers"
        );
        let knocked = cells
            .iter()
            .find(|m| m.knockout_layers.is_some() && m.wait == claim.wait);
        add(
            asked,
            knocked.map_or_else(missing, |m| lost(m, drop, level)),
        );
    }
    if let Some(baseline) = baseline {
        let asked = format!(
            "less than {} worse than the baseline",
            claim.baseline_margin
        );
        let before = cama.and_then(|m| {
            let same = |o: &&Measurement| key(o) == key(m);
            baseline.iter().find(same)
        });
        let compared = cama.map(|m| match before {
            None => (
                Outcome::Inconclusive,
                "the baseline has no such cell".to_owned(),
            ),
            Some(o) if o.prompts_sha256 != m.prompts_sha256 => (
                Outcome::Inconclusive,
                "the baseline was measured on other prompts: the same operands, results, limit and tokenizer are \
                 needed"
                    .to_owned(),
            ),
            Some(o) => no_worse(m, o, claim.baseline_margin, level),
        });
        add(asked, compared.unwrap_or_else(missing));
    }
    Answer {
        claim: format!(
            "{} {} AF1({}, {})",
            claim.style, claim.operation, claim.wait, claim.transfer
        ),
        outcome: all(conditions.iter().map(|c| c.outcome)),
        conditions,
    }
}

/// How many prompts only the first answers correctly, and only the second.
fn discord(m: &Measurement, o: &Measurement) -> (usize, usize) {
    let bits = |m: &Measurement| bits_of_hex(&m.answers, m.prompts).unwrap_or_default();
    discordant(bits(m).into_iter().zip(bits(o)))
}

fn in_words(p: f64) -> String {
    match p {
        p if p < 0.001 => "p < 0.001".to_owned(),
        p => format!("p = {p:.3}"),
    }
}

fn better(m: &Measurement, o: &Measurement, level: f64) -> (Outcome, String) {
    let (wins, losses) = discord(m, o);
    let (p, q) = (mcnemar_greater(wins, losses), mcnemar_greater(losses, wins));
    let reason = format!(
        "{} and {} of {} right, {wins} only with cama, {losses} only with {} ({})",
        m.correct,
        o.correct,
        m.prompts,
        o.ablation,
        in_words(p)
    );
    match () {
        () if p <= level => (Outcome::Pass, reason),
        () if q <= level => (Outcome::Fail, reason),
        () => (Outcome::Inconclusive, reason),
    }
}

/// Worse if so many more are lost than won that it is no chance; no worse if the share of prompts that are newly lost, and with it
/// the loss of accuracy, is shown to be below the margin.
fn no_worse(m: &Measurement, o: &Measurement, margin: f64, level: f64) -> (Outcome, String) {
    let (wins, losses) = discord(m, o);
    let worse = mcnemar_greater(losses, wins);
    let reason = format!(
        "{} of {} right, {} before; {wins} only now, {losses} only before ({})",
        m.correct,
        m.prompts,
        o.correct,
        in_words(worse)
    );
    let least = least_passing(m.prompts, 1.0 - margin, level);
    match () {
        () if worse <= level => (Outcome::Fail, reason),
        () if least.is_some_and(|least| m.prompts - losses >= least) => (Outcome::Pass, reason),
        () => (Outcome::Inconclusive, reason),
    }
}

fn lost(m: &Measurement, drop: f64, level: f64) -> (Outcome, String) {
    let lost = m.base_correct - m.correct_given_base;
    let share = Proportion::wilson(lost, m.base_correct);
    let reason = format!(
        "{lost} of {} lost, interval [{:.3}, {:.3}]",
        m.base_correct, share.low, share.high
    );
    match () {
        () if least_passing(m.base_correct, drop, level).is_some_and(|k| lost >= k) => {
            (Outcome::Pass, reason)
        }
        () if fails(lost, m.base_correct, drop, level) => (Outcome::Fail, reason),
        () => (Outcome::Inconclusive, reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Fail, Inconclusive, Pass};

    #[test]
    fn one_failure_fails_and_nothing_is_no_pass() {
        assert_eq!(all([Pass, Pass]), Pass);
        assert_eq!(all([Pass, Inconclusive]), Inconclusive);
        assert_eq!(all([Inconclusive, Fail, Pass]), Fail);
        assert_eq!(all([]), Inconclusive);
    }

    #[test]
    fn an_answer_that_was_not_measured_is_inconclusive() {
        let claim = Claim {
            style: "symbolic".into(),
            operation: "A+B".parse().unwrap(),
            wait: 3,
            transfer: 2,
            faithful: 0.9,
            margin: 0.0,
            better_than: vec![ablation::named("mean").unwrap()],
            necessity_drop: Some(0.5),
            right_answers: 10,
            baseline_margin: 0.05,
        };
        let answer = answer(&claim, 0.05, &[], Some(&[]));
        assert_eq!(answer.outcome, Inconclusive);
        assert_eq!(answer.conditions.len(), 5);
    }

    #[test]
    fn losses_are_judged_as_answers_are() {
        let knocked = |lost: usize| Measurement {
            base_correct: 200,
            correct_given_base: 200 - lost,
            ..Measurement::default()
        };
        assert_eq!(lost(&knocked(190), 0.9, 0.05).0, Pass);
        assert_eq!(lost(&knocked(181), 0.9, 0.05).0, Inconclusive);
        assert_eq!(lost(&knocked(150), 0.9, 0.05).0, Fail);
    }
}
