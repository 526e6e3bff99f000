//! How the values of a graph depend on each other.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Manifest;
use crate::graph::proto::{self, tensor_shape_proto::dimension, type_proto};
use crate::graph::{INPUT_IDS, POSITION_IDS};

/// An axis, as far as it is stated.
#[derive(Clone, Debug, PartialEq)]
pub enum Axis {
    Unknown,
    Symbol(String),
    Fixed(i64),
}

/// A tensor's element type and axes.
pub type Typed = (i32, Vec<Axis>);

/// Which of a node's shapes is one of positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OfPositions {
    /// All axes.
    All,
    /// An axis.
    Axis(i64),
}

/// The values of a graph.
pub struct Wires<'g> {
    makers: HashMap<&'g str, &'g proto::NodeProto>,
    /// What copies copy.
    originals: HashMap<&'g str, &'g str>,
    types: HashMap<&'g str, Typed>,
    /// Inputs that are no weights.
    pub inputs: BTreeSet<&'g str>,
    /// What the graph calls tokens.
    ids: String,
}

impl<'g> Wires<'g> {
    /// The values of a graph.
    pub fn of(graph: &'g proto::GraphProto, manifest: &Manifest) -> Self {
        let makers = (graph.node.iter()).flat_map(|node| {
            let outputs = node.output.iter().filter(|output| !output.is_empty());
            outputs.map(move |output| (output.as_str(), node))
        });
        let ports = (graph.input.iter())
            .chain(&graph.output)
            .chain(&graph.value_info);
        let types = ports.filter_map(|port| Some((port.name.as_str(), typed(port)?)));
        let weights = graph.initializer.iter();
        let weights: HashSet<&str> = weights.map(|tensor| tensor.name.as_str()).collect();
        let (ids, positions) = (manifest.name(INPUT_IDS), manifest.name(POSITION_IDS));
        // Older files list their weights among the inputs; of what the contract feeds, such a value is a default.
        let fed = |name: &str| name == ids || name == positions || manifest.is_mask(name);
        let inputs = graph.input.iter().map(|port| port.name.as_str());
        let makers = makers.collect();
        Self {
            originals: originals(graph, &makers),
            makers,
            types: types.collect(),
            inputs: inputs
                .filter(|name| !weights.contains(name) || fed(name))
                .collect(),
            ids,
        }
    }

    /// The value that a name stands for: copies are what they copy.
    pub fn original<'v>(&'v self, name: &'v str) -> &'v str {
        self.originals.get(name).copied().unwrap_or(name)
    }

    /// Whether a node reads a shape that positions have, too. Exporters take the length of prompts from any input, but every layer has
    /// the positions: `[batch, pos]`, as the tokens.
    pub fn of_positions(&self, node: &proto::NodeProto) -> Option<OfPositions> {
        if node.op_type != "Shape" {
            return None;
        }
        let read = self.original(node.input.first()?);
        if read == self.ids {
            return Some(OfPositions::All);
        }
        let bound = |name: &str| {
            let attribute = node
                .attribute
                .iter()
                .find(|attribute| attribute.name == name);
            attribute.map(|attribute| attribute.i)
        };
        let (start, end) = (bound("start")?, bound("end")?);
        if start < 0 || end != start + 1 {
            return None;
        }
        let axis = |name: &str, at: usize| match self.typed(name)?.1.get(at)? {
            Axis::Symbol(symbol) => Some(symbol),
            _ => None,
        };
        let symbol = axis(read, start as usize)?;
        let mut own = (0..2).filter(|&at| axis(&self.ids, at) == Some(symbol));
        match (own.next(), own.next()) {
            (Some(own), None) => Some(OfPositions::Axis(own as i64)),
            _ => None,
        }
    }

    /// The values that a node reads, but for those of which it takes a shape that positions have.
    pub fn reads<'v>(&'v self, node: &'v proto::NodeProto) -> impl Iterator<Item = &'v str> {
        let of_positions = self.of_positions(node).is_some();
        let inputs = node.input.iter().filter(move |_| !of_positions);
        inputs.map(|input| self.original(input))
    }

    /// Whether there is such a value that a run can be asked for or given.
    pub fn has(&self, name: &str) -> bool {
        self.makers.contains_key(name) || self.inputs.contains(name)
    }

    /// A value's type, if it is stated.
    pub fn typed(&self, name: &str) -> Option<&Typed> {
        self.types.get(name)
    }

    /// Whether a value's axis is stated to be the tokens' batch (0) or length (1), and not the other of the two.
    pub fn is_of_tokens(&self, name: &str, axis: usize, of_tokens: usize) -> bool {
        let symbol = |name: &str, at: usize| match self.typed(name)?.1.get(at)? {
            Axis::Symbol(symbol) => Some(symbol),
            _ => None,
        };
        let own = symbol(name, axis);
        own.is_some()
            && own == symbol(&self.ids, of_tokens)
            && own != symbol(&self.ids, 1 - of_tokens)
    }

    /// The length of an axis of a value, where it is stated and fixed.
    pub fn length(&self, name: &str, axis: usize) -> Option<i64> {
        match self.typed(name)?.1.get(axis)? {
            Axis::Fixed(length) => Some(*length),
            _ => None,
        }
    }

    /// The inputs, and those of `stops`, that a value depends on, without looking behind `stops`.
    pub fn behind<'v>(&'v self, value: &'v str, stops: &[&'v str]) -> BTreeSet<&'v str> {
        let stops: HashSet<&str> = stops.iter().map(|stop| self.original(stop)).collect();
        let (mut found, mut seen) = (BTreeSet::new(), HashSet::new());
        let mut open = vec![self.original(value)];
        while let Some(name) = open.pop() {
            if !seen.insert(name) {
                continue;
            }
            if stops.contains(name) || self.inputs.contains(name) {
                found.insert(name);
            } else if let Some(node) = self.makers.get(name) {
                open.extend(self.reads(node));
            }
        }
        found
    }
}

/// What every copy copies, through copies of copies. Nodes are in topological order, so that one pass finds them all: a long chain is not
/// followed anew from each of its links. Those in a circle copy one of it.
fn originals<'g>(
    graph: &'g proto::GraphProto,
    makers: &HashMap<&'g str, &'g proto::NodeProto>,
) -> HashMap<&'g str, &'g str> {
    let mut originals: HashMap<&str, &str> = HashMap::new();
    for node in graph.node.iter().filter(|node| node.op_type == "Identity") {
        let Some(input) = node.input.first() else {
            continue;
        };
        let original = originals.get(input.as_str()).copied().unwrap_or(input);
        // Of a value that is made twice the last one counts, as elsewhere.
        let outputs = node.output.iter().map(String::as_str);
        let made =
            outputs.filter(|output| makers.get(output).is_some_and(|by| std::ptr::eq(*by, node)));
        originals.extend(made.map(|output| (output, original)));
    }
    originals
}

/// Nodes in topological order, else in the order that they had; those that read each other in a circle come last.
pub fn sorted(nodes: Vec<proto::NodeProto>) -> Vec<proto::NodeProto> {
    let mut maker: HashMap<&str, usize> = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        maker.extend(node.output.iter().map(|output| (output.as_str(), at)));
    }
    // An input or output that is left out has no name.
    maker.remove("");
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut missing: Vec<usize> = vec![0; nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        for made_by in node
            .input
            .iter()
            .filter_map(|input| maker.get(input.as_str()))
        {
            readers[*made_by].push(at);
            missing[at] += 1;
        }
    }
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|&at| missing[at] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(at) = ready.pop_first() {
        order.push(at);
        for &reader in &readers[at] {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    order.extend((0..nodes.len()).filter(|&at| missing[at] > 0));
    let mut nodes: Vec<Option<proto::NodeProto>> = nodes.into_iter().map(Some).collect();
    (order.into_iter())
        .filter_map(|at| nodes[at].take())
        .collect()
}

fn typed(port: &proto::ValueInfoProto) -> Option<Typed> {
    let Some(type_proto::Value::TensorType(tensor)) = &port.r#type.as_ref()?.value else {
        return None;
    };
    let axes = (tensor.shape.as_ref()?.dim.iter()).map(|dim| match &dim.value {
        // Some exporters write -1 for a length that they do not know.
        Some(dimension::Value::DimValue(length)) if *length > 0 => Axis::Fixed(*length),
        Some(dimension::Value::DimParam(symbol)) => Axis::Symbol(symbol.clone()),
        _ => Axis::Unknown,
    });
    Some((tensor.elem_type, axes.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_sorted_and_circles_come_last() {
        let node = |name: &str, reads: &[&str], makes: &[&str]| proto::NodeProto {
            name: name.to_owned(),
            input: reads.iter().map(ToString::to_string).collect(),
            output: makes.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        let nodes = vec![
            node("last", &["b", "", "c"], &["d"]),
            node("circle", &["f"], &["e"]),
            node("back", &["e"], &["f"]),
            node("second", &["a", "x"], &["b", ""]),
            node("first", &["x"], &["a"]),
            node("free", &[""], &["c"]),
        ];
        let names: Vec<String> = sorted(nodes).into_iter().map(|node| node.name).collect();
        let expected = ["first", "second", "free", "last", "circle", "back"];
        assert_eq!(names, expected);
    }
}
