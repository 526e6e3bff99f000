//! How sure a number is that comes from elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How sure it is that a source says what it is said to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// True of a planted model, because it was made so.
    Construction,
    /// Computed by this project with another implementation.
    Computed,
    /// Read in the authors' code.
    Code,
    /// Read in the paper.
    Paper,
    /// Read in a report about the paper.
    Report,
    /// No source says it.
    Guess,
}

impl Confidence {
    /// Where the number is from, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Construction => "true by construction",
            Self::Computed => "computed with another implementation",
            Self::Code => "read in the authors' code",
            Self::Paper => "read in the paper",
            Self::Report => "read in a report about the paper",
            Self::Guess => "a guess",
        }
    }
}

/// The name in files: `construction`, `computed`, `code`, `paper`, `report` or `guess`.
impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
