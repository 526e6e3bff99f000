//! The file of a gate: TOML, read and checked as a whole.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Claim, Gate};
use crate::file::text_at_most;
use crate::intervene::{Ablation, Estimator, ablation};
use crate::prompt::{KeyedBy, Operation, Shape, Span, Step};
use crate::stats::{Inference, LEVEL};
use crate::{Error, Result};

/// The file format. What is said here of all claims a claim can say otherwise.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GateWire {
    level: Option<f64>,
    inference: Option<String>,
    estimator: Option<String>,
    limit: Option<u32>,
    seed: Option<u64>,
    operands: Option<String>,
    results: Option<String>,
    key: Option<String>,
    coverage: Option<f64>,
    styles: Option<PathBuf>,
    #[serde(default)]
    claim: Vec<ClaimWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimWire {
    style: String,
    operation: String,
    wait: usize,
    transfer: usize,
    faithful: f64,
    #[serde(default)]
    margin: f64,
    #[serde(default)]
    better_than: Vec<String>,
    necessity_drop: Option<f64>,
    #[serde(default)]
    right_answers: usize,
    #[serde(default = "baseline_margin")]
    baseline_margin: f64,
    coverage: Option<f64>,
    level: Option<f64>,
    inference: Option<String>,
    limit: Option<u32>,
    operands: Option<String>,
    results: Option<String>,
    shape: Option<String>,
    step: Option<StepWire>,
    key: Option<String>,
}

/// A step: how many tokens of the answer stand before it, or a word.
#[derive(Deserialize)]
#[serde(untagged)]
enum StepWire {
    Number(i64),
    Word(String),
}

impl StepWire {
    fn checked(&self) -> Result<Step, String> {
        let found = match self {
            Self::Number(number) => number.to_string().parse(),
            Self::Word(word) => word.parse(),
        };
        found.map_err(|problem: String| format!("step {problem}"))
    }
}

/// A file has at most so many bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Most of the prompts that are asked for, where the file says nothing.
const COVERAGE: f64 = 0.5;

/// Most prompts of a template, where the file says nothing.
const LIMIT: u32 = 1000;

/// The seed of every draw, where the file says nothing.
const SEED: u64 = 42;

/// Five points, where the file says nothing.
fn baseline_margin() -> f64 {
    0.05
}

impl Gate {
    /// Reads a gate's file.
    ///
    /// # Errors
    /// A file that cannot be read, or is no gate: everything that is wrong with it at once.
    pub fn read(path: &Path) -> Result<Self> {
        let text = text_at_most(path, MOST_BYTES).map_err(|e| Error::reading(path, "gate", e))?;
        Self::parse(path, &text)
    }

    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self> {
        let fail = |reason: String| Error::Gate {
            path: path.to_owned(),
            reason,
        };
        let mut wire: GateWire = toml::from_str(text).map_err(|e| fail(e.to_string()))?;
        let mut problems = Problems::default();
        let estimator = problems.value(wire.estimator(), Estimator::default());
        let claims = std::mem::take(&mut wire.claim);
        problems.unless(!claims.is_empty(), || {
            "it claims nothing: expected at least one [[claim]]".to_owned()
        });
        let mut checked = Vec::new();
        for (i, claim) in claims.into_iter().enumerate() {
            let mut here = Problems::default();
            checked.extend(claim.or_of_all(&wire).checked(&mut here));
            let of_claim = here.0.into_iter().map(|p| format!("claim {}: {p}", i + 1));
            problems.0.extend(of_claim);
        }
        if !problems.0.is_empty() {
            return Err(fail(problems.0.join("; ")));
        }
        let styles = wire.styles.map(|styles| match path.parent() {
            Some(folder) => folder.join(styles),
            None => styles,
        });
        Ok(Self {
            path: path.to_owned(),
            estimator,
            seed: wire.seed.unwrap_or(SEED),
            styles,
            claims: checked,
        })
    }
}

impl GateWire {
    fn estimator(&self) -> Result<Estimator, String> {
        let Some(name) = self.estimator.as_deref() else {
            return Ok(Estimator::default());
        };
        Estimator::named(name)
            .ok_or_else(|| format!("estimator {name:?}: expected plug-in, leave-one-out or split"))
    }
}

impl ClaimWire {
    /// The claim with what the file says of all claims, where it says nothing itself.
    fn or_of_all(self, all: &GateWire) -> Self {
        Self {
            level: self.level.or(all.level),
            inference: self.inference.or_else(|| all.inference.clone()),
            limit: self.limit.or(all.limit),
            coverage: self.coverage.or(all.coverage),
            operands: self.operands.or_else(|| all.operands.clone()),
            results: self.results.or_else(|| all.results.clone()),
            key: self.key.or_else(|| all.key.clone()),
            ..self
        }
    }

    /// The claim, if nothing is wrong with it.
    fn checked(self, problems: &mut Problems) -> Option<Claim> {
        self.check_what_is_claimed(problems);
        let level = self.level.unwrap_or(LEVEL);
        problems.unless(level > 0.0 && level <= LEVEL, || {
            format!("level {level}: expected more than 0 and at most {LEVEL}")
        });
        let inference = self
            .inference
            .as_deref()
            .map_or(Ok(Inference::default()), str::parse);
        let inference = inference.map_err(|problem: String| format!("inference {problem}"));
        let inference = problems.value(inference, Inference::default());
        let operands = problems.span("operands", self.operands.as_deref());
        let results = problems.span("results", self.results.as_deref());
        let limit = self.limit.unwrap_or(LIMIT);
        problems.unless(limit > 0, || "limit 0: expected at least 1".to_owned());
        let coverage = self.coverage.unwrap_or(COVERAGE);
        problems.unless((0.0..=1.0).contains(&coverage), || {
            format!("coverage {coverage}: expected a share from 0 to 1")
        });
        let better_than = problems.others(&self.better_than);
        let operation: Option<Operation> = problems.some(self.operation.parse());
        let shape = self.shape.as_deref().map(str::parse).transpose();
        let shape: Option<Shape> = problems.value(shape.map_err(|p| format!("shape {p}")), None);
        let step = self.step.as_ref().map(StepWire::checked).transpose();
        let step = problems.value(step, None);
        let key = self
            .key
            .as_deref()
            .map_or(Ok(KeyedBy::default()), str::parse);
        let key = problems.value(key.map_err(|p| format!("key {p}")), KeyedBy::default());
        problems.fit(operation.as_ref(), shape.as_ref(), step);
        Some(Claim {
            style: self.style,
            operation: operation?,
            wait: self.wait,
            transfer: self.transfer,
            faithful: self.faithful,
            margin: self.margin,
            better_than,
            necessity_drop: self.necessity_drop,
            right_answers: self.right_answers,
            baseline_margin: self.baseline_margin,
            coverage,
            level,
            inference,
            limit,
            operands,
            results,
            shape,
            step,
            key,
        })
    }

    /// Checks the numbers that only a claim can have, none of which has a value for all claims.
    fn check_what_is_claimed(&self, problems: &mut Problems) {
        let inside = |share: f64| share > 0.0 && share < 1.0;
        let margin = (0.0..1.0).contains(&self.margin);
        problems.unless(margin && inside(self.faithful - self.margin), || {
            format!(
                "faithful {} with margin {}: expected a difference above 0 and below 1, because no sample can show 1",
                self.faithful, self.margin
            )
        });
        problems.unless(self.transfer > 0, || {
            "transfer 0: an AF1 that transfers nothing claims nothing".to_owned()
        });
        let shares = [
            ("necessity_drop", self.necessity_drop),
            ("baseline_margin", Some(self.baseline_margin)),
        ];
        for (name, share) in shares {
            problems.unless(share.is_none_or(inside), || {
                let share = share.unwrap_or_default();
                format!("{name} {share}: expected more than 0 and less than 1")
            });
        }
    }
}

/// All that is wrong with a file, or a claim of it, in words.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    /// A problem, unless something holds.
    fn unless(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.0.push(problem());
        }
    }

    /// A value that may be wrong.
    fn some<T>(&mut self, found: Result<T, String>) -> Option<T> {
        found.map_err(|problem| self.0.push(problem)).ok()
    }

    /// A value that may be wrong, and then another to go on with.
    fn value<T>(&mut self, found: Result<T, String>, otherwise: T) -> T {
        self.some(found).unwrap_or(otherwise)
    }

    /// The span of numbers of a field, if there is one.
    fn span(&mut self, field: &str, text: Option<&str>) -> Option<Span> {
        let found = text?.parse();
        self.some(found.map_err(|problem: String| format!("{field} {problem}")))
    }

    /// Whether there can be prompts of the shape, and such a step of their answers.
    fn fit(&mut self, operation: Option<&Operation>, shape: Option<&Shape>, step: Option<Step>) {
        self.unless(step != Some(Step::Stop), || {
            "step \"stop\": no claim can pass there, because the same tokens are right behind every answer; expected \"whole\" or \
             the number of a step"
                .to_owned()
        });
        let (Some(operation), Some(shape)) = (operation, shape) else {
            return;
        };
        let words = shape.words(&operation.to_string());
        self.unless(shape.fits(operation), || {
            format!(
                "shape {words}: expected as many operands as {operation} has, {}",
                operation.operands()
            )
        });
        if let Some(Step::At(step)) = step {
            self.unless(step < shape.answer, || {
                let answer = shape.answer;
                format!("step {step}: an answer of the shape {words} has {answer} tokens, so its steps are below {answer}")
            });
        }
    }

    /// The ablations that CAMA is claimed to be better than.
    fn others(&mut self, names: &[String]) -> Vec<&'static dyn Ablation> {
        let of = |name: &String| {
            let found = ablation::named(name).filter(|a| a.replaces() && a.name() != "cama");
            self.some(found.ok_or_else(|| {
                format!(
                    "better_than {name:?}: expected an ablation other than cama and identity, of {}",
                    ablation::names().join(", ")
                )
            }))
        };
        names.iter().filter_map(of).collect()
    }
}
