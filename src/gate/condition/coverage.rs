//! Enough of what is claimed about can be asked at all.

use super::{Condition, Measured, judged, missing};
use crate::gate::Judgement;
use crate::record::{Measurement, Outcome};

/// The share of the prompts in the ranges that have the shape that is claimed: their operands and answers are single tokens, where no other
/// is.
pub struct Coverage;

impl Condition for Coverage {
    fn judge(&self, measured: &Measured<'_>) -> Vec<Judgement> {
        let least = measured.claim.coverage;
        let asked = format!("at least {least} of the prompts in the ranges can be asked");
        let said = measured.cama().map(|m| covered(m, least));
        vec![judged(asked, said.unwrap_or_else(missing))]
    }
}

fn covered(m: &Measurement, least: f64) -> (Outcome, String) {
    let all = m.counts.all_prompts + m.counts.excluded;
    let share = m.counts.all_prompts as f64 / all.max(1) as f64;
    let reason = format!(
        "{} of {all}, of which {} were evaluated",
        m.counts.all_prompts, m.counts.prompts
    );
    match share >= least {
        true => (Outcome::Pass, reason),
        false => {
            let others = match m.place.shape.as_ref().filter(|shape| !shape.is_single()) {
                None => "the operands or answers of the others are not single tokens".to_owned(),
                Some(shape) => format!(
                    "the others have another shape than {}",
                    shape.words(&m.subject.operation)
                ),
            };
            (
                Outcome::Inconclusive,
                format!(
                    "{reason}; {others}: narrow the ranges, or lower coverage to claim something about the few"
                ),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Counts;
    use Outcome::{Inconclusive, Pass};

    #[test]
    fn a_claim_about_what_cannot_be_asked_is_not_shown_by_the_rest() {
        let m = |excluded: usize| Measurement {
            counts: Counts {
                all_prompts: 55,
                prompts: 53,
                excluded,
                ..Counts::default()
            },
            ..Measurement::default()
        };
        assert_eq!(covered(&m(0), 0.5).0, Pass);
        assert_eq!(covered(&m(55), 0.5).0, Pass);
        assert_eq!(covered(&m(56), 0.5).0, Inconclusive);
        assert_eq!(covered(&m(9945), 0.0).0, Pass);
    }
}
