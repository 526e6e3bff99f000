//! What a measurement is of, whatever the model and the run.

use super::Measurement;
use crate::intervene::{MaskedBy, Tail};
use crate::measure::Part;

/// What makes two cells the same in two runs, whatever the model.
pub struct Key<'a>(&'a Measurement);

/// What a cell is, whatever the model and the sweep.
pub fn key(m: &Measurement) -> Key<'_> {
    Key(m)
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        let (here, there) = (&self.0.subject, &other.0.subject);
        let how = |m: &Measurement| (m.subject.estimator, m.subject.part, m.subject.draw);
        here.plan == there.plan
            && here.ablation == there.ablation
            && how(self.0) == how(other.0)
            && self.0.address().set() == other.0.address().set()
    }
}

impl std::fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let subject = &self.0.subject;
        write!(f, "{} {}", self.0.address().template(), subject.ablation)?;
        let wait = subject.wait();
        match (subject.transfer(), &subject.plan.tail) {
            (Some(_), Tail::Apart { .. }) => {
                let layers = subject.transfer_layers().unwrap_or_default();
                write!(f, " waiting to {wait}, transfer in {layers}")?;
            }
            (Some(transfer), _) => write!(f, " AF1({wait}, {transfer})")?,
            (None, Tail::Knockout { .. }) => {
                let layers = subject.knockout_layers().unwrap_or_default();
                write!(f, " knock-out of {layers}")?;
            }
            (None, _) => write!(f, " waiting to {wait}")?,
        }
        if subject.plan.masking != MaskedBy::ABP {
            write!(f, " by {}", subject.plan.masking.name())?;
        }
        if let Some(pruned) = subject.pruned_heads().filter(|pruned| !pruned.is_empty()) {
            let pruned: Vec<String> = pruned.iter().map(ToString::to_string).collect();
            write!(f, " without {}", pruned.join(" "))?;
        }
        if let Some(draw) = subject.draw {
            write!(f, " of {} contexts, seed {}", draw.contexts, draw.seed)?;
        }
        if subject.part != Part::All {
            write!(f, " ({})", subject.part.name())?;
        }
        Ok(())
    }
}
