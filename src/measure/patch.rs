//! Interchange interventions: what the model answers when residuals of another prompt are swapped in.

use ndarray::{Array3, Ix2, Ix3, s};

use super::Evaluation;
use super::branches::{Branches, Reads};
use super::captured::Captured;
use super::forward::{not_finite, step, streams};
use super::memory::in_batches_that_fit;
use super::pairs::Pair;
use super::request::Way;
use super::scores::{all_finite, first_maximum};
use super::swap::{Place, Swap};
use crate::interrupt::interrupted;
use crate::intervene::Mask;
use crate::prompt::PromptSet;
use crate::runtime::{Engine, Tensor};
use crate::{Result, progress};

/// What the model answers when residuals of its counterfactual stand at one position of a prompt, from one boundary on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patches {
    /// The boundary.
    pub boundary: usize,
    /// The position.
    pub position: usize,
    /// The predicted token of every pair.
    pub predicted: Vec<u32>,
}

/// What is swapped.
#[derive(Clone, Copy)]
pub struct Interchange<'a> {
    /// The prompts that are run.
    pub evaluation: &'a Evaluation,
    /// The prompts from which residuals are taken: the same ones, or those of another operation with the same roles at the same positions.
    pub others: &'a Evaluation,
    /// Which of the one and of the other belong together.
    pub pairs: &'a [Pair],
    /// In which layers the residual stands.
    pub swap: Swap,
    /// The boundaries at which it begins ([`Swap::begins`]).
    pub boundaries: &'a [usize],
}

/// Some pairs with their residuals, `[pair, pos, d_model]` by boundary.
struct Batch {
    places: Vec<Place>,
    own: Captured,
    other: Captured,
}

impl Interchange<'_> {
    /// The answers to every prompt when the residual of its counterfactual stands at one position, from every boundary and at every
    /// position that can differ, the last one only where it is swapped once; boundary by boundary, then position by position. All
    /// else is the unmodified model. All positions of a boundary run together, and of them the layers and the tokens that follow the swap.
    ///
    /// Before the first token in which two prompts differ nothing is swapped, so that the answer is the unmodified model's.
    ///
    /// # Errors
    /// The runtime's reason; NaN or infinity; an interrupt.
    ///
    /// # Panics
    /// If the prompts and the counterfactuals have different lengths, or at a boundary at which the swap cannot begin.
    pub fn run(&self, engine: &mut Engine) -> Result<Vec<Patches>> {
        assert_eq!(self.set().positions(), self.others.set.positions());
        let begins = |&boundary: &usize| self.swap.begins(boundary, engine.layers());
        assert!(self.boundaries.iter().all(begins));
        in_batches_that_fit(self.evaluation.batch(), self.pairs.len(), |batch| {
            self.in_batches(engine, batch)
        })
    }

    fn set(&self) -> &PromptSet {
        &self.evaluation.set
    }

    /// The positions at which residuals are swapped.
    fn positions(&self) -> std::ops::Range<usize> {
        let [own, other] = [self.set(), &self.others.set].map(|set| &set.prompts[0].ids);
        let first = alike(own, other).min(self.set().shared());
        first..self.swap.end(self.set().positions())
    }

    fn in_batches(&self, engine: &mut Engine, batch: usize) -> Result<Vec<Patches>> {
        let positions = self.positions();
        let unmodified = self.pairs.iter().map(|p| self.evaluation.base[p.prompt]);
        let unmodified: Vec<u32> = unmodified.collect();
        let each = |&boundary: &usize| {
            let predicted = &unmodified;
            positions.clone().map(move |position| Patches {
                boundary,
                position,
                predicted: predicted.clone(),
            })
        };
        let mut found: Vec<Patches> = self.boundaries.iter().flat_map(each).collect();
        let shares = self.evaluation.way == Way::Compiled && engine.takes_keys_values();
        // Those that differ from the same position on are run side by side.
        let mut order: Vec<usize> = (0..self.pairs.len()).collect();
        order.sort_by_key(|&pair| self.differs(pair));
        let together = together(batch, positions.len(), self.set().positions(), shares);
        let steps = order.len().div_ceil(together) * self.boundaries.len();
        let bar = progress::steps(&self.set().name(), steps as u64, progress::Unit::Batches);
        for chunk in order.chunks(together) {
            let of_chunk = self.batch(engine, chunk)?;
            let mut branches = match shares {
                true => Some(self.branches(engine, chunk, &of_chunk)?),
                false => None,
            };
            for (b, &boundary) in self.boundaries.iter().enumerate() {
                let shared = match &mut branches {
                    Some(branches) => {
                        branches.answers(engine, boundary, &of_chunk.own, &of_chunk.other)?
                    }
                    None => None,
                };
                // Whole prompts say where NaN or infinity comes from, too.
                let answers = match shared {
                    Some(answers) => answers,
                    None => self.whole(engine, &of_chunk, boundary)?,
                };
                for (place, token) in of_chunk.places.iter().zip(answers) {
                    let at = b * positions.len() + place.position - positions.start;
                    found[at].predicted[chunk[place.pair]] = token;
                }
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok(found)
    }

    /// The first position at which the prompts of a pair differ.
    fn differs(&self, pair: usize) -> usize {
        let Pair { prompt, other } = self.pairs[pair];
        alike(
            &self.set().prompts[prompt].ids,
            &self.others.set.prompts[other].ids,
        )
    }

    /// Some pairs: every position of each from the first one on at which its prompts differ, and their residuals at all boundaries that
    /// are needed.
    fn batch(&self, engine: &mut Engine, chunk: &[usize]) -> Result<Batch> {
        let positions = self.positions();
        let of_pair = |(pair, &index): (usize, &usize)| {
            let from = self.differs(index).max(positions.start);
            (from..positions.end).map(move |position| Place { pair, position })
        };
        let first = self.boundaries.iter().min().copied().unwrap_or(0);
        let needed: Vec<usize> = (first..=engine.layers()).collect();
        let mut captured = |from: &Evaluation, prompt: fn(&Pair) -> usize| {
            let prompts: Vec<usize> = chunk.iter().map(|&i| prompt(&self.pairs[i])).collect();
            let mask = Mask::Causal;
            streams(engine, &from.set, &prompts, &mask, &from.biases, &needed)
        };
        Ok(Batch {
            own: captured(self.evaluation, |pair| pair.prompt)?,
            other: captured(self.others, |pair| pair.other)?,
            places: chunk.iter().enumerate().flat_map(of_pair).collect(),
        })
    }

    fn branches(&self, engine: &mut Engine, chunk: &[usize], of: &Batch) -> Result<Branches> {
        let reads = Reads {
            pairs: chunk.len(),
            pos: self.set().positions(),
            swap: self.swap,
        };
        Branches::new(engine, reads, &of.places, &of.own, &of.other)
    }

    /// The answers of [`Branches::answers`] by whole prompts, a row for every place: the definition.
    fn whole(&self, engine: &mut Engine, of: &Batch, boundary: usize) -> Result<Vec<u32>> {
        let places = &of.places;
        let mut rows = whole_rows(places, &of.own[&boundary]);
        put(&mut rows, places, &of.other[&boundary]);
        let finite = |rows: &Array3<f32>, layer: usize| match rows.iter().find(|x| !x.is_finite()) {
            Some(found) => {
                let at = format!(
                    "{} after residuals were swapped at resid.{boundary}",
                    crate::graph::resid(layer)
                );
                Err(not_finite(self.set(), at, *found))
            }
            None => Ok(()),
        };
        for layer in boundary..engine.layers() {
            interrupted()?;
            let biases = &self.evaluation.biases;
            let stream = Tensor::from_f32(rows)?;
            let next = step(engine, layer, &stream, &Mask::Causal, biases)?;
            rows = next.view::<Ix3>()?.to_owned();
            finite(&rows, layer + 1)?;
            match self.swap {
                Swap::Layer if layer == boundary => put(&mut rows, places, &of.own[&(layer + 1)]),
                Swap::Cumulative => put(&mut rows, places, &of.other[&(layer + 1)]),
                Swap::Once | Swap::Layer => {}
            }
        }
        let logits = engine.logits(&Tensor::from_f32(rows)?)?;
        let logits = logits.view::<Ix2>()?;
        if !all_finite(logits) {
            let found = logits.iter().find(|x| !x.is_finite());
            let at = format!("logits after residuals were swapped at resid.{boundary}");
            return Err(not_finite(
                self.set(),
                at,
                found.copied().unwrap_or(f32::NAN),
            ));
        }
        Ok(logits.outer_iter().map(first_maximum).collect())
    }
}

/// With how many tokens two prompts begin alike.
fn alike(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// The residuals of the prompt of every place, `[place, pos, d_model]`.
fn whole_rows(places: &[Place], own: &Array3<f32>) -> Array3<f32> {
    let (_, pos, d_model) = own.dim();
    let mut rows = Array3::zeros((places.len(), pos, d_model));
    for (row, place) in places.iter().enumerate() {
        let of = own.slice(s![place.pair, .., ..]);
        rows.slice_mut(s![row, .., ..]).assign(&of);
    }
    rows
}

/// Puts residuals, `[pair, pos, d_model]`, where the places are.
fn put(rows: &mut Array3<f32>, places: &[Place], from: &Array3<f32>) {
    for (row, place) in places.iter().enumerate() {
        let of = from.slice(s![place.pair, place.position, ..]);
        rows.slice_mut(s![row, place.position, ..]).assign(&of);
    }
}

/// How many pairs run together that are swapped at so many positions, so that about as many tokens run as `batch` prompts of `pos` tokens
/// have. Where a pair `shares` what stands before a position, only the tokens from there on run.
fn together(batch: usize, positions: usize, pos: usize, shares: bool) -> usize {
    let tokens = match shares {
        true => positions * (positions + 1) / 2,
        false => positions * pos,
    };
    (batch * pos / tokens.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of prompts of 6 tokens that are swapped at 4 positions have 4 + 3 + 2 + 1 tokens behind them, or 24 in all.
    #[test]
    fn as_many_tokens_run_together_as_a_batch_has() {
        assert_eq!(together(64, 4, 6, true), 38);
        assert_eq!(together(64, 4, 6, false), 16);
        // One pair at least, also where nothing is swapped.
        assert_eq!(together(1, 4, 6, false), 1);
        assert_eq!(together(64, 0, 6, true), 384);
    }
}
