//! `af1 gate`: claims about a model, tested; the exit code is the answer.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::args::{
    BatchSize, Format, InterventionArgs, ModelArgs, OutputArgs, PromptArgs, Span, defaults,
};
use super::lab::{Common, Lab, RecordArgs, Sweep, Unit, joined};
use super::output::{deliver, print};
use crate::experiment::{Experiment, Part};
use crate::file::{check_writable, write_atomically};
use crate::gate::{self, Answer, Condition};
use crate::intervene::ablation;
use crate::record::{self, Journal, Line, Measurement, Outcome, Row};
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
            false => Some(record::measured(&record::merge(&self.baseline)?)),
        };
        // A file of an earlier gate must not be taken for the answer of this one.
        self.say_error("it was stopped before it had an answer", false)?;
        match self.answered(&gate, baseline.as_deref()) {
            Err(error) if !matches!(error, Error::Gated { .. } | Error::Interrupted) => {
                self.say_error(&error.to_string(), true)?;
                Err(error)
            }
            result => result,
        }
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
        // What a claim takes is known before anything is measured.
        for (i, claim) in gate.claims.iter().enumerate() {
            for needs in claim.needs(baseline.is_some()) {
                eprintln!("claim {}: {needs}", i + 1);
            }
        }
        let mut lab = Lab::open(self.common(gate, &gate.claims[0])?)?;
        // All that is wrong with the claims, before any of them is measured.
        let mut wrong = Vec::new();
        let layers = lab.model.sizes.layers;
        for (i, claim) in gate.claims.iter().enumerate() {
            if let Err(error) = lab.template_of(&claim.style, &claim.operation) {
                wrong.push(format!("claim {}: {error}", i + 1));
            }
            if !claim.af1().fits(layers) {
                wrong.push(format!(
                    "claim {}: wait {} and transfer {}, but the model has {layers} layers",
                    i + 1,
                    claim.wait,
                    claim.transfer
                ));
            }
        }
        if !wrong.is_empty() {
            return Err(Error::Gate {
                path: self.config.clone(),
                reason: wrong.join("; "),
            });
        }
        let (mut answers, mut errors, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        for claim in &gate.claims {
            let common = self.common(gate, claim)?;
            lab.ask_for(common.prompts, common.intervention);
            let (answer, measured, error) = ask(&mut lab, claim, baseline)?;
            lines.push(report::gate_line(&lab.model.name, &answer, &lab.provenance));
            lines.extend(measured);
            answers.push(answer);
            errors.extend(error);
        }
        if let Some(record) = &self.record {
            Journal::open(record)?.append(&lines)?;
        }
        let outcome = gate::all(answers.iter().map(|answer| answer.outcome));
        let document = report::gate(&lab.model.name, &lab.provenance, outcome, &lines);
        let text = match self.output.format {
            Format::Table => report::text(&document),
            Format::Json => joined(&lines),
        };
        match &self.output.out {
            Some(out) => deliver(Some(out), &text)?,
            None => print(&text)?,
        }
        if let Some(junit) = &self.junit {
            write_atomically(junit, report::junit(&lines).as_bytes())?;
        }
        if let Some(summary) = &self.summary {
            let text = report::markdown(&document);
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

    /// The arguments of an experiment on what a claim of the gate asks for.
    fn common(&self, gate: &gate::Gate, claim: &gate::Claim) -> Result<Common> {
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
                operands: span(&claim.operands)?,
                results: span(&claim.results)?,
                seed: gate.seed,
                ..defaults()
            },
            intervention: InterventionArgs {
                estimator: gate.estimator.into(),
                claim: claim.share(),
                level: claim.level,
                inference: claim.inference.into(),
                limit: claim.limit,
                batch: BatchSize::Prompts(self.batch as usize),
                masked: false,
            },
            record: RecordArgs {
                record: self.record.clone(),
                shard: None,
            },
            output: self.output.clone(),
        })
    }
}

/// Measures what a claim is about and answers it; the measurements. A template that cannot be evaluated is no answer, and why.
fn ask(
    lab: &mut Lab,
    claim: &gate::Claim,
    baseline: Option<&[Measurement]>,
) -> Result<(Answer, Vec<Line>, Option<Error>)> {
    let template = lab.template_of(&claim.style, &claim.operation)?;
    lab.sets = vec![lab.prompts(template)];
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
    let cells = record::measured(&lines);
    let undefined = lines.iter().filter_map(|line| match &line.row {
        Row::Failed(failure) => Some((failure.ablation.clone()?, failure.error.clone())),
        _ => None,
    });
    let undefined: Vec<(String, String)> = undefined.collect();
    let mut answer = gate::answer(claim, &cells, &undefined, baseline);
    let error = failures.into_iter().next();
    if let Some(error) = &error {
        answer.conditions = vec![Condition {
            asked: "it can be evaluated".to_owned(),
            outcome: Outcome::Inconclusive,
            reason: error.to_string(),
        }];
        answer.outcome = Outcome::Inconclusive;
    }
    Ok((answer, lines, error))
}

fn append(path: &Path, text: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| Error::writing(path, e))
}
