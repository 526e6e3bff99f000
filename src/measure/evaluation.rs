//! One template, ready for plans: its prompts, what the unmodified model answers, and the means.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3};

use super::biases::Biases;
use super::captured::Captured;
use super::cell::Cell;
use super::estimate::{Estimated, Member, Run, estimate};
use super::nest::Nest;
use super::request::{Draw, Part, Request, Way};
use super::scores::References;
use super::split::{Split, others};
use crate::intervene::{Contexts, Estimator, Means};
use crate::prompt::{Dependence, PromptSet};
use crate::runtime::Engine;
use crate::{Error, Result};

/// One template after the first pass. Nothing but what the second pass may keep for the next one changes.
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
    /// Prompts that are in neither half, because they have operands of both; `None` where there is no split.
    pub mixed: Option<usize>,
    /// Which contexts the means are over, if these are fewer than there are.
    pub draw: Option<Draw>,
    /// How well the means are known, by boundary.
    pub contexts: BTreeMap<usize, Contexts>,
    /// What one operand says of another in the prompts that the means are over.
    pub dependence: Dependence,
    pub(super) means: BTreeMap<usize, Means>,
    /// The means of other operations, by boundary.
    pub(super) operations: BTreeMap<usize, Vec<Means>>,
    /// `resid[L]` of the evaluated prompts at the last position, `[evaluated, d_model]`: from it come the unmodified model's
    /// logits.
    pub(super) last: Array2<f32>,
    /// What the unmodified model says, by the first prompt of a batch, if that is little enough to keep.
    pub(super) references: BTreeMap<usize, References>,
    /// Whether each prompt of the set is one of the estimation prompts.
    pub(super) estimation: Vec<bool>,
    /// The mean of what the heads read, by layer, `[head, pos, d_head]`, and over how many prompts; made when it is needed.
    pub(super) head_means: Option<(Vec<Array3<f64>>, usize)>,
    pub(super) seed: u64,
    /// Residuals of the evaluated prompts as they were captured, `[evaluated, pos, d_model]` by boundary, if they are few enough
    /// to keep.
    pub(super) kept: Option<Captured>,
    /// Another prompt for every prompt of the set; the prompt itself where it is the only one.
    pub(super) others: Vec<usize>,
    pub(super) estimator: Estimator,
    pub(super) batch: usize,
    pub(super) way: Way,
    pub(super) biases: Biases,
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

/// One of the steps of an answer that go through the first pass at once.
pub struct Asked<'a> {
    /// The prompts of the step.
    pub set: &'a PromptSet,
    /// What is asked of them; the number of prompts in a batch is that of the first step.
    pub request: Request<'a>,
    /// Whether it is evaluated; if not, it is run for what the others have in common with it alone.
    pub wanted: bool,
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
    let one = Asked {
        set: &set,
        request: *request,
        wanted: true,
    };
    let mut made = prepare_steps(engine, &[one], waits)?;
    made.pop().flatten().expect("one that is wanted")
}

/// As [`prepare`], of several steps of the same prompts in their order: every token that steps have in common is run once. Each that is
/// wanted has its result, or its own error, in its place.
///
/// # Errors
/// The runtime's reason; NaN or infinity; an interrupt.
pub fn prepare_steps(
    engine: &mut Engine,
    steps: &[Asked<'_>],
    waits: &[usize],
) -> Result<Vec<Option<Result<Evaluation>>>> {
    let splits = steps.iter().map(|step| split(step.set, &step.request));
    let splits: Vec<Result<Split>> = splits.collect();
    let sets: Vec<&PromptSet> = steps.iter().map(|step| step.set).collect();
    let nested = Nest::of(&sets).is_some();
    let mut biases: Vec<Biases> = Vec::new();
    for step in steps {
        let mut own = Biases::new(step.set.positions())?;
        match biases.first() {
            _ if step.request.way == Way::Masked => {}
            Some(first) if nested => own.share_those_of(first),
            _ => own.share(engine, step.set)?,
        }
        biases.push(own);
    }
    let of_steps = steps.iter().zip(&splits).zip(&biases);
    let members = of_steps.filter_map(|((step, split), biases)| {
        Some(Member {
            set: step.set,
            split: split.as_ref().ok()?,
            biases,
            wanted: step.wanted,
        })
    });
    let members: Vec<Member<'_>> = members.collect();
    let first = steps.first().map(|step| step.request);
    let mut run = Run {
        waits,
        seed: first.map_or(0, |request| request.seed),
        boundaries: first.map_or(0, |request| request.boundaries),
        batch: first.map_or(1, |request| request.batch),
    };
    let estimated = match members.iter().any(|member| member.wanted) {
        true => estimate(engine, &members, &mut run)?,
        false => members.iter().map(|_| None).collect(),
    };
    let batch = run.batch;
    let mut estimated = estimated.into_iter();
    let mut made = Vec::new();
    for ((step, split), biases) in steps.iter().zip(splits).zip(biases) {
        let split = match split {
            Err(error) => {
                made.push(step.wanted.then_some(Err(error)));
                continue;
            }
            Ok(split) => split,
        };
        let Some(first) = estimated.next().flatten() else {
            made.push(None);
            continue;
        };
        let mut request = Request {
            batch,
            ..step.request
        };
        let evaluation = || {
            let parts = Parts {
                first: first?,
                operations: of_operations(engine, waits, &mut request)?,
                split,
                biases,
            };
            Ok(Evaluation::new(step.set.clone(), &request, parts))
        };
        made.push(Some(evaluation()));
    }
    Ok(made)
}

/// Which prompts of a set are evaluated.
///
/// # Errors
/// None of them has a mean.
fn split(set: &PromptSet, request: &Request<'_>) -> Result<Split> {
    let split = Split::new(set, request)?;
    if !split.evaluated.is_empty() {
        return Ok(split);
    }
    let name = request.estimator.name();
    Err(Error::NoPrompts {
        style: set.template.style.clone(),
        operation: set.template.operation.to_string(),
        reason: match set.template.operation.operands() {
            1 => format!(
                "the {name} estimator has no mean where there is one operand, because no other prompt has its value: ask for an operation \
                 with two operands, or take --estimator plug-in where nothing is replaced by a mean"
            ),
            _ => format!(
                "the {name} estimator has no mean for any of the {} prompts; take more prompts or another --estimator",
                set.asked().len()
            ),
        },
    })
}

/// What an evaluation is made of.
struct Parts {
    split: Split,
    first: Estimated,
    operations: BTreeMap<usize, Vec<Means>>,
    biases: Biases,
}

impl Evaluation {
    fn new(set: PromptSet, request: &Request<'_>, parts: Parts) -> Self {
        let Parts {
            split,
            first,
            operations,
            biases,
        } = parts;
        let base_logit_difference = split.evaluated.iter().map(|&p| first.logit_difference[p]);
        let estimation: Vec<&[i64]> = (set.prompts.iter().zip(&split.estimation))
            .filter_map(|(prompt, estimation)| estimation.then_some(&*prompt.operands))
            .collect();
        let sample = set.drawn || estimation.len() < set.len();
        let dependence = Dependence::of(&estimation, sample);
        let contexts = (first.means.iter()).map(|(&wait, means)| (wait, means.contexts()));
        Self {
            base_logit_difference: base_logit_difference.collect(),
            part: request.part,
            mixed: split.mixed,
            draw: request.draw,
            operations,
            last: first.last,
            references: BTreeMap::new(),
            head_means: None,
            seed: request.seed,
            base: first.base,
            others: others(&split.estimation, request.seed),
            contexts: contexts.collect(),
            estimation: split.estimation,
            undefined: split.undefined,
            degenerate: split.degenerate,
            evaluated: split.evaluated,
            dependence,
            means: first.means,
            kept: first.kept,
            estimator: request.estimator,
            batch: request.batch,
            way: request.way,
            biases,
            set,
        }
    }
}

/// The means of other operations by boundary, if an ablation needs them.
fn of_operations(
    engine: &mut Engine,
    waits: &[usize],
    request: &mut Request<'_>,
) -> Result<BTreeMap<usize, Vec<Means>>> {
    let mut operations: BTreeMap<usize, Vec<Means>> = BTreeMap::new();
    let needed = (request.ablations.iter()).any(|ablation| ablation.needs_operations());
    if !needed {
        return Ok(operations);
    }
    for other in request.operations {
        let every = Split::everything(other);
        let mut biases = Biases::new(other.positions())?;
        if request.way == Way::Compiled {
            biases.share(engine, other)?;
        }
        let member = Member {
            set: other,
            split: &every,
            biases: &biases,
            wanted: true,
        };
        let mut run = Run {
            waits,
            seed: request.seed,
            boundaries: request.boundaries,
            batch: request.batch,
        };
        let estimated = estimate(engine, &[member], &mut run)?;
        request.batch = run.batch;
        for found in estimated.into_iter().flatten() {
            for (wait, means) in found?.means {
                operations.entry(wait).or_default().push(means);
            }
        }
    }
    Ok(operations)
}
