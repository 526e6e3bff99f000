//! The model gives enough right answers.

use super::{Condition, Measured, Need, judged, missing};
use crate::gate::{Claim, Judgement};
use crate::record::{Measurement, Outcome};

/// The number of right answers of the unmodified model.
pub struct RightAnswers;

impl Condition for RightAnswers {
    fn judge(&self, measured: &Measured<'_>) -> Vec<Judgement> {
        let least = measured.claim.right_answers;
        if least == 0 {
            return Vec::new();
        }
        let asked = format!("at least {least} right answers of the model");
        let said = measured.cama().map(|m| enough(m, least));
        vec![judged(asked, said.unwrap_or_else(missing))]
    }

    fn needs(&self, claim: &Claim, _has_baseline: bool) -> Vec<Need> {
        let least = claim.right_answers;
        let need = (least > 0).then(|| Need {
            words: format!("right_answers {least} takes as many prompts at least"),
            prompts: Some(least),
            values: 0,
        });
        need.into_iter().collect()
    }
}

fn enough(m: &Measurement, least: usize) -> (Outcome, String) {
    match m.counts.base_correct >= least {
        true => (Outcome::Pass, format!("{}", m.counts.base_correct)),
        false => (
            Outcome::Inconclusive,
            format!(
                "only {}: widen the operands or raise the limit",
                m.counts.base_correct
            ),
        ),
    }
}
