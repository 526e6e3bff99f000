//! What kind of experiment a line is of.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of an experiment: the name by which records and the command line know it. An experiment says its own; a record may have one
/// that this program has no experiment for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Kind(Cow<'static, str>);

impl Kind {
    /// AF1 at chosen `(W, K)`.
    pub const AF1: Self = Self::new("af1");
    /// How long can every token wait: the ablation at each `W`, the model's own attention after.
    pub const WAITING: Self = Self::new("waiting");
    /// Where is transfer needed: the last token sees no other token in some layers of the model.
    pub const NECESSITY: Self = Self::new("necessity");
    /// Which heads transfer: AF1 with ever fewer of them.
    pub const HEADS: Self = Self::new("heads");
    /// Where the last token's attention rests.
    pub const ATTENTION: Self = Self::new("attention");

    /// The main table: waiting and AF1 at the same layers.
    pub const REPRODUCE: Self = Self::new("reproduce");
    /// Claims over several templates, which follow from the records.
    pub const POOLED: Self = Self::new("pooled");

    /// Whole answers of several tokens, which follow from the records of their steps.
    pub const WHOLE: Self = Self::new("whole");

    /// The kind of that name.
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Kind {
    fn from(name: &str) -> Self {
        Self(Cow::Owned(name.to_owned()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
