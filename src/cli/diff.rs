//! `af1 diff`: the two ways of running AF1, beside each other on a model's prompts.

use clap::Args;

use super::lab::Common;
use super::output::deliver;
use crate::experiment::options::{AblationArgs, Subgraph};
use crate::experiment::subgraphs;
use crate::intervene::Ablation;
use crate::measure::{Request, Way, apart, preflight, prepare, same_up_to};
use crate::prompt::PromptSet;
use crate::report::Beside;
use crate::study::Study;
use crate::{Error, Result, report};

#[derive(Args, Clone, Debug)]
pub struct Diff {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    ablations: AblationArgs,
    #[command(flatten)]
    subgraph: Subgraph,
}

impl Diff {
    pub fn run(self) -> Result<()> {
        for (name, given) in [
            ("--record", self.common.record.record.is_some()),
            ("--answers", self.common.record.answers.is_some()),
            ("--shard", self.common.record.shard.is_some()),
            ("--masked", self.common.intervention.masked),
        ] {
            if given {
                let reason = format!("{name}: af1 diff runs both ways, and records nothing");
                return Err(Error::Usage(reason));
            }
        }
        let other = |ablation: &&&'static dyn Ablation| ablation.needs_operations();
        if let Some(ablation) = self.ablations.chosen().iter().find(other) {
            let reason = format!(
                "--ablation {}: it takes the means of other operations, which af1 diff does not make",
                ablation.name()
            );
            return Err(Error::Usage(reason));
        }
        let (format, out) = (self.common.output.format, self.common.output.out.clone());
        let mut study = self.common.clone().open()?.study;
        if !study.engine.takes_keys_values() {
            return Err(Error::Usage(format!(
                "{}: its graph names no keys and values, so that it runs by masks only: there are no two ways to compare",
                study.model.name
            )));
        }
        let mut rows = Vec::new();
        let provenance = study.provenance_of_first();
        for of in std::mem::take(&mut study.sets) {
            self.template(&mut study, of.set?, &mut rows)?;
        }
        let text = match format {
            super::args::Format::Table => {
                let document = report::diff(&study.model.name, &rows);
                report::text(&document, self.common.output.look())
            }
            super::args::Format::Json => report::diff_lines(&study.model.name, &rows, &provenance),
        };
        deliver(out.as_deref(), &text)?;
        match rows.iter().find(|row| !row.same()) {
            None => Ok(()),
            Some(row) => Err(Error::Differs {
                reason: row.to_string(),
            }),
        }
    }

    fn template(&self, study: &mut Study, set: PromptSet, rows: &mut Vec<Beside>) -> Result<()> {
        let (waits, transfers) = self.subgraph.resolve(&study.model)?;
        let plans = subgraphs(&waits, &transfers);
        let (method, seed) = (study.request().method, study.request().asked.seed);
        let ablations = self.ablations.chosen();
        let mut request = Request {
            estimator: method.estimator,
            limit: method.most(),
            seed,
            batch: study.batch,
            ..Request::new(&plans, &ablations)
        };
        let tolerance = same_up_to(study.engine.precision());
        preflight(&mut study.engine, &study.model, &set, &request)?;
        let engine = &mut study.engine;
        let mut compiled = prepare(engine, set.clone(), &request, &waits)?;
        request.way = Way::Masked;
        let mut masked = prepare(engine, set, &request, &waits)?;
        for &ablation in request.ablations {
            for plan in &plans {
                let one = std::slice::from_ref(plan);
                let [found, expected] = [&mut compiled, &mut masked].map(|evaluation| {
                    let logits = evaluation.logits(engine, one, ablation);
                    let logits = logits.map(|mut logits| logits.swap_remove(0));
                    logits.and_then(|logits| {
                        let cells = evaluation.sweep(engine, one, &[ablation])?;
                        let right = evaluation.correct(&cells[0]).collect();
                        Ok::<(_, Vec<bool>), Error>((logits, right))
                    })
                });
                let ((found, right), (expected, right_masked)) = (found?, expected?);
                rows.push(Beside {
                    style: compiled.set.template.style.clone(),
                    operation: compiled.set.template.operation.to_string(),
                    numbers: compiled.set.numbers.clone(),
                    ablation: ablation.name().to_owned(),
                    wait: plan.wait,
                    transfer: plan.tail.transfer().unwrap_or(0),
                    prompts: right.len(),
                    correct: right.iter().filter(|right| **right).count(),
                    correct_masked: right_masked.iter().filter(|right| **right).count(),
                    other_answers: right
                        .iter()
                        .zip(&right_masked)
                        .filter(|(a, b)| a != b)
                        .count(),
                    logits_apart: apart(&found, &expected),
                    tolerance,
                    first: compiled.first_difference(engine, plan, ablation, tolerance)?,
                });
            }
        }
        Ok(())
    }
}
