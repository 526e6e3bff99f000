//! The tokens that all prompts of a template begin with, run once.

use ndarray::{Array2, Array3, ArrayView3, Axis, Ix3, Ix4, s};

use super::captured::Captured;
use super::tree::Trees;
use crate::Result;
use crate::interrupt::interrupted;
use crate::intervene::Mask;
use crate::runtime::{Engine, KeysValues, Tensor};

/// The tokens that all prompts of a template begin with, run once in the unmodified model.
pub struct Prefix {
    /// The residual streams of the tokens by boundary, `[len, d_model]`.
    streams: Vec<Array2<f32>>,
    /// The keys and values of the tokens by layer, of a batch of 1.
    caches: Vec<KeysValues>,
    /// The keys and values of position 0 alone, by layer.
    pub sinks: Vec<KeysValues>,
}

impl Prefix {
    /// Runs the tokens `ids`, `[1, len]`, through all layers.
    ///
    /// # Errors
    /// The runtime's reason; an interrupt.
    pub fn new(engine: &mut Engine, ids: Array2<i64>) -> Result<Self> {
        let len = ids.ncols();
        let bias = Tensor::from_f32(Mask::Causal.bias(1, len))?;
        let positions = positions(1, 0..len)?;
        let mut stream = engine.embed(ids, 0)?;
        let (mut streams, mut caches, mut sinks) = (Vec::new(), Vec::new(), Vec::new());
        for layer in 0..=engine.layers() {
            streams.push(stream.view::<Ix3>()?.index_axis(Axis(0), 0).to_owned());
            if layer < engine.layers() {
                interrupted()?;
                let made = engine.keys_values(layer, &stream, &positions)?;
                stream = engine.attend(layer, &stream, &positions, &made, &bias)?;
                let sink = |x: &Tensor| {
                    Tensor::from_f32(x.view::<Ix4>()?.slice(s![.., .., ..1, ..]).to_owned())
                };
                sinks.push(KeysValues {
                    keys: sink(&made.keys)?,
                    values: sink(&made.values)?,
                });
                caches.push(made);
            }
        }
        Ok(Self {
            streams,
            caches,
            sinks,
        })
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.streams[0].nrows()
    }

    /// The keys and values of these tokens in a layer.
    pub fn keys_values(&self, layer: usize) -> &KeysValues {
        &self.caches[layer]
    }

    /// Streams at a boundary of the tokens after these, `[batch, pos, d_model]`, with those of these before them.
    pub fn before(&self, boundary: usize, own: ArrayView3<'_, f32>) -> Array3<f32> {
        let shared = &self.streams[boundary];
        let len = self.len();
        let (batch, pos, d_model) = own.dim();
        let mut whole = Array3::zeros((batch, len + pos, d_model));
        whole.slice_mut(s![.., ..len, ..]).assign(shared);
        whole.slice_mut(s![.., len.., ..]).assign(&own);
        whole
    }

    /// Runs the layers `0 .. end` of the unmodified model on prompts that begin with these tokens, `[batch, pos]`; returns the streams
    /// of the tokens after these at the boundaries `capture`, and `resid[end]` of the last tokens, `[batch, 1, d_model]`.
    ///
    /// # Errors
    /// The runtime's reason; an interrupt.
    pub fn run_to(
        &self,
        engine: &mut Engine,
        ids: &Array2<i64>,
        capture: &[usize],
        end: usize,
    ) -> Result<(Captured, Tensor)> {
        let len = self.len();
        let own = ids.slice(s![.., len..]).mapv(|id| id as u32);
        let rows: Vec<Vec<u32>> = own.outer_iter().map(|row| row.to_vec()).collect();
        let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let mut trees = Trees::new(len, ids.ncols(), &rows);
        let (captured, stream) = self.run(engine, &mut trees, &rows, (capture, end))?;
        let every: Vec<usize> = (0..rows.len()).collect();
        let tokens = own.ncols();
        let spread = |(boundary, nodes): (usize, Array3<f32>)| {
            (boundary, trees.spread(nodes.view(), &every, 0..tokens))
        };
        let last = trees.spread(stream.view()?, &every, tokens - 1..tokens);
        Ok((
            captured.into_iter().map(spread).collect(),
            Tensor::from_f32(last)?,
        ))
    }

    /// Runs the layers `0 .. end` of the unmodified model on trees of the tokens after these, which `prompts` gives; returns the streams
    /// of their nodes, `[tree, node, d_model]`, at the boundaries `capture`, and `resid[end]`.
    ///
    /// # Errors
    /// The runtime's reason; an interrupt.
    pub fn run(
        &self,
        engine: &mut Engine,
        trees: &mut Trees,
        prompts: &[&[u32]],
        (capture, end): (&[usize], usize),
    ) -> Result<(Captured, Tensor)> {
        let mask = Mask::Causal;
        trees.include(&mask)?;
        let ids = trees.each(|prompt, t| i64::from(prompts[prompt][t]));
        let mut captured = Captured::new();
        let mut stream = engine.embed_at(ids, trees.positions())?;
        for layer in 0..=end {
            if capture.contains(&layer) {
                captured.insert(layer, stream.view::<Ix3>()?.to_owned());
            }
            if layer < end {
                interrupted()?;
                stream = trees.layer(engine, layer, &stream, Some(&self.caches[layer]), &mask)?;
            }
        }
        Ok((captured, stream))
    }
}

/// The positions of some tokens of every prompt of a batch, `[batch, len]`.
pub fn positions(batch: usize, range: std::ops::Range<usize>) -> Result<Tensor> {
    let shape = (batch, range.len());
    Tensor::from_i64(Array2::from_shape_fn(shape, |(_, t)| {
        (range.start + t) as i64
    }))
}
