//! The roles of positions.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Operation;

/// What stands at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The token that the model's tokenizer puts before a text.
    Bos,
    /// The operand of that index.
    Operand(usize),
    /// Text of the template.
    Text,
    /// A token of the right answer that stands before the place where the next one is read.
    Answer,
    /// The last token, where the answer is read.
    Last,
}

/// The names of roles: `bos`, the letter of an operand, `text`, `answer`, `last`.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bos => f.write_str("bos"),
            Self::Operand(index) => write!(f, "{}", Operation::letter(*index)),
            Self::Text => f.write_str("text"),
            Self::Answer => f.write_str("answer"),
            Self::Last => f.write_str("last"),
        }
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
