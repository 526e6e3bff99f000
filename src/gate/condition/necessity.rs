//! Right answers are lost when the last token sees no other in the transfer layers.

use super::{Condition, Measured, Need, judged, least, missing};
use crate::gate::{Claim, Judgement};
use crate::record::{Measurement, Outcome};

/// The share of the right answers that the knock-out of the transfer layers loses.
pub struct Necessity;

impl Condition for Necessity {
    fn judge(&self, measured: &Measured<'_>) -> Vec<Judgement> {
        let claim = measured.claim;
        let Some(drop) = claim.necessity_drop else {
            return Vec::new();
        };
        let asked = format!(
            "at least {drop} of the right answers lost when the last token sees no other in the transfer layers"
        );
        let mut cells = measured.cells.iter();
        let knocked =
            cells.find(|m| m.subject.knockout_layers().is_some() && m.subject.wait() == claim.wait);
        let said = knocked.map(|m| lost(m, drop, claim.level));
        vec![judged(asked, said.unwrap_or_else(missing))]
    }

    fn needs(&self, claim: &Claim, _has_baseline: bool) -> Vec<Need> {
        let of = |drop: f64| least(claim, &format!("necessity_drop {drop}"), drop);
        claim.necessity_drop.into_iter().map(of).collect()
    }
}

fn lost(m: &Measurement, drop: f64, level: f64) -> (Outcome, String) {
    let lost = m.counts.base_correct - m.counts.correct_given_base;
    // What fails together is lost together.
    let evidence = m.evidence().with(lost);
    let share = evidence.interval();
    let reason = format!(
        "{lost} of {} lost, interval about {} [{:.3}, {:.3}]",
        m.counts.base_correct,
        m.test.inference.words(),
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
    use crate::record::Counts;
    use Outcome::{Fail, Inconclusive, Pass};

    #[test]
    fn losses_are_judged_as_answers_are() {
        let knocked = |lost: usize| Measurement {
            counts: Counts {
                base_correct: 200,
                correct_given_base: 200 - lost,
                ..Counts::default()
            },
            ..Measurement::default()
        };
        assert_eq!(lost(&knocked(190), 0.9, 0.05).0, Pass);
        assert_eq!(lost(&knocked(181), 0.9, 0.05).0, Inconclusive);
        assert_eq!(lost(&knocked(150), 0.9, 0.05).0, Fail);
    }
}
