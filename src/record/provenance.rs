//! Under what a measurement was made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::prompt::KeyedBy;

/// Under what a measurement was made. The fields are explained in the schema (module documentation).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // documented once, in schema.md
pub struct Provenance {
    pub crate_version: String,
    pub model_sha256: String,
    pub graph_sha256: String,
    pub tokenizer_sha256: String,
    pub styles_sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template_sha256: Option<String>,
    pub runtime: String,
    pub runtime_version: String,
    pub runtime_sha256: String,
    pub device: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tf32: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mapped_weights: bool,
    pub providers: BTreeMap<String, usize>,
    pub dtype: String,
    pub threads: usize,
    pub batch: usize,
    pub masked: bool,
    pub seed: u64,
    pub operands: [i64; 2],
    pub results: [i64; 2],
    pub limit: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right_answers: Option<usize>,
    pub contexts: usize,
    pub contexts_from: String,
    pub key: KeyedBy,
    pub bos: Option<String>,
    pub bos_id: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos_rule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_sha256: Option<String>,
}

impl Provenance {
    /// Where it ran, in words: the device, and where several providers executed nodes, how many each.
    pub fn ran_on(&self) -> String {
        if self.providers.len() < 2 {
            return self.device.clone();
        }
        let each: Vec<String> = (self.providers.iter())
            .map(|(provider, nodes)| format!("{nodes} nodes on {provider}"))
            .collect();
        format!("{}: {}", self.device, each.join(", "))
    }
}
