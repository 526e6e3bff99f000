//! Building a graph node by node, with deterministic names.

use std::collections::HashSet;

use super::{Attribute, Constant, Dim, Dtype, Graph, Node, Port, Precision, Weight};

/// Collects nodes in topological order; a value is known by its name.
#[derive(Debug, Default)]
pub struct Builder {
    graph: GraphParts,
    scope: String,
    constants: HashSet<String>,
    weights: HashSet<String>,
    precision: Precision,
}

#[derive(Debug, Default)]
struct GraphParts {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    boundaries: Vec<Port>,
    nodes: Vec<Node>,
    constants: Vec<Constant>,
    weights: Vec<Weight>,
}

impl Builder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty graph whose products of activations with weights are computed in a precision.
    pub fn with_precision(precision: Precision) -> Self {
        Self {
            precision,
            ..Self::default()
        }
    }

    /// The precision of products of activations with weights.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Names of the values that follow begin with `scope` (`layer.3/attn`).
    pub fn scope(&mut self, scope: impl Into<String>) {
        self.scope = scope.into();
    }

    /// Declares an input and returns its name.
    pub fn input(&mut self, name: &str, dtype: Dtype, shape: Vec<Dim>) -> String {
        self.graph.inputs.push(port(name, dtype, shape));
        name.to_owned()
    }

    /// Gives `value` the public name `name` at which the graph can be cut, and returns that name.
    pub fn boundary(&mut self, value: &str, name: &str, dtype: Dtype, shape: Vec<Dim>) -> String {
        self.rename(value, name);
        self.graph.boundaries.push(port(name, dtype, shape));
        name.to_owned()
    }

    /// Gives `value` the public name `name` and returns it from the graph.
    pub fn output(&mut self, value: &str, name: &str, dtype: Dtype, shape: Vec<Dim>) {
        self.rename(value, name);
        self.graph.outputs.push(port(name, dtype, shape));
    }

    /// Renames the output of the last node, so that no `Identity` node is needed for a public name.
    fn rename(&mut self, value: &str, name: &str) {
        let output = self
            .graph
            .nodes
            .last_mut()
            .and_then(|node| node.outputs.iter_mut().find(|output| *output == value))
            .expect("a value is named right after the node that makes it");
        *output = name.to_owned();
    }

    /// Adds a node with one output and returns the output's name.
    pub fn op(&mut self, op: &'static str, inputs: &[&str]) -> String {
        self.op_with(op, inputs, vec![])
    }

    /// Adds a node with attributes and one output and returns the output's name.
    pub fn op_with(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        attributes: Vec<(&'static str, Attribute)>,
    ) -> String {
        self.op_many(op, inputs, attributes, 1).remove(0)
    }

    /// Adds a node with `count` outputs and returns their names.
    pub fn op_many(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        attributes: Vec<(&'static str, Attribute)>,
        count: usize,
    ) -> Vec<String> {
        let name = format!("{}/{op}_{}", self.scope, self.graph.nodes.len());
        let outputs: Vec<String> = if count == 1 {
            vec![name.clone()]
        } else {
            (0..count).map(|i| format!("{name}:{i}")).collect()
        };
        self.graph.nodes.push(Node {
            name,
            op: op.into(),
            domain: "".into(),
            inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
            outputs: outputs.clone(),
            attributes: (attributes.into_iter())
                .map(|(name, value)| (name.into(), value))
                .collect(),
        });
        outputs
    }

    /// A tensor of 64-bit integers, `[len] i64`; equal tensors are stored once.
    pub fn ints(&mut self, values: &[i64]) -> String {
        let text: Vec<String> = values.iter().map(ToString::to_string).collect();
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(
            format!("const/i64[{}]", text.join(",")),
            vec![values.len()],
            Dtype::I64,
            bytes,
        )
    }

    /// A float as a tensor of rank 0; equal floats are stored once.
    pub fn scalar(&mut self, value: f32) -> String {
        let bytes = value.to_le_bytes().to_vec();
        self.constant(format!("const/f32 {value:e}"), vec![], Dtype::F32, bytes)
    }

    /// A tensor of floats under a name of its own, `[len] f32`.
    pub fn floats(&mut self, name: &str, values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name.to_owned(), vec![values.len()], Dtype::F32, bytes)
    }

    fn constant(
        &mut self,
        name: String,
        shape: Vec<usize>,
        dtype: Dtype,
        bytes: Vec<u8>,
    ) -> String {
        if self.constants.insert(name.clone()) {
            self.graph.constants.push(Constant {
                name: name.clone(),
                shape,
                dtype,
                bytes,
            });
        }
        name
    }

    /// Declares a weight and returns its value as f32: 16-bit weights are widened in the graph.
    pub fn weight(&mut self, weight: &Weight) -> String {
        let stored = self.stored(weight);
        self.cast(&stored, weight.dtype, Dtype::F32)
    }

    /// Declares a weight and returns its value as it is stored.
    pub fn stored(&mut self, weight: &Weight) -> String {
        if self.weights.insert(weight.name.clone()) {
            self.graph.weights.push(weight.clone());
        }
        weight.name.clone()
    }

    /// A value of one type as another one.
    pub fn cast(&mut self, value: &str, from: Dtype, to: Dtype) -> String {
        if from == to {
            return value.to_owned();
        }
        let to = Attribute::Int(super::encode::data_type(to));
        self.op_with("Cast", &[value], vec![("to", to)])
    }

    /// Whether something holds, as 1 or 0.
    pub fn indicator(&mut self, holds: &str) -> String {
        let to = Attribute::Int(super::encode::data_type(Dtype::F32));
        self.op_with("Cast", &[holds], vec![("to", to)])
    }

    /// The finished graph.
    pub fn finish(self, name: &str) -> Graph {
        Graph {
            name: name.to_owned(),
            inputs: self.graph.inputs,
            outputs: self.graph.outputs,
            boundaries: self.graph.boundaries,
            nodes: self.graph.nodes,
            constants: self.graph.constants,
            weights: self.graph.weights,
            given: Vec::new(),
            opsets: vec![(String::new(), super::OPSET)],
        }
    }
}

fn port(name: &str, dtype: Dtype, shape: Vec<Dim>) -> Port {
    Port {
        name: name.to_owned(),
        dtype,
        shape,
    }
}
