//! A graph as another program wrote it.

use std::collections::BTreeSet;

use prost::Message;
use prost::bytes::Bytes;

use super::wires::sorted;
use crate::graph::proto;

/// A graph as its file has it.
pub struct Foreign {
    pub(super) model: proto::ModelProto,
    pub(super) graph: proto::GraphProto,
}

impl Foreign {
    /// Decodes an ONNX file.
    ///
    /// # Errors
    /// Bytes that are no ONNX model, with the reason.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, String> {
        // Of shared bytes tensors are slices, not copies.
        let mut model = proto::ModelProto::decode(Bytes::from(bytes)).map_err(|e| e.to_string())?;
        let mut graph = model.graph.take().ok_or("a model without a graph")?;
        // Not all programs keep the order that the format demands.
        graph.node = sorted(graph.node);
        Ok(Self { model, graph })
    }

    /// The files of its weights, as it names them.
    pub fn files(&self) -> BTreeSet<&str> {
        let tensors = self.graph.initializer.iter();
        let entries = tensors.flat_map(|tensor| &tensor.external_data);
        let named = entries.filter(|entry| entry.key == "location");
        named.map(|entry| entry.value.as_str()).collect()
    }
}
