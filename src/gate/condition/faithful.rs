//! AF1 keeps the share of the right answers that is claimed.

use super::{Condition, Measured, Need, judged, least, missing};
use crate::gate::{Claim, Judgement};
use crate::record::judge;

/// The verdict on AF1 with CAMA. It says by itself when the model cannot do the task.
pub struct Faithful;

impl Condition for Faithful {
    fn judge(&self, measured: &Measured<'_>) -> Vec<Judgement> {
        let claim = measured.claim;
        let asked = match claim.margin {
            0.0 => format!("faithful at least {}", claim.faithful),
            margin => format!(
                "faithful at least {}, less a margin of {margin}",
                claim.faithful
            ),
        };
        let verdict = measured.cama().and_then(judge);
        let said = verdict.map_or_else(missing, |v| (v.outcome, v.reason));
        vec![judged(asked, said)]
    }

    fn needs(&self, claim: &Claim, _has_baseline: bool) -> Vec<Need> {
        let what = format!("faithful {} with margin {}", claim.faithful, claim.margin);
        vec![least(claim, &what, claim.share())]
    }

    fn judges_the_task(&self) -> bool {
        true
    }
}
