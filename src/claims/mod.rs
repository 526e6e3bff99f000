//! Claims of papers, in files: which experiment asks a claim of which model, what its records are expected to say, and whether they do.
//! Running the experiments is the command line's business, showing what came of them [`crate::report`]'s.

mod expected;
mod file;
mod rows;

pub use expected::{Expected, Finding};
pub(crate) use file::parse;
pub use file::{built_in, read};
pub use rows::Rows;

use std::fmt;

use serde::Serialize;

use crate::model::Confidence;

/// A paper, or another source, with what it claims.
#[derive(Clone, Debug, PartialEq)]
pub struct Paper {
    /// What it is about: its title where that is known.
    pub about: String,
    /// Where it is to be found, such as `arXiv:2509.09650`.
    pub source: String,
    /// What it claims, in the order of the file.
    pub claims: Vec<PaperClaim>,
}

/// What a paper says, and how it is tested.
#[derive(Clone, Debug, PartialEq)]
pub struct PaperClaim {
    /// A short name, which no other claim of the paper has.
    pub id: String,
    /// What the paper says, in our words.
    pub says: String,
    /// How sure it is that the paper says so.
    pub confidence: Confidence,
    /// The lowest share of prompts that a model answers rightly by itself of which the paper speaks; a model that is right less often
    /// neither confirms the claim nor contradicts it.
    pub base_accuracy: Option<f64>,
    /// What is run, model by model.
    pub tests: Vec<Test>,
    /// Why the claim is not tested, where there is no test.
    pub not_run: Option<String>,
}

/// An experiment on a model, and what its records are expected to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// The model: a built-in name, or whatever else `--model` takes.
    pub model: String,
    /// The verb of the experiment with its options, without `--model`: words that are parted by spaces.
    pub command: String,
    /// All of what is expected.
    pub expect: Vec<Expected>,
}

/// What came of a test.
#[derive(Clone, Debug, PartialEq)]
pub enum Tested {
    /// The test was run, with these findings.
    Run(Vec<Finding>),
    /// The test was not run, for this reason.
    NotRun(String),
}

/// What measurements say about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All that is expected was found.
    Confirmed,
    /// Something was found that excludes what is expected.
    Contradicted,
    /// What was found leaves it open.
    Undecided,
    /// Nothing was measured.
    NotRun,
}

impl Outcome {
    /// All outcomes, in the order in which they are counted.
    pub const ALL: [Self; 4] = [
        Self::Confirmed,
        Self::Contradicted,
        Self::Undecided,
        Self::NotRun,
    ];

    /// The outcome of several findings together: contradicted if one is, confirmed if all are.
    pub fn of(findings: &[Finding]) -> Self {
        let is = |outcome: Self| move |finding: &Finding| finding.outcome == outcome;
        match findings {
            [] => Self::NotRun,
            _ if findings.iter().any(is(Self::Contradicted)) => Self::Contradicted,
            _ if findings.iter().all(is(Self::Confirmed)) => Self::Confirmed,
            _ => Self::Undecided,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Confirmed => "confirmed",
            Self::Contradicted => "CONTRADICTED",
            Self::Undecided => "undecided",
            Self::NotRun => "not run",
        })
    }
}

/// A test of a claim with what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<'a> {
    /// The paper.
    pub paper: &'a Paper,
    /// The claim.
    pub claim: &'a PaperClaim,
    /// The test; `None` where the claim has none.
    pub test: Option<&'a Test>,
    /// What came of it.
    pub tested: Tested,
}

impl Answer<'_> {
    /// What the measurements say.
    pub fn outcome(&self) -> Outcome {
        match &self.tested {
            Tested::Run(findings) => Outcome::of(findings),
            Tested::NotRun(_) => Outcome::NotRun,
        }
    }
}
