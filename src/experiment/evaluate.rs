//! One template under several interventions, in two passes: estimate the means, then evaluate the plans.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ndarray::{Array2, Array3, Array4, ArrayView3, Axis, CowArray, Ix3};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::apart::apart;
use super::compiled::{self, Prefix, Tables, Way};
use super::forward::{
    Biases, Captured, captured_forward, check_finite, first_broken, head_outputs, not_finite,
    run_plans, streams, trace,
};
use super::halves::Disjoint;
use super::scores::{Logits, References, all_finite, scores, unmodified};
use crate::emit::af1::Af1;
use crate::interrupt::interrupted;
use crate::intervene::ablation::{Ablation, Source, Stream, named, replace};
use crate::intervene::{Contexts, Cut, Estimator, Mask, Means, Plan, Technique};
use crate::prompt::{Dependence, PromptSet};
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
    /// The seed of that draw, of [`Estimator::Split`] and of the prompts that resampling takes.
    pub seed: u64,
    /// Prompts in a batch.
    pub batch: usize,
    /// How plans are run.
    pub way: Way,
    /// Which of the prompts are evaluated.
    pub part: Part,
    /// Means over fewer contexts than there are; over all where it is `None`.
    pub draw: Option<Draw>,
    /// The prompts of the style's other operations, with the same roles at the same positions, for the ablations that need
    /// their means.
    pub operations: &'a [PromptSet],
}

impl<'a> Request<'a> {
    /// All prompts in one part, leave-one-out over all contexts, seed 42, 64 prompts in a batch, compiled where that can be.
    pub fn new(plans: &'a [Plan], ablations: &'a [&'static dyn Ablation]) -> Self {
        Self {
            plans,
            ablations,
            estimator: Estimator::default(),
            limit: None,
            seed: 42,
            batch: 64,
            way: Way::default(),
            part: Part::All,
            draw: None,
            operations: &[],
        }
    }
}

/// A draw of estimation prompts, so that every token has only so many contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Contexts of a token at least, the evaluated prompt not counted, or all that there are. Tokens of a template's text have
    /// more.
    pub contexts: usize,
    /// The seed of the draw.
    pub seed: u64,
}

/// A part of the prompts, so that what is chosen on some is reported on others. Means are estimated over all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    #[default]
    All,
    /// The half on which something is chosen, drawn by the seed: see [`Disjoint`].
    Development,
    /// The other half, which shares no operand with it.
    HeldOut,
}

impl Part {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Development => "development",
            Self::HeldOut => "held-out",
        }
    }
}

/// The answers under one plan and ablation.
pub struct Cell {
    /// What replaced the residual stream.
    pub ablation: &'static dyn Ablation,
    /// Where, and what followed.
    pub plan: Plan,
    /// The token with the largest logit, for every evaluated prompt.
    pub predicted: Vec<u32>,
    /// The logit of the right answer less the largest logit of another token, for every evaluated prompt.
    pub logit_difference: Vec<f32>,
    /// The Kullback-Leibler divergence of the distribution over all tokens from the unmodified model's, `sum p_base ln(p_base
    /// / p)`, in nats, for every evaluated prompt.
    pub kl: Vec<f32>,
    /// How many other tokens have a larger logit than the right answer, plus one, for every evaluated prompt.
    pub rank: Vec<u32>,
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
    /// The logit difference of the unmodified model, as in [`Cell::logit_difference`], for every evaluated prompt.
    pub base_logit_difference: Vec<f32>,
    /// Which of the prompts are evaluated.
    pub part: Part,
    /// Prompts that are in neither half, because they have operands of both; `None` where there are no halves.
    pub mixed: Option<usize>,
    /// If means are over fewer contexts than there are, which.
    pub draw: Option<Draw>,
    /// How well the means are known, by boundary.
    pub contexts: BTreeMap<usize, Contexts>,
    /// What one operand says of another in the prompts that the means are over.
    pub dependence: Dependence,
    /// The answers, plan by plan in the order of the request, ablation by ablation.
    pub cells: Vec<Cell>,
    means: BTreeMap<usize, Means>,
    /// By boundary, the means of other operations.
    operations: BTreeMap<usize, Vec<Means>>,
    /// `resid[L]` of the evaluated prompts at the last position, `[evaluated, d_model]`: from it come the unmodified model's
    /// logits.
    last: Array2<f32>,
    /// By the first prompt of a batch, what the unmodified model says to it, if that is little enough to keep.
    references: BTreeMap<usize, References>,
    /// Whether each prompt of the set is one of the estimation prompts.
    estimation: Vec<bool>,
    /// By layer, the mean of what its heads read, `[head, pos, d_head]`, and over how many prompts; made when it is needed.
    head_means: Option<(Vec<Array3<f64>>, usize)>,
    seed: u64,
    /// Residuals of the evaluated prompts as they were captured, `[evaluated, pos, d_model]` by boundary, if they are few enough
    /// to keep.
    kept: Option<Captured>,
    /// For every prompt of the set another one; itself where it is the only one.
    others: Vec<usize>,
    estimator: Estimator,
    batch: usize,
    way: Way,
    biases: Biases,
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

    /// How many of the evaluated prompts the unmodified model answers correctly.
    pub fn base_right(&self) -> usize {
        let evaluated = self.evaluated.iter();
        evaluated.filter(|&&p| self.base_correct(p)).count()
    }

    /// How many of the evaluated prompts the unmodified model answers correctly, and how many of these a cell does.
    pub fn kept(&self, cell: &Cell) -> (usize, usize) {
        let pairs = self.evaluated.iter().zip(self.correct(cell));
        let of_base = pairs.filter(|&(&prompt, _)| self.base_correct(prompt));
        of_base.fold((0, 0), |(base, kept), (_, correct)| {
            (base + 1, kept + usize::from(correct))
        })
    }
}

impl Evaluation {
    /// The share of the right answers that a cell keeps; 0 where there are none.
    pub fn share_kept(&self, cell: &Cell) -> f64 {
        match self.kept(cell) {
            (0, _) => 0.0,
            (base, kept) => kept as f64 / base as f64,
        }
    }
}

/// Where two ways of running a plan come apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// `l` of `resid[l]`.
    pub boundary: usize,
    /// The token's position.
    pub position: usize,
    /// The prompt's text.
    pub prompt: String,
    /// By how much of the largest value there.
    pub apart: f32,
}

/// The evaluated prompts that run together.
struct Batch<'a> {
    /// The right answers of each.
    answers: Vec<&'a [u32]>,
    /// What the unmodified model says to each.
    references: &'a References,
}

/// Captured residuals are kept from the first pass to the second up to this size; above, they are computed again.
const KEPT_BYTES: usize = 1 << 30;

/// What the unmodified model says is kept from one sweep to the next up to this size; above, it is computed again.
const REFERENCE_BYTES: usize = 1 << 28;

/// Evaluates the plans on a template.
///
/// # Errors
/// No prompt with a mean; the runtime's reason; NaN or infinity; an interrupt.
pub fn evaluate(engine: &mut Engine, set: PromptSet, request: &Request<'_>) -> Result<Evaluation> {
    let mut waits: Vec<usize> = request.plans.iter().map(|plan| plan.wait).collect();
    waits.sort_unstable();
    waits.dedup();
    let mut evaluation = prepare(engine, set, request, &waits)?;
    evaluation.add(engine, request.plans, request.ablations)?;
    Ok(evaluation)
}

/// The first pass: the unmodified model's answers, and the means at the boundaries `waits`.
///
/// # Errors
/// No prompt with a mean; the runtime's reason; NaN or infinity; an interrupt.
pub fn prepare(
    engine: &mut Engine,
    set: PromptSet,
    request: &Request<'_>,
    waits: &[usize],
) -> Result<Evaluation> {
    let halves = Halves::new(&set, request)?;
    if halves.evaluated.is_empty() {
        return Err(Error::NoPrompts {
            style: set.template.style.clone(),
            operation: set.template.operation.to_string(),
            reason: format!(
                "the {} estimator has no mean for any of the {} prompts; take more prompts or another --estimator",
                request.estimator.name(),
                set.asked().len()
            ),
        });
    }
    let mut biases = Biases::new(set.positions())?;
    if request.way == Way::Compiled {
        biases.share(engine, &set)?;
    }
    let mut request = Request { ..*request };
    let first = estimate(engine, &set, &halves, waits, &biases, &mut request)?;
    let mut operations: BTreeMap<usize, Vec<Means>> = BTreeMap::new();
    if request
        .ablations
        .iter()
        .any(|ablation| ablation.needs_operations())
    {
        for other in request.operations {
            let every = Halves::everything(other);
            let mut biases = Biases::new(other.positions())?;
            if request.way == Way::Compiled {
                biases.share(engine, other)?;
            }
            let estimated = estimate(engine, other, &every, waits, &biases, &mut request)?;
            for (wait, means) in estimated.means {
                operations.entry(wait).or_default().push(means);
            }
        }
    }
    let base_logit_difference = halves.evaluated.iter().map(|&p| first.logit_difference[p]);
    let estimation: Vec<&[i64]> = (set.prompts.iter().zip(&halves.estimation))
        .filter_map(|(prompt, estimation)| estimation.then_some(&*prompt.operands))
        .collect();
    let sample = set.drawn || estimation.len() < set.len();
    let dependence = Dependence::of(&estimation, sample);
    let contexts = first
        .means
        .iter()
        .map(|(&wait, means)| (wait, means.contexts()))
        .collect();
    Ok(Evaluation {
        base_logit_difference: base_logit_difference.collect(),
        part: request.part,
        mixed: halves.mixed,
        draw: request.draw,
        operations,
        last: first.last,
        references: BTreeMap::new(),
        head_means: None,
        seed: request.seed,
        base: first.base,
        others: others(&halves.estimation, request.seed),
        estimation: halves.estimation,
        undefined: halves.undefined,
        degenerate: halves.degenerate,
        evaluated: halves.evaluated,
        contexts,
        dependence,
        cells: Vec::new(),
        means: first.means,
        kept: first.kept,
        estimator: request.estimator,
        batch: request.batch,
        way: request.way,
        biases,
        set,
    })
}

/// For every prompt another one, of the estimation prompts: in a shuffled order the next one.
fn others(estimation: &[bool], seed: u64) -> Vec<usize> {
    let mut pool: Vec<usize> = (0..estimation.len()).filter(|&p| estimation[p]).collect();
    pool.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut others: Vec<usize> = (0..estimation.len())
        .map(|prompt| pool[prompt % pool.len()])
        .collect();
    for (i, &prompt) in pool.iter().enumerate() {
        others[prompt] = pool[(i + 1) % pool.len()];
    }
    others
}

/// Which prompts the means are made of and which are evaluated.
pub(super) struct Halves {
    /// Whether each prompt of the set is one of the estimation prompts.
    estimation: Vec<bool>,
    pub(super) evaluated: Vec<usize>,
    undefined: usize,
    degenerate: usize,
    mixed: Option<usize>,
}

impl Halves {
    /// All prompts for estimation, none for evaluation.
    fn everything(set: &PromptSet) -> Self {
        Self {
            estimation: vec![true; set.len()],
            evaluated: Vec::new(),
            undefined: 0,
            degenerate: 0,
            mixed: None,
        }
    }

    /// Splits the prompts as the estimator asks and leaves out those for which it has no mean.
    ///
    /// A prompt is left out by its tokens alone, whichever ablation is evaluated, so that all ablations are compared on
    /// the same prompts.
    ///
    /// # Errors
    /// A part is asked for, and no halves share no operand.
    pub(super) fn new(set: &PromptSet, request: &Request<'_>) -> Result<Self> {
        let mut estimation = vec![true; set.len()];
        let mut candidates = set.asked();
        let asked = candidates.len();
        let limit = request.limit.unwrap_or(usize::MAX);
        if request.estimator == Estimator::Split || limit < asked {
            candidates.shuffle(&mut ChaCha8Rng::seed_from_u64(request.seed));
        }
        if request.estimator == Estimator::Split {
            candidates = candidates.split_off(asked / 2);
            for &prompt in &candidates {
                estimation[prompt] = false;
            }
        }
        let mut mixed = None;
        if request.part != Part::All {
            let halves = Disjoint::of(set, request.seed)?;
            mixed = Some(halves.mixed);
            let part = match request.part {
                Part::HeldOut => halves.held_out,
                Part::All | Part::Development => halves.development,
            };
            candidates.retain(|prompt| part.binary_search(prompt).is_ok());
        }
        candidates.truncate(limit);
        candidates.sort_unstable();
        if let Some(draw) = request.draw {
            thin_out(set, &mut estimation, draw, request.estimator);
        }
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
        let own = |prompt: usize| match request.estimator {
            Estimator::PlugIn | Estimator::Split => 0,
            Estimator::LeaveOneOut => usize::from(estimation[prompt]),
        };
        let (evaluated, undefined): (Vec<usize>, Vec<usize>) = candidates
            .into_iter()
            .partition(|&prompt| fewest(prompt) > own(prompt));
        let degenerate = match request.estimator {
            Estimator::PlugIn => evaluated
                .iter()
                .filter(|&&prompt| fewest(prompt) == 1)
                .count(),
            Estimator::LeaveOneOut | Estimator::Split => 0,
        };
        Ok(Self {
            estimation,
            evaluated,
            undefined: undefined.len(),
            degenerate,
            mixed,
        })
    }
}

/// Keeps of the estimation prompts, in an order that is drawn, those with a token that has too few contexts so far.
fn thin_out(set: &PromptSet, estimation: &mut [bool], draw: Draw, estimator: Estimator) {
    // One more, because the evaluated prompt's own will be left out.
    let enough = match estimator {
        Estimator::LeaveOneOut => draw.contexts + 1,
        Estimator::PlugIn | Estimator::Split => draw.contexts,
    };
    let mut order: Vec<usize> = (0..set.len()).filter(|&p| estimation[p]).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(draw.seed));
    let mut counts: HashMap<(usize, u32), usize> = HashMap::new();
    for prompt in order {
        let ids = &set.prompts[prompt].ids;
        let few = |key| counts.get(&key).copied().unwrap_or(0) < enough;
        estimation[prompt] = keys(ids).any(few);
        if estimation[prompt] {
            for key in keys(ids) {
                *counts.entry(key).or_insert(0) += 1;
            }
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
    /// Of every prompt.
    logit_difference: Vec<f32>,
    last: Array2<f32>,
    means: BTreeMap<usize, Means>,
    kept: Option<Captured>,
}

/// Runs every prompt once; halves the batch until the memory of the device is enough.
fn estimate(
    engine: &mut Engine,
    set: &PromptSet,
    halves: &Halves,
    waits: &[usize],
    biases: &Biases,
    request: &mut Request<'_>,
) -> Result<Estimated> {
    loop {
        match estimate_in_batches(engine, set, halves, waits, biases, request) {
            Err(Error::OutOfMemory { .. }) if request.batch.min(set.len()) > 1 => {
                request.batch = request.batch.min(set.len()) / 2;
            }
            other => return other,
        }
    }
}

/// Runs every prompt once.
fn estimate_in_batches(
    engine: &mut Engine,
    set: &PromptSet,
    halves: &Halves,
    waits: &[usize],
    biases: &Biases,
    request: &Request<'_>,
) -> Result<Estimated> {
    let label = format!("{} {}: means", set.template.style, set.template.operation);
    let bar = progress::steps(&label, set.len().div_ceil(request.batch) as u64);
    let shared = biases.prefix().map_or(0, Prefix::len);
    let own = set.positions() - shared;
    let shape = (halves.evaluated.len(), own, engine.d_model());
    let one = shape.0 * shape.1 * shape.2 * size_of::<f32>();
    // As if every boundary were asked for: a part of a sweep must not sum in another order than the whole.
    let keep = one * (engine.layers() + 1) <= KEPT_BYTES;
    let empty = |&wait: &usize| (wait, Array3::zeros(shape));
    let mut kept: Option<Captured> = keep.then(|| waits.iter().map(empty).collect());
    let mut found = Estimated {
        base: Vec::with_capacity(set.len()),
        logit_difference: Vec::with_capacity(set.len()),
        last: Array2::zeros((shape.0, shape.2)),
        means: BTreeMap::new(),
        kept: None,
    };
    let new = |&wait: &usize| {
        let means = Means::new(set.positions(), engine.d_model(), request.seed);
        (wait, means)
    };
    let mut means: BTreeMap<usize, Means> = waits.iter().map(new).collect();
    let end = engine.layers();
    let mut boundaries = waits.to_vec();
    boundaries.push(end);
    for prompts in all(set).chunks(request.batch) {
        let ids = set.ids(prompts);
        let (captured, logits) = captured_forward(engine, ids.clone(), biases, &boundaries)?;
        let answers = prompts.iter().map(|&p| &*set.prompts[p].answers);
        let answers: Vec<&[u32]> = answers.collect();
        let said = unmodified(engine, &logits, &answers)?;
        let suspect = said.is_none().then(|| logits.view()).transpose()?;
        check_finite(engine, set, ids, biases, (&captured, suspect))?;
        let said =
            said.ok_or_else(|| not_finite(set, crate::graph::LOGITS.to_owned(), f32::NAN))?;
        for (predicted, difference) in said {
            found.base.push(predicted);
            found.logit_difference.push(difference);
        }
        let rows: Vec<usize> = (0..prompts.len())
            .filter(|&row| halves.estimation[prompts[row]])
            .collect();
        let chosen: Vec<usize> = rows.iter().map(|&row| prompts[row]).collect();
        let evaluated: Vec<(usize, usize)> = (prompts.iter().enumerate())
            .filter_map(|(row, prompt)| Some((row, halves.evaluated.binary_search(prompt).ok()?)))
            .collect();
        // Boundary by boundary, each given back before the next is kept.
        for (boundary, resid) in captured {
            if let Some(means) = means.get_mut(&boundary) {
                let whole = biases.whole(boundary, resid.view());
                match rows.len() == prompts.len() {
                    true => means.push(set, &chosen, whole.view()),
                    false => means.push(set, &chosen, whole.select(Axis(0), &rows).view()),
                }
            }
            let mut kept = kept.as_mut().and_then(|kept| kept.get_mut(&boundary));
            for &(row, at) in &evaluated {
                if boundary == end {
                    let last = resid.slice(ndarray::s![row, -1, ..]);
                    found.last.row_mut(at).assign(&last);
                }
                if let Some(kept) = &mut kept {
                    let own = resid.index_axis(Axis(0), row);
                    kept.index_axis_mut(Axis(0), at).assign(&own);
                }
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Estimated {
        means,
        kept,
        ..found
    })
}

impl Evaluation {
    /// The second pass: adds the answers of some plans, at boundaries that were prepared, with some ablations.
    ///
    /// # Errors
    /// The runtime's reason; NaN or infinity; an interrupt.
    ///
    /// # Panics
    /// For a plan at a boundary that was not prepared.
    pub fn add(
        &mut self,
        engine: &mut Engine,
        plans: &[Plan],
        ablations: &[&'static dyn Ablation],
    ) -> Result<()> {
        loop {
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
            let ran = self.run(engine, plans, ablations, |engine, cell, batch, logits| {
                let cell = &mut cells[cell];
                let Some(scores) = scores(engine, logits, &batch.answers, batch.references)? else {
                    return Ok(false);
                };
                for score in scores {
                    cell.predicted.push(score.predicted);
                    cell.logit_difference.push(score.logit_difference);
                    cell.rank.push(score.rank);
                    cell.kl.push(score.kl);
                }
                Ok(true)
            });
            match ran {
                Err(Error::OutOfMemory { .. }) if self.halve() => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.cells.extend(cells);
                    return Ok(());
                }
            }
        }
    }

    /// The number of prompts in a batch: as asked for, or halved until the memory of the device was enough.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Halves the batch; whether it was more than one prompt.
    fn halve(&mut self) -> bool {
        let batch = self.batch.min(self.evaluated.len());
        self.references.clear();
        self.batch = (batch / 2).max(1);
        batch > 1
    }

    /// The logits of all evaluated prompts, `[evaluated, vocab]`, under each plan.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn logits(
        &mut self,
        engine: &mut Engine,
        plans: &[Plan],
        ablation: &'static dyn Ablation,
    ) -> Result<Vec<Array2<f32>>> {
        let mut all: Vec<Vec<Array2<f32>>> = vec![Vec::new(); plans.len()];
        self.run(engine, plans, &[ablation], |_, plan, _, logits| {
            let logits = logits.view()?.into_owned();
            let finite = all_finite(logits.view());
            all[plan].push(logits);
            Ok(finite)
        })?;
        let join = |batches: Vec<Array2<f32>>| {
            let views: Vec<_> = batches.iter().map(|batch| batch.view()).collect();
            ndarray::concatenate(Axis(0), &views).expect("batches have one vocabulary")
        };
        Ok(all.into_iter().map(join).collect())
    }

    /// Where the compiled and the masked way of a plan first come apart by more than `tolerance` of the largest value of a
    /// boundary: the boundary, the position, the prompt, and by how much of it. `None` where they do not, or the plan is run
    /// masked anyway.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn first_difference(
        &mut self,
        engine: &mut Engine,
        plan: &Plan,
        ablation: &'static dyn Ablation,
        tolerance: f32,
    ) -> Result<Option<Difference>> {
        if !compiled::compiles(engine, plan, &self.biases) {
            return Ok(None);
        }
        let plans = std::slice::from_ref(plan);
        self.biases
            .include_plans(plans, engine.layers(), engine.heads())?;
        let mut first: Option<Difference> = None;
        for begin in (0..self.evaluated.len()).step_by(self.batch) {
            let chunk = &self.evaluated[begin..self.evaluated.len().min(begin + self.batch)];
            let streams = self.streams(engine, &[ablation], chunk, &[plan.wait])?;
            let replaced =
                self.replaced(ablation, &streams, plan.wait, begin..begin + chunk.len())?;
            let found = compiled::trace(engine, replaced.view(), plan, &self.biases)?;
            let expected = trace(engine, replaced, plan, &self.biases)?;
            for (at, found) in &found {
                let expected = &expected[at];
                let most = apart(found, expected);
                let earlier = first
                    .as_ref()
                    .is_none_or(|d| *at < (d.boundary, d.position));
                if most > tolerance && earlier {
                    let of_prompt = |b: &usize| apart(found.row(*b), expected.row(*b));
                    // The first of them that is apart by itself; all of them are little in a boundary with a large value.
                    let by_itself = (0..chunk.len()).find(|b| of_prompt(b) > tolerance);
                    let prompt = chunk[by_itself.unwrap_or(0)];
                    first = Some(Difference {
                        boundary: at.0,
                        position: at.1,
                        prompt: self.set.prompts[prompt].text.clone(),
                        apart: most,
                    });
                }
            }
        }
        Ok(first)
    }

    /// The tables of AF1(`wait`, `transfer`) with CAMA, for a graph of its own, and what its rows are: every evaluated token
    /// where it stands. Only the plug-in estimator's means are the same in every prompt.
    ///
    /// # Errors
    /// Another estimator; means that differ between prompts; last tokens that differ; what cannot be compiled; as
    /// [`Self::add`].
    pub fn tables(
        &self,
        engine: &mut Engine,
        wait: usize,
        transfer: usize,
    ) -> Result<(Af1, Tables)> {
        let no = |reason: &str| Error::NoPrompts {
            style: self.set.template.style.clone(),
            operation: self.set.template.operation.to_string(),
            reason: format!("AF1({wait}, {transfer}) cannot be a graph of its own: {reason}"),
        };
        if self.estimator != Estimator::PlugIn {
            return Err(no(
                "only with --estimator plug-in are a token's means the same in every prompt",
            ));
        }
        if !compiled::compiles(engine, &Plan::af1(wait, transfer), &self.biases) {
            return Err(no("the model's graph does not name its keys and values"));
        }
        // Some prompts in which every token occurs where it can.
        let mut seen = BTreeSet::new();
        let mut covering = Vec::new();
        for &prompt in &self.evaluated {
            let ids = &self.set.prompts[prompt].ids;
            if keys(ids).filter(|key| seen.insert(*key)).count() > 0 {
                covering.push(prompt);
            }
        }
        let biases = &self.biases;
        let own = streams(engine, &self.set, &covering, &Mask::Causal, biases, &[wait])?;
        let by = named("cama").expect("it is built in");
        let own = own[&wait].view();
        let replaced = self.replace(by, wait, &covering, own, own)?;
        let tables = compiled::tables(engine, replaced.view(), (wait, transfer), biases)?;
        let token = |&(b, t): &(usize, usize)| (t, self.set.prompts[covering[b]].ids[t]);
        let rows: Vec<(usize, u32)> = tables.rows.iter().map(token).collect();
        let positions = self.set.positions();
        let last: Vec<u32> = (seen.iter())
            .filter(|(t, _)| t + 1 == positions)
            .map(|(_, token)| *token)
            .collect();
        let distinct: BTreeSet<&(usize, u32)> = rows.iter().collect();
        match (&*last, tables.last.len_of(Axis(0))) {
            ([last], 1) if distinct.len() == rows.len() => {
                let last = *last;
                Ok((
                    Af1 {
                        wait,
                        transfer,
                        positions,
                        rows,
                        last,
                    },
                    tables,
                ))
            }
            ([_], 1) => Err(no("a token's mean is not the same in every prompt")),
            _ => Err(no("its prompts do not all end with the same token")),
        }
    }

    /// The largest change that an ablation makes to `resid[wait]` of the first batch, relative to its largest value at the
    /// positions from 1 on.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub(super) fn moves(
        &self,
        engine: &mut Engine,
        ablation: &'static dyn Ablation,
        wait: usize,
    ) -> Result<f32> {
        let chunk = &self.evaluated[..self.evaluated.len().min(self.batch)];
        let streams = self.streams(engine, &[ablation], chunk, &[wait])?;
        let replaced = self.replaced(ablation, &streams, wait, 0..chunk.len())?;
        let later = ndarray::s![.., 1.., ..];
        let own = self.own(&streams, wait, 0..chunk.len());
        let pairs = own.slice(later).into_iter().zip(replaced.slice(later));
        let (moved, size) = pairs.fold((0.0f32, f32::MIN_POSITIVE), |(moved, size), (a, b)| {
            (moved.max((a - b).abs()), size.max(a.abs()))
        });
        Ok(moved / size)
    }

    /// Runs every plan with every ablation on all evaluated prompts; calls `done` with the index of the pair, in the order
    /// of the plans, and then the ablations, a batch, and its logits, `[batch, vocab]`; `done` says whether they are finite.
    fn run(
        &mut self,
        engine: &mut Engine,
        plans: &[Plan],
        ablations: &[&'static dyn Ablation],
        mut done: impl FnMut(&mut Engine, usize, &Batch<'_>, &Logits<'_>) -> Result<bool>,
    ) -> Result<()> {
        self.biases
            .include_plans(plans, engine.layers(), engine.heads())?;
        let mut waits: Vec<usize> = plans.iter().map(|plan| plan.wait).collect();
        waits.sort_unstable();
        waits.dedup();
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
        let bar = progress::steps(&label, (batches * waits.len() * ablations.len()) as u64);
        for begin in (0..self.evaluated.len()).step_by(self.batch) {
            let end = self.evaluated.len().min(begin + self.batch);
            if replaces_outputs {
                self.biases.outputs = self.head_outputs(engine, begin..end)?;
            }
            let chunk = &self.evaluated[begin..end];
            let references = match kept.remove(&begin) {
                Some(references) => references,
                None => {
                    let last = self.last.slice(ndarray::s![begin..end, ..]);
                    let last = last.insert_axis(Axis(1)).to_owned();
                    References::new(engine.logits(&Tensor::from_f32(last)?)?)?
                }
            };
            let answers = chunk.iter().map(|&p| &*self.set.prompts[p].answers);
            let batch = Batch {
                answers: answers.collect(),
                references: &references,
            };
            let streams = self.streams(engine, ablations, chunk, &waits)?;
            for &wait in &waits {
                let here: Vec<usize> = (0..plans.len())
                    .filter(|&i| plans[i].wait == wait)
                    .collect();
                let plans_here: Vec<&Plan> = here.iter().map(|&i| &plans[i]).collect();
                for (at, ablation) in ablations.iter().enumerate() {
                    interrupted()?;
                    let replaced = self.replaced(*ablation, &streams, wait, begin..end)?;
                    let mut broken = None;
                    let mut seen = |engine: &mut Engine, i: usize, logits: &Logits<'_>| {
                        let finite = done(engine, here[i] * ablations.len() + at, &batch, logits)?;
                        if !finite {
                            broken = Some(plans_here[i]);
                            return Err(not_finite(
                                &self.set,
                                crate::graph::LOGITS.to_owned(),
                                f32::NAN,
                            ));
                        }
                        Ok(())
                    };
                    let (compiled, masked): (Vec<usize>, Vec<usize>) =
                        (0..here.len()).partition(|&i| {
                            self.way == Way::Compiled
                                && compiled::compiles(engine, plans_here[i], &self.biases)
                        });
                    let of = |chosen: &[usize]| -> Vec<&Plan> {
                        chosen.iter().map(|&i| plans_here[i]).collect()
                    };
                    let view = replaced.view();
                    let biases = &self.biases;
                    let mut ran = compiled::run_plans(
                        engine,
                        view,
                        &of(&compiled),
                        biases,
                        |e, i, logits| seen(e, compiled[i], logits),
                    );
                    if ran.is_ok() && !masked.is_empty() {
                        let stream = Tensor::from_f32(replaced)?;
                        ran = run_plans(engine, stream, &of(&masked), biases, |e, i, logits| {
                            seen(e, masked[i], logits)
                        });
                    }
                    if let Some(plan) = broken {
                        let again = self.replaced(*ablation, &streams, wait, begin..end)?;
                        let (at, found) = first_broken(engine, plan, again, &self.biases)?;
                        let at = format!("{at} after {} at resid.{wait}", ablation.name());
                        return Err(not_finite(&self.set, at, found));
                    }
                    ran?;
                    bar.inc(1);
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

    /// By layer, the mean of what its heads read over the estimation prompts.
    fn estimate_heads(&self, engine: &mut Engine) -> Result<(Vec<Array3<f64>>, usize)> {
        let prompts = all(&self.set).into_iter().filter(|&p| self.estimation[p]);
        let prompts: Vec<usize> = prompts.collect();
        let mut sums: Vec<Array3<f64>> = Vec::new();
        for chunk in prompts.chunks(self.batch) {
            let outputs = head_outputs(engine, self.set.ids(chunk), &self.biases)?;
            for (layer, outputs) in outputs.into_iter().enumerate() {
                let sum = outputs.mapv(f64::from).sum_axis(Axis(0));
                match sums.get_mut(layer) {
                    Some(sums) => *sums += &sum,
                    None => sums.push(sum),
                }
            }
        }
        let count = prompts.len();
        let means = sums.into_iter().map(|sum| sum / count as f64);
        Ok((means.collect(), count))
    }

    /// By layer, what stands in for what the heads read, `[batch, head, pos, d_head]`, of some of the evaluated prompts.
    fn head_outputs(
        &self,
        engine: &mut Engine,
        part: std::ops::Range<usize>,
    ) -> Result<BTreeMap<usize, Array4<f32>>> {
        let (means, count) = self.head_means.as_ref().expect("they were just made");
        let own = match self.estimator {
            Estimator::LeaveOneOut => {
                let ids = self.set.ids(&self.evaluated[part.clone()]);
                Some(head_outputs(engine, ids, &self.biases)?)
            }
            Estimator::PlugIn | Estimator::Split => None,
        };
        let n = *count as f64;
        let of_layer = |(layer, mean): (usize, &Array3<f64>)| {
            let (heads, pos, d_head) = mean.dim();
            let shape = (part.len(), heads, pos, d_head);
            let mean = Array4::from_shape_fn(shape, |(b, h, t, i)| {
                let mean = mean[[h, t, i]];
                let included = self.estimation[self.evaluated[part.start + b]];
                let mean = match &own {
                    Some(own) if included => {
                        (n * mean - f64::from(own[layer][[b, h, t, i]])) / (n - 1.0)
                    }
                    _ => mean,
                };
                mean as f32
            });
            (layer, mean)
        };
        Ok(means.iter().enumerate().map(of_layer).collect())
    }

    /// The streams that the ablations start from, for some prompts, but for those that are kept.
    fn streams(
        &self,
        engine: &mut Engine,
        ablations: &[&'static dyn Ablation],
        prompts: &[usize],
        waits: &[usize],
    ) -> Result<BTreeMap<Stream, Captured>> {
        let mut all = BTreeMap::new();
        let (set, biases) = (&self.set, &self.biases);
        if self.kept.is_none() {
            let own = streams(engine, set, prompts, &Mask::Causal, biases, waits)?;
            all.insert(Stream::Own, own);
        }
        for ablation in ablations {
            let stream = ablation.stream();
            if all.contains_key(&stream) {
                continue;
            }
            let captured = match stream {
                Stream::Own => continue,
                Stream::Embedding => {
                    let first = streams(engine, set, prompts, &Mask::Causal, biases, &[0])?;
                    waits
                        .iter()
                        .map(|&wait| (wait, first[&0].clone()))
                        .collect()
                }
                Stream::SelfPeek => streams(
                    engine,
                    set,
                    prompts,
                    &Mask::SelfPeek(Technique::ABP),
                    biases,
                    waits,
                )?,
                Stream::Other => {
                    let others: Vec<usize> = prompts.iter().map(|&p| self.others[p]).collect();
                    if others
                        .iter()
                        .zip(prompts)
                        .any(|(other, prompt)| other == prompt)
                    {
                        return Err(Error::NoPrompts {
                            style: set.template.style.clone(),
                            operation: set.template.operation.to_string(),
                            reason: format!(
                                "{} takes the residual stream of another prompt, and there is only one; widen --operands",
                                ablation.name()
                            ),
                        });
                    }
                    streams(engine, set, &others, &Mask::Causal, biases, waits)?
                }
            };
            all.insert(stream, captured);
        }
        Ok(all)
    }

    /// `resid[wait]` of some of the evaluated prompts, `[batch, pos, d_model]`.
    fn own<'a>(
        &'a self,
        streams: &'a BTreeMap<Stream, Captured>,
        wait: usize,
        part: std::ops::Range<usize>,
    ) -> CowArray<'a, f32, Ix3> {
        match &self.kept {
            Some(kept) => {
                let own = kept[&wait].slice(ndarray::s![part, .., ..]);
                self.biases.whole(wait, own)
            }
            None => streams[&Stream::Own][&wait].view().into(),
        }
    }

    /// What replaces `resid[wait]` of some of the evaluated prompts, `[batch, pos, d_model]`.
    fn replaced(
        &self,
        ablation: &dyn Ablation,
        streams: &BTreeMap<Stream, Captured>,
        wait: usize,
        part: std::ops::Range<usize>,
    ) -> Result<Array3<f32>> {
        let own = self.own(streams, wait, part.clone());
        let stream = match ablation.stream() {
            Stream::Own => own.view(),
            other => streams[&other][&wait].view(),
        };
        self.replace(ablation, wait, &self.evaluated[part], own.view(), stream)
    }

    /// As [`Self::replaced`], of any prompts, from their own stream and the one that the ablation starts from.
    fn replace(
        &self,
        ablation: &dyn Ablation,
        wait: usize,
        prompts: &[usize],
        own: ArrayView3<'_, f32>,
        stream: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        let source = Source {
            set: &self.set,
            means: &self.means[&wait],
            operations: self.operations.get(&wait).map_or(&[], Vec::as_slice),
            estimator: self.estimator,
            estimation: &self.estimation,
            seed: self.seed,
        };
        replace(ablation, &source, prompts, own, stream)
    }
}

fn all(set: &PromptSet) -> Vec<usize> {
    (0..set.len()).collect()
}
