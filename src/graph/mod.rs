//! ONNX graphs as typed values: what a model's instrumented graph is, how it is built, cut and turned into bytes.
//! Nothing here knows a model, or runs a graph (see [`crate::runtime`]); protobuf is used here only.
//!
//! Named values of a [`Graph`] are places where [`Graph::cut`] takes out a segment. Those of graphs of models have the
//! same names in all of them; the contract that these keep is written in `onnx/CONTRACT.md`.

pub mod assemble;
mod build;
mod contract;
mod cut;
mod encode;
pub mod foreign;
#[allow(dead_code, missing_docs, clippy::all, rustdoc::all)]
#[rustfmt::skip]
mod proto;
pub mod score;
mod turned;
mod value;

pub use build::Builder;
pub use contract::{
    INPUT_IDS, LOGITS, POSITION_IDS, attn_bias, attn_key, attn_out, attn_pattern, attn_value, resid,
};
pub use encode::{IR_VERSION, OPSET};
pub use value::{
    Attribute, Constant, Dim, Dtype, GivenAttribute, GivenTensor, Graph, Node, Port, Precision,
    Weight,
};
