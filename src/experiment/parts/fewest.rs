//! The fewest heads of the transfer layers with which a pruned AF1 keeps the claim.

use std::collections::BTreeSet;

use crate::intervene::Head;
use crate::kit::words::about::holds;
use crate::record::{Group, Measurement, is_random_set};

/// The fewest heads with which the claim is kept.
pub struct Fewest<'g> {
    /// The step of the pruning.
    pub m: &'g Measurement,
    /// The heads that are left.
    pub left: BTreeSet<Head>,
    /// How many heads the transfer layers have.
    pub all: usize,
}

impl Fewest<'_> {
    /// The names of the heads that are left.
    pub fn named(&self) -> String {
        match self.left.is_empty() {
            true => "none".to_owned(),
            false => names(&self.left).join(" "),
        }
    }
}

/// The step with the fewest heads among those that keep the claim; `None` where none does.
pub fn fewest(group: &Group) -> Option<Fewest<'_>> {
    let cells = group.cells.iter().map(|cell| &cell.m);
    let steps: Vec<&Measurement> = cells.filter(|m| !is_random_set(m)).collect();
    let all = steps.iter().map(|m| pruned(m)).max_by_key(BTreeSet::len)?;
    let held = steps.into_iter().filter(|m| holds(m));
    let m = held.max_by_key(|m| pruned(m).len())?;
    Some(Fewest {
        m,
        left: all.difference(&pruned(m)).copied().collect(),
        all: all.len(),
    })
}

/// The heads that were pruned.
pub fn pruned(m: &Measurement) -> BTreeSet<Head> {
    m.subject.pruned_heads().cloned().unwrap_or_default()
}

/// The names of heads.
pub fn names(heads: &BTreeSet<Head>) -> Vec<String> {
    heads.iter().map(ToString::to_string).collect()
}
