//! The second pass over a template: what the model answers under plans.

use std::ops::Range;

use ndarray::{Array2, Array3, Axis};

use super::cell::Cell;
use super::compiled;
use super::evaluation::{Evaluation, prepare};
use super::forward::{first_broken, not_finite, run_plans};
use super::memory::in_batches_that_fit;
use super::request::{Request, Way, boundaries};
use super::scores::{Logits, References, Seen, all_finite, scores};
use super::shared;
use crate::interrupt::interrupted;
use crate::intervene::ablation::Ablation;
use crate::intervene::{Cut, Plan};
use crate::prompt::PromptSet;
use crate::runtime::{Engine, Tensor};
use crate::{Result, progress};

/// The evaluated prompts that run together.
struct Batch<'a> {
    /// The right answers of each.
    answers: Vec<&'a [u32]>,
    /// What the unmodified model says to each.
    references: &'a References,
}

/// What the unmodified model says is kept from one sweep to the next up to this size; above, it is computed again.
const REFERENCE_BYTES: usize = 1 << 28;

/// A template and the answers under plans.
pub struct Evaluated {
    /// The template.
    pub evaluation: Evaluation,
    /// The answers, plan by plan in the order of the request, ablation by ablation.
    pub cells: Vec<Cell>,
}

/// Evaluates the plans of a request on a template.
///
/// # Errors
/// No prompt with a mean; the runtime's reason; NaN or infinity; an interrupt.
pub fn evaluate(engine: &mut Engine, set: PromptSet, request: &Request<'_>) -> Result<Evaluated> {
    let mut evaluation = prepare(engine, set, request, &boundaries(request.plans))?;
    let cells = evaluation.sweep(engine, request.plans, request.ablations)?;
    Ok(Evaluated { evaluation, cells })
}

impl Evaluation {
    /// The second pass: the answers under some plans, at boundaries that were prepared, with some ablations; plan by plan, ablation by
    /// ablation.
    ///
    /// # Errors
    /// The runtime's reason; NaN or infinity; an interrupt.
    ///
    /// # Panics
    /// For a plan at a boundary that was not prepared.
    pub fn sweep(
        &mut self,
        engine: &mut Engine,
        plans: &[Plan],
        ablations: &[&'static dyn Ablation],
    ) -> Result<Vec<Cell>> {
        in_batches_that_fit(self.batch, self.evaluated.len(), |batch| {
            self.take(batch);
            self.sweep_in_batches(engine, plans, ablations)
        })
    }

    fn sweep_in_batches(
        &mut self,
        engine: &mut Engine,
        plans: &[Plan],
        ablations: &[&'static dyn Ablation],
    ) -> Result<Vec<Cell>> {
        let new = |plan: &Plan, &ablation: &&'static dyn Ablation| Cell {
            ablation,
            plan: plan.clone(),
            predicted: Vec::with_capacity(self.evaluated.len()),
            logit_difference: Vec::with_capacity(self.evaluated.len()),
            kl: Vec::with_capacity(self.evaluated.len()),
            rank: Vec::with_capacity(self.evaluated.len()),
        };
        let mut cells: Vec<Cell> = (plans.iter())
            .flat_map(|plan| ablations.iter().map(move |ablation| new(plan, ablation)))
            .collect();
        self.run(engine, plans, ablations, |engine, cell, batch, logits| {
            let cell = &mut cells[cell];
            let Some(scores) = scores(engine, logits, &batch.answers, batch.references)? else {
                return Ok(Seen::NotFinite);
            };
            for score in scores {
                cell.predicted.push(score.predicted);
                cell.logit_difference.push(score.logit_difference);
                cell.rank.push(score.rank);
                cell.kl.push(score.kl);
            }
            Ok(Seen::Finite)
        })?;
        Ok(cells)
    }

    /// The number of prompts in a batch: as asked for, or halved until the memory of the device was enough.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Takes batches of that size from now on. What is kept of other batches goes.
    pub(super) fn take(&mut self, batch: usize) {
        if batch != self.batch {
            self.references.clear();
            self.batch = batch;
        }
    }

    /// The logits of all evaluated prompts, `[evaluated, vocab]`, under each plan.
    ///
    /// # Errors
    /// As [`Self::sweep`].
    pub fn logits(
        &mut self,
        engine: &mut Engine,
        plans: &[Plan],
        ablation: &'static dyn Ablation,
    ) -> Result<Vec<Array2<f32>>> {
        let mut all: Vec<Vec<Array2<f32>>> = vec![Vec::new(); plans.len()];
        self.run(engine, plans, &[ablation], |_, plan, _, logits| {
            let logits = logits.view()?.into_owned();
            let seen = match all_finite(logits.view()) {
                true => Seen::Finite,
                false => Seen::NotFinite,
            };
            all[plan].push(logits);
            Ok(seen)
        })?;
        let join = |batches: Vec<Array2<f32>>| {
            let views: Vec<_> = batches.iter().map(|batch| batch.view()).collect();
            ndarray::concatenate(Axis(0), &views).expect("batches have one vocabulary")
        };
        Ok(all.into_iter().map(join).collect())
    }

    /// Runs every plan with every ablation on all evaluated prompts; calls `done` with the index of the pair, in the order
    /// of the plans, and then the ablations, a batch, and its logits, `[batch, vocab]`.
    fn run(
        &mut self,
        engine: &mut Engine,
        plans: &[Plan],
        ablations: &[&'static dyn Ablation],
        mut done: impl FnMut(&mut Engine, usize, &Batch<'_>, &Logits<'_>) -> Result<Seen>,
    ) -> Result<()> {
        self.biases
            .include_plans(plans, engine.layers(), engine.heads())?;
        let waits = boundaries(plans);
        let outputs = |plan: &Plan| plan.masking.0.cut() == Cut::Outputs;
        let replaces_outputs = plans.iter().any(outputs);
        if replaces_outputs && self.head_means.is_none() {
            self.head_means = Some(self.estimate_heads(engine)?);
        }
        let mut kept = std::mem::take(&mut self.references);
        let batches = self.evaluated.len().div_ceil(self.batch);
        let label = format!(
            "{} {}",
            self.set.template.style, self.set.template.operation
        );
        let bar = progress::steps(
            &label,
            (batches * plans.len() * ablations.len()) as u64,
            progress::Unit::Runs,
        );
        for begin in (0..self.evaluated.len()).step_by(self.batch) {
            let part = begin..self.evaluated.len().min(begin + self.batch);
            if replaces_outputs {
                self.biases.outputs = self.head_outputs(engine, part.clone())?;
            }
            let references = match kept.remove(&begin) {
                Some(references) => references,
                None => self.reference(engine, part.clone())?,
            };
            let answers = self.evaluated[part.clone()].iter();
            let batch = Batch {
                answers: answers.map(|&p| &*self.set.prompts[p].answers).collect(),
                references: &references,
            };
            let streams = self.streams(engine, ablations, &self.evaluated[part.clone()], &waits)?;
            for &wait in &waits {
                let here: Vec<usize> = (0..plans.len())
                    .filter(|&i| plans[i].wait == wait)
                    .collect();
                let plans: Vec<&Plan> = here.iter().map(|&i| &plans[i]).collect();
                for (at, ablation) in ablations.iter().enumerate() {
                    interrupted()?;
                    let replaced = self.replaced(*ablation, &streams, wait, part.clone())?;
                    let broken = self.run_here(engine, replaced, &plans, |engine, i, logits| {
                        bar.inc(1);
                        done(engine, here[i] * ablations.len() + at, &batch, logits)
                    })?;
                    if let Some(plan) = broken {
                        let again = self.replaced(*ablation, &streams, wait, part.clone())?;
                        let (at, found) = first_broken(engine, plans[plan], again, &self.biases)?;
                        let at = format!("{at} after {} at resid.{wait}", ablation.name());
                        return Err(not_finite(&self.set, at, found));
                    }
                }
            }
            if self.evaluated.len() * references.bytes() <= REFERENCE_BYTES {
                kept.insert(begin, references);
            }
        }
        bar.finish_and_clear();
        self.references = kept;
        Ok(())
    }

    /// Runs plans at one boundary from what replaces it, `[batch, pos, d_model]`, each in the way in which it can be run; calls `done`
    /// with the index of a plan and its logits. Returns the first plan whose logits are not finite; with it the run ends.
    fn run_here(
        &self,
        engine: &mut Engine,
        replaced: Array3<f32>,
        plans: &[&Plan],
        mut done: impl FnMut(&mut Engine, usize, &Logits<'_>) -> Result<Seen>,
    ) -> Result<Option<usize>> {
        let compiles = |i: &usize| {
            self.way == Way::Compiled && compiled::compiles(engine, plans[*i], &self.biases)
        };
        let (compiled, others): (Vec<usize>, Vec<usize>) =
            (0..plans.len()).partition(|i| compiles(i));
        let shares = |i: &usize| {
            self.way == Way::Compiled && shared::shares(engine, plans[*i], &self.biases)
        };
        let (sharing, masked): (Vec<usize>, Vec<usize>) = others.into_iter().partition(shares);
        let of = |chosen: &[usize]| -> Vec<&Plan> { chosen.iter().map(|&i| plans[i]).collect() };
        let biases = &self.biases;
        let whole = replaced.view();
        let broken =
            compiled::run_plans(engine, whole, &of(&compiled), biases, |engine, i, of| {
                done(engine, compiled[i], of)
            })?;
        if let Some(i) = broken {
            return Ok(Some(compiled[i]));
        }
        let broken = shared::run_plans(engine, &replaced, &of(&sharing), |engine, i, logits| {
            done(engine, sharing[i], logits)
        })?;
        if let Some(i) = broken {
            return Ok(Some(sharing[i]));
        }
        if masked.is_empty() {
            return Ok(None);
        }
        let stream = Tensor::from_f32(replaced)?;
        let broken = run_plans(engine, stream, &of(&masked), biases, |engine, i, logits| {
            done(engine, masked[i], logits)
        })?;
        Ok(broken.map(|i| masked[i]))
    }

    /// What the unmodified model says to some of the evaluated prompts.
    fn reference(&self, engine: &mut Engine, part: Range<usize>) -> Result<References> {
        let last = self.last.slice(ndarray::s![part, ..]);
        let last = last.insert_axis(Axis(1)).to_owned();
        References::new(engine.logits(&Tensor::from_f32(last)?)?)
    }
}
