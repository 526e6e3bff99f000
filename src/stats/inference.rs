//! What an interval, a verdict or a gate is about.

use serde::{Deserialize, Serialize};

/// The target of inference: which prompts a statement is about, beyond those that were evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Inference {
    /// The prompts of these ranges of operands: a finite population, of which every prompt is drawn for itself.
    #[default]
    Prompts,
    /// Prompts with other operands of the same kind: the values that stand at the place of each operand are drawn, and prompts
    /// that share one succeed or fail together.
    Operands,
}

impl Inference {
    /// All targets.
    pub const ALL: [Self; 2] = [Self::Prompts, Self::Operands];

    /// The name of the target in records and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prompts => "prompts",
            Self::Operands => "operands",
        }
    }

    /// What is meant, in words that go with "about".
    pub fn words(self) -> &'static str {
        match self {
            Self::Prompts => "these prompts",
            Self::Operands => "other operands",
        }
    }
}

impl std::fmt::Display for Inference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Inference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| format!("{text:?}: expected prompts or operands"))
    }
}

#[cfg(test)]
mod tests {
    use super::Inference::{Operands, Prompts};
    use super::*;

    #[test]
    fn targets_have_names_and_words() {
        for (target, name, words) in [
            (Prompts, "prompts", "these prompts"),
            (Operands, "operands", "other operands"),
        ] {
            assert_eq!((target.name(), target.words()), (name, words));
            assert_eq!(
                (target.to_string(), name.parse()),
                (name.to_owned(), Ok(target))
            );
        }
        let error = "all".parse::<Inference>().unwrap_err();
        assert_eq!(error, "\"all\": expected prompts or operands");
    }
}
