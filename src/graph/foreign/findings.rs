//! What was found in a graph, and what does not keep the contract.

use std::collections::BTreeMap;

use serde::Serialize;

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
