//! In which layers a residual is swapped, and where.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// In which layers the residual of a counterfactual stands at a position.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Swap {
    /// The residual stands before one layer; what follows is computed from it.
    #[default]
    Once,
    /// One layer reads it, and behind that layer stands the prompt's own again: only what later tokens read there is the counterfactual's.
    Layer,
    /// From one layer up all later tokens read it: before every one of these layers stands the counterfactual's of there.
    Cumulative,
}

impl Swap {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 3] = [Self::Once, Self::Layer, Self::Cumulative];

    /// The name of the swap, as on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Layer => "layer",
            Self::Cumulative => "cumulative",
        }
    }

    /// Whether it can begin at a boundary of a model of so many layers: behind the last layer the last token alone counts, and nobody
    /// reads the others.
    pub fn begins(self, boundary: usize, layers: usize) -> bool {
        boundary < layers || (self == Self::Once && boundary == layers)
    }

    /// Where the swapped positions end, of prompts of so many tokens. What later tokens read of the last one is nothing.
    pub(super) fn end(self, positions: usize) -> usize {
        match self {
            Self::Once => positions,
            Self::Layer | Self::Cumulative => positions - 1,
        }
    }
}

impl fmt::Display for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Swap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|swap| swap.name() == text);
        named.ok_or_else(|| {
            format!("{text:?} is no swap of residuals; expected once, layer or cumulative")
        })
    }
}

/// A pair, and a position at which its prompts differ or behind one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Which pair of a batch.
    pub pair: usize,
    /// The position.
    pub position: usize,
}
