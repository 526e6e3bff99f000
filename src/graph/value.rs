//! What a graph is made of: ports, nodes, constants and weights by reference.

use std::borrow::Cow;
use std::fmt;

use super::proto;

/// The element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 32-bit IEEE float.
    F32,
    /// 16-bit IEEE float.
    F16,
    /// 16-bit brain float.
    Bf16,
    /// 64-bit signed integer.
    I64,
}

/// The precision in which activations are multiplied with the weights of layers. Norms, attention scores, the residual stream and
/// the unembedding are f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, IEEE.
    F16,
    /// 16 bits, brain float.
    Bf16,
}

impl Precision {
    /// The element type of that precision.
    pub fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::Bf16,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::I64 => "i64",
        })
    }
}

/// An axis of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// An axis whose length is known when the graph is run: `batch`, `pos`, ...
    Symbol(&'static str),
    /// An axis of fixed length.
    Fixed(usize),
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbol(name) => f.write_str(name),
            Self::Fixed(length) => write!(f, "{length}"),
        }
    }
}

/// A named value with its type: an input, an output or a layer boundary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The name of the value.
    pub name: String,
    /// The element type.
    pub dtype: Dtype,
    /// The axes, in order.
    pub shape: Vec<Dim>,
}

/// An attribute of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// Several integers.
    Ints(Vec<i64>),
    /// An attribute that another program wrote, of any kind.
    Given(Box<GivenAttribute>),
}

/// An attribute as another program wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenAttribute(pub(super) proto::AttributeProto);

/// A tensor as another program wrote it, with its values or a reference into a file.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenTensor(pub(super) proto::TensorProto);

impl GivenTensor {
    /// Gives the file that holds its values another name, where it is in a file.
    pub fn rename_file(&mut self, renamed: impl Fn(&str) -> Option<String>) {
        for entry in &mut self.0.external_data {
            if entry.key == "location"
                && let Some(name) = renamed(&entry.value)
            {
                entry.value = name;
            }
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How many numbers it has, where it is a matrix of f32; none of all others.
    pub fn numbers_of_f32(&self) -> u64 {
        let matrix = self.0.dims.len() == 2
            && self.0.data_type == proto::tensor_proto::DataType::Float as i32;
        let axes = self
            .0
            .dims
            .iter()
            .map(|&axis| u64::try_from(axis).unwrap_or(0));
        if matrix {
            axes.fold(1, u64::saturating_mul)
        } else {
            0
        }
    }

    /// An integer as a tensor of rank 0.
    pub(super) fn scalar(name: String, value: i64) -> Self {
        Self(proto::TensorProto {
            name,
            data_type: proto::tensor_proto::DataType::Int64 as i32,
            raw_data: value.to_le_bytes().to_vec().into(),
            ..Default::default()
        })
    }
}

/// An operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The unique name of the node, `layer.3/attn/MatMul_2`.
    pub name: String,
    /// The operator.
    pub op: Cow<'static, str>,
    /// The domain of the operator; empty for the default one.
    pub domain: Cow<'static, str>,
    /// The names of the values that it reads.
    pub inputs: Vec<String>,
    /// The names of the values that it makes.
    pub outputs: Vec<String>,
    /// The attributes.
    pub attributes: Vec<(Cow<'static, str>, Attribute)>,
}

/// A small tensor that is part of the graph itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// The name of the value.
    pub name: String,
    /// The shape.
    pub shape: Vec<usize>,
    /// The element type.
    pub dtype: Dtype,
    /// The elements, little-endian, in row-major order.
    pub bytes: Vec<u8>,
}

/// A weight, by reference into a file beside the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// The name of the value, the tensor's name in the file.
    pub name: String,
    /// The element type as stored.
    pub dtype: Dtype,
    /// The shape.
    pub shape: Vec<usize>,
    /// The file's name, relative to the folder of the graph.
    pub file: String,
    /// Where its bytes begin in the file.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
}

/// An ONNX graph with weights by reference. Nodes are in topological order.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// The name of the graph.
    pub name: String,
    /// What a run must be given.
    pub inputs: Vec<Port>,
    /// What a run returns.
    pub outputs: Vec<Port>,
    /// Named values between nodes at which the graph may be cut.
    pub boundaries: Vec<Port>,
    /// The operations, in topological order.
    pub nodes: Vec<Node>,
    /// Tensors that are part of the graph.
    pub constants: Vec<Constant>,
    /// Tensors that are references into a file.
    pub weights: Vec<Weight>,
    /// Tensors of a graph that another program wrote.
    pub given: Vec<GivenTensor>,
    /// The operator sets: domains and versions.
    pub opsets: Vec<(String, i64)>,
}

impl Graph {
    /// The port of that name among inputs, boundaries and outputs.
    pub fn port(&self, name: &str) -> Option<&Port> {
        self.inputs
            .iter()
            .chain(&self.boundaries)
            .chain(&self.outputs)
            .find(|port| port.name == name)
    }
}
