//! The first pass over a template: what the unmodified model answers, and the means.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, Axis, Ix3, s};

use super::biases::Biases;
use super::captured::Captured;
use super::forward::{captured_forward, check_finite, not_finite};
use super::memory::in_batches_that_fit;
use super::nest::{Nest, side_by_side};
use super::prefix::Prefix;
use super::scores::unmodified;
use super::split::Split;
use super::tree::{Tokens, Trees};
use crate::intervene::{Mask, Means};
use crate::prompt::PromptSet;
use crate::runtime::{Engine, Tensor};
use crate::{Error, Result, progress};

/// Captured residuals are kept from the first pass to the second up to this size; above, they are computed again.
const KEPT_BYTES: usize = 1 << 30;

/// What the first pass finds.
pub struct Estimated {
    pub base: Vec<u32>,
    /// The logit difference of every prompt.
    pub logit_difference: Vec<f32>,
    pub last: Array2<f32>,
    pub means: BTreeMap<usize, Means>,
    pub kept: Option<Captured>,
}

/// One of the sets of prompts that are run at once.
pub struct Member<'a> {
    pub set: &'a PromptSet,
    pub split: &'a Split,
    pub biases: &'a Biases,
    /// Whether it is asked for; if not, its prompts are run for what the others have in common with them alone.
    pub wanted: bool,
}

/// How the sets are run.
pub struct Run<'a> {
    /// The boundaries at which means are asked for.
    pub waits: &'a [usize],
    /// The seed of the draws.
    pub seed: u64,
    /// The number of boundaries, as in [`super::Request::boundaries`].
    pub boundaries: usize,
    /// Prompts in a batch; halved until the memory of the device is enough.
    pub batch: usize,
}

/// Runs every prompt once: of sets of which one goes on the other, what they have in common once. What comes of each that is wanted is
/// in its place: NaN or infinity in one of them does not take the others with it.
///
/// # Errors
/// The runtime's reason; an interrupt.
pub fn estimate(
    engine: &mut Engine,
    members: &[Member<'_>],
    run: &mut Run<'_>,
) -> Result<Vec<Option<Result<Estimated>>>> {
    let most = members.iter().map(|member| member.set.len()).max();
    let most = most.unwrap_or(0);
    in_batches_that_fit(run.batch, most, |batch| {
        run.batch = batch;
        estimate_in_batches(engine, members, run)
    })
}

/// Runs every prompt once.
fn estimate_in_batches(
    engine: &mut Engine,
    members: &[Member<'_>],
    run: &Run<'_>,
) -> Result<Vec<Option<Result<Estimated>>>> {
    let pass = |member| Pass {
        member,
        found: Estimated::nothing(engine, member, members.len(), run),
        broken: None,
    };
    let mut passes: Vec<Pass<'_>> = members.iter().map(pass).collect();
    let sets: Vec<&PromptSet> = members.iter().map(|member| member.set).collect();
    let prefix = members.first().and_then(|member| member.biases.prefix());
    match (prefix, Nest::of(&sets)) {
        (Some(prefix), Some(nest)) => in_trees(engine, &mut passes, prefix, &nest, run)?,
        _ => {
            for pass in passes.iter_mut().filter(|pass| pass.member.wanted) {
                let ran = one_by_one(engine, pass, run);
                pass.unless_broken(ran)?;
            }
        }
    }
    let found = |pass: Pass<'_>| {
        let found = pass.broken.map_or(Ok(pass.found), Err);
        pass.member.wanted.then_some(found)
    };
    Ok(passes.into_iter().map(found).collect())
}

/// What the progress bar of a pass over a set says.
fn label(set: &PromptSet) -> String {
    format!("{} {}: means", set.template.style, set.template.operation)
}

/// Runs a set by itself.
fn one_by_one(engine: &mut Engine, pass: &mut Pass<'_>, run: &Run<'_>) -> Result<()> {
    let (set, biases) = (pass.member.set, pass.member.biases);
    let bar = progress::steps(
        &label(set),
        set.len().div_ceil(run.batch) as u64,
        progress::Unit::Batches,
    );
    let all: Vec<usize> = (0..set.len()).collect();
    let end = engine.layers();
    let mut boundaries = run.waits.to_vec();
    boundaries.push(end);
    for prompts in all.chunks(run.batch) {
        let ids = set.ids(prompts);
        let (captured, logits) = captured_forward(engine, ids, biases, &boundaries)?;
        let last = captured[&end].slice(s![.., -1.., ..]).to_owned();
        let said = Said { last, logits };
        pass.take(engine, prompts, captured, &said)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Runs sets of which one goes on the other: of every prompt of the first set the longest one, all others on the way.
fn in_trees(
    engine: &mut Engine,
    passes: &mut [Pass<'_>],
    prefix: &Prefix,
    nest: &Nest,
    run: &Run<'_>,
) -> Result<()> {
    let first = passes[0].member.set;
    let len = prefix.len();
    let own = |p: usize| -> &[u32] {
        let (set, prompt) = nest.longest(p);
        &passes[set].member.set.prompts[prompt].ids[len..]
    };
    let rows: Vec<&[u32]> = (0..first.len()).map(own).collect();
    let order = side_by_side(&rows);
    let bar = progress::steps(
        &label(first),
        first.len().div_ceil(run.batch) as u64,
        progress::Unit::Batches,
    );
    // Of the last layer the last tokens alone, unless means of all are asked for behind it.
    let end = engine.layers();
    let before = match run.waits.contains(&end) {
        true => end,
        false => end.saturating_sub(1),
    };
    for chunk in order.chunks(run.batch) {
        let here: Vec<&[u32]> = chunk.iter().map(|&p| rows[p]).collect();
        let mut trees = Trees::new(len, first.positions(), &here);
        let (captured, stream) = prefix.run(engine, &mut trees, &here, (run.waits, before))?;
        let seen = (before < end)
            .then(|| trees.seen(engine, before, &stream, Some(prefix.keys_values(before))))
            .transpose()?;
        for (set, pass) in passes.iter_mut().enumerate() {
            let in_set = chunk.iter().enumerate();
            let in_set = in_set.filter_map(|(row, &p)| Some((row, nest.prompt(set, p)?)));
            let (rows, prompts): (Vec<usize>, Vec<usize>) = in_set.unzip();
            if !pass.member.wanted || pass.broken.is_some() || prompts.is_empty() {
                continue;
            }
            let tokens = pass.member.set.positions() - len;
            let lasts = Tokens {
                prompts: &rows,
                token: tokens - 1,
            };
            let last = match &seen {
                Some(seen) => {
                    trees.layer_at(engine, before, &stream, seen, &Mask::Causal, &lasts)?
                }
                None => Tensor::from_f32(trees.spread(stream.view()?, &rows, tokens - 1..tokens))?,
            };
            let said = Said {
                logits: engine.logits(&last)?,
                last: last.view::<Ix3>()?.to_owned(),
            };
            let captured = captured
                .iter()
                .map(|(&boundary, nodes)| (boundary, trees.spread(nodes.view(), &rows, 0..tokens)));
            let taken = pass.take(engine, &prompts, captured.collect(), &said);
            pass.unless_broken(taken)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// What the model says to a batch of prompts.
struct Said {
    /// The streams of the last tokens at its end, `[batch, 1, d_model]`.
    last: Array3<f32>,
    /// The logits of the batch, `[batch, vocab]`.
    logits: Tensor,
}

impl Estimated {
    /// What is known before any prompt was run, with room for all of it; so many sets share the memory.
    fn nothing(engine: &Engine, member: &Member<'_>, sets: usize, run: &Run<'_>) -> Self {
        let Member {
            set, split, biases, ..
        } = *member;
        let shared = biases.prefix().map_or(0, Prefix::len);
        let own = set.positions() - shared;
        let shape = (split.evaluated.len(), own, engine.d_model());
        // As if every boundary of the sweep were asked for: a part of it must not sum in another order than the whole.
        let boundaries = run.waits.len().max(run.boundaries);
        let keep = member.wanted && are_kept(shape, boundaries * sets);
        let empty = |&wait: &usize| (wait, Array3::zeros(shape));
        let new = |&wait: &usize| {
            let means = Means::new(set.positions(), engine.d_model(), run.seed);
            (wait, means)
        };
        Self {
            base: vec![0; set.len()],
            logit_difference: vec![0.0; set.len()],
            last: Array2::zeros((shape.0, shape.2)),
            means: run.waits.iter().map(new).collect(),
            kept: keep.then(|| run.waits.iter().map(empty).collect()),
        }
    }
}

/// Whether so many captures of that shape, in f32, stay in memory from one pass to the next.
fn are_kept(shape: (usize, usize, usize), captures: usize) -> bool {
    let bytes = [shape.0, shape.1, shape.2, captures]
        .into_iter()
        .fold(size_of::<f32>(), usize::saturating_mul);
    bytes <= KEPT_BYTES
}

/// A run over all prompts of a set.
struct Pass<'a> {
    member: &'a Member<'a>,
    found: Estimated,
    /// NaN or infinity, if there was any.
    broken: Option<Error>,
}

impl Pass<'_> {
    /// Passes on what came of a part, but keeps to itself that it is broken.
    fn unless_broken(&mut self, came: Result<()>) -> Result<()> {
        match came {
            Err(error @ Error::NotFinite { .. }) => {
                self.broken = Some(error);
                Ok(())
            }
            other => other,
        }
    }

    /// Takes down what the model answers to a batch, and the streams that were captured.
    fn take(
        &mut self,
        engine: &mut Engine,
        prompts: &[usize],
        captured: Captured,
        Said { last, logits }: &Said,
    ) -> Result<()> {
        let (set, biases) = (self.member.set, self.member.biases);
        let answers = prompts.iter().map(|&p| &*set.prompts[p].answers);
        let answers: Vec<&[u32]> = answers.collect();
        let said = unmodified(engine, logits, &answers)?;
        let suspect = said.is_none().then(|| logits.view()).transpose()?;
        let ids = set.ids(prompts);
        check_finite(engine, set, ids, biases, (&captured, suspect))?;
        let said =
            said.ok_or_else(|| not_finite(set, crate::graph::LOGITS.to_owned(), f32::NAN))?;
        for (&prompt, (predicted, difference)) in prompts.iter().zip(said) {
            self.found.base[prompt] = predicted;
            self.found.logit_difference[prompt] = difference;
        }
        self.keep(prompts, captured, last);
        Ok(())
    }

    /// Adds the captured streams of a batch to the means, and keeps those of the evaluated prompts.
    fn keep(&mut self, prompts: &[usize], captured: Captured, last: &Array3<f32>) {
        let (split, found) = (self.member.split, &mut self.found);
        let rows: Vec<usize> = (0..prompts.len())
            .filter(|&row| split.estimation[prompts[row]])
            .collect();
        let chosen: Vec<usize> = rows.iter().map(|&row| prompts[row]).collect();
        let evaluated: Vec<(usize, usize)> = (prompts.iter().enumerate())
            .filter_map(|(row, prompt)| Some((row, split.evaluated.binary_search(prompt).ok()?)))
            .collect();
        for &(row, at) in &evaluated {
            let last = last.slice(s![row, 0, ..]);
            found.last.row_mut(at).assign(&last);
        }
        // Boundary by boundary, each given back before the next is kept.
        for (boundary, resid) in captured {
            if let Some(means) = found.means.get_mut(&boundary) {
                let whole = self.member.biases.whole(boundary, resid.view());
                match rows.len() == prompts.len() {
                    true => means.push(self.member.set, &chosen, whole.view()),
                    false => means.push(
                        self.member.set,
                        &chosen,
                        whole.select(Axis(0), &rows).view(),
                    ),
                }
            }
            if let Some(kept) = (found.kept.as_mut()).and_then(|kept| kept.get_mut(&boundary)) {
                for &(row, at) in &evaluated {
                    let own = resid.index_axis(Axis(0), row);
                    kept.index_axis_mut(Axis(0), at).assign(&own);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gigabyte is kept: 2^28 numbers in f32, however they lie.
    #[test]
    fn captures_are_kept_up_to_a_size() {
        for shape in [(1 << 10, 1 << 3, 1 << 10), (1 << 3, 1 << 10, 1 << 10)] {
            assert!(are_kept(shape, 32), "{shape:?}");
            assert!(!are_kept(shape, 33), "{shape:?}");
        }
        assert!(are_kept((0, 8, 8), usize::MAX));
        assert!(!are_kept((1 << 40, 1 << 40, 1 << 40), 1));
    }
}
