//! AF1 does not fall behind an earlier run.

use super::{Condition, Measured, Need, answers, discord, judged, missing};
use crate::gate::{Claim, Judgement};
use crate::prompt::Shape;
use crate::record::{Measurement, Outcome, key};
use crate::stats::{Inference, difference_bounds};

/// AF1 with CAMA against the same cell of the baseline; nothing where there is no baseline.
pub struct Baseline;

impl Condition for Baseline {
    fn judge(&self, measured: &Measured<'_>) -> Vec<Judgement> {
        no_worse_than_before(measured, "AF1", answers)
    }

    fn needs(&self, claim: &Claim, has_baseline: bool) -> Vec<Need> {
        if !has_baseline {
            return Vec::new();
        }
        // No answer differs from the baseline's: the bound of a loss that was never seen.
        let prompts = (claim.level / 2.0).ln() / (1.0 - claim.baseline_margin).ln();
        let prompts = prompts.ceil();
        vec![Need {
            words: format!(
                "baseline_margin {} takes {prompts} prompts at least",
                claim.baseline_margin
            ),
            prompts: Some(prompts as usize),
            values: 0,
        }]
    }
}

/// What the claim's cell says beside that of the baseline, of these answers.
pub(super) fn no_worse_than_before(
    measured: &Measured<'_>,
    what: &str,
    answers: fn(&Measurement) -> &[bool],
) -> Vec<Judgement> {
    let claim = measured.claim;
    let Some(baseline) = measured.baseline else {
        return Vec::new();
    };
    let asked = format!(
        "{what} less than {} worse than the baseline{}",
        claim.baseline_margin,
        match claim.inference {
            Inference::Prompts => "",
            Inference::Operands => ", on these prompts",
        }
    );
    let said = measured.cama().map(|m| {
        let keyed = |o: &&Measurement| is_single(m) || o.provenance.key == m.provenance.key;
        let before = baseline.iter().filter(keyed).find(|o| key(o) == key(m));
        against(m, before, answers, claim)
    });
    vec![judged(asked, said.unwrap_or_else(missing))]
}

/// Whether every number is one token, so that it does not matter by what means are keyed.
fn is_single(m: &Measurement) -> bool {
    m.place.shape.as_ref().is_none_or(Shape::is_single)
}

/// A cell against the cell of the baseline, if that has it and asked the same prompts.
fn against(
    m: &Measurement,
    before: Option<&Measurement>,
    answers: fn(&Measurement) -> &[bool],
    claim: &Claim,
) -> (Outcome, String) {
    match before {
        None => (
            Outcome::Inconclusive,
            "the baseline has no such cell".to_owned(),
        ),
        Some(o) if !same_prompts(o, m) => (
            Outcome::Inconclusive,
            "the baseline was measured on other prompts: the same operands, results, limit and tokenizer are \
             needed"
                .to_owned(),
        ),
        Some(o) => no_worse(m, o, answers, claim.baseline_margin, claim.level),
    }
}

/// Whether two cells were measured on the same prompts. Of whole answers only those count that were evaluated at every step, so that their
/// operands must be the same, too.
fn same_prompts(m: &Measurement, o: &Measurement) -> bool {
    let known = m.answers.operands.as_ref().zip(o.answers.operands.as_ref());
    m.answers.prompts_sha256 == o.answers.prompts_sha256 && known.is_none_or(|(a, b)| a == b)
}

/// Worse if the loss of accuracy is shown to be the margin at least; no worse if it is shown to be below.
fn no_worse(
    m: &Measurement,
    o: &Measurement,
    answers: fn(&Measurement) -> &[bool],
    margin: f64,
    level: f64,
) -> (Outcome, String) {
    let (wins, losses) = discord(m, o, answers);
    let (low, high) = difference_bounds(losses, wins, m.counts.prompts, 0.025);
    let (least, most) = difference_bounds(losses, wins, m.counts.prompts, level);
    let right = |m: &Measurement| {
        let right = answers(m).iter().filter(|right| **right);
        right.count()
    };
    // What decides is one end at the level, and not the interval, whose ends have half of the rest each.
    let reason = format!(
        "{} of {} right, {} in {}; {wins} only now, {losses} only before; loss {:.3}, at least 95% interval [{low:.3}, {high:.3}]{}",
        right(m),
        m.counts.prompts,
        right(o),
        o.subject.model,
        (losses as f64 - wins as f64) / m.counts.prompts.max(1) as f64,
        match (low..=high).contains(&margin) {
            false => String::new(),
            true if least >= margin => format!("; at the level {level} it is {least:.4} at least"),
            true => format!("; at the level {level} it is below {most:.4}"),
        }
    );
    match () {
        () if least >= margin => (Outcome::Fail, reason),
        () if most < margin => (Outcome::Pass, reason),
        () => (Outcome::Inconclusive, reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Answers;
    use crate::record::Counts;
    use Outcome::{Fail, Inconclusive, Pass};

    /// What falls behind by more than the margin fails, by less passes, however significant the loss is.
    #[test]
    fn a_loss_is_judged_by_its_margin() {
        let of = |right: usize| Measurement {
            counts: Counts {
                prompts: 1000,
                ..Counts::default()
            },
            answers: Answers {
                right: (0..1000).map(|i| i < right).collect(),
                ..Answers::default()
            },
            ..Measurement::default()
        };
        let judged = |right, margin| no_worse(&of(right), &of(1000), answers, margin, 0.05).0;
        assert_eq!(judged(900, 0.05), Fail);
        assert_eq!(judged(900, 0.2), Pass);
        assert_eq!(judged(980, 0.05), Pass);
        assert_eq!(judged(950, 0.05), Inconclusive);
    }
}
