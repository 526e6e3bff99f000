//! A whole model as a chain of segments: the embedding, two for every layer (keys and values, the rest), the head.
//!
//! Segments of a layer mean that any start, any mask, any capture and any keys and values need no further session, and that the
//! weights are in memory once (a tied embedding twice: as it is for looking up, packed for the unembedding).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use ndarray::{Array1, Array2, Array4, ArrayView4, Ix2};

use super::allocator::Loading;
use super::assembly::{Assembly, KeysValues, TableRows};
use super::segments::{Layer, Maker, Segments};
use super::{Part, Placement, Runtime, Tensor, Work};
use crate::file::{Sha256, sha256_bytes};
use crate::graph::score::{self, Right};
use crate::graph::{
    Graph, INPUT_IDS, LOGITS, POSITION_IDS, Precision, attn_bias, attn_key, attn_out, attn_pattern,
    attn_value, resid,
};
use crate::model::{Model, Store};
use crate::{Error, Result};

/// What a layer's attention has computed.
pub enum Attention<'a> {
    /// The weights after softmax, `[batch, head, q_pos, k_pos]`.
    Weights(ArrayView4<'a, f32>),
    /// What the heads read, `[batch, head, q_pos, d_head]`.
    Outputs(ArrayView4<'a, f32>),
}

/// A model that is ready to run on a device.
pub struct Engine {
    runtime: &'static Runtime,
    placement: Placement,
    embed: Part,
    layers: Vec<Layer>,
    head: Part,
    /// An assembly for each device.
    assemblies: Vec<Assembly>,
    /// The layers cut at their attention, those that were needed so far: `resid` to weights, to what heads read, to `resid`.
    attention: BTreeMap<usize, [Part; 3]>,
    /// What reads measures off logits, those that were needed so far.
    scorers: BTreeMap<Right, Part>,
    /// The positions of the last batch of whole prompts, `[batch, pos]`.
    positions: Option<Tensor>,
    graph: Graph,
    weights: Store,
    graph_hash: Sha256,
    providers: BTreeMap<String, usize>,
    precision: Precision,
    d_model: usize,
    vocab: usize,
    heads: usize,
    work: Work,
}

impl Engine {
    /// Makes the sessions of a model on a device.
    ///
    /// # Errors
    /// A device that cannot run, nodes that would fall back to the CPU, a graph that the runtime refuses, an interrupt.
    pub fn new(
        runtime: &'static Runtime,
        placement: impl Into<Placement>,
        model: &Model,
    ) -> Result<Self> {
        Self::from_graph(runtime, placement, model, &model.graph()?)
    }

    /// Makes the sessions of a graph of a model that is not the one that this program writes but keeps the contract.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn from_graph(
        runtime: &'static Runtime,
        placement: impl Into<Placement>,
        model: &Model,
        graph: &Graph,
    ) -> Result<Self> {
        let placement = placement.into().decide(graph);
        placement.check_model(model, graph)?;
        let graph_hash = sha256_bytes(&graph.to_bytes());
        let (graph, weights) = model.resolve(graph)?;
        let _loading = Loading::begin();
        let maker = Maker {
            runtime,
            placement: &placement,
            graph: &graph,
            weights: &weights,
            layers: model.sizes.layers,
        };
        let Segments {
            head,
            embed,
            layers,
        } = maker.pieces()?;
        let of_layers = (layers.iter()).flat_map(|of| of.keys_values.iter().chain([&of.rest]));
        let providers = counted([&head, &embed].into_iter().chain(of_layers));
        let d_model = model.sizes.d_model;
        let assembly = |place: Placement| Assembly::new(runtime, &place, &graph, &weights, d_model);
        let assemblies = placement.each().into_iter().map(assembly);
        let assemblies = assemblies.collect::<Result<Vec<Assembly>>>()?;
        Ok(Self {
            runtime,
            assemblies,
            placement,
            embed,
            layers,
            head,
            attention: BTreeMap::new(),
            scorers: BTreeMap::new(),
            positions: None,
            weights,
            graph,
            graph_hash,
            providers,
            precision: model.precision,
            d_model,
            vocab: model.sizes.vocab,
            heads: model.sizes.heads,
            work: Work::default(),
        })
    }

    /// The runtime that it runs on.
    pub fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    /// The device and its options.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The SHA-256 of the whole model's graph.
    pub fn graph_hash(&self) -> &Sha256 {
        &self.graph_hash
    }

    /// The number of nodes by the provider that executes them, as the runtime says.
    pub fn providers(&self) -> &BTreeMap<String, usize> {
        &self.providers
    }

    /// The precision of products with weights.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The number of layers.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// The width of the residual stream.
    pub fn d_model(&self) -> usize {
        self.d_model
    }

    /// The number of query heads of a layer.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// What was run so far.
    pub fn work(&self) -> Work {
        self.work
    }

    /// Whether the mask of a layer reaches its segment.
    pub fn takes_mask(&self, layer: usize) -> bool {
        self.layers[layer].rest.has_input(&attn_bias(layer))
    }

    /// Whether keys and values can be made apart in every layer: the graph names them.
    pub fn takes_keys_values(&self) -> bool {
        self.layers.iter().all(|layer| layer.keys_values.is_some())
    }

    /// Whether a layer can be cut at its attention: the graph names the weights and what heads read.
    pub fn names_attention(&self) -> bool {
        let named = |name: String| self.graph.port(&name).is_some();
        (0..self.layers()).all(|layer| named(attn_pattern(layer)) && named(attn_out(layer)))
    }

    /// The bytes of the host's memory that the runtime keeps for what all models of the process compute: as many as the largest batch so
    /// far took.
    ///
    /// # Errors
    /// A runtime that does not say.
    pub fn kept(&self) -> Result<u64> {
        self.embed.kept()
    }

    /// `resid[0]`, `[batch, pos, d_model]`, of the tokens `ids`, `[batch, pos]`, the first of which are at the position `first`.
    ///
    /// # Errors
    /// The runtime's reason.
    pub fn embed(&mut self, ids: Array2<i64>, first: usize) -> Result<Tensor> {
        let positions = Array2::from_shape_fn(ids.dim(), |(_, t)| (first + t) as i64);
        self.embed_at(ids, positions)
    }

    /// `resid[0]`, `[batch, pos, d_model]`, of the tokens `ids` at the positions `positions`, each `[batch, pos]`.
    ///
    /// # Errors
    /// The runtime's reason.
    pub fn embed_at(&mut self, ids: Array2<i64>, positions: Array2<i64>) -> Result<Tensor> {
        let (ids, positions) = (Tensor::from_i64(ids)?, Tensor::from_i64(positions)?);
        let inputs = [(INPUT_IDS, &ids), (POSITION_IDS, &positions)];
        let [stream] = self.embed.run(&inputs, [&resid(0)])?;
        Ok(stream)
    }

    /// `resid[layer + 1]` from `resid[layer]`, with the additive mask `bias`, `[1|batch, 1|head, q_pos, k_pos]`.
    ///
    /// # Errors
    /// The runtime's reason.
    pub fn layer(&mut self, layer: usize, stream: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let positions = self.take_positions(stream)?;
        if self.layers[layer].keys_values.is_some() {
            let own = self.keys_values(layer, stream, &positions)?;
            let next = self.attend(layer, stream, &positions, &own, bias)?;
            self.positions = Some(positions);
            return Ok(next);
        }
        self.work.make(stream);
        self.work.attend(stream, stream.shape()[1]);
        let inputs = [
            (&*resid(layer), stream),
            (POSITION_IDS, &positions),
            (&*attn_bias(layer), bias),
        ];
        let [next] = self.layers[layer].rest.run(&inputs, [&resid(layer + 1)])?;
        self.positions = Some(positions);
        Ok(next)
    }

    /// The keys and values of a layer, of the tokens whose `resid[layer]` is `stream`, `[batch, pos, d_model]`, at the
    /// positions `positions`, `[batch, pos]`.
    ///
    /// # Errors
    /// The runtime's reason; a graph that does not name them.
    pub fn keys_values(
        &mut self,
        layer: usize,
        stream: &Tensor,
        positions: &Tensor,
    ) -> Result<KeysValues> {
        let (before, key, value) = (resid(layer), attn_key(layer), attn_value(layer));
        let part = self.layers[layer].keys_values.as_mut();
        let part = part.ok_or_else(|| Error::Run {
            part: format!("layer {layer}"),
            reason: format!("the graph has no values named {key:?} and {value:?}"),
        })?;
        let inputs = [(&*before, stream), (POSITION_IDS, positions)];
        let [keys, values] = part.run(&inputs, [&key, &value])?;
        self.work.make(stream);
        Ok(KeysValues { keys, values })
    }

    /// `resid[layer + 1]` of the tokens whose `resid[layer]` is `stream`, `[batch, pos, d_model]`, at the positions
    /// `positions`, `[batch, pos]`, which look at `seen`, their own keys and values among them, through the additive mask
    /// `bias`, `[1|batch, 1|head, pos, k_pos]`. Only for a graph that names keys and values
    /// ([`Self::takes_keys_values`]).
    ///
    /// # Errors
    /// The runtime's reason.
    pub fn attend(
        &mut self,
        layer: usize,
        stream: &Tensor,
        positions: &Tensor,
        seen: &KeysValues,
        bias: &Tensor,
    ) -> Result<Tensor> {
        let inputs = [
            (&*resid(layer), stream),
            (POSITION_IDS, positions),
            (&*attn_key(layer), &seen.keys),
            (&*attn_value(layer), &seen.values),
            (&*attn_bias(layer), bias),
        ];
        self.work.attend(stream, seen.keys.shape()[2]);
        let [next] = self.layers[layer].rest.run(&inputs, [&resid(layer + 1)])?;
        Ok(next)
    }

    /// The positions of whole prompts whose streams are `[batch, pos, d_model]`: `[batch, pos]`. A batch has the same in every layer, so
    /// who takes them puts them back, and a device is given them once.
    fn take_positions(&mut self, stream: &Tensor) -> Result<Tensor> {
        let shape = &stream.shape()[..2];
        match self.positions.take().filter(|of| of.shape() == shape) {
            Some(positions) => Ok(positions),
            None => {
                let shape = (shape[0], shape[1]);
                Tensor::from_i64(Array2::from_shape_fn(shape, |(_, t)| t as i64))
            }
        }
    }

    /// What puts tensors together where one of them is.
    fn assembly(&mut self, tensor: &Tensor) -> &mut Assembly {
        let at = (self.assemblies.iter()).position(|assembly| assembly.is_with(tensor));
        &mut self.assemblies[at.unwrap_or(0)]
    }

    /// Keys and values of a batch of 1 or of every prompt, then those of every prompt.
    ///
    /// # Errors
    /// The runtime's reason.
    pub fn after(&mut self, past: &KeysValues, own: &KeysValues) -> Result<KeysValues> {
        self.assembly(&own.keys).after(past, own)
    }

    /// Keys and values of a batch of 1, then those of the rows that every prompt has, then its own.
    ///
    /// # Errors
    /// The runtime's reason.
    pub fn looked_up(
        &mut self,
        sink: &KeysValues,
        rows: &TableRows<'_>,
        own: &KeysValues,
    ) -> Result<KeysValues> {
        self.assembly(&own.keys).looked_up(sink, rows, own)
    }

    /// Some rows of streams of one token, `[row, 1, d_model]`.
    ///
    /// # Errors
    /// The runtime's reason.
    pub fn rows(&mut self, streams: &Tensor, rows: std::ops::Range<usize>) -> Result<Tensor> {
        self.assembly(streams).rows(streams, rows)
    }

    /// Streams of one token, `[row, 1, d_model]`, one below the other.
    ///
    /// # Errors
    /// The runtime's reason.
    pub fn stack(&mut self, first: &Tensor, last: &Tensor) -> Result<Tensor> {
        self.assembly(last).stack(first, last)
    }

    /// As [`Self::layer`], but `change` may replace the attention weights, `[batch, head, q_pos, k_pos]`, and what the heads
    /// read, `[batch, head, q_pos, d_head]`, where it returns something.
    ///
    /// # Errors
    /// The runtime's reason; a graph without these boundaries; what `change` fails with.
    pub fn layer_changed(
        &mut self,
        layer: usize,
        stream: &Tensor,
        bias: &Tensor,
        mut change: impl FnMut(Attention<'_>) -> Result<Option<Array4<f32>>>,
    ) -> Result<Tensor> {
        if !self.attention.contains_key(&layer) {
            let parts = self.cut_attention(layer)?;
            self.attention.insert(layer, parts);
        }
        let positions = self.take_positions(stream)?;
        let parts = self.attention.get_mut(&layer).expect("it was just made");
        self.work.make(stream);
        self.work.attend(stream, stream.shape()[1]);
        let (before, pattern, read) = (resid(layer), attn_pattern(layer), attn_out(layer));
        let bias_name = attn_bias(layer);
        let mut inputs = vec![
            (&*before, stream),
            (POSITION_IDS, &positions),
            (&*bias_name, bias),
        ];
        let [mut weights] = parts[0].run(&inputs, [&pattern])?;
        if let Some(changed) = change(Attention::Weights(weights.view()?))? {
            weights = Tensor::from_f32(changed)?;
        }
        inputs.push((&*pattern, &weights));
        let [mut out] = parts[1].run(&inputs, [&read])?;
        if let Some(changed) = change(Attention::Outputs(out.view()?))? {
            out = Tensor::from_f32(changed)?;
        }
        inputs.push((&*read, &out));
        let [next] = parts[2].run(&inputs, [&resid(layer + 1)])?;
        self.positions = Some(positions);
        Ok(next)
    }

    /// The three pieces of a layer that is cut at its attention.
    fn cut_attention(&self, layer: usize) -> Result<[Part; 3]> {
        let maker = Maker {
            runtime: self.runtime,
            placement: &self.placement,
            graph: &self.graph,
            weights: &self.weights,
            layers: self.layers.len(),
        };
        let part = |what: &str, inputs: &[String], output: String| {
            maker.part(layer, format!("layer {layer}, {what}"), inputs, &[output])
        };
        let (before, pattern, read) = (resid(layer), attn_pattern(layer), attn_out(layer));
        Ok([
            part(
                "attention weights",
                std::slice::from_ref(&before),
                pattern.clone(),
            )?,
            part(
                "attention outputs",
                &[before.clone(), pattern],
                read.clone(),
            )?,
            part("after attention", &[before, read], resid(layer + 1))?,
        ])
    }

    /// The logits at the last position, `[batch, vocab]`, from `resid[L]`.
    ///
    /// # Errors
    /// The runtime's reason.
    pub fn logits(&mut self, stream: &Tensor) -> Result<Tensor> {
        self.work.unembed(stream);
        let name = resid(self.layers.len());
        // Another program's graph may take shapes from positions.
        let positions = self.take_positions(stream)?;
        let inputs = [(&*name, stream), (POSITION_IDS, &positions)];
        let [logits] = self.head.run(&inputs, [LOGITS])?;
        self.positions = Some(positions);
        Ok(logits)
    }

    /// The measures of prompts ([`crate::graph::score`]), `[batch, 5]`, on the device that has the logits: from `logits`, `[row, vocab]`,
    /// the row of each prompt, the right answers of each, `[batch, answers]`, or those of all, `[answers]`, and the unmodified model's
    /// logits, `[batch, vocab]`.
    ///
    /// # Errors
    /// The runtime's reason.
    pub fn score(
        &mut self,
        logits: &Tensor,
        rows: &[usize],
        answers: &Tensor,
        reference: &Tensor,
    ) -> Result<Array2<f32>> {
        let right = match answers.shape().len() {
            1 => Right::Shared,
            _ => Right::Own,
        };
        let scorer = match self.scorers.entry(right) {
            Entry::Occupied(scorer) => scorer.into_mut(),
            Entry::Vacant(none) => {
                let layers = self.layers.len();
                let place = self.placement.of_layer(layers, layers);
                let graph = score::score(self.vocab, right);
                none.insert(Part::new(self.runtime, place, &graph, &self.weights)?)
            }
        };
        let rows: Array1<i64> = rows.iter().map(|&row| row as i64).collect();
        let rows = Tensor::from_i64(rows)?;
        let inputs = [
            (LOGITS, logits),
            (score::ROWS, &rows),
            (score::ANSWERS, answers),
            (score::REFERENCE, reference),
        ];
        let [measures] = scorer.run(&inputs, [score::MEASURES])?;
        Ok(measures.view::<Ix2>()?.to_owned())
    }
}

/// The number of nodes of all parts by the provider that executes them.
fn counted<'a>(parts: impl Iterator<Item = &'a Part>) -> BTreeMap<String, usize> {
    let mut providers = BTreeMap::new();
    for (provider, nodes) in parts.flat_map(Part::providers) {
        *providers.entry(provider.clone()).or_insert(0) += nodes;
    }
    providers
}
