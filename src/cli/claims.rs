//! `af1 claims`: what papers claim, tested on the models that are here.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::args::RuntimeArgs;
use super::experiment::{Experiment, On};
use super::output::{Named, check_files, deliver};
use super::screen::Screen;
use crate::claims::{self, Answer, Paper, PaperClaim, Rows, Test, Tested};
use crate::model::{Preset, Supply};
use crate::progress::say;
use crate::{Error, Result, interrupt, report};

#[derive(Args, Clone, Debug)]
pub struct Claims {
    /// Files of claims: TOML [default: those that come with the program]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Test these claims only
    #[arg(long, value_delimiter = ',', value_name = "ID,...")]
    claim: Vec<String>,
    /// Test them on these models only, also where a model has to be fetched from its hub [default: all that need not be]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    model: Vec<String>,
    /// Say what is claimed and how it would be tested, and measure nothing
    #[arg(long)]
    list: bool,
    /// Append cells to this file as they are measured; cells that it holds already are not measured again
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    #[command(flatten)]
    runtime: RuntimeArgs,
    /// How the answers are written
    #[arg(short, long, help_heading = "Output", value_enum, default_value_t)]
    format: Format,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    out: Option<PathBuf>,
    #[command(flatten)]
    screen: Screen,
}

/// How answers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Table,
    /// For pull requests and documents
    Markdown,
    /// For machines: a JSON object a test
    Json,
}

impl Claims {
    pub fn run(self) -> Result<()> {
        let files = self.files.iter();
        let read: Vec<Named<'_>> = files
            .map(|path| ("a file of claims", Some(&**path)))
            .collect();
        let written = [
            ("--out", self.out.as_deref()),
            ("--record", self.record.as_deref()),
        ];
        check_files(&read, &written)?;
        let papers = self.papers()?;
        // What several claims ask is measured once, also where nobody keeps it.
        let scratch = tempfile::tempdir().map_err(|e| Error::writing(&std::env::temp_dir(), e))?;
        let scratch = scratch.path().join("claims.jsonl");
        let record = self.record.as_ref().unwrap_or(&scratch);
        let asked: Vec<(&Paper, &PaperClaim)> = (papers.iter())
            .flat_map(|paper| paper.claims.iter().map(move |claim| (paper, claim)))
            .filter(|(_, claim)| self.claim.is_empty() || self.claim.contains(&claim.id))
            .collect();
        let mut answers = Vec::new();
        for (i, (paper, claim)) in asked.iter().enumerate() {
            if let Some(reason) = &claim.not_run {
                answers.push(Answer {
                    paper,
                    claim,
                    test: None,
                    tested: Tested::NotRun(reason.clone()),
                });
            }
            for test in &claim.tests {
                say!(
                    "claim {} of {}, {}",
                    i + 1,
                    asked.len(),
                    command(claim, test)
                );
                answers.push(Answer {
                    paper,
                    claim,
                    test: Some(test),
                    tested: self.tested(claim, test, record)?,
                });
            }
        }
        let text = match self.format {
            Format::Table => report::text(
                &report::claims(&answers),
                self.screen.look(self.out.as_deref()),
            ),
            Format::Markdown => report::markdown(&report::claims(&answers)),
            Format::Json => report::claim_lines(&answers),
        };
        deliver(self.out.as_deref(), &text)
    }

    /// The papers that are asked about, all of whose commands can be read, and which have the claims that are asked for.
    fn papers(&self) -> Result<Vec<Paper>> {
        let mut papers = Vec::new();
        for path in &self.files {
            let of_file = claims::read(path)?;
            check_commands(&of_file).map_err(|reason| Error::Claims {
                path: path.clone(),
                reason,
            })?;
            papers.extend(of_file);
        }
        if self.files.is_empty() {
            papers = claims::built_in();
        }
        let all = || papers.iter().flat_map(|paper| &paper.claims);
        let unknown = self
            .claim
            .iter()
            .find(|id| all().all(|claim| claim.id != **id));
        match unknown {
            None => Ok(papers),
            Some(id) => {
                let ids: Vec<&str> = all().map(|claim| &*claim.id).collect();
                let known = ids.join(", ");
                Err(Error::Usage(format!(
                    "--claim {id}: no such claim; expected {known}"
                )))
            }
        }
    }

    /// What comes of a test. That a model cannot be asked is an answer; that this run cannot go on is an error.
    fn tested(&self, claim: &PaperClaim, test: &Test, record: &Path) -> Result<Tested> {
        if self.list {
            return Ok(Tested::NotRun("--list: nothing is measured".to_owned()));
        }
        if let Some(reason) = self.left_out(&test.model) {
            return Ok(Tested::NotRun(reason));
        }
        let asked = asked(&test.command).map_err(Error::Usage)?;
        let swept = match asked.measured(On {
            model: &test.model,
            runtime: &self.runtime,
            record,
            shard: None,
        }) {
            Err(error @ (Error::Interrupted | Error::Write { .. } | Error::Record { .. })) => {
                return Err(error);
            }
            Err(error) => return Ok(Tested::NotRun(error.to_string())),
            Ok(swept) => swept,
        };
        interrupt::interrupted()?;
        if let Some(failure) = swept.failures.first() {
            return Ok(Tested::NotRun(failure.to_string()));
        }
        let rows = Rows::of(&swept.lines);
        let mut findings = Vec::new();
        for expected in &test.expect {
            match expected.judge(&rows, claim.base_accuracy) {
                Ok(found) => findings.extend(found),
                Err(reason) => return Ok(Tested::NotRun(reason)),
            }
        }
        Ok(Tested::Run(findings))
    }

    /// Why a model is not asked.
    fn left_out(&self, model: &str) -> Option<String> {
        if !self.model.is_empty() {
            let asked = self.model.iter().any(|asked| asked == model);
            return (!asked).then(|| "--model leaves it out".to_owned());
        }
        match Preset::named(model).map(|preset| &preset.supply) {
            Some(Supply::File(_) | Supply::Planted(_)) => None,
            _ => Some(format!(
                "the model would have to be fetched from its hub: --model {model} does"
            )),
        }
    }
}

/// Whether every command can be read; all that is wrong, if not.
fn check_commands(papers: &[Paper]) -> Result<(), String> {
    let mut problems = Vec::new();
    for claim in papers.iter().flat_map(|paper| &paper.claims) {
        for Test { command, .. } in &claim.tests {
            if let Err(problem) = asked(command) {
                let first = problem.lines().next().unwrap_or_default();
                problems.push(format!("claim {:?}: {command:?}: {first}", claim.id));
            }
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(problems.join("; ")),
    }
}

/// The experiment of a test's command.
fn asked(command: &str) -> Result<Experiment, String> {
    Experiment::asked(command.split_whitespace(), "a claim")
}

/// The command that asks a claim of a model.
fn command(claim: &PaperClaim, test: &Test) -> String {
    format!("{}: af1 {} --model {}", claim.id, test.command, test.model)
}
