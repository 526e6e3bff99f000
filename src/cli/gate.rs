//! `af1 gate`: claims about a model, tested; the exit code is the answer.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::args::{Format, ModelArgs, OutputArgs};
use super::output::{Named, check_files, deliver, show};
use crate::file::write_atomically;
use crate::gate::{self, Answer, Judgement, Undefined, needs};
use crate::progress::say;
use crate::prompt::{PromptSet, Shape, Template};
use crate::record::{self, Journal, Line, Measurement, Outcome, Row, file_text};
use crate::study::{Asked, AskedNumbers, BatchSize, Method, Request, Study, values};
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
            Err(error) if !matches!(error, Error::Gated { .. } | Error::Interrupted) => {
                self.say_error(&error.to_string(), true)?;
                Err(error)
            }
            result => result,
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
        // What a claim takes is known before anything is measured.
        for (i, claim) in gate.claims.iter().enumerate() {
            for need in needs(claim, baseline.is_some()) {
                say!("claim {}: {}", i + 1, need.words);
            }
        }
        let request = Request {
            asked: Asked {
                // The prompts of every claim are made when it is known to fit the model.
                numbers: single(&gate.claims[0]),
                ..self.asked(gate, &gate.claims[0])
            },
            method: self.method(gate, &gate.claims[0]),
            record: self.record.clone(),
            ..Request::default()
        };
        let mut study = Study::open(request, || self.model.engine())?;
        let ready = self.check(gate, &mut study)?;
        for (i, ready) in ready.iter().enumerate() {
            ready.say(i + 1, baseline.is_some());
        }
        let found = self.ask_all(&mut study, gate, ready, baseline)?;
        if let Some(record) = &self.record {
            Journal::open(record)?.append(&found.lines)?;
        }
        let outcome = gate::all(found.answers.iter().map(|answer| answer.outcome));
        self.show(&study, outcome, &found.lines)?;
        // What could not be evaluated is an error of its own; the answers were delivered all the same.
        if let Some(error) = found.errors.into_iter().next() {
            return Err(error);
        }
        exit_by(outcome, &found.answers)
    }

    /// The claims with their prompts, or all that is wrong with them about this model, before any of them is measured.
    fn check(&self, gate: &gate::Gate, study: &mut Study) -> Result<Vec<Ready>> {
        let (mut wrong, mut ready) = (Vec::new(), Vec::new());
        let layers = study.model.sizes.layers;
        for (i, claim) in gate.claims.iter().enumerate() {
            if !claim.af1().fits(layers) {
                wrong.push(format!(
                    "claim {}: wait {} and transfer {}, but the model has {layers} layers",
                    i + 1,
                    claim.wait,
                    claim.transfer
                ));
            }
            let template = match study.template_of(&claim.style, &claim.operation) {
                Ok(template) => template,
                Err(error) => {
                    wrong.push(format!("claim {}: {error}", i + 1));
                    continue;
                }
            };
            study.ask_for(self.asked(gate, claim), self.method(gate, claim));
            let sets = study.prompts(template);
            let usage = sets.iter().find_map(|(_, set)| match set {
                Err(error @ Error::Usage(_)) => Some(error.to_string()),
                _ => None,
            });
            wrong.extend(usage.map(|error| format!("claim {}: {error}", i + 1)));
            ready.push(Ready::of(claim, sets));
        }
        match wrong.is_empty() {
            true => Ok(ready),
            false => Err(Error::Gate {
                path: self.config.clone(),
                reason: wrong.join("; "),
            }),
        }
    }

    /// Measures and answers every claim.
    fn ask_all(
        &self,
        study: &mut Study,
        gate: &gate::Gate,
        all: Vec<Ready>,
        baseline: Option<&[Measurement]>,
    ) -> Result<Found> {
        let baseline = baseline.map(with_whole);
        let mut found = Found::default();
        for Ready { claim, sets } in all {
            study.ask_for(self.asked(gate, &claim), self.method(gate, &claim));
            study.sets = sets;
            let (answer, measured, error) = ask(study, &claim, baseline.as_deref())?;
            found.lines.push(report::gate_line(
                &study.model.name,
                &answer,
                &study.provenance_of_first(),
            ));
            found.lines.extend(measured);
            found.answers.push(answer);
            found.errors.extend(error);
        }
        Ok(found)
    }

    /// Delivers the answers in every way that was asked for.
    fn show(&self, study: &Study, outcome: Outcome, lines: &[Line]) -> Result<()> {
        let document = report::gate(
            &study.model.name,
            &study.provenance_of_first(),
            outcome,
            lines,
        );
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

    /// The prompts that a claim is about.
    fn asked(&self, gate: &gate::Gate, claim: &gate::Claim) -> Asked {
        let mut styles: Vec<String> = gate
            .claims
            .iter()
            .map(|claim| claim.style.clone())
            .collect();
        styles.sort();
        styles.dedup();
        Asked {
            styles: gate.styles.clone(),
            style: styles,
            operands: claim.operands.clone(),
            results: claim.results.clone(),
            numbers: AskedNumbers {
                shapes: claim.shape.iter().cloned().collect(),
                steps: claim.steps(),
                keyed_by: claim.key,
            },
            seed: gate.seed,
            ..Asked::default()
        }
    }

    /// How these are measured and judged.
    fn method(&self, gate: &gate::Gate, claim: &gate::Claim) -> Method {
        Method {
            estimator: gate.estimator,
            claim: claim.share(),
            level: claim.level,
            inference: claim.inference,
            limit: claim.limit as usize,
            batch: self.batch,
            ..Method::default()
        }
    }
}

/// Numbers of one token each.
fn single(claim: &gate::Claim) -> AskedNumbers {
    AskedNumbers {
        shapes: vec![Shape::single(claim.operation.operands())],
        ..AskedNumbers::default()
    }
}

/// A claim whose shape and step are known, with its prompts.
struct Ready {
    claim: gate::Claim,
    sets: Vec<(Template, Result<PromptSet>)>,
}

impl Ready {
    /// A claim with these prompts; where there are none it stays as the file has it.
    fn of(claim: &gate::Claim, sets: Vec<(Template, Result<PromptSet>)>) -> Self {
        let mut shapes = sets
            .iter()
            .filter_map(|(_, set)| Some(&set.as_ref().ok()?.numbers.shape));
        let claim = match shapes.next() {
            Some(shape) => claim.clone().about(shape),
            None => claim.clone(),
        };
        Self { claim, sets }
    }

    /// Says how many prompts there are, and which conditions cannot pass with so few.
    fn say(&self, number: usize, has_baseline: bool) {
        let Some(set) = self.sets.iter().find_map(|(_, set)| set.as_ref().ok()) else {
            return;
        };
        let asked = set.asked().len();
        let evaluated = asked.min(self.claim.limit as usize);
        let values = values(set);
        say!(
            "claim {number}: {} has {asked} prompts, of which {evaluated} are evaluated at most",
            self.claim.question()
        );
        for need in needs(&self.claim, has_baseline) {
            if !need.is_met(evaluated, values) {
                say!(
                    "WARNING: claim {number} cannot pass: {}; there are {evaluated} prompts with {values} values of an operand",
                    need.words
                );
            }
        }
    }
}

/// The cells of earlier runs, and the whole answers that follow from those of each sweep.
fn with_whole(cells: &[Measurement]) -> Vec<Measurement> {
    let mut all = cells.to_vec();
    let sweeps: BTreeSet<&str> = cells.iter().map(|m| &*m.place.sweep).collect();
    for sweep in sweeps {
        let of_sweep = cells.iter().filter(|m| m.place.sweep == sweep);
        all.extend(record::whole(&of_sweep.cloned().collect::<Vec<_>>()));
    }
    all
}

/// What was found about all claims.
#[derive(Default)]
struct Found {
    answers: Vec<Answer>,
    /// The lines of the record: each answer, then the measurements that it is of.
    lines: Vec<Line>,
    /// Why templates could not be evaluated.
    errors: Vec<Error>,
}

/// The exit code of an outcome; where it is no pass the error names the claims that it is of.
fn exit_by(outcome: Outcome, answers: &[Answer]) -> Result<()> {
    let gated = |name: &'static str| {
        let of = answers.iter().filter(|answer| answer.outcome == outcome);
        let claims: Vec<&str> = of.map(|answer| answer.claim.as_str()).collect();
        Err(Error::Gated {
            outcome: name,
            reason: claims.join("; "),
        })
    };
    match outcome {
        Outcome::Pass => Ok(()),
        Outcome::Fail => gated("fail"),
        Outcome::Inconclusive => gated("inconclusive"),
    }
}

/// Measures what a claim is about and answers it; the measurements. A template that cannot be evaluated is no answer, and why.
fn ask(
    study: &mut Study,
    claim: &gate::Claim,
    baseline: Option<&[Measurement]>,
) -> Result<(Answer, Vec<Line>, Option<Error>)> {
    let swept = study.run(claim, |_| Ok(()))?;
    let (lines, failures) = (swept.lines, swept.failures);
    let cells = match claim.is_whole() {
        true => record::whole(&record::measured(&lines)),
        false => record::measured(&lines),
    };
    let undefined = lines.iter().filter_map(|line| match &line.row {
        Row::Failed(failure) => Some(Undefined {
            ablation: failure.ablation.clone()?,
            reason: failure.error.clone(),
        }),
        _ => None,
    });
    let undefined: Vec<Undefined> = undefined.collect();
    let mut answer = gate::answer(claim, &cells, &undefined, baseline);
    let error = failures.into_iter().next();
    if let Some(error) = &error {
        answer.conditions = vec![Judgement {
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
