//! A gate asked of a model: its claims are checked against the model, measured as studies, and answered.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Claim, Gate, Undefined, all, answer, needs};
use crate::model::Model;
use crate::progress::say;
use crate::prompt::Shape;
use crate::record::{
    self, Answer, Gated, Journal, Judgement, Line, Measurement, Outcome, Provenance, Row,
};
use crate::runtime::Engine;
use crate::study::{
    Asked, AskedNumbers, BatchSize, Method, Request, Study, TemplatePrompts, values,
};
use crate::{Error, Result};

/// How a gate is run.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// The file to which every cell is appended as it is measured, and at last the answers; cells that it holds already are not measured
    /// again.
    pub record: Option<PathBuf>,
    /// Prompts in a batch.
    pub batch: BatchSize,
}

/// What a gate found.
pub struct Found {
    /// The name of the model.
    pub model: String,
    /// Under what the last claim was measured.
    pub provenance: Provenance,
    /// The answers, in the order of the claims.
    pub answers: Vec<Answer>,
    /// The lines of the record: each answer, then the measurements that it is of.
    pub lines: Vec<Line>,
    /// Why templates could not be evaluated.
    pub errors: Vec<Error>,
}

/// What was found about one claim.
struct Asking {
    answer: Answer,
    measured: Vec<Line>,
    /// Why its template could not be evaluated; the answer says so, too.
    error: Option<Error>,
}

/// A claim whose shape and step are known, with its prompts.
struct Ready {
    claim: Claim,
    sets: Vec<TemplatePrompts>,
}

impl Found {
    /// The outcome of all claims.
    pub fn outcome(&self) -> Outcome {
        all(self.answers.iter().map(|answer| answer.outcome))
    }

    /// The claims that have an outcome, as they are written in answers.
    pub fn with(&self, outcome: Outcome) -> impl Iterator<Item = &str> {
        let of = self.answers.iter().filter(move |a| a.outcome == outcome);
        of.map(|answer| answer.claim.as_str())
    }
}

impl Gate {
    /// Makes a model ready by `load`, measures what is claimed, and answers; `baseline` are the cells of earlier runs, which the model must
    /// not fall behind. All that is wrong with the claims about this model is said before any of them is measured.
    ///
    /// # Errors
    /// Nothing is claimed; what `load` fails with; claims that do not fit the model; what a study fails with; a record that cannot be
    /// written. What cannot be evaluated is no error here: see [`Found::errors`].
    pub fn run(
        &self,
        how: &How,
        baseline: Option<&[Measurement]>,
        load: impl FnOnce() -> Result<(Model, Engine)>,
    ) -> Result<Found> {
        let first = self.claims.first().ok_or_else(|| Error::Gate {
            path: self.path.clone(),
            reason: "it claims nothing: expected at least one claim".to_owned(),
        })?;
        // What a claim takes is known before anything is measured.
        for (i, claim) in self.claims.iter().enumerate() {
            for need in needs(claim, baseline.is_some()) {
                say!("claim {}: {}", i + 1, need.words);
            }
        }
        let request = Request {
            asked: Asked {
                // The prompts of every claim are made when it is known to fit the model.
                numbers: AskedNumbers {
                    shapes: vec![Shape::single(first.operation.operands())],
                    ..AskedNumbers::default()
                },
                ..self.asked(first)
            },
            method: self.method(first, how),
            record: how.record.clone(),
            ..Request::default()
        };
        let mut study = Study::open(request, load)?;
        let ready = self.check(how, &mut study)?;
        for (i, ready) in ready.iter().enumerate() {
            ready.say(i + 1, baseline.is_some());
        }
        let found = self.ask_all(how, study, ready, baseline)?;
        if let Some(record) = &how.record {
            Journal::open(record)?.append(&found.lines)?;
        }
        Ok(found)
    }

    /// The claims with their prompts, or all that is wrong with them about this model, before any of them is measured.
    fn check(&self, how: &How, study: &mut Study) -> Result<Vec<Ready>> {
        let (mut wrong, mut ready) = (Vec::new(), Vec::new());
        let layers = study.model.sizes.layers;
        for (i, claim) in self.claims.iter().enumerate() {
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
            study.ask_for(self.asked(claim), self.method(claim, how));
            let sets = study.prompts(template);
            let usage = sets.iter().find_map(|of| match &of.set {
                Err(error @ Error::Usage(_)) => Some(error.to_string()),
                _ => None,
            });
            wrong.extend(usage.map(|error| format!("claim {}: {error}", i + 1)));
            ready.push(Ready::of(claim, sets));
        }
        match wrong.is_empty() {
            true => Ok(ready),
            false => Err(Error::Gate {
                path: self.path.clone(),
                reason: wrong.join("; "),
            }),
        }
    }

    /// Measures and answers every claim.
    fn ask_all(
        &self,
        how: &How,
        mut study: Study,
        all: Vec<Ready>,
        baseline: Option<&[Measurement]>,
    ) -> Result<Found> {
        let baseline = baseline.map(with_whole);
        let (mut answers, mut lines, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for Ready { claim, sets } in all {
            study.ask_for(self.asked(&claim), self.method(&claim, how));
            study.sets = sets;
            let asking = ask(&mut study, &claim, baseline.as_deref())?;
            lines.push(Line::new(Row::Gate(Box::new(Gated {
                model: study.model.name.clone(),
                answer: asking.answer.clone(),
                provenance: study.provenance_of_first(),
            }))));
            lines.extend(asking.measured);
            answers.push(asking.answer);
            errors.extend(asking.error);
        }
        Ok(Found {
            provenance: study.provenance_of_first(),
            model: study.model.name,
            answers,
            lines,
            errors,
        })
    }

    /// The prompts that a claim is about.
    fn asked(&self, claim: &Claim) -> Asked {
        let styles: BTreeSet<&String> = self.claims.iter().map(|claim| &claim.style).collect();
        Asked {
            styles: self.styles.clone(),
            style: styles.into_iter().cloned().collect(),
            operands: claim.operands.clone(),
            results: claim.results.clone(),
            numbers: AskedNumbers {
                shapes: claim.shape.iter().cloned().collect(),
                steps: claim.steps(),
                keyed_by: claim.key,
            },
            seed: self.seed,
            ..Asked::default()
        }
    }

    /// How the prompts of a claim are measured and judged.
    fn method(&self, claim: &Claim, how: &How) -> Method {
        Method {
            estimator: self.estimator,
            claim: claim.share(),
            level: claim.level,
            inference: claim.inference,
            limit: claim.limit as usize,
            batch: how.batch,
            ..Method::default()
        }
    }
}

impl Ready {
    /// A claim with these prompts; where there are none it stays as the file has it.
    fn of(claim: &Claim, sets: Vec<TemplatePrompts>) -> Self {
        let mut shapes = sets
            .iter()
            .filter_map(|of| Some(&of.prompts()?.numbers.shape));
        let claim = match shapes.next() {
            Some(shape) => claim.clone().about(shape),
            None => claim.clone(),
        };
        Self { claim, sets }
    }

    /// Says how many prompts there are, and which conditions cannot pass with so few.
    fn say(&self, number: usize, has_baseline: bool) {
        let Some(set) = self.sets.iter().find_map(TemplatePrompts::prompts) else {
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

/// Measures what a claim is about and answers it. A template that cannot be evaluated is no answer.
fn ask(study: &mut Study, claim: &Claim, baseline: Option<&[Measurement]>) -> Result<Asking> {
    let swept = study.run(claim, |_| Ok(()))?;
    let cells = match claim.is_whole() {
        true => record::whole(&record::measured(&swept.lines)),
        false => record::measured(&swept.lines),
    };
    let undefined = swept.lines.iter().filter_map(|line| match &line.row {
        Row::Failed(failure) => Some(Undefined {
            ablation: failure.ablation.clone()?,
            reason: failure.error.clone(),
        }),
        _ => None,
    });
    let undefined: Vec<Undefined> = undefined.collect();
    let mut answer = answer(claim, &cells, &undefined, baseline);
    let error = swept.failures.into_iter().next();
    if let Some(error) = &error {
        answer.conditions = vec![Judgement {
            asked: "it can be evaluated".to_owned(),
            outcome: Outcome::Inconclusive,
            reason: error.to_string(),
        }];
        answer.outcome = Outcome::Inconclusive;
    }
    Ok(Asking {
        answer,
        measured: swept.lines,
        error,
    })
}
