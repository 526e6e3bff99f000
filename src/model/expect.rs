//! What is expected of models that others have measured, with the source of every number and how sure it is: the files of
//! `fixtures/expect`, which `cargo test --test expect` tests.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Confidence;

/// What is expected of a model.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// What the model's folder may be called.
    pub names: Vec<String>,
    /// A file of styles, beside this file.
    pub styles: Option<PathBuf>,
    /// The operands of values that do not say otherwise.
    pub operands: Option<String>,
    /// The results of values that do not say otherwise.
    pub results: Option<String>,
    /// The estimator of the means.
    pub estimator: Option<String>,
    /// The values.
    pub value: Vec<ExpectedValue>,
}

/// A number.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedValue {
    /// The style.
    pub style: String,
    /// The operation.
    pub operation: String,
    /// The operands, both ends included.
    pub operands: Option<String>,
    /// The results, both ends included.
    pub results: Option<String>,
    /// `W` of the AF1 that it is of.
    pub wait: Option<usize>,
    /// `K` of the AF1 that it is of.
    pub transfer: Option<usize>,
    /// A field of the records.
    pub measure: String,
    /// The number itself.
    pub value: f64,
    /// How far a measured value may be from it.
    pub tolerance: f64,
    /// Where it is from.
    pub source: String,
    /// How sure it is.
    pub confidence: Confidence,
}

/// The files, by their names without an ending.
const FILES: [(&str, &str); 7] = [
    (
        "gpt-j-6b",
        include_str!("../../fixtures/expect/gpt-j-6b.toml"),
    ),
    (
        "meta-llama-3-8b",
        include_str!("../../fixtures/expect/meta-llama-3-8b.toml"),
    ),
    (
        "meta-llama-3.1-8b",
        include_str!("../../fixtures/expect/meta-llama-3.1-8b.toml"),
    ),
    (
        "planted-af1",
        include_str!("../../fixtures/expect/planted-af1.toml"),
    ),
    (
        "pythia-6.9b",
        include_str!("../../fixtures/expect/pythia-6.9b.toml"),
    ),
    (
        "qwen2.5-coder-0.5b-instruct",
        include_str!("../../fixtures/expect/qwen2.5-coder-0.5b-instruct.toml"),
    ),
    (
        "smollm2-135m-instruct",
        include_str!("../../fixtures/expect/smollm2-135m-instruct.toml"),
    ),
];

impl Expected {
    /// What is expected of the built-in model of that name, if something is.
    pub fn of(preset: &str) -> Option<Self> {
        let (_, text) = FILES.iter().find(|(name, _)| *name == preset)?;
        toml::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model that answers nothing, or everything, must not agree with a share in between.
    #[test]
    fn every_expected_share_can_be_missed() {
        for (name, _) in FILES {
            for value in Expected::of(name).expect("it is built in").value {
                let (low, high) = (value.value - value.tolerance, value.value + value.tolerance);
                let at = format!(
                    "{name}: {} {} {}",
                    value.style, value.operation, value.measure
                );
                assert!(value.value == 0.0 || low > 0.0, "{at} accepts 0");
                assert!(value.value > 0.9 || high < 1.0, "{at} accepts 1");
            }
        }
    }

    #[test]
    fn every_file_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/expect");
        for file in std::fs::read_dir(folder).expect("the folder").flatten() {
            let name = file.file_name().to_string_lossy().replace(".toml", "");
            assert!(Expected::of(&name).is_some(), "{name}");
        }
    }
}
