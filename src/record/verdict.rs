//! What a measurement says about the claim that AF1 is sufficient.

use super::{Kind, Measurement, Outcome, Verdict};
use crate::measure::Part;
use crate::stats::{Evidence, holm, mcnemar_greater};

/// The verdict on the claim "AF1(W, K) keeps at least the share `claim` of what the model answers correctly". `None` for
/// measurements that make no such claim: the waiting sweep, knock-outs, AF1 without transfer, and AF1 with pruned heads or on
/// development prompts, which was chosen on the same prompts; and of means over drawn contexts, one draw of several.
///
/// In this order: inconclusive where the model fails at the task; fail where even the upper end of the interval lies
/// below the claim; inconclusive where AF1 without transfer does as well, because then it stays open whether transfer
/// matters; pass where the lower end reaches the claim (see [`Evidence::passes`]), with the degenerate prompts and without;
/// inconclusive otherwise.
///
/// A subgraph that loses the answers with transfer and without has failed: that AF1(W, 0) scores as well keeps a claim
/// from passing, not from failing.
pub fn judge(m: &Measurement) -> Option<Verdict> {
    let (p_above_empty, transfer) = (m.test.p_above_empty?, m.subject.transfer()?);
    let chosen = m.subject.pruned_heads().is_some() || m.subject.part == Part::Development;
    if transfer == 0 || chosen || m.subject.draw.is_some() {
        return None;
    }
    let verdict = cannot_do_the_task(m)
        .or_else(|| below(m))
        .or_else(|| nothing_transferred(m, p_above_empty))
        .or_else(|| reached(m))
        .unwrap_or_else(|| undecided(m));
    let guess = match m.test.guess {
        true => format!(
            "; that AF1 is at ({}, {transfer}) is a guess of the preset",
            m.subject.wait()
        ),
        false => String::new(),
    };
    Some(Verdict {
        reason: verdict.reason + &guess + drawn(m),
        ..verdict
    })
}

/// Inconclusive, if nothing shows that the model can do the task.
fn cannot_do_the_task(m: &Measurement) -> Option<Verdict> {
    // Not even the best of models could be told from a constant on so few prompts.
    let few = || {
        mcnemar_greater(
            m.counts.prompts.saturating_sub(m.counts.constant_correct),
            0,
        ) > m.test.level
    };
    let reason = || {
        format!(
            "{}: {}/{} right, {} gets {} (p = {:.2})",
            match few() {
                // As behind the answer of a number, where all that is no digit is right.
                true if m.counts.constant_correct == m.counts.prompts =>
                    "every prompt has the same right answer, so that no answer shows that the model does the task",
                true => "too few prompts to tell whether the model can do the task",
                // Where answers hang together by their operands, more right answers than a constant's can still be no evidence.
                false if m.counts.base_correct > m.counts.constant_correct =>
                    "nothing shows that the model can do the task",
                false => "the model cannot do the task",
            },
            m.counts.base_correct,
            m.counts.prompts,
            match m.experiment == Kind::POOLED {
                true => "the best constant answer of every template".to_owned(),
                false => m.always(),
            },
            m.counts.constant_correct,
            m.test.p_base_above_constant
        )
    };
    (m.test.p_base_above_constant > m.test.level).then(|| Outcome::Inconclusive.because(reason()))
}

/// Fail, if the interval ends below the claim.
fn below(m: &Measurement) -> Option<Verdict> {
    let reason = || {
        format!(
            "about {} the interval ends at {:.3}, below the claim {}",
            m.test.inference.words(),
            m.scores.faithfulness.high,
            m.test.claim
        )
    };
    let fails = m.evidence().fails(m.test.claim, m.test.level);
    fails.then(|| Outcome::Fail.because(reason()))
}

/// Inconclusive, if AF1 without transfer does as well.
fn nothing_transferred(m: &Measurement, p_above_empty: f64) -> Option<Verdict> {
    let reason = || {
        format!(
            "without any transfer {}/{} are right, with it {} (p = {p_above_empty:.2})",
            m.counts.empty_correct.unwrap_or(0),
            m.counts.prompts,
            m.counts.correct
        )
    };
    (p_above_empty > m.test.level).then(|| Outcome::Inconclusive.because(reason()))
}

/// If the interval begins at the claim or above it, pass; inconclusive if it does so with the degenerate prompts alone.
fn reached(m: &Measurement) -> Option<Verdict> {
    let passes = |kept: usize| m.evidence().with(kept).passes(m.test.claim, m.test.level);
    if !passes(m.counts.correct_given_base) {
        return None;
    }
    Some(match passes(without_degenerate(m)) {
        true => Outcome::Pass.because(format!(
            "about {} the interval begins at {:.3}, the claim is {}",
            m.test.inference.words(),
            m.scores.faithfulness.low,
            m.test.claim
        )),
        false => Outcome::Inconclusive.because(format!(
            "{} prompts are degenerate (their \"mean\" is their own residual) and the rest does not reach the claim \
             {}; use --estimator leave-one-out",
            m.counts.degenerate, m.test.claim
        )),
    })
}

/// The right answers that are kept, less the degenerate prompts: those keep their answer for no merit of the subgraph, and at worst none
/// of them would.
fn without_degenerate(m: &Measurement) -> usize {
    m.counts
        .correct_given_base
        .saturating_sub(m.counts.degenerate)
}

/// Inconclusive: so few prompts could not reach the claim, or it lies inside the interval.
fn undecided(m: &Measurement) -> Verdict {
    let (claim, about, evidence) = (m.test.claim, m.test.inference.words(), m.evidence());
    let best = evidence.with(m.counts.base_correct);
    let reason = match best.passes(claim, m.test.level) {
        true => format!(
            "about {about} the claim {claim} lies inside the interval [{:.3}, {:.3}]: {}",
            m.scores.faithfulness.low,
            m.scores.faithfulness.high,
            more(&evidence, claim)
        ),
        false => {
            let least = evidence.least(claim, m.test.level);
            format!(
                "about {about} the claim {claim} is out of reach of so few prompts: even {0}/{0} would begin at {1:.3}{2}",
                m.counts.base_correct,
                best.interval().low,
                least.map_or(String::new(), |needed| format!(
                    "; it takes {needed}, all of them kept"
                ))
            )
        }
    };
    Outcome::Inconclusive.because(reason)
}

/// What the reason of a verdict owes to contexts that were drawn, as they are where there are three operands or more: the interval is
/// over prompts, with the means as they are.
fn drawn(m: &Measurement) -> &'static str {
    match m.contexts.sampled {
        true => {
            "; contexts were drawn, and the error of their means is not in the interval: another --seed draws others"
        }
        false => "",
    }
}

/// The p values behind a verdict, so that several can be corrected together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tests {
    /// Against "something that a pass says is not so": the largest of the p values of its conditions (an intersection-union
    /// test): the share is above the claim, without the degenerate prompts, too, the model can do the task, transfer matters.
    pub pass: f64,
    /// Against "the share is as large as the claim, or the model cannot do the task", likewise.
    pub fail: f64,
}

/// The p values behind [`judge`]; `None` where there is no verdict.
pub fn tests(m: &Measurement) -> Option<Tests> {
    judge(m)?;
    let evidence = m.evidence();
    let above = [m.counts.correct_given_base, without_degenerate(m)]
        .map(|kept| evidence.with(kept).p_above(m.test.claim));
    let conditions = [
        m.test.p_base_above_constant,
        m.test.p_above_empty?,
        above[0],
        above[1],
    ];
    Some(Tests {
        pass: conditions.into_iter().fold(0.0, f64::max),
        fail: m
            .test
            .p_base_above_constant
            .max(evidence.p_below(m.test.claim)),
    })
}

/// The outcomes of all verdicts of a table after Holm's correction: the passes among all tests of passing, the fails among all
/// tests of failing. An outcome whose corrected p is above its level is inconclusive. `None` where there is no verdict.
pub fn after_holm(table: &[Measurement]) -> Vec<Option<Outcome>> {
    corrected(table.iter())
}

/// The outcomes of [`after_holm`], of measurements wherever they are.
pub(super) fn corrected<'m>(table: impl Iterator<Item = &'m Measurement>) -> Vec<Option<Outcome>> {
    let judged = |m: &'m Measurement| decided(m).map(|(tests, outcome)| (m, tests, outcome));
    let all: Vec<Option<(&Measurement, Tests, Outcome)>> = table.map(judged).collect();
    let corrected = |p: fn(&Tests) -> f64| {
        let raw: Vec<f64> = all.iter().flatten().map(|(_, tests, _)| p(tests)).collect();
        holm(&raw).into_iter()
    };
    let mut corrected = corrected(|t| t.pass).zip(corrected(|t| t.fail));
    let outcome = |judged: &Option<(&Measurement, Tests, Outcome)>| {
        let (m, _, outcome) = judged.as_ref()?;
        let (pass, fail) = corrected.next()?;
        Some(match outcome {
            Outcome::Pass if pass <= m.test.level => Outcome::Pass,
            Outcome::Fail if fail <= m.test.level => Outcome::Fail,
            _ => Outcome::Inconclusive,
        })
    };
    all.iter().map(outcome).collect()
}

/// The verdict and the p values behind it, as the record has them; computed where it does not.
fn decided(m: &Measurement) -> Option<(Tests, Outcome)> {
    match (&m.test.verdict, m.test.p_pass, m.test.p_fail) {
        (Some(verdict), Some(pass), Some(fail)) => Some((Tests { pass, fail }, verdict.outcome)),
        _ => Some((tests(m)?, judge(m)?.outcome)),
    }
}

/// The power with which a number of prompts is said to be enough.
const POWER: f64 = 0.8;

/// How many right answers would decide, if the measured share is the true one and prompts depend on each other as they do here.
fn more(evidence: &Evidence, claim: f64) -> String {
    let truth = evidence.successes as f64 / evidence.trials.max(1) as f64;
    match evidence.more(claim, POWER) {
        Some(needed) => {
            format!("if {truth:.3} is the truth, {needed} would show it (power {POWER})")
        }
        None => "more prompts are needed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervene::{Estimator, Plan};
    use crate::record::{Counts, Scores, Subject, Test};
    use crate::stats::{Proportion, mcnemar_greater};
    use rstest::rstest;

    /// The same power is taken in two ways.
    const ROUNDING: f64 = 1e-9;

    /// The p values of 80 of 100 are beyond these, because that is far below a claim of 95%.
    const NEVER: f64 = 1e-6;
    const SURELY: f64 = 0.99;

    /// A measurement of 100 prompts with these counts; tests are on the most discordant pairs that they allow.
    fn measurement(
        base: usize,
        constant: usize,
        kept: usize,
        empty: usize,
        k: Option<usize>,
    ) -> Measurement {
        let above = |a: usize, b: usize| mcnemar_greater(a.saturating_sub(b), b.saturating_sub(a));
        Measurement {
            subject: Subject {
                layers: 32,
                ablation: "cama".into(),
                plan: k.map_or(Plan::waiting(15), |k| Plan::af1(15, k)),
                ..Subject::default()
            },
            counts: Counts {
                prompts: 100,
                base_correct: base,
                correct: kept,
                correct_given_base: kept,
                constant_correct: constant,
                constant_answer: Some(9),
                empty_correct: k.map(|_| empty),
                ..Counts::default()
            },
            scores: Scores {
                faithfulness: Proportion::wilson(kept, base),
                ..Scores::default()
            },
            test: Test {
                p_base_above_constant: above(base, constant),
                p_above_empty: k.map(|_| above(kept, empty)),
                claim: 0.95,
                level: 0.05,
                ..Test::default()
            },
            ..Measurement::default()
        }
    }

    #[rstest]
    #[case(100, 10, 100, 5, Outcome::Pass, "begins at 0.963")]
    #[case(100, 10, 80, 5, Outcome::Fail, "ends at 0.867")]
    #[case(
        100,
        10,
        96,
        5,
        Outcome::Inconclusive,
        "if 0.960 is the truth, 3593 right answers"
    )]
    // The model answers one constant: every subgraph looks faithful and nothing was shown.
    #[case(10, 10, 10, 10, Outcome::Inconclusive, "cannot do the task")]
    // Without transfer it is as good: nothing shows that transfer matters.
    #[case(100, 10, 100, 100, Outcome::Inconclusive, "without any transfer")]
    // Bad with and without transfer: the claim of sufficiency is refuted all the same.
    #[case(100, 10, 3, 3, Outcome::Fail, "below the claim")]
    // Nothing to keep.
    #[case(0, 10, 0, 0, Outcome::Inconclusive, "cannot do the task")]
    fn outcomes(
        #[case] base: usize,
        #[case] constant: usize,
        #[case] kept: usize,
        #[case] empty: usize,
        #[case] outcome: Outcome,
        #[case] reason: &str,
    ) {
        let verdict = judge(&measurement(base, constant, kept, empty, Some(2))).unwrap();
        assert_eq!(verdict.outcome, outcome, "{}", verdict.reason);
        assert!(verdict.reason.contains(reason), "{}", verdict.reason);
    }

    #[test]
    fn drawn_contexts_are_named_where_contexts_are_drawn() {
        let mut m = measurement(100, 10, 100, 5, Some(2));
        let named = |m: &Measurement| judge(m).unwrap().reason.contains("contexts were drawn");
        assert!(!named(&m));
        m.contexts.sampled = true;
        assert!(named(&m));
    }

    #[test]
    fn degenerate_prompts_do_not_make_a_pass() {
        let mut m = measurement(100, 10, 100, 5, Some(2));
        m.counts.degenerate = 1;
        m.subject.estimator = Estimator::PlugIn;
        assert_eq!(judge(&m).unwrap().outcome, Outcome::Inconclusive);
        assert!(judge(&m).unwrap().reason.contains("degenerate"));
    }

    #[test]
    fn too_few_prompts_are_said_to_be_too_few() {
        let verdict = judge(&measurement(50, 10, 50, 5, Some(2))).unwrap();
        assert_eq!(verdict.outcome, Outcome::Inconclusive);
        assert!(
            verdict.reason.contains("even 50/50 would begin at 0.929"),
            "{}",
            verdict.reason
        );
    }

    #[test]
    fn a_model_is_not_blamed_for_too_few_prompts() {
        let mut m = measurement(4, 1, 4, 0, Some(2));
        (m.counts.prompts, m.test.p_base_above_constant) = (4, mcnemar_greater(3, 0));
        let verdict = judge(&m).unwrap();
        assert_eq!(verdict.outcome, Outcome::Inconclusive);
        assert!(
            verdict.reason.starts_with("too few prompts to tell"),
            "{}",
            verdict.reason
        );
    }

    /// Verdicts are judged together as the smallest p of many may be small by chance; fails do not make passes rarer.
    #[test]
    fn many_verdicts_are_corrected_together() {
        let at_the_edge = measurement(73, 10, 73, 5, Some(2));
        let raw = tests(&at_the_edge).unwrap();
        assert!((raw.pass - 0.95f64.powi(73)).abs() < ROUNDING && raw.fail == 1.0);
        let bad = measurement(100, 10, 80, 5, Some(2));
        assert!(tests(&bad).unwrap().fail < NEVER && tests(&bad).unwrap().pass > SURELY);
        let no_claim = measurement(100, 10, 100, 5, None);
        let table = |edges: usize| {
            let mut table = vec![at_the_edge.clone(); edges];
            table.extend([bad.clone(), no_claim.clone()]);
            after_holm(&table)
        };
        // 0.0237 twice is below 0.05, three times is not.
        assert_eq!(table(1), [Some(Outcome::Pass), Some(Outcome::Fail), None]);
        assert_eq!(
            table(3)[2..],
            [Some(Outcome::Inconclusive), Some(Outcome::Fail), None]
        );
        assert_eq!(after_holm(&[]), []);
    }

    #[test]
    fn a_guess_is_called_one() {
        let mut m = measurement(100, 10, 80, 5, Some(2));
        assert!(!judge(&m).unwrap().reason.contains("guess"));
        m.test.guess = true;
        let reason = judge(&m).unwrap().reason;
        assert!(
            reason.ends_with("AF1 is at (15, 2) is a guess of the preset"),
            "{reason}"
        );
    }

    #[test]
    fn no_claim_no_verdict() {
        assert_eq!(judge(&measurement(100, 10, 100, 5, None)), None);
        assert_eq!(judge(&measurement(100, 10, 100, 5, Some(0))), None);
    }
}
