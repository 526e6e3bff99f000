//! One template under several interventions, in two passes: estimate the means, then evaluate the plans.

use std::collections::{BTreeMap, HashMap};

use ndarray::{Array2, Array3, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::forward::{
    Biases, Captured, base_forward, check_finite, first_maximum, not_finite, run_plans,
};
use crate::interrupt::interrupted;
use crate::intervene::ablation::{Ablation, Source, replace};
use crate::intervene::{Contexts, Estimator, Means, Plan};
use crate::prompt::PromptSet;
use crate::runtime::{Engine, Tensor};
use crate::{Error, Result, progress};

/// What is asked of one template.
pub struct Request<'a> {
    /// The plans to try.
    pub plans: &'a [Plan],
    /// The ablations to try each plan with.
    pub ablations: &'a [&'static dyn Ablation],
    /// How means are estimated.
    pub estimator: Estimator,
    /// At most this many prompts are evaluated, drawn without replacement; all of them where it is `None`. Means are
    /// estimated over the whole set.
    pub limit: Option<usize>,
    /// The seed of that draw and of [`Estimator::Split`].
    pub seed: u64,
    /// Prompts in a batch.
    pub batch: usize,
}

/// The answers under one plan and ablation.
pub struct Cell {
    /// What replaced the residual stream.
    pub ablation: &'static dyn Ablation,
    /// Where, and what followed.
    pub plan: Plan,
    /// The token with the largest logit, for every evaluated prompt.
    pub predicted: Vec<u32>,
}

/// Everything that was observed on one template.
pub struct Evaluation {
    /// The prompts.
    pub set: PromptSet,
    /// What the unmodified model answers, for every prompt of the set.
    pub base: Vec<u32>,
    /// The indices of the prompts that the plans were evaluated on; the same for every plan and ablation.
    pub evaluated: Vec<usize>,
    /// Prompts that were not evaluated because the estimator has no mean for one of their tokens.
    pub undefined: usize,
    /// Prompts with a token that no other prompt has there, whose "mean" is their own residual.
    pub degenerate: usize,
    /// How well the means are known, by boundary.
    pub contexts: BTreeMap<usize, Contexts>,
    /// The answers, plan by plan in the order of the request, ablation by ablation.
    pub cells: Vec<Cell>,
}

impl Evaluation {
    /// Whether the unmodified model is right about a prompt.
    pub fn base_correct(&self, prompt: usize) -> bool {
        self.set.prompts[prompt]
            .answers
            .contains(&self.base[prompt])
    }

    /// Whether each evaluated prompt is right in a cell.
    pub fn correct<'a>(&'a self, cell: &'a Cell) -> impl Iterator<Item = bool> + 'a {
        self.evaluated
            .iter()
            .zip(&cell.predicted)
            .map(|(&prompt, token)| self.set.prompts[prompt].answers.contains(token))
    }
}

/// Captured residuals are kept from the first pass to the second up to this size; above, they are computed again.
const KEPT_BYTES: usize = 1 << 30;

/// Evaluates the plans on a template.
///
/// # Errors
/// No prompt with a mean; the runtime's reason; NaN or infinity; an interrupt.
pub fn evaluate(engine: &mut Engine, set: PromptSet, request: &Request<'_>) -> Result<Evaluation> {
    let halves = Halves::new(&set, request);
    if halves.evaluated.is_empty() {
        return Err(Error::NoPrompts {
            style: set.template.style.clone(),
            operation: set.template.operation.to_string(),
            reason: format!(
                "the {} estimator has no mean for any of the {} prompts; take more prompts or another --estimator",
                request.estimator.name(),
                set.len()
            ),
        });
    }
    let biases = Biases::new(set.positions())?;
    let mut waits: Vec<usize> = request.plans.iter().map(|plan| plan.wait).collect();
    waits.sort_unstable();
    waits.dedup();

    let label = format!("{} {}", set.template.style, set.template.operation);
    let batches = |prompts: usize| prompts.div_ceil(request.batch) as u64;
    let groups = (waits.len() * request.ablations.len()) as u64;
    let steps = batches(set.len()) + batches(halves.evaluated.len()) * groups;
    let bar = progress::steps(&label, steps);

    let first = estimate(engine, &set, &halves, &waits, &biases, request.batch, &bar)?;
    let contexts = first
        .means
        .iter()
        .map(|(&wait, means)| (wait, means.contexts()))
        .collect();
    let cells = intervene(engine, &set, &halves, &first, &biases, request, &bar)?;
    bar.finish_and_clear();
    Ok(Evaluation {
        base: first.base,
        undefined: halves.undefined,
        degenerate: halves.degenerate,
        evaluated: halves.evaluated,
        contexts,
        cells,
        set,
    })
}

/// Which prompts the means are made of and which are evaluated.
struct Halves {
    /// Whether each prompt of the set is one of the estimation prompts.
    estimation: Vec<bool>,
    evaluated: Vec<usize>,
    undefined: usize,
    degenerate: usize,
}

impl Halves {
    /// Splits the prompts as the estimator asks and leaves out those for which it has no mean.
    ///
    /// A prompt is left out by its tokens alone, whichever ablation is evaluated, so that all ablations are compared on
    /// the same prompts.
    fn new(set: &PromptSet, request: &Request<'_>) -> Self {
        let mut estimation = vec![true; set.len()];
        let mut candidates: Vec<usize> = (0..set.len()).collect();
        let limit = request.limit.unwrap_or(usize::MAX);
        if request.estimator == Estimator::Split || limit < set.len() {
            candidates.shuffle(&mut ChaCha8Rng::seed_from_u64(request.seed));
        }
        if request.estimator == Estimator::Split {
            candidates = candidates.split_off(set.len() / 2);
            for &prompt in &candidates {
                estimation[prompt] = false;
            }
        }
        candidates.truncate(limit);
        candidates.sort_unstable();
        let mut contexts: HashMap<(usize, u32), usize> = HashMap::new();
        for (prompt, _) in set.prompts.iter().zip(&estimation).filter(|(_, e)| **e) {
            for key in keys(&prompt.ids) {
                *contexts.entry(key).or_insert(0) += 1;
            }
        }
        let fewest = |prompt: usize| {
            let counts = keys(&set.prompts[prompt].ids).map(|key| contexts.get(&key).copied());
            counts.map(Option::unwrap_or_default).min().unwrap_or(0)
        };
        let needed = match request.estimator {
            Estimator::PlugIn | Estimator::Split => 1,
            Estimator::LeaveOneOut => 2,
        };
        let (evaluated, undefined): (Vec<usize>, Vec<usize>) = candidates
            .into_iter()
            .partition(|&prompt| fewest(prompt) >= needed);
        let degenerate = match request.estimator {
            Estimator::PlugIn => evaluated
                .iter()
                .filter(|&&prompt| fewest(prompt) == 1)
                .count(),
            Estimator::LeaveOneOut | Estimator::Split => 0,
        };
        Self {
            estimation,
            evaluated,
            undefined: undefined.len(),
            degenerate,
        }
    }
}

/// The keys of a prompt: position and token, from position 1 on.
fn keys(ids: &[u32]) -> impl Iterator<Item = (usize, u32)> + '_ {
    ids.iter().copied().enumerate().skip(1)
}

/// What the first pass finds.
struct Estimated {
    base: Vec<u32>,
    means: BTreeMap<usize, Means>,
    /// Residuals of the evaluated prompts, `[evaluated, pos, d_model]` by boundary, if they are few enough to keep.
    kept: Option<Captured>,
}

/// The first pass: the unmodified model's answers, and the means at every boundary.
fn estimate(
    engine: &mut Engine,
    set: &PromptSet,
    halves: &Halves,
    waits: &[usize],
    biases: &Biases,
    batch: usize,
    bar: &indicatif::ProgressBar,
) -> Result<Estimated> {
    let shape = (halves.evaluated.len(), set.positions(), engine.d_model());
    let size = shape.0 * shape.1 * shape.2 * size_of::<f32>() * waits.len();
    let empty = |&wait: &usize| (wait, Array3::zeros(shape));
    let mut kept: Option<Captured> =
        (size <= KEPT_BYTES).then(|| waits.iter().map(empty).collect());
    let mut base = Vec::with_capacity(set.len());
    let new = |&wait: &usize| (wait, Means::new(set.positions(), engine.d_model()));
    let mut means: BTreeMap<usize, Means> = waits.iter().map(new).collect();
    for prompts in all(set).chunks(batch) {
        let ids = set.ids(prompts);
        let (captured, logits) = base_forward(engine, ids.clone(), biases, waits)?;
        check_finite(engine, set, ids, biases, &logits)?;
        base.extend(answers(&logits));
        let rows: Vec<usize> = (0..prompts.len())
            .filter(|&row| halves.estimation[prompts[row]])
            .collect();
        let chosen: Vec<usize> = rows.iter().map(|&row| prompts[row]).collect();
        for (wait, resid) in &captured {
            let resid = resid.select(Axis(0), &rows);
            if let Some(means) = means.get_mut(wait) {
                means.push(set, &chosen, resid.view());
            }
        }
        for (row, prompt) in prompts.iter().enumerate() {
            let (Some(kept), Ok(at)) = (&mut kept, halves.evaluated.binary_search(prompt)) else {
                continue;
            };
            for (wait, resid) in &captured {
                if let Some(kept) = kept.get_mut(wait) {
                    kept.index_axis_mut(Axis(0), at)
                        .assign(&resid.index_axis(Axis(0), row));
                }
            }
        }
        bar.inc(1);
    }
    Ok(Estimated { base, means, kept })
}

/// The second pass: every plan with every ablation.
fn intervene(
    engine: &mut Engine,
    set: &PromptSet,
    halves: &Halves,
    first: &Estimated,
    biases: &Biases,
    request: &Request<'_>,
    bar: &indicatif::ProgressBar,
) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for &plan in request.plans {
        for &ablation in request.ablations {
            cells.push(Cell {
                ablation,
                plan,
                predicted: Vec::with_capacity(halves.evaluated.len()),
            });
        }
    }
    for (chunk, prompts) in halves.evaluated.chunks(request.batch).enumerate() {
        let own = residuals(engine, set, first, biases, prompts, chunk * request.batch)?;
        for (wait, resid) in &own {
            for ablation in request.ablations {
                interrupted()?;
                let source = Source {
                    set,
                    means: &first.means[wait],
                    estimator: request.estimator,
                };
                let replaced = replace(*ablation, &source, prompts, resid.view())?;
                let chosen: Vec<usize> = (0..cells.len())
                    .filter(|&i| {
                        cells[i].plan.wait == *wait && cells[i].ablation.name() == ablation.name()
                    })
                    .collect();
                let plans: Vec<Plan> = chosen.iter().map(|&i| cells[i].plan).collect();
                let stream = Tensor::from_f32(replaced)?;
                run_plans(engine, stream, &plans, biases, |i, logits| {
                    if let Some(bad) = logits.iter().find(|logit| !logit.is_finite()) {
                        let at = format!("logits after {} at resid.{wait}", ablation.name());
                        return Err(not_finite(set, at, *bad));
                    }
                    cells[chosen[i]].predicted.extend(answers(logits));
                    Ok(())
                })?;
                bar.inc(1);
            }
        }
    }
    Ok(cells)
}

/// The unmodified residuals of some prompts at every boundary: kept ones, else computed again. `begin` is the place of
/// the first of them among the evaluated prompts.
fn residuals(
    engine: &mut Engine,
    set: &PromptSet,
    first: &Estimated,
    biases: &Biases,
    prompts: &[usize],
    begin: usize,
) -> Result<Captured> {
    match &first.kept {
        Some(kept) => {
            let rows = ndarray::Slice::from(begin..begin + prompts.len());
            let part = |(&wait, resid): (&usize, &Array3<f32>)| {
                (wait, resid.slice_axis(Axis(0), rows).to_owned())
            };
            Ok(kept.iter().map(part).collect())
        }
        None => {
            let waits: Vec<usize> = first.means.keys().copied().collect();
            Ok(base_forward(engine, set.ids(prompts), biases, &waits)?.0)
        }
    }
}

fn all(set: &PromptSet) -> Vec<usize> {
    (0..set.len()).collect()
}

/// The token with the largest logit of every row.
fn answers(logits: &Array2<f32>) -> Vec<u32> {
    logits.outer_iter().map(first_maximum).collect()
}
