//! The segments of a model: the embedding, two for every layer (keys and values, the rest), the head.

use super::threads::side_by_side;
use super::{Part, Placement, Runtime};
use crate::graph::{Graph, INPUT_IDS, LOGITS, attn_key, attn_value, resid};
use crate::interrupt::interrupted;
use crate::model::Store;
use crate::{Error, Result, progress};

/// A layer, cut at its keys and values where the graph names them.
pub struct Layer {
    /// `resid` to keys and values.
    pub keys_values: Option<Part>,
    /// `resid`, with keys and values where they are made apart, to the next `resid`.
    pub rest: Part,
}

/// What segments are made from.
pub struct Maker<'a> {
    /// The runtime that makes them.
    pub runtime: &'static Runtime,
    /// The device and its options.
    pub placement: &'a Placement,
    /// The whole model.
    pub graph: &'a Graph,
    /// Where its weights are.
    pub weights: &'a Store,
    /// The number of its layers.
    pub layers: usize,
}

impl Maker<'_> {
    /// The segment from `inputs` to `outputs`, on the device of a layer.
    ///
    /// # Errors
    /// A value that the graph does not name; a device that cannot run, a segment that the runtime refuses.
    pub fn part(
        &self,
        layer: usize,
        name: String,
        inputs: &[String],
        outputs: &[String],
    ) -> Result<Part> {
        let segment = self.graph.cut(&name, inputs, outputs);
        let segment = segment.map_err(|missing| Error::Run {
            part: name.clone(),
            reason: format!("the graph has no value named {missing:?}"),
        })?;
        let place = self.placement.of_layer(layer, self.layers);
        Part::new(self.runtime, place, &segment, self.weights)
    }

    /// The part of [`Self::part`], unless the user has given up; `done` is told when it is made.
    fn step(
        &self,
        layer: usize,
        name: String,
        inputs: &[String],
        outputs: &[String],
        done: &(impl Fn() + Sync),
    ) -> Result<Part> {
        interrupted()?;
        let part = self.part(layer, name, inputs, outputs)?;
        done();
        Ok(part)
    }

    /// A layer, cut at its keys and values where the graph names them.
    fn layer(&self, l: usize, done: &(impl Fn() + Sync)) -> Result<Layer> {
        let (start, cut) = (resid(l), [attn_key(l), attn_value(l)]);
        let apart = cut.iter().all(|name| self.graph.port(name).is_some());
        let keys_values = apart
            .then(|| {
                let name = format!("layer {l}, keys and values");
                self.step(l, name, std::slice::from_ref(&start), &cut, done)
            })
            .transpose()?;
        let mut inputs = vec![start];
        inputs.extend(cut.into_iter().filter(|_| apart));
        let rest = self.step(l, format!("layer {l}"), &inputs, &[resid(l + 1)], done)?;
        Ok(Layer { keys_values, rest })
    }

    /// All segments.
    ///
    /// # Errors
    /// As [`Self::part`]; an interrupt.
    pub fn pieces(&self) -> Result<Segments> {
        let layers = self.layers;
        let bar = progress::steps(
            "loading the model",
            2 * layers as u64 + 2,
            progress::Unit::Pieces,
        );
        let done = || bar.inc(1);
        let alone = |part: Part| Layer {
            keys_values: None,
            rest: part,
        };
        // First what is largest: while it is made its weights are in memory as stored and packed, and little else is yet.
        let piece = |at: usize| match at {
            0 => {
                let ends = [resid(layers), LOGITS.to_owned()];
                let head = self.step(layers, "head".to_owned(), &ends[..1], &ends[1..], &done);
                head.map(alone)
            }
            1 => {
                let ends = [INPUT_IDS.to_owned(), resid(0)];
                let embed = self.step(0, "embed".to_owned(), &ends[..1], &ends[1..], &done);
                embed.map(alone)
            }
            at => self.layer(at - 2, &done),
        };
        let made = side_by_side(layers + 2, self.placement.makers(), piece)?;
        bar.finish_and_clear();
        let mut pieces = made.into_iter();
        let mut end = || {
            let piece = pieces.next().expect("as many as asked for");
            piece.rest
        };
        Ok(Segments {
            head: end(),
            embed: end(),
            layers: pieces.collect(),
        })
    }
}

/// A whole model.
pub struct Segments {
    /// `resid[L]` to logits.
    pub head: Part,
    /// Tokens to `resid[0]`.
    pub embed: Part,
    /// The layers, in order.
    pub layers: Vec<Layer>,
}
