//! Interchange interventions: what the model answers when the residual of another prompt is swapped in.

use ndarray::{Array3, s};

use super::Evaluation;
use super::captured::Captured;
use super::forward::{first_broken, not_finite, streams};
use super::pairs::Pair;
use super::scores::{Logits, Seen, all_finite, first_maximum};
use crate::interrupt::interrupted;
use crate::intervene::{Mask, Plan};
use crate::runtime::Engine;
use crate::{Error, Result, progress};

/// What the model answers when the residual of its counterfactual stands at one position of a prompt, at one boundary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patches {
    /// The boundary.
    pub boundary: usize,
    /// The position.
    pub position: usize,
    /// The predicted token of every pair.
    pub predicted: Vec<u32>,
}

/// A pair, and a position at which its prompts differ or behind one: what a row of a batch is.
#[derive(Clone, Copy)]
struct Swap {
    pair: usize,
    position: usize,
}

impl Evaluation {
    /// The answers to every prompt of some pairs when the residual of its counterfactual stands at one position and one boundary, for every
    /// of these boundaries and every position that is not the same in all prompts; boundary by boundary, then position by position. From
    /// the boundary on the model is the unmodified one. All positions of a boundary run together, and of them what follows the swap.
    ///
    /// Before the first token in which its prompts differ nothing is swapped, so that the answer is the unmodified model's.
    ///
    /// # Errors
    /// The runtime's reason; NaN or infinity; an interrupt.
    pub fn patch(
        &mut self,
        engine: &mut Engine,
        pairs: &[Pair],
        boundaries: &[usize],
    ) -> Result<Vec<Patches>> {
        loop {
            match self.patch_all(engine, pairs, boundaries) {
                Err(Error::OutOfMemory { .. }) if self.halve() => {}
                found => return found,
            }
        }
    }

    fn patch_all(
        &self,
        engine: &mut Engine,
        pairs: &[Pair],
        boundaries: &[usize],
    ) -> Result<Vec<Patches>> {
        let (first, positions) = (self.set.shared(), self.set.positions());
        let unmodified: Vec<u32> = pairs.iter().map(|pair| self.base[pair.prompt]).collect();
        let each = |&boundary: &usize| {
            let predicted = unmodified.clone();
            (first..positions).map(move |position| Patches {
                boundary,
                position,
                predicted: predicted.clone(),
            })
        };
        let mut found: Vec<Patches> = boundaries.iter().flat_map(each).collect();
        let together = (self.batch / (positions - first)).max(1);
        let chunks = pairs.len().div_ceil(together);
        let bar = progress::steps(&self.set.name(), (chunks * boundaries.len()) as u64);
        for (chunk, of_chunk) in pairs.chunks(together).enumerate() {
            let [own, other] = self.captured(engine, of_chunk, boundaries)?;
            let swaps = self.swaps(of_chunk);
            for (b, &boundary) in boundaries.iter().enumerate() {
                interrupted()?;
                let swapped = || swapped(&swaps, &own[&boundary], &other[&boundary]);
                for (swap, token) in swaps.iter().zip(self.answers(engine, boundary, swapped)?) {
                    let at = b * (positions - first) + swap.position - first;
                    found[at].predicted[chunk * together + swap.pair] = token;
                }
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok(found)
    }

    /// The residuals of the prompts of some pairs and of their counterfactuals, `[pair, pos, d_model]` by boundary.
    fn captured(
        &self,
        engine: &mut Engine,
        pairs: &[Pair],
        boundaries: &[usize],
    ) -> Result<[Captured; 2]> {
        let mut of = |prompt: fn(&Pair) -> usize| {
            let prompts: Vec<usize> = pairs.iter().map(prompt).collect();
            let (set, biases) = (&self.set, &self.biases);
            streams(engine, set, &prompts, &Mask::Causal, biases, boundaries)
        };
        Ok([of(|pair| pair.prompt)?, of(|pair| pair.other)?])
    }

    /// Every position of every pair from the first one on at which its prompts differ.
    fn swaps(&self, pairs: &[Pair]) -> Vec<Swap> {
        let of_pair = |(pair, of): (usize, &Pair)| {
            let [own, other] = [of.prompt, of.other].map(|p| &self.set.prompts[p].ids);
            let same = own.iter().zip(other).take_while(|(a, b)| a == b).count();
            (same..own.len()).map(move |position| Swap { pair, position })
        };
        pairs.iter().enumerate().flat_map(of_pair).collect()
    }

    /// What the unmodified model answers from a boundary on.
    fn answers(
        &self,
        engine: &mut Engine,
        boundary: usize,
        replaced: impl Fn() -> Array3<f32>,
    ) -> Result<Vec<u32>> {
        let plan = Plan::waiting(boundary);
        let mut predicted = Vec::new();
        let broken = self.run_here(engine, replaced(), &[&plan], |_, _, logits: &Logits<'_>| {
            let logits = logits.view()?;
            predicted.extend(logits.outer_iter().map(first_maximum));
            Ok(match all_finite(logits.view()) {
                true => Seen::Finite,
                false => Seen::NotFinite,
            })
        })?;
        if broken.is_some() {
            let (at, found) = first_broken(engine, &plan, replaced(), &self.biases)?;
            let at = format!("{at} after residuals were swapped at resid.{boundary}");
            return Err(not_finite(&self.set, at, found));
        }
        Ok(predicted)
    }
}

/// The residuals of prompts, one of their counterfactual's in each, `[swap, pos, d_model]`.
fn swapped(swaps: &[Swap], own: &Array3<f32>, other: &Array3<f32>) -> Array3<f32> {
    let (_, positions, d_model) = own.dim();
    let mut all = Array3::zeros((swaps.len(), positions, d_model));
    for (row, swap) in swaps.iter().enumerate() {
        all.slice_mut(s![row, .., ..])
            .assign(&own.slice(s![swap.pair, .., ..]));
        all.slice_mut(s![row, swap.position, ..])
            .assign(&other.slice(s![swap.pair, swap.position, ..]));
    }
    all
}
