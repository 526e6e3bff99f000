//! A graph that keeps the contract, under the contract's names.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::wires::{OfPositions, Wires};
use super::{Findings, Foreign, Manifest};
use crate::graph::proto;
use crate::graph::value::{GivenAttribute, GivenTensor};
use crate::graph::{
    Attribute, Dim, Dtype, Graph, INPUT_IDS, LOGITS, Node, POSITION_IDS, Port, attn_bias, attn_out,
    attn_pattern, resid,
};

impl Foreign {
    /// The same graph under the contract's names, for one that keeps it.
    pub fn adopt(&self, manifest: &Manifest, found: &Findings) -> Graph {
        let Self { model, graph } = self;
        let wires = Wires::of(graph, manifest);
        let names = Names::new(&wires, manifest, found);

        let mut nodes: Vec<Node> = Vec::with_capacity(graph.node.len() + 1);
        for node in &graph.node {
            if node.op_type == "Identity" {
                continue; // its readers read what it copies
            }
            nodes.push(Node {
                name: node.name.clone(),
                op: node.op_type.clone().into(),
                domain: node.domain.clone().into(),
                inputs: match wires.of_positions(node) {
                    Some(_) => vec![POSITION_IDS.to_owned()],
                    None => wires.reads(node).map(|name| names.of(name)).collect(),
                },
                outputs: node.output.iter().map(|name| names.of(name)).collect(),
                attributes: match wires.of_positions(node) {
                    Some(OfPositions::Axis(axis)) => vec![
                        ("start".into(), Attribute::Int(axis)),
                        ("end".into(), Attribute::Int(axis + 1)),
                    ],
                    _ => node.attribute.iter().map(given).collect(),
                },
            });
        }
        let weights = graph.initializer.iter();
        let weights = weights.filter(|tensor| !wires.inputs.contains(&*tensor.name));
        let tensors = weights.map(|tensor| {
            let mut tensor = tensor.clone();
            tensor.name = names.of(&tensor.name);
            GivenTensor(tensor)
        });
        let mut given: Vec<GivenTensor> = tensors.collect();
        if names.every_position {
            let last = "af1/last position".to_owned();
            let logits = manifest.name(LOGITS);
            nodes.push(Node {
                name: last.clone(),
                op: "Gather".into(),
                domain: "".into(),
                inputs: vec![names.of(wires.original(&logits)), last.clone()],
                outputs: vec![LOGITS.to_owned()],
                attributes: vec![("axis".into(), Attribute::Int(1))],
            });
            given.push(GivenTensor::scalar(last, -1));
        }
        Graph {
            name: graph.name.clone(),
            inputs: inputs(found.layers),
            outputs: vec![port(
                LOGITS,
                Dtype::F32,
                vec![Dim::Symbol("batch"), fixed(found.vocab)],
            )],
            boundaries: boundaries(found),
            nodes,
            constants: Vec::new(),
            weights: Vec::new(),
            given,
            opsets: (model.opset_import.iter())
                .map(|set| (set.domain.clone(), set.version))
                .collect(),
        }
    }
}

fn given(attribute: &proto::AttributeProto) -> (Cow<'static, str>, Attribute) {
    let given = Box::new(GivenAttribute(attribute.clone()));
    (attribute.name.clone().into(), Attribute::Given(given))
}

/// What values are called.
struct Names {
    /// The names of the contract, by what the graph calls the values.
    contract: HashMap<String, String>,
    /// The names that the contract takes for itself.
    reserved: HashSet<String>,
    /// Whether its logits are of every position.
    every_position: bool,
}

impl Names {
    fn new(wires: &Wires<'_>, manifest: &Manifest, found: &Findings) -> Self {
        let logits = manifest.name(LOGITS);
        let every_position = wires
            .typed(&logits)
            .is_some_and(|(_, axes)| axes.len() == 3);
        let fed = [INPUT_IDS, POSITION_IDS].map(|name| (manifest.name(name), name.to_owned()));
        let mut pairs = fed.to_vec();
        // A model that counts positions itself may call a value of its own so.
        pairs.retain(|(theirs, _)| wires.inputs.contains(&**theirs));
        if !every_position {
            pairs.push((logits, LOGITS.to_owned()));
        }
        let mut of_layer = |value: &str, layer: usize, name: fn(usize) -> String| {
            pairs.push((manifest.of_layer(value, layer), name(layer)));
        };
        for layer in 0..=found.layers {
            of_layer("resid", layer, resid);
        }
        for layer in 0..found.layers {
            of_layer("attn_bias", layer, attn_bias);
            if found.attention {
                of_layer("attn_pattern", layer, attn_pattern);
                of_layer("attn_out", layer, attn_out);
            }
        }
        let mut reserved: HashSet<String> = pairs.iter().map(|(_, name)| name.clone()).collect();
        reserved.extend([LOGITS.to_owned(), POSITION_IDS.to_owned()]);
        let contract = pairs
            .into_iter()
            .map(|(theirs, ours)| (wires.original(&theirs).to_owned(), ours));
        Self {
            contract: contract.collect(),
            reserved,
            every_position,
        }
    }

    /// What a value is called here: as in the contract, or as it was, unless that is the contract's name of another one.
    fn of(&self, name: &str) -> String {
        match self.contract.get(name) {
            Some(ours) => ours.clone(),
            None => self.unused(name),
        }
    }

    fn unused(&self, name: &str) -> String {
        match self.reserved.contains(name) {
            true => format!("{name} of the file"),
            false => name.to_owned(),
        }
    }
}

fn port(name: impl Into<String>, dtype: Dtype, shape: Vec<Dim>) -> Port {
    Port {
        name: name.into(),
        dtype,
        shape,
    }
}

fn fixed(length: Option<i64>) -> Dim {
    Dim::Fixed(length.unwrap_or_default() as usize)
}

/// The contract's inputs. Masks are broadcast, whatever the file says of their first axes.
fn inputs(layers: usize) -> Vec<Port> {
    let tokens = || vec![Dim::Symbol("batch"), Dim::Symbol("pos")];
    let mut ports = vec![
        port(INPUT_IDS, Dtype::I64, tokens()),
        port(POSITION_IDS, Dtype::I64, tokens()),
    ];
    ports.extend((0..layers).map(|layer| {
        let axes = ["mask_batch", "mask_head", "q_pos", "k_pos"].map(Dim::Symbol);
        port(attn_bias(layer), Dtype::F32, axes.to_vec())
    }));
    ports
}

/// The contract's named values.
fn boundaries(found: &Findings) -> Vec<Port> {
    let [batch, q, k] = ["batch", "q_pos", "k_pos"].map(|name| move || Dim::Symbol(name));
    let stream = |layer| {
        let shape = vec![batch(), Dim::Symbol("pos"), fixed(found.d_model)];
        port(resid(layer), Dtype::F32, shape)
    };
    let mut ports: Vec<Port> = (0..=found.layers).map(stream).collect();
    if found.attention {
        for layer in 0..found.layers {
            let heads = || fixed(found.heads);
            let pattern = vec![batch(), heads(), q(), k()];
            ports.push(port(attn_pattern(layer), Dtype::F32, pattern));
            let read = vec![batch(), heads(), q(), Dim::Symbol("d_head")];
            ports.push(port(attn_out(layer), Dtype::F32, read));
        }
    }
    ports
}
