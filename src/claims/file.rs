//! Files of claims: TOML, read and checked as a whole.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::expected::{Bound, Expected, Is, Verdict};
use super::rows::STRATUM;
use super::{Paper, PaperClaim, Test};
use crate::file::text_at_most;
use crate::model::Confidence;
use crate::{Error, Result};

/// The file format.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWire {
    #[serde(default)]
    paper: Vec<PaperWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaperWire {
    about: String,
    source: String,
    claim: Vec<ClaimWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimWire {
    id: String,
    says: String,
    confidence: Confidence,
    base_accuracy: Option<f64>,
    #[serde(default)]
    test: Vec<TestWire>,
    not_run: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestWire {
    models: Vec<String>,
    command: String,
    expect: Vec<ExpectWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectWire {
    #[serde(default)]
    rows: toml::Table,
    verdict: Option<VerdictWire>,
    field: Option<String>,
    at_least: Option<f64>,
    at_most: Option<f64>,
    above: Option<f64>,
    below: Option<f64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum VerdictWire {
    Pass,
    Fail,
}

impl ExpectWire {
    fn checked(self) -> Result<Expected, String> {
        let bounds = [
            self.at_least.map(Bound::AtLeast),
            self.at_most.map(Bound::AtMost),
            self.above.map(Bound::Above),
            self.below.map(Bound::Below),
        ];
        let bounds: Vec<Bound> = bounds.into_iter().flatten().collect();
        let numbers = [self.at_least, self.at_most, self.above, self.below];
        if let Some(number) = numbers.into_iter().flatten().find(|n| !n.is_finite()) {
            return Err(format!(
                "the bound {number}: expected a number that is finite"
            ));
        }
        for name in self.rows.keys().chain(&self.field) {
            let first = name.split('.').next().unwrap_or_default();
            if !is_field(first) {
                return Err(format!(
                    "{first:?} is no field of a record (src/record/schema.md)"
                ));
            }
        }
        let is = match (self.verdict, self.field, &bounds[..]) {
            (Some(VerdictWire::Pass), None, []) => Is::Verdict(Verdict::Pass),
            (Some(VerdictWire::Fail), None, []) => Is::Verdict(Verdict::Fail),
            (None, Some(field), [bound]) => Is::Number {
                field,
                bound: *bound,
            },
            _ => {
                return Err(
                    "expected either a verdict, or a field and one of at_least, at_most, above and below"
                        .to_owned(),
                );
            }
        };
        Ok(Expected {
            rows: self.rows,
            is,
        })
    }
}

impl ClaimWire {
    fn checked(self) -> Result<PaperClaim, Vec<String>> {
        let mut problems = Vec::new();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if self.id.is_empty() || !self.id.chars().all(is_name) {
            problems.push("expected an id of letters, digits and dashes".to_owned());
        }
        let words = self
            .test
            .iter()
            .flat_map(|test| test.models.iter().chain([&test.command]));
        if words.flat_map(|word| word.chars()).any(char::is_control) {
            problems.push("expected no control characters in models and commands".to_owned());
        }
        if let Confidence::Computed | Confidence::Guess = self.confidence {
            problems.push(format!(
                "its confidence is {}; expected construction, code, paper or report, because somebody else says it",
                self.confidence
            ));
        }
        if self.test.is_empty() != self.not_run.is_some() {
            problems.push("expected either tests, or not_run with the reason".to_owned());
        }
        if let Some(least) = self.base_accuracy.filter(|least| !is_share(*least)) {
            problems.push(format!(
                "base_accuracy is {least}; expected a share of the prompts, above 0 and at most 1"
            ));
        }
        let mut tests = Vec::new();
        for (i, test) in self.test.into_iter().enumerate() {
            let number = i + 1;
            if test.models.is_empty() || test.expect.is_empty() {
                problems.push(format!(
                    "test {number}: expected at least one model, and at least one expectation"
                ));
            }
            let mut expect = Vec::new();
            for wire in test.expect {
                match wire.checked() {
                    Ok(expected) => expect.push(expected),
                    Err(problem) => problems.push(format!("test {number}: expect: {problem}")),
                }
            }
            tests.extend(test.models.into_iter().map(|model| Test {
                model,
                command: test.command.clone(),
                expect: expect.clone(),
            }));
        }
        match problems.is_empty() {
            true => Ok(PaperClaim {
                id: self.id,
                says: self.says,
                confidence: self.confidence,
                base_accuracy: self.base_accuracy,
                tests,
                not_run: self.not_run,
            }),
            false => Err(problems),
        }
    }
}

/// Whether a number is a share of prompts, and not none of them.
fn is_share(number: f64) -> bool {
    number > 0.0 && number <= 1.0
}

/// Whether records of any kind have a field of that name, or it tells a class of prompts.
fn is_field(name: &str) -> bool {
    /// The names of all fields in the schema of records.
    static FIELDS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let schema = include_str!("../../docs/schema.json");
        let schema = serde_json::from_str(schema).expect("a test writes the schema of records");
        let mut names = BTreeSet::new();
        add_fields(&schema, &mut names);
        names
    });
    name == STRATUM || FIELDS.contains(name)
}

fn add_fields(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            let fields = object.get("properties").and_then(Value::as_object);
            names.extend(fields.into_iter().flat_map(|fields| fields.keys().cloned()));
            object.values().for_each(|value| add_fields(value, names));
        }
        Value::Array(all) => all.iter().for_each(|value| add_fields(value, names)),
        _ => {}
    }
}

/// The papers of the file at a path.
///
/// # Errors
/// A file that cannot be read, is not TOML of the right form, or has a claim that expects nothing.
pub fn read(path: &Path) -> Result<Vec<Paper>> {
    let fail = |e| Error::reading(path, "file of claims", e);
    let text = text_at_most(path, MOST_BYTES).map_err(|e| match e.kind() {
        ErrorKind::FileTooLarge => Error::Claims {
            path: path.to_owned(),
            reason: e.to_string(),
        },
        _ => fail(e),
    })?;
    parse(path, &text)
}

/// The papers of the files that come with the program.
pub fn built_in() -> Vec<Paper> {
    let of = |(name, text): &(&str, &str)| {
        let path = PathBuf::from(format!("built-in claims {name}"));
        parse(&path, text).expect("the files of claims are checked by a test")
    };
    FILES.iter().flat_map(of).collect()
}

/// A file of claims has at most so many bytes.
const MOST_BYTES: u64 = 1 << 20;

pub(crate) fn parse(path: &Path, text: &str) -> Result<Vec<Paper>> {
    let fail = |reason: String| Error::Claims {
        path: path.to_owned(),
        reason,
    };
    let file: FileWire = toml::from_str(text).map_err(|e| fail(e.to_string()))?;
    let (mut papers, mut problems) = (Vec::<Paper>::new(), Vec::new());
    for wire in file.paper {
        let mut claims = Vec::<PaperClaim>::new();
        for wire in wire.claim {
            let id = wire.id.clone();
            let before = papers.iter().flat_map(|paper| &paper.claims);
            if before.chain(&claims).any(|known| known.id == id) {
                problems.push(format!("claim {id:?}: another claim has the same id"));
            }
            match wire.checked() {
                Ok(claim) => claims.push(claim),
                Err(all) => problems.extend(all.iter().map(|p| format!("claim {id:?}: {p}"))),
            }
        }
        papers.push(Paper {
            about: wire.about,
            source: wire.source,
            claims,
        });
    }
    if papers.iter().all(|paper| paper.claims.is_empty()) && problems.is_empty() {
        problems.push("it claims nothing".to_owned());
    }
    match problems.is_empty() {
        true => Ok(papers),
        false => Err(fail(problems.join("; "))),
    }
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        /// The files, by their names without an ending.
        const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../fixtures/claims/", $name, ".toml")))),*];
    };
}

files!("all-for-one", "others", "planted");
