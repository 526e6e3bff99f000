//! `af1 gate`: claims about a model, tested; the exit code is the answer.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::args::{Format, ModelArgs, OutputArgs};
use super::output::{Named, check_files, deliver, show};
use crate::file::write_atomically;
use crate::gate::{self, Found, How};
use crate::record::{self, Measurement, Outcome, file_text};
use crate::study::BatchSize;
use crate::{Error, Result, report};

#[derive(Args, Clone, Debug)]
pub struct Gate {
    #[command(flatten)]
    model: ModelArgs,
    /// What is claimed: a TOML file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Records of an earlier run, which the model must not fall behind
    #[arg(long, value_name = "FILE")]
    baseline: Vec<PathBuf>,
    /// Append every cell to this file as it is measured; cells that it holds already are not measured again
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Write JUnit XML to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Append a Markdown summary to this file
    #[arg(long, value_name = "FILE", env = "GITHUB_STEP_SUMMARY", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    summary: Option<PathBuf>,
    /// Prompts in a batch, or `auto`: 64 on the processor, up to 1024 elsewhere, and no more than a gigabyte of activations has room for
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    batch: BatchSize,
    #[command(flatten)]
    output: OutputArgs,
}

impl Gate {
    pub fn run(mut self) -> Result<()> {
        // A variable that is set to nothing says that there is no summary.
        self.summary.take_if(|file| file.as_os_str().is_empty());
        let baseline = self
            .baseline
            .iter()
            .map(|file| ("--baseline", Some(&**file)));
        let read: Vec<Named<'_>> = std::iter::once(("--config", Some(&*self.config)))
            .chain(baseline)
            .collect();
        check_files(
            &read,
            &[
                ("--out", self.output.out.as_deref()),
                ("--record", self.record.as_deref()),
                ("--junit", self.junit.as_deref()),
                ("--summary", self.summary.as_deref()),
            ],
        )?;
        // A file of an earlier gate must not be taken for the answer of this one.
        self.say_error("it was stopped before it had an answer", false)?;
        match self.asked_and_answered() {
            // An answer was said already.
            Err(
                error @ (Error::GateFailed(_) | Error::GateInconclusive(_) | Error::Interrupted),
            ) => Err(error),
            Err(error) => {
                self.say_error(&error.to_string(), true)?;
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    /// Reads what is claimed, and what must not be fallen behind; then measures and answers.
    fn asked_and_answered(&self) -> Result<()> {
        let gate = gate::Gate::read(&self.config)?;
        let baseline = match self.baseline.is_empty() {
            true => None,
            false => Some(record::measured(&record::merge(&self.baseline)?)),
        };
        self.answered(&gate, baseline.as_deref())
    }

    /// Writes that there is no answer, and why: as JUnit XML, and into the summary, too, if it is the last word.
    fn say_error(&self, reason: &str, last: bool) -> Result<()> {
        if let Some(junit) = &self.junit {
            let text = report::gate_error(self.model.name(), reason);
            write_atomically(junit, text.as_bytes())?;
        }
        match &self.summary {
            Some(summary) if last => {
                let text = report::markdown(&report::no_answer(reason));
                append(summary, &format!("## af1 gate\n\n{text}\n"))
            }
            _ => Ok(()),
        }
    }

    /// Measures, answers and shows it; the error is the answer, if it is not a pass.
    fn answered(&self, gate: &gate::Gate, baseline: Option<&[Measurement]>) -> Result<()> {
        let how = How {
            record: self.record.clone(),
            batch: self.batch,
        };
        let found = gate.run(&how, baseline, || self.model.engine())?;
        self.show(&found)?;
        let outcome = found.outcome();
        let claims = found.with(outcome).collect::<Vec<_>>().join("; ");
        // What could not be evaluated is an error of its own; the answers were delivered all the same.
        if let Some(error) = found.errors.into_iter().next() {
            return Err(error);
        }
        match outcome {
            Outcome::Pass => Ok(()),
            Outcome::Fail => Err(Error::GateFailed(claims)),
            Outcome::Inconclusive => Err(Error::GateInconclusive(claims)),
        }
    }

    /// Delivers the answers in every way that was asked for.
    fn show(&self, found: &Found) -> Result<()> {
        let lines = &found.lines;
        let document = report::gate(&found.model, &found.provenance, found.outcome(), lines);
        let text = match self.output.format {
            Format::Table => report::text(&document, self.output.look()),
            Format::Json => file_text(lines),
        };
        match &self.output.out {
            Some(out) => deliver(Some(out), &text)?,
            None => show(&text)?,
        }
        if let Some(junit) = &self.junit {
            write_atomically(junit, report::junit(lines).as_bytes())?;
        }
        if let Some(summary) = &self.summary {
            let text = report::markdown(&document);
            append(summary, &format!("## af1 gate\n\n{text}\n"))?;
        }
        Ok(())
    }
}

fn append(path: &Path, text: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| Error::writing(path, e))
}
