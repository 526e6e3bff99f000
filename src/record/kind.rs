//! What kind of experiment a line is of.

use std::fmt;

/// The kind of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
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

impl fmt::Display for Kind {
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
