//! What puts tensors together on the device where they are.

use ndarray::{Array1, Array4};

use super::{Part, Placement, Runtime, Tensor};
use crate::Result;
use crate::graph::{Dim, Graph, assemble, attn_key};
use crate::model::Store;

/// The keys and the values of a layer, each `[batch, kv, k_pos, d_head]`.
pub struct KeysValues {
    /// The keys, rotated to their positions.
    pub keys: Tensor,
    /// The values.
    pub values: Tensor,
}

/// TableRows of a table that are looked up for every prompt of a batch.
pub struct TableRows<'a> {
    /// The table, `[row, kv, 1, d_head]`.
    pub table: &'a KeysValues,
    /// Which rows each prompt has, in order, `[batch, len]`.
    pub index: &'a Tensor,
}

/// Small graphs on one device.
pub struct Assembly {
    after: Part,
    looked_up: Part,
    rows: Part,
    stack: Part,
}

impl Assembly {
    /// The small graphs for a model with that graph, whose residual stream is `d_model` wide.
    ///
    /// # Errors
    /// A device that cannot run.
    pub fn new(
        runtime: &Runtime,
        place: &Placement,
        graph: &Graph,
        weights: &Store,
        d_model: usize,
    ) -> Result<Self> {
        let (kv, d_head) = of_keys(graph);
        let part = |graph: Graph| Part::new(runtime, place, &graph, weights);
        Ok(Self {
            after: part(assemble::keys(kv, d_head, false))?,
            looked_up: part(assemble::keys(kv, d_head, true))?,
            rows: part(assemble::rows(d_model))?,
            stack: part(assemble::stack(d_model))?,
        })
    }

    /// Whether a tensor is where these are.
    pub fn is_with(&self, tensor: &Tensor) -> bool {
        self.after.place() == tensor.place()
    }

    /// Keys and values of a batch of 1 or of every prompt, then those of every prompt.
    ///
    /// # Errors
    /// The runtime's reason.
    pub fn after(&mut self, past: &KeysValues, own: &KeysValues) -> Result<KeysValues> {
        let zeros = zeros(own)?;
        let mut join = |past: &Tensor, own: &Tensor| -> Result<Tensor> {
            let inputs = [
                (assemble::FIRST, past),
                (assemble::ZEROS, &zeros),
                (assemble::LAST, own),
            ];
            let [out] = self.after.run(&inputs, [assemble::OUT])?;
            Ok(out)
        };
        Ok(KeysValues {
            keys: join(&past.keys, &own.keys)?,
            values: join(&past.values, &own.values)?,
        })
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
        let zeros = zeros(own)?;
        let mut join = |sink: &Tensor, table: &Tensor, own: &Tensor| -> Result<Tensor> {
            let inputs = [
                (assemble::FIRST, sink),
                (assemble::ZEROS, &zeros),
                (assemble::TABLE, table),
                (assemble::INDEX, rows.index),
                (assemble::LAST, own),
            ];
            let [out] = self.looked_up.run(&inputs, [assemble::OUT])?;
            Ok(out)
        };
        Ok(KeysValues {
            keys: join(&sink.keys, &rows.table.keys, &own.keys)?,
            values: join(&sink.values, &rows.table.values, &own.values)?,
        })
    }

    /// Some rows of streams of one token, `[row, 1, d_model]`.
    ///
    /// # Errors
    /// The runtime's reason.
    pub fn rows(&mut self, streams: &Tensor, rows: std::ops::Range<usize>) -> Result<Tensor> {
        let index = Tensor::from_i64(rows.map(|row| row as i64).collect::<Array1<i64>>())?;
        let inputs = [(assemble::TABLE, streams), (assemble::INDEX, &index)];
        let [out] = self.rows.run(&inputs, [assemble::OUT])?;
        Ok(out)
    }

    /// Streams of one token, `[row, 1, d_model]`, one below the other.
    ///
    /// # Errors
    /// The runtime's reason.
    pub fn stack(&mut self, first: &Tensor, last: &Tensor) -> Result<Tensor> {
        let inputs = [(assemble::FIRST, first), (assemble::LAST, last)];
        let [out] = self.stack.run(&inputs, [assemble::OUT])?;
        Ok(out)
    }
}

/// As many zeros as there are prompts, `[batch, 1, 1, 1]`.
fn zeros(own: &KeysValues) -> Result<Tensor> {
    let batch = own.keys.shape()[0];
    Tensor::from_f32(Array4::zeros((batch, 1, 1, 1)))
}

/// The heads of keys and their width; 1 where the graph does not name keys, which then are never put together.
fn of_keys(graph: &Graph) -> (usize, usize) {
    let axes = graph.port(&attn_key(0)).map(|port| &*port.shape);
    match axes {
        Some([_, Dim::Fixed(kv), _, Dim::Fixed(d_head)]) => (*kv, *d_head),
        _ => (1, 1),
    }
}
