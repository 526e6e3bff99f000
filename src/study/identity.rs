//! What a sweep is.

use serde::Serialize;

use crate::file::sha256_bytes;
use crate::record::Provenance;

/// The version of what an identity is made of; raised when it changes, so that a run never goes on in records of another meaning.
pub const VERSION: u32 = 2;

/// All that the cells of a sweep depend on besides what their names and templates say. Runs of the same sweep take up what others have
/// measured, whichever cells these asked for, and can be merged. Fields are in the order in which they are hashed; what is in them is
/// written in words of their own, never as the program's types print themselves.
#[derive(Serialize)]
pub struct Identity<'a> {
    /// The version of the identity, [`VERSION`].
    pub version: u32,
    /// The kind of experiment.
    pub kind: &'a str,
    /// What it is about besides its kind.
    pub about: String,
    /// What its units depend on, each once.
    pub units: Vec<String>,
    /// The model's name.
    pub model: &'a str,
    /// How means treat the evaluated prompt.
    pub estimator: &'static str,
    /// The faithfulness that a pass claims.
    pub claim: f64,
    /// The level of the tests behind a verdict.
    pub level: f64,
    /// What intervals, tests and verdicts are about.
    pub inference: &'static str,
    /// Under what measurements are made.
    pub provenance: &'a Provenance,
}

impl Identity<'_> {
    /// The identity in 16 hexadecimal digits.
    pub fn digest(&self) -> String {
        let text = serde_json::to_string(self).expect("an identity is plain data");
        sha256_bytes(text.as_bytes()).short().to_owned()
    }
}
