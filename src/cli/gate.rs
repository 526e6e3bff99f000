//! `af1 gate`: claims about a model, tested; the exit code is the answer.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::args::{Format, InterventionArgs, ModelArgs, OutputArgs, PromptArgs, Span, defaults};
use super::lab::{Common, Lab, RecordArgs, Sweep, Unit};
use super::output::{deliver, print};
use crate::experiment::{Experiment, Part};
use crate::file::{check_writable, write_atomically};
use crate::gate::{self, Answer, Condition};
use crate::intervene::ablation;
use crate::record::{self, Line, Measurement, Outcome, Row};
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
    #[arg(long, value_name = "FILE", env = "GITHUB_STEP_SUMMARY")]
    summary: Option<PathBuf>,
    /// Prompts in a batch
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch: u32,
    #[command(flatten)]
    output: OutputArgs,
}

impl Gate {
    pub fn run(self) -> Result<()> {
        let gate = gate::Gate::read(&self.config)?;
        for file in self
            .output
            .out
            .iter()
            .chain(&self.junit)
            .chain(&self.summary)
        {
            check_writable(file)?;
        }
        let baseline = match self.baseline.is_empty() {
            true => None,
            false => Some(measured(&record::merge(&self.baseline)?)),
        };
        let mut lab = Lab::open(self.common(&gate)?)?;
        let (mut answers, mut errors) = (Vec::new(), Vec::new());
        for claim in &gate.claims {
            let (answer, error) = ask(&mut lab, claim, gate.level, baseline.as_deref())?;
            answers.push(answer);
            errors.extend(error);
        }
        let outcome = gate::all(answers.iter().map(|answer| answer.outcome));
        let heading = report::gate_heading(&lab.model.name, &lab.provenance, outcome);
        let text = match self.output.format {
            Format::Table => heading.clone() + &report::gate(&answers),
            Format::Json => report::gate_lines(&lab.model.name, &answers),
        };
        match &self.output.out {
            Some(out) => deliver(Some(out), &text)?,
            None => print(&text)?,
        }
        if let Some(junit) = &self.junit {
            write_atomically(
                junit,
                report::gate_junit(&lab.model.name, &answers).as_bytes(),
            )?;
        }
        if let Some(summary) = &self.summary {
            let text = report::markdown(&(heading + &report::gate(&answers)));
            append(summary, &format!("## af1 gate\n\n{text}\n"))?;
        }
        // What could not be evaluated is an error of its own; the answers were delivered all the same.
        if let Some(error) = errors.into_iter().next() {
            return Err(error);
        }
        let named = |wanted: Outcome| {
            let of = answers
                .iter()
                .filter(move |answer| answer.outcome == wanted);
            of.map(|answer| answer.claim.as_str())
                .collect::<Vec<_>>()
                .join("; ")
        };
        match outcome {
            Outcome::Pass => Ok(()),
            Outcome::Fail => Err(Error::Gated {
                outcome: "fail",
                reason: named(Outcome::Fail),
            }),
            Outcome::Inconclusive => Err(Error::Gated {
                outcome: "inconclusive",
                reason: named(Outcome::Inconclusive),
            }),
        }
    }

    /// The arguments of an experiment on what the gate asks for.
    fn common(&self, gate: &gate::Gate) -> Result<Common> {
        let span = |text: &Option<String>| -> Result<Option<Span>> {
            let parsed = text.as_deref().map(str::parse).transpose();
            parsed.map_err(|reason| Error::Gate {
                path: self.config.clone(),
                reason,
            })
        };
        let mut styles: Vec<String> = gate
            .claims
            .iter()
            .map(|claim| claim.style.clone())
            .collect();
        styles.sort();
        styles.dedup();
        Ok(Common {
            model: self.model.clone(),
            prompts: PromptArgs {
                styles: gate.styles.clone(),
                style: styles,
                operands: span(&gate.operands)?,
                results: span(&gate.results)?,
                seed: gate.seed,
                ..defaults()
            },
            intervention: InterventionArgs {
                estimator: gate.estimator.into(),
                limit: gate.limit,
                batch: self.batch,
                masked: false,
                ..defaults()
            },
            record: RecordArgs {
                record: self.record.clone(),
                shard: None,
            },
            output: self.output.clone(),
        })
    }
}

/// Measures what a claim is about and answers it. A template that cannot be evaluated is no answer, and why.
fn ask(
    lab: &mut Lab,
    claim: &gate::Claim,
    level: f64,
    baseline: Option<&[Measurement]>,
) -> Result<(Answer, Option<Error>)> {
    let template = lab.template_of(&claim.style, &claim.operation)?;
    lab.sets = vec![lab.prompts(template)];
    let layers = lab.model.spec.layers;
    if !claim.af1().fits(layers) {
        return Err(Error::Usage(format!(
            "{} {}: wait {} and transfer {}, but the model has {layers} layers",
            claim.style, claim.operation, claim.wait, claim.transfer
        )));
    }
    let cama = ablation::named("cama").expect("it is built in");
    let nothing = ablation::named("identity").expect("it is built in");
    let mut ablations = vec![cama];
    ablations.extend(&claim.better_than);
    let mut units = vec![Unit::Plans(vec![claim.af1()], ablations)];
    if claim.necessity_drop.is_some() {
        units.push(Unit::Plans(vec![claim.knockout()], vec![nothing]));
    }
    let sweep = Sweep {
        experiment: Experiment::Af1,
        units,
        part: Part::All,
    };
    let (lines, failures) = lab.measure(&sweep, |_| Ok(()))?;
    let cells = measured(&lines);
    let mut answer = gate::answer(claim, level, &cells, baseline);
    let error = failures.into_iter().next();
    if let Some(error) = &error {
        answer.conditions = vec![Condition {
            asked: "it can be evaluated".to_owned(),
            outcome: Outcome::Inconclusive,
            reason: error.to_string(),
        }];
    }
    Ok((answer, error))
}

fn measured(lines: &[Line]) -> Vec<Measurement> {
    let cells = lines.iter().filter_map(|line| match &line.row {
        Row::Measured(m) => Some((**m).clone()),
        _ => None,
    });
    cells.collect()
}

fn append(path: &Path, text: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| Error::writing(path, e))
}
