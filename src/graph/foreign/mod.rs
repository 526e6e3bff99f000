//! Graphs that another program wrote. [`Foreign::check`] finds everything that does not keep the contract (`onnx/CONTRACT.md`), each
//! with what to do about it; [`Foreign::adopt`] makes a [`Graph`] of one that does, which is cut and run as those that are built here.
//!
//! Its operators, attributes and tensors are kept as they are; only names change. Nothing here reads weights.

mod adopt;
mod check;
mod wires;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Graph, proto};

/// Other names for the values of the contract, as a file says them: `attn_bias = "mask_{l}"`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// By the contract's name without a layer; `{l}` stands for the layer.
    #[serde(default)]
    pub names: BTreeMap<String, String>,
    /// The number of heads of a layer, where no value with a name has it as an axis.
    pub heads: Option<usize>,
    /// The longest prompt in tokens, where the model has a limit.
    pub context: Option<usize>,
}

impl Manifest {
    /// The values that can have another name.
    pub const VALUES: [&str; 7] = [
        "input_ids",
        "position_ids",
        "attn_bias",
        "resid",
        "attn_pattern",
        "attn_out",
        "logits",
    ];

    /// The first entry that cannot be: of what is no value of the contract, or of a value of every layer without `{l}`.
    pub fn fault(&self) -> Option<String> {
        let wrong = |(value, name): &(&String, &String)| {
            let of_layer = value.starts_with("attn_") || *value == "resid";
            !Self::VALUES.contains(&value.as_str()) || of_layer != name.contains("{l}")
        };
        let entry = self.names.iter().find(wrong);
        let zero = [("heads", self.heads), ("context", self.context)];
        let zero = zero.into_iter().find(|(_, number)| *number == Some(0));
        let zero = zero.map(|(what, _)| format!("{what} = 0"));
        (entry.map(|(value, name)| format!("{value} = {name:?}"))).or(zero)
    }

    /// Whether the graph calls the mask of some layer so.
    fn is_mask(&self, name: &str) -> bool {
        let pattern = self.of_every_layer("attn_bias");
        let affixes = pattern.split_once("{l}");
        let layer =
            affixes.and_then(|(before, after)| name.strip_prefix(before)?.strip_suffix(after));
        layer.is_some_and(|layer| layer.parse::<usize>().is_ok())
    }

    /// What the graph calls a value, with `{l}` for the layer.
    fn of_every_layer(&self, value: &str) -> String {
        let pattern = self.names.get(value).cloned();
        pattern.unwrap_or(format!("{value}.{{l}}"))
    }

    /// What the graph calls a value.
    fn name(&self, value: &str) -> String {
        self.names.get(value).cloned().unwrap_or(value.to_owned())
    }

    /// What the graph calls a value of a layer.
    fn of_layer(&self, value: &str, layer: usize) -> String {
        let pattern = self.of_every_layer(value);
        pattern.replace("{l}", &layer.to_string())
    }
}

/// Something that does not keep the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The value or the part of the file.
    pub at: String,
    /// What was found, and expected.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

/// What was found in a graph.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// The version of the intermediate representation.
    pub ir_version: i64,
    /// The operator sets by domain.
    pub opsets: BTreeMap<String, i64>,
    /// The number of nodes.
    pub nodes: usize,
    /// The number of layers: of masks.
    pub layers: usize,
    /// The width of the residual stream, where it is stated.
    pub d_model: Option<i64>,
    /// The number of tokens, where it is stated.
    pub vocab: Option<i64>,
    /// The number of heads of a layer.
    pub heads: Option<i64>,
    /// Whether attention weights and what heads read have names in every layer.
    pub attention: bool,
    /// What does not keep the contract.
    pub violations: Vec<Violation>,
}

/// A graph as its file has it.
pub struct Foreign {
    model: proto::ModelProto,
    graph: proto::GraphProto,
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
        graph.node = wires::sorted(graph.node);
        Ok(Self { model, graph })
    }

    /// The files of its weights, as it names them.
    pub fn files(&self) -> BTreeSet<&str> {
        let tensors = self.graph.initializer.iter();
        let entries = tensors.flat_map(|tensor| &tensor.external_data);
        let named = entries.filter(|entry| entry.key == "location");
        named.map(|entry| entry.value.as_str()).collect()
    }

    /// What it is, and everything that does not keep the contract, of a file that lies in `folder`.
    pub fn check(&self, folder: &Path, manifest: &Manifest) -> Findings {
        check::check(self, folder, manifest)
    }

    /// The same graph under the contract's names, for one that keeps it.
    pub fn adopt(&self, manifest: &Manifest, found: &Findings) -> Graph {
        adopt::adopt(self, manifest, found)
    }
}
