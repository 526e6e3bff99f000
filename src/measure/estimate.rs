//! The first pass over a template: what the unmodified model answers, and the means.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, Axis};

use super::biases::Biases;
use super::captured::Captured;
use super::forward::{captured_forward, check_finite, not_finite};
use super::prefix::Prefix;
use super::request::Request;
use super::scores::unmodified;
use super::split::Split;
use crate::intervene::Means;
use crate::prompt::PromptSet;
use crate::runtime::Engine;
use crate::{Error, Result, progress};

/// Captured residuals are kept from the first pass to the second up to this size; above, they are computed again.
const KEPT_BYTES: usize = 1 << 30;

/// What the first pass finds.
pub struct Estimated {
    pub base: Vec<u32>,
    /// Of every prompt.
    pub logit_difference: Vec<f32>,
    pub last: Array2<f32>,
    pub means: BTreeMap<usize, Means>,
    pub kept: Option<Captured>,
}

/// Runs every prompt once; split the batch until the memory of the device is enough.
pub fn estimate(
    engine: &mut Engine,
    set: &PromptSet,
    split: &Split,
    waits: &[usize],
    biases: &Biases,
    request: &mut Request<'_>,
) -> Result<Estimated> {
    loop {
        match estimate_in_batches(engine, set, split, waits, biases, request) {
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
    split: &Split,
    waits: &[usize],
    biases: &Biases,
    request: &Request<'_>,
) -> Result<Estimated> {
    let label = format!("{} {}: means", set.template.style, set.template.operation);
    let bar = progress::steps(&label, set.len().div_ceil(request.batch) as u64);
    let mut boundaries = waits.to_vec();
    boundaries.push(engine.layers());
    let mut pass = Pass {
        set,
        split,
        biases,
        boundaries,
        found: Estimated::nothing(engine, set, split, waits, biases, request.seed),
    };
    let all: Vec<usize> = (0..set.len()).collect();
    for prompts in all.chunks(request.batch) {
        let captured = pass.run(engine, prompts)?;
        pass.keep(prompts, captured);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(pass.found)
}

impl Estimated {
    /// What is known before any prompt was run, with room for all of it.
    fn nothing(
        engine: &Engine,
        set: &PromptSet,
        split: &Split,
        waits: &[usize],
        biases: &Biases,
        seed: u64,
    ) -> Self {
        let shared = biases.prefix().map_or(0, Prefix::len);
        let own = set.positions() - shared;
        let shape = (split.evaluated.len(), own, engine.d_model());
        let one = shape.0 * shape.1 * shape.2 * size_of::<f32>();
        // As if every boundary were asked for: a part of a sweep must not sum in another order than the whole.
        let keep = one * (engine.layers() + 1) <= KEPT_BYTES;
        let empty = |&wait: &usize| (wait, Array3::zeros(shape));
        let new = |&wait: &usize| {
            let means = Means::new(set.positions(), engine.d_model(), seed);
            (wait, means)
        };
        Self {
            base: Vec::with_capacity(set.len()),
            logit_difference: Vec::with_capacity(set.len()),
            last: Array2::zeros((shape.0, shape.2)),
            means: waits.iter().map(new).collect(),
            kept: keep.then(|| waits.iter().map(empty).collect()),
        }
    }
}

/// A run over all prompts of a set.
struct Pass<'a> {
    set: &'a PromptSet,
    split: &'a Split,
    biases: &'a Biases,
    /// The boundaries at which streams are captured, the end of the model the last.
    boundaries: Vec<usize>,
    found: Estimated,
}

impl Pass<'_> {
    /// Runs a batch, takes down what the model answers, and returns the captured streams.
    fn run(&mut self, engine: &mut Engine, prompts: &[usize]) -> Result<Captured> {
        let (set, biases) = (self.set, self.biases);
        let ids = set.ids(prompts);
        let (captured, logits) = captured_forward(engine, ids.clone(), biases, &self.boundaries)?;
        let answers = prompts.iter().map(|&p| &*set.prompts[p].answers);
        let answers: Vec<&[u32]> = answers.collect();
        let said = unmodified(engine, &logits, &answers)?;
        let suspect = said.is_none().then(|| logits.view()).transpose()?;
        check_finite(engine, set, ids, biases, (&captured, suspect))?;
        let said =
            said.ok_or_else(|| not_finite(set, crate::graph::LOGITS.to_owned(), f32::NAN))?;
        for (predicted, difference) in said {
            self.found.base.push(predicted);
            self.found.logit_difference.push(difference);
        }
        Ok(captured)
    }

    /// Adds the captured streams of a batch to the means, and keeps those of the evaluated prompts.
    fn keep(&mut self, prompts: &[usize], captured: Captured) {
        let (split, found) = (self.split, &mut self.found);
        let rows: Vec<usize> = (0..prompts.len())
            .filter(|&row| split.estimation[prompts[row]])
            .collect();
        let chosen: Vec<usize> = rows.iter().map(|&row| prompts[row]).collect();
        let evaluated: Vec<(usize, usize)> = (prompts.iter().enumerate())
            .filter_map(|(row, prompt)| Some((row, split.evaluated.binary_search(prompt).ok()?)))
            .collect();
        // Boundary by boundary, each given back before the next is kept.
        for (boundary, resid) in captured {
            if let Some(means) = found.means.get_mut(&boundary) {
                let whole = self.biases.whole(boundary, resid.view());
                match rows.len() == prompts.len() {
                    true => means.push(self.set, &chosen, whole.view()),
                    false => means.push(self.set, &chosen, whole.select(Axis(0), &rows).view()),
                }
            }
            let mut kept = (found.kept.as_mut()).and_then(|kept| kept.get_mut(&boundary));
            for &(row, at) in &evaluated {
                if self.boundaries.last() == Some(&boundary) {
                    let last = resid.slice(ndarray::s![row, -1, ..]);
                    found.last.row_mut(at).assign(&last);
                }
                if let Some(kept) = &mut kept {
                    let own = resid.index_axis(Axis(0), row);
                    kept.index_axis_mut(Axis(0), at).assign(&own);
                }
            }
        }
    }
}
