//! Which plans an experiment tries.

use std::fmt;

use crate::intervene::Plan;

/// An experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Experiment {
    /// AF1 at chosen `(W, K)`.
    Af1,
    /// How long can every token wait: the ablation at each `W`, the model's own attention after.
    Waiting,
    /// How many layers of transfer are needed: AF1 over a grid of `(W, K)`.
    Transfer,
    /// Where is transfer needed: the last token sees no other token in some layers of the model.
    Necessity,
    /// Which heads transfer: AF1 with ever fewer of them.
    Heads,
    /// What stands in for CAMA and for ABP at one AF1.
    Alternatives,
    /// `(W, K)` chosen on some prompts, reported on others.
    Discover,
    /// How many contexts a mean takes.
    Contexts,
    /// Where the last token's attention rests.
    Attention,
}

impl fmt::Display for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Af1 => "af1",
            Self::Waiting => "waiting",
            Self::Transfer => "transfer",
            Self::Necessity => "necessity",
            Self::Heads => "heads",
            Self::Alternatives => "alternatives",
            Self::Discover => "discover",
            Self::Contexts => "contexts",
            Self::Attention => "attention",
        })
    }
}

/// Waiting to each of the boundaries.
pub fn waiting(waits: &[usize]) -> Vec<Plan> {
    waits.iter().map(|&wait| Plan::waiting(wait)).collect()
}

/// AF1(W, K) for every `W` and `K`.
pub fn subgraphs(waits: &[usize], transfers: &[usize]) -> Vec<Plan> {
    let pairs = waits
        .iter()
        .flat_map(|&wait| transfers.iter().map(move |&transfer| (wait, transfer)));
    pairs.map(|(wait, k)| Plan::af1(wait, k)).collect()
}

/// Knock-outs of so many layers in a row, from every layer from which they fit.
pub fn knockout_windows(layers: usize, window: usize) -> Vec<Plan> {
    let starts = 0..(layers + 1).saturating_sub(window);
    starts.map(|from| Plan::knockout(from, window)).collect()
}

/// Knock-outs of every layer from one on: where the last of them changes nothing, the routing is over.
pub fn knockouts_upward(layers: usize) -> Vec<Plan> {
    let starts = 0..layers;
    starts
        .map(|from| Plan::knockout(from, layers - from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_every_layer_and_end_at_the_last() {
        assert_eq!(knockout_windows(3, 1).len(), 3);
        assert_eq!(
            knockout_windows(3, 2),
            [Plan::knockout(0, 2), Plan::knockout(1, 2)]
        );
        assert!(knockout_windows(3, 4).is_empty());
        assert_eq!(
            knockouts_upward(2),
            [Plan::knockout(0, 2), Plan::knockout(1, 1)]
        );
        assert!(knockouts_upward(5).iter().all(|plan| plan.fits(5)));
    }
}
