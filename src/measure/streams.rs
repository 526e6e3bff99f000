//! What replaces the residual streams of the evaluated prompts.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Array3, ArrayView3, CowArray, Ix3};

use super::Evaluation;
use super::captured::Captured;
use super::forward::streams;
use crate::intervene::ablation::{Ablation, Source, Stream, replace};
use crate::intervene::{Mask, MaskedBy};
use crate::runtime::Engine;
use crate::{Error, Result};

impl Evaluation {
    /// The largest change that an ablation makes to `resid[wait]` of the first batch, relative to its largest value at the
    /// positions from 1 on.
    ///
    /// # Errors
    /// As [`Self::sweep`].
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

    /// The streams that the ablations start from, for some prompts, but for those that are kept.
    pub(super) fn streams(
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
                    &Mask::SelfPeek(MaskedBy::ABP),
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
    pub(super) fn own<'a>(
        &'a self,
        streams: &'a BTreeMap<Stream, Captured>,
        wait: usize,
        part: Range<usize>,
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
    pub(super) fn replaced(
        &self,
        ablation: &dyn Ablation,
        streams: &BTreeMap<Stream, Captured>,
        wait: usize,
        part: Range<usize>,
    ) -> Result<Array3<f32>> {
        let own = self.own(streams, wait, part.clone());
        let stream = match ablation.stream() {
            Stream::Own => own.view(),
            other => streams[&other][&wait].view(),
        };
        self.replace(ablation, wait, &self.evaluated[part], own.view(), stream)
    }

    /// The streams of [`Self::replaced`] for any prompts, from their own stream and the one that the ablation starts from.
    pub(super) fn replace(
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
