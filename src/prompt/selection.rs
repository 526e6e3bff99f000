//! Which prompts of a template are taken.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::file::Sha256;

/// Which prompts of a template are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The values of every operand.
    pub operands: RangeInclusive<i64>,
    /// The values that the result of a prompt that is asked may have.
    pub results: RangeInclusive<i64>,
    /// Contexts a token, on average. Two operands are enumerated in full, which are all the contexts that there are; of
    /// three or more, `contexts` times the number of values of an operand are drawn without replacement.
    pub contexts: usize,
    /// Which prompts are contexts.
    pub contexts_from: ContextsFrom,
    /// The seed of that draw.
    pub seed: u64,
    /// The prompts that are asked, where they are those of a list. Contexts are then all combinations of the values that the operands have
    /// there.
    pub listed: Option<Arc<Listed>>,
}

/// Which prompts the means of a template may be taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContextsFrom {
    /// All operands in range, whatever the result is: a context needs no answer, and one operand says nothing of another.
    #[default]
    All,
    /// Only the prompts that can be asked. The range of results then cuts the operands, so that one operand says something
    /// of another, and the mean at its token, too.
    Answerable,
}

impl ContextsFrom {
    /// Both choices.
    pub const ALL: [Self; 2] = [Self::All, Self::Answerable];

    /// The name of the choice, on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Answerable => "answerable",
        }
    }
}

/// The prompts of a list, as operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The operands of every prompt.
    pub operands: BTreeSet<Vec<i64>>,
    /// The SHA-256 of the file.
    pub hash: Sha256,
}
