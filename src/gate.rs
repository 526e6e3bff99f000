//! The gate: claims about a model, read from a file, and what measurements say about them. Measuring is the command line's
//! business, showing [`crate::report`]'s.

mod needs;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::experiment::{Experiment, Plans, Unit};
use crate::intervene::{Ablation, Estimator, Plan, ablation};
use crate::prompt::{Operation, Span};
use crate::record::{Kind, Measurement, Outcome, bits_of_hex, judge, key};
use crate::stats::{Inference, LEVEL, difference_bounds, discordant, mcnemar_greater};
use crate::{Error, Result};

/// What a gate asks.
#[derive(Clone, Debug)]
pub struct Gate {
    /// How means are estimated.
    pub estimator: Estimator,
    /// The seed of every draw.
    pub seed: u64,
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
    /// By how much an accuracy may fall below that of a baseline.
    pub baseline_margin: f64,
    /// The share of the prompts in the ranges that must be askable: their operands and answers are single tokens.
    pub coverage: f64,
    /// The level of every test, at most [`LEVEL`].
    pub level: f64,
    /// What the answer is about.
    pub inference: Inference,
    /// Most prompts that are evaluated.
    pub limit: u32,
    /// The values of every operand.
    pub operands: Option<Span>,
    /// The values of results.
    pub results: Option<Span>,
}

/// What a claim is about is measured as an experiment: its AF1 with CAMA and with what it is to be better than, and its knock-out.
impl Experiment for Claim {
    fn kind(&self) -> Kind {
        Kind::Af1
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        let mut ablations = vec![ablation::CAMA];
        ablations.extend(&self.better_than);
        let mut units: Vec<Box<dyn Unit + '_>> = vec![Box::new(Plans {
            plans: vec![self.af1()],
            ablations,
        })];
        if self.necessity_drop.is_some() {
            units.push(Box::new(Plans {
                plans: vec![self.knockout()],
                ablations: vec![ablation::IDENTITY],
            }));
        }
        units
    }
}

impl Claim {
    /// The subgraph.
    pub fn af1(&self) -> Plan {
        Plan::af1(self.wait, self.transfer)
    }

    /// The share that a pass claims: what is faithful, less the margin.
    pub fn share(&self) -> f64 {
        self.faithful - self.margin
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
    inference: Option<String>,
    estimator: Option<String>,
    limit: Option<u32>,
    seed: Option<u64>,
    operands: Option<String>,
    results: Option<String>,
    coverage: Option<f64>,
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
    coverage: Option<f64>,
    level: Option<f64>,
    inference: Option<String>,
    limit: Option<u32>,
    operands: Option<String>,
    results: Option<String>,
}

/// Most of the prompts that are asked for, where the file says nothing.
const COVERAGE: f64 = 0.5;

/// Most prompts of a template, where the file says nothing.
const LIMIT: u32 = 1000;

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
        let estimator = match wire.estimator.as_deref() {
            None => Estimator::default(),
            Some(name) => Estimator::named(name).unwrap_or_else(|| {
                problems.push(format!(
                    "estimator {name:?}: expected plug-in, leave-one-out or split"
                ));
                Estimator::default()
            }),
        };
        if wire.claim.is_empty() {
            problems.push("it claims nothing: expected at least one [[claim]]".to_owned());
        }
        let claims = wire.claim.into_iter().enumerate();
        let claims: Vec<Option<Claim>> = claims
            .map(|(i, mut claim)| {
                claim.level = claim.level.or(wire.level);
                claim.inference = claim.inference.or_else(|| wire.inference.clone());
                claim.limit = claim.limit.or(wire.limit);
                claim.coverage = claim.coverage.or(wire.coverage);
                claim.operands = claim.operands.or_else(|| wire.operands.clone());
                claim.results = claim.results.or_else(|| wire.results.clone());
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
            estimator,
            seed: wire.seed.unwrap_or(42),
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
        let level = self.level.unwrap_or(LEVEL);
        if !(level > 0.0 && level <= LEVEL) {
            problems.push(format!(
                "level {level}: expected more than 0 and at most {LEVEL}"
            ));
        }
        let inference = self
            .inference
            .as_deref()
            .map_or(Ok(Inference::default()), str::parse);
        let inference = inference.unwrap_or_else(|problem| {
            problems.push(format!("inference {problem}"));
            Inference::default()
        });
        let mut span = |text: Option<String>| -> Option<Span> {
            let parsed: Result<Span, String> = text?.parse();
            parsed.map_err(|problem| problems.push(problem)).ok()
        };
        let (operands, results) = (span(self.operands), span(self.results));
        let limit = self.limit.unwrap_or(LIMIT);
        if limit == 0 {
            problems.push("limit 0: expected at least 1".to_owned());
        }
        let coverage = self.coverage.unwrap_or(COVERAGE);
        if !(0.0..=1.0).contains(&coverage) {
            problems.push(format!("coverage {coverage}: expected a share from 0 to 1"));
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
            coverage,
            level,
            inference,
            limit,
            operands,
            results,
        })
    }
}

/// What a gate says about one condition of a claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// What is asked, in words.
    pub asked: String,
    /// The answer.
    pub outcome: Outcome,
    /// Why, in words and numbers.
    pub reason: String,
}

/// What a gate says about a claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The template and the subgraph, in words.
    pub claim: String,
    /// The sweep of its measurements.
    pub sweep: String,
    /// The level of every test.
    pub level: f64,
    /// What it is about; gates before there was another target do not say it.
    #[serde(default)]
    pub inference: Inference,
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
/// and the knock-out; `undefined` are ablations that could not be measured, and why; `baseline` are those of an earlier run.
///
/// All conditions must pass, each at the level, so a claim of which one condition is false passes with at most that
/// probability, however many there are (an intersection-union test).
pub fn answer(
    claim: &Claim,
    cells: &[Measurement],
    undefined: &[(String, String)],
    baseline: Option<&[Measurement]>,
) -> Answer {
    let af1 = |name: &str| {
        cells.iter().find(|m| {
            m.ablation == name && m.wait == claim.wait && m.transfer == Some(claim.transfer)
        })
    };
    let level = claim.level;
    let cama = af1("cama");
    let missing = || (Outcome::Inconclusive, "it was not measured".to_owned());
    let asked = match claim.margin {
        0.0 => format!("faithful at least {}", claim.faithful),
        margin => format!(
            "faithful at least {}, less a margin of {margin}",
            claim.faithful
        ),
    };
    // The verdict says by itself when the model cannot do the task.
    let faithful = cama.and_then(judge);
    let (outcome, reason) = faithful.map_or_else(missing, |v| (v.outcome, v.reason));
    let mut conditions = vec![Condition {
        asked,
        outcome,
        reason,
    }];
    // What a model that cannot do the task keeps or loses says nothing, whichever way it points.
    let able = cama.is_none_or(|m| m.p_base_above_constant <= level);
    let mut add = |asked: String, (outcome, reason): (Outcome, String)| {
        let (outcome, reason) = match able {
            true => (outcome, reason),
            false => (
                Outcome::Inconclusive,
                format!("nothing shows that the model can do the task; else: {reason}"),
            ),
        };
        conditions.push(Condition {
            asked,
            outcome,
            reason,
        });
    };
    add(
        format!(
            "at least {} of the prompts in the ranges can be asked",
            claim.coverage
        ),
        cama.map_or_else(missing, |m| covered(m, claim.coverage)),
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
        let why = undefined.iter().find(|(name, _)| name == other.name());
        let because = || match why {
            Some((_, why)) => (Outcome::Inconclusive, why.clone()),
            None => missing(),
        };
        add(asked, compared.unwrap_or_else(because));
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
        let before = cama.and_then(|m| baseline.iter().find(|o| key(o) == key(m)));
        for (what, answers) in [
            ("the model itself", base_answers as fn(&Measurement) -> &str),
            ("AF1", answers),
        ] {
            let asked = format!(
                "{what} less than {} worse than the baseline{}",
                claim.baseline_margin,
                match claim.inference {
                    Inference::Prompts => "",
                    Inference::Operands => ", on these prompts",
                }
            );
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
                Some(o) => no_worse(m, o, answers, claim.baseline_margin, level),
            });
            add(asked, compared.unwrap_or_else(missing));
        }
    }
    Answer {
        claim: format!(
            "{} {} AF1({}, {}){}",
            claim.style,
            claim.operation,
            claim.wait,
            claim.transfer,
            match claim.inference {
                Inference::Prompts => "",
                Inference::Operands => ", about other operands",
            }
        ),
        sweep: cama.map_or(String::new(), |m| m.sweep.clone()),
        level,
        inference: claim.inference,
        outcome: all(conditions.iter().map(|c| c.outcome)),
        conditions,
    }
}

/// Which prompts are answered rightly under the intervention.
fn answers(m: &Measurement) -> &str {
    &m.answers
}

/// Which prompts the unmodified model answers rightly.
fn base_answers(m: &Measurement) -> &str {
    &m.base_answers
}

/// How many prompts only the first answers correctly, and only the second.
fn discord(m: &Measurement, o: &Measurement, answers: fn(&Measurement) -> &str) -> (usize, usize) {
    let bits = |m: &Measurement| bits_of_hex(answers(m), m.prompts).unwrap_or_default();
    discordant(bits(m).into_iter().zip(bits(o)))
}

/// Whether enough of what is claimed about can be asked at all.
fn covered(m: &Measurement, least: f64) -> (Outcome, String) {
    let all = m.all_prompts + m.excluded;
    let share = m.all_prompts as f64 / all.max(1) as f64;
    let reason = format!(
        "{} of {all}, of which {} were evaluated",
        m.all_prompts, m.prompts
    );
    match share >= least {
        true => (Outcome::Pass, reason),
        false => (
            Outcome::Inconclusive,
            format!(
                "{reason}; the operands or answers of the others are not single tokens: narrow the ranges, or lower coverage \
                 to claim something about the few"
            ),
        ),
    }
}

fn in_words(p: f64) -> String {
    match p {
        p if p < 0.001 => "p < 0.001".to_owned(),
        p => format!("p = {p:.3}"),
    }
}

fn better(m: &Measurement, o: &Measurement, level: f64) -> (Outcome, String) {
    let (wins, losses) = discord(m, o, answers);
    let (p, q) = match (m.inference, &o.paired) {
        // Two-sided, against this one: where a side has more it is twice the one-sided p.
        (Inference::Operands, Some(paired)) => match wins.cmp(&losses) {
            std::cmp::Ordering::Greater => (paired.p / 2.0, 1.0),
            std::cmp::Ordering::Less => (1.0, paired.p / 2.0),
            std::cmp::Ordering::Equal => (1.0, 1.0),
        },
        _ => (mcnemar_greater(wins, losses), mcnemar_greater(losses, wins)),
    };
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

/// Worse if the loss of accuracy is shown to be the margin at least; no worse if it is shown to be below.
fn no_worse(
    m: &Measurement,
    o: &Measurement,
    answers: fn(&Measurement) -> &str,
    margin: f64,
    level: f64,
) -> (Outcome, String) {
    let (wins, losses) = discord(m, o, answers);
    let (low, high) = difference_bounds(losses, wins, m.prompts, 0.025);
    let right = |m: &Measurement| {
        let bits = bits_of_hex(answers(m), m.prompts).unwrap_or_default();
        bits.into_iter().filter(|right| *right).count()
    };
    let reason = format!(
        "{} of {} right, {} in {}; {wins} only now, {losses} only before; loss {:.3}, at least 95% interval [{low:.3}, {high:.3}]",
        right(m),
        m.prompts,
        right(o),
        o.model,
        (losses as f64 - wins as f64) / m.prompts.max(1) as f64,
    );
    let (least, most) = difference_bounds(losses, wins, m.prompts, level);
    match () {
        () if least >= margin => (Outcome::Fail, reason),
        () if most < margin => (Outcome::Pass, reason),
        () => (Outcome::Inconclusive, reason),
    }
}

fn lost(m: &Measurement, drop: f64, level: f64) -> (Outcome, String) {
    let lost = m.base_correct - m.correct_given_base;
    // What fails together is lost together.
    let evidence = m.evidence().with(lost);
    let share = evidence.interval();
    let reason = format!(
        "{lost} of {} lost, interval about {} [{:.3}, {:.3}]",
        m.base_correct,
        m.inference.words(),
        share.low,
        share.high
    );
    match () {
        () if evidence.passes(drop, level) => (Outcome::Pass, reason),
        () if evidence.fails(drop, level) => (Outcome::Fail, reason),
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
            coverage: 0.5,
            level: 0.05,
            inference: Inference::Prompts,
            limit: 1000,
            operands: None,
            results: None,
        };
        let answer = answer(&claim, &[], &[], Some(&[]));
        assert_eq!(answer.outcome, Inconclusive);
        assert_eq!(answer.conditions.len(), 7);
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

    #[test]
    fn a_claim_about_what_cannot_be_asked_is_not_shown_by_the_rest() {
        let m = |excluded: usize| Measurement {
            all_prompts: 55,
            prompts: 53,
            excluded,
            ..Measurement::default()
        };
        assert_eq!(covered(&m(0), 0.5).0, Pass);
        assert_eq!(covered(&m(55), 0.5).0, Pass);
        assert_eq!(covered(&m(56), 0.5).0, Inconclusive);
        assert_eq!(covered(&m(9945), 0.0).0, Pass);
    }

    /// What falls behind by more than the margin fails, by less passes, however significant the loss is.
    #[test]
    fn a_loss_is_judged_by_its_margin() {
        let of = |right: usize| Measurement {
            prompts: 1000,
            answers: crate::record::hex_bits((0..1000).map(|i| i < right)),
            ..Measurement::default()
        };
        let judged = |right, margin| no_worse(&of(right), &of(1000), answers, margin, 0.05).0;
        assert_eq!(judged(900, 0.05), Fail);
        assert_eq!(judged(900, 0.2), Pass);
        assert_eq!(judged(980, 0.05), Pass);
        assert_eq!(judged(950, 0.05), Inconclusive);
    }
}
