//! Which plans an experiment tries.

use std::fmt;

use crate::intervene::{Plan, Tail};

/// An experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Experiment {
    /// AF1 at chosen `(W, K)`.
    Af1,
    /// How long can every token wait: the ablation at each `W`, the model's own attention after.
    Waiting,
    /// How many layers of transfer are needed: AF1 over a grid of `(W, K)`.
    Transfer,
}

impl fmt::Display for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Af1 => "af1",
            Self::Waiting => "waiting",
            Self::Transfer => "transfer",
        })
    }
}

impl Experiment {
    /// The plans for boundaries `waits` and numbers of transfer layers `transfers` (not used when waiting).
    pub fn plans(self, waits: &[usize], transfers: &[usize]) -> Vec<Plan> {
        let af1 = |&wait: &usize| {
            transfers.iter().map(move |&transfer| Plan {
                wait,
                tail: Tail::Af1 { transfer },
            })
        };
        let waiting = |&wait: &usize| Plan {
            wait,
            tail: Tail::Causal,
        };
        match self {
            Self::Waiting => waits.iter().map(waiting).collect(),
            Self::Af1 | Self::Transfer => waits.iter().flat_map(af1).collect(),
        }
    }
}

/// The plans with, for every AF1 among them, the subgraph that never transfers: `AF1(W, 0)` is what an answer without
/// transfer is worth.
pub fn empty_subgraphs(plans: &[Plan]) -> Vec<Plan> {
    let mut all = plans.to_vec();
    for plan in plans {
        let empty = Plan {
            wait: plan.wait,
            tail: Tail::Af1 { transfer: 0 },
        };
        if plan.tail != Tail::Causal && !all.contains(&empty) {
            all.push(empty);
        }
    }
    all
}
