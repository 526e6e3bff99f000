//! A verdict over several draws of contexts: it takes into account that the means have an error, too.

use super::{FEWEST_DRAWS, Measurement, Outcome, OverDraws, Verdict};
use crate::stats::{
    Mean, bootstrap_two_level, fails, least_passing, lower_over_contexts, mcnemar_greater,
};

/// The draws of a number of contexts together; `None` where there is nothing to keep, or where they are not of the same prompts.
///
/// In the order of [`super::judge`]: inconclusive where the model cannot do the task; fail where the interval over draws and prompts
/// ends below the claim, and the mean number of answers kept would fail it by itself; inconclusive where AF1 without transfer does
/// as well in some draw; pass where that interval begins at the claim or above it, the lower bound over contexts does, and
/// the mean number of answers kept, less what is degenerate, would pass by itself; inconclusive otherwise. So the claim must stand
/// against other prompts, against other draws, and against a spread of the draws that five of them do not show.
pub fn over_draws(cells: &[&Measurement]) -> Option<OverDraws> {
    let mean = interval(cells)?;
    let first = cells.first()?;
    let kept: Vec<usize> = cells.iter().map(|m| m.counts.correct_given_base).collect();
    let mut all = OverDraws {
        draws: cells.len(),
        faithfulness: mean.value,
        low: mean.low,
        high: mean.high,
        least: lower_over_contexts(&kept, first.counts.base_correct),
        verdict: None,
    };
    if cells.len() >= FEWEST_DRAWS {
        all.verdict = Some(judge(cells, &all));
    }
    Some(all)
}

fn judge(cells: &[&Measurement], all: &OverDraws) -> Verdict {
    let m = cells[0];
    let (claim, level, right) = (m.test.claim, m.test.level, m.counts.base_correct);
    let total: usize = cells
        .iter()
        .map(|m| m.counts.correct_given_base.min(right))
        .sum();
    // Whole answers, rounded against either outcome.
    let (few, many) = (total / cells.len(), total.div_ceil(cells.len()));
    let degenerate = cells.iter().map(|m| m.counts.degenerate).max().unwrap_or(0);
    let least = all.least.unwrap_or(0.0);
    let enough = least_passing(right, claim, level);
    let p_above_empty = cells.iter().filter_map(|m| m.test.p_above_empty);
    let p_above_empty = p_above_empty.fold(0.0, f64::max);
    let interval = format!("[{:.3}, {:.3}]", all.low, all.high);
    let (outcome, reason) = if m.test.p_base_above_constant > level {
        let few = mcnemar_greater(
            m.counts.prompts.saturating_sub(m.counts.constant_correct),
            0,
        ) > level;
        let what = match few {
            true => "too few prompts to tell whether the model can do the task",
            false => "the model cannot do the task",
        };
        let reason = format!(
            "{what}: {right}/{} right, {} gets {}",
            m.counts.prompts,
            m.always(),
            m.counts.constant_correct
        );
        (Outcome::Inconclusive, reason)
    } else if all.high < claim && fails(many, right, claim, level) {
        let reason = format!(
            "the interval over draws and prompts ends at {:.3}, below the claim {claim}",
            all.high
        );
        (Outcome::Fail, reason)
    } else if p_above_empty > level {
        let reason =
            format!("in a draw as many are right without any transfer (p = {p_above_empty:.2})");
        (Outcome::Inconclusive, reason)
    } else if enough.is_none() {
        let reason =
            format!("the claim {claim} is out of reach of so few prompts: {right} right answers");
        (Outcome::Inconclusive, reason)
    } else if all.low < claim || enough.is_some_and(|enough| few < enough) {
        let reason = format!(
            "{few} of {right} are kept in the mean, the interval over draws and prompts is {interval}, the claim {claim}"
        );
        (Outcome::Inconclusive, reason)
    } else if enough.is_some_and(|enough| few.saturating_sub(degenerate) < enough) {
        let reason = format!(
            "{degenerate} prompts are degenerate (their \"mean\" is their own residual) and the rest does not reach the claim \
             {claim}; use --estimator leave-one-out"
        );
        (Outcome::Inconclusive, reason)
    } else if least < claim {
        let reason = format!(
            "the draws differ: over all contexts the share may be as low as {least:.3} if they spread as much as {} draws may hide; \
             take more --draws",
            all.draws
        );
        (Outcome::Inconclusive, reason)
    } else {
        let reason = format!(
            "over draws and prompts the interval begins at {:.3}, over contexts the share is {least:.3} at least, the claim is {claim}",
            all.low
        );
        (Outcome::Pass, reason)
    };
    Verdict { outcome, reason }
}

/// Resamples of draws and prompts, and their seed.
const RESAMPLES: (usize, u64) = (1000, 42);

/// Mean faithfulness with an interval over draws and prompts.
fn interval(cells: &[&Measurement]) -> Option<Mean> {
    let first = cells.first()?;
    let same = |m: &&Measurement| m.answers.prompts_sha256 == first.answers.prompts_sha256;
    if !cells
        .iter()
        .all(|m| same(m) && m.answers.base == first.answers.base)
    {
        return None;
    }
    let row = |m: &&Measurement| -> Vec<f64> {
        let of_base = m.answers.right.iter().zip(&first.answers.base);
        let number = |right: bool| f64::from(u8::from(right));
        of_base
            .filter(|(_, base)| **base)
            .map(|(right, _)| number(*right))
            .collect()
    };
    let values: Vec<Vec<f64>> = cells.iter().map(row).collect();
    if values.first()?.is_empty() {
        return None;
    }
    let mean = bootstrap_two_level(&values, RESAMPLES.0, RESAMPLES.1)?;
    // A share stays one; with one draw or one prompt nothing is known.
    let known = |end: f64, unknown: f64| match end.is_finite() {
        true => end.clamp(0.0, 1.0),
        false => unknown,
    };
    Some(Mean {
        low: known(mean.low, 0.0),
        high: known(mean.high, 1.0),
        ..mean
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Answers, Counts, Test};
    use rstest::rstest;

    /// A draw that keeps the first `kept` of so many right answers.
    fn draw(right: usize, kept: usize) -> Measurement {
        let bits = |count: usize| (0..right).map(|i| i < count).collect();
        Measurement {
            counts: Counts {
                prompts: right,
                base_correct: right,
                correct: kept,
                correct_given_base: kept,
                ..Counts::default()
            },
            answers: Answers {
                base: bits(right),
                right: bits(kept),
                ..Answers::default()
            },
            test: Test {
                p_base_above_constant: 0.0,
                p_above_empty: Some(0.0),
                claim: 0.95,
                level: 0.05,
                ..Test::default()
            },
            ..Measurement::default()
        }
    }

    fn judged(draws: &[Measurement]) -> OverDraws {
        over_draws(&draws.iter().collect::<Vec<_>>()).unwrap()
    }

    #[rstest]
    #[case(&[200; 5], Some(Outcome::Pass), "begins at 1.000")]
    #[case(&[150; 5], Some(Outcome::Fail), "below the claim")]
    #[case(&[198, 191, 199, 200, 194], Some(Outcome::Inconclusive), "the interval over draws and prompts is")]
    // All but one are perfect: what five draws show is not all that there is.
    #[case(&[200, 200, 200, 200, 192], Some(Outcome::Inconclusive), "")]
    #[case(&[200; 4], None, "")]
    fn outcomes(#[case] kept: &[usize], #[case] outcome: Option<Outcome>, #[case] reason: &str) {
        let draws: Vec<Measurement> = kept.iter().map(|&kept| draw(200, kept)).collect();
        let all = judged(&draws);
        assert_eq!(all.draws, kept.len());
        assert_eq!(all.verdict.as_ref().map(|v| v.outcome), outcome, "{all:?}");
        let said = all.verdict.map_or(String::new(), |v| v.reason);
        assert!(said.contains(reason), "{said}");
    }

    #[test]
    fn what_keeps_one_draw_from_passing_keeps_all() {
        let passing = || vec![draw(200, 200); 5];
        let reason = |draws: &[Measurement]| {
            let verdict = judged(draws).verdict.unwrap();
            assert_eq!(verdict.outcome, Outcome::Inconclusive, "{}", verdict.reason);
            verdict.reason
        };
        let mut draws = passing();
        draws[3].test.p_above_empty = Some(0.5);
        assert!(reason(&draws).contains("without any transfer"));
        let mut draws = passing();
        draws[3].counts.degenerate = 20;
        assert!(reason(&draws).contains("degenerate"));
        let mut draws = passing();
        draws[0].test.p_base_above_constant = 0.5;
        assert!(reason(&draws).contains("cannot do the task"));
        let few = vec![draw(50, 50); 5];
        assert!(reason(&few).contains("out of reach"));
    }

    #[test]
    fn draws_of_other_prompts_are_not_taken_together() {
        let mut draws = vec![draw(20, 20); 5];
        draws[1].answers.prompts_sha256 = "another".to_owned();
        assert_eq!(over_draws(&draws.iter().collect::<Vec<_>>()), None);
        let nothing = [draw(0, 0), draw(0, 0)];
        assert_eq!(over_draws(&nothing.iter().collect::<Vec<_>>()), None);
        assert_eq!(over_draws(&[]), None);
    }
}
