//! A graph as the bytes of an ONNX file.

use std::borrow::Cow;

use prost::Message;

use super::{Attribute, Constant, Dim, Dtype, Graph, Node, Port, Weight, proto};

/// The version of the ONNX intermediate representation that is written.
pub const IR_VERSION: i64 = 11;
/// The version of the default operator set that is written.
pub const OPSET: i64 = 21;

/// The number by which ONNX knows an element type.
pub(super) fn data_type(dtype: Dtype) -> i64 {
    use proto::tensor_proto::DataType;
    (match dtype {
        Dtype::F32 => DataType::Float,
        Dtype::F16 => DataType::Float16,
        Dtype::Bf16 => DataType::Bfloat16,
        Dtype::I64 => DataType::Int64,
    }) as i64
}

impl Graph {
    /// The graph as an ONNX model. Weights are external data: their files must lie beside the model file.
    pub fn to_bytes(&self) -> Vec<u8> {
        proto::ModelProto {
            ir_version: IR_VERSION,
            opset_import: (self.opsets.iter())
                .map(|(domain, version)| proto::OperatorSetIdProto {
                    domain: domain.clone(),
                    version: *version,
                })
                .collect(),
            producer_name: env!("CARGO_PKG_NAME").to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(proto::GraphProto {
                name: self.name.clone(),
                node: self.nodes.iter().map(node).collect(),
                initializer: self
                    .constants
                    .iter()
                    .map(constant)
                    .chain(self.weights.iter().map(weight))
                    .chain(self.given.iter().map(|tensor| tensor.0.clone()))
                    .collect(),
                input: self.inputs.iter().map(port).collect(),
                output: self.outputs.iter().map(port).collect(),
                value_info: self.boundaries.iter().map(port).collect(),
                ..Default::default()
            }),
            ..Default::default()
        }
        .encode_to_vec()
    }
}

fn node(node: &Node) -> proto::NodeProto {
    proto::NodeProto {
        name: node.name.clone(),
        op_type: node.op.to_string(),
        domain: node.domain.to_string(),
        input: node.inputs.clone(),
        output: node.outputs.clone(),
        attribute: node.attributes.iter().map(attribute).collect(),
        ..Default::default()
    }
}

fn attribute((name, value): &(Cow<'static, str>, Attribute)) -> proto::AttributeProto {
    use proto::attribute_proto::AttributeType;
    let mut attribute = proto::AttributeProto {
        name: name.to_string(),
        ..Default::default()
    };
    match value {
        Attribute::Int(i) => {
            attribute.set_type(AttributeType::Int);
            attribute.i = *i;
        }
        Attribute::Ints(ints) => {
            attribute.set_type(AttributeType::Ints);
            attribute.ints = ints.clone();
        }
        Attribute::Given(given) => return given.0.clone(),
    }
    attribute
}

fn constant(constant: &Constant) -> proto::TensorProto {
    proto::TensorProto {
        name: constant.name.clone(),
        dims: constant.shape.iter().map(|&d| d as i64).collect(),
        data_type: data_type(constant.dtype) as i32,
        raw_data: constant.bytes.clone().into(),
        ..Default::default()
    }
}

fn weight(weight: &Weight) -> proto::TensorProto {
    let entry = |key: &str, value: String| proto::StringStringEntryProto {
        key: key.to_owned(),
        value,
    };
    proto::TensorProto {
        name: weight.name.clone(),
        dims: weight.shape.iter().map(|&d| d as i64).collect(),
        data_type: data_type(weight.dtype) as i32,
        data_location: proto::tensor_proto::DataLocation::External as i32,
        external_data: vec![
            entry("location", weight.file.clone()),
            entry("offset", weight.offset.to_string()),
            entry("length", weight.length.to_string()),
        ],
        ..Default::default()
    }
}

fn port(port: &Port) -> proto::ValueInfoProto {
    use proto::tensor_shape_proto::{Dimension, dimension::Value};
    let dims = port.shape.iter().map(|dim| Dimension {
        value: Some(match dim {
            Dim::Symbol(name) => Value::DimParam((*name).to_owned()),
            Dim::Fixed(length) => Value::DimValue(*length as i64),
        }),
        ..Default::default()
    });
    let tensor = proto::type_proto::Tensor {
        elem_type: data_type(port.dtype) as i32,
        shape: Some(proto::TensorShapeProto {
            dim: dims.collect(),
        }),
    };
    proto::ValueInfoProto {
        name: port.name.clone(),
        r#type: Some(proto::TypeProto {
            value: Some(proto::type_proto::Value::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    }
}
