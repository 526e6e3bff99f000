//! What a sweep is.

use serde::Serialize;

use super::Study;
use crate::experiment::{Experiment, Unit};
use crate::file::sha256_bytes;
use crate::record::Provenance;

/// The version of what an identity is made of; raised when it changes, so that a run never goes on in records of another meaning.
const VERSION: u32 = 1;

/// All that the cells of a sweep depend on. Runs of the same sweep can go on where another one stopped, and be merged. Fields are in
/// the order in which they are hashed; what is in them is written in words of their own, never as the program's types print themselves.
#[derive(Serialize)]
struct Identity<'a> {
    version: u32,
    experiment: String,
    units: Vec<String>,
    templates: Vec<[String; 2]>,
    model: &'a str,
    estimator: &'static str,
    claim: f64,
    level: f64,
    inference: &'static str,
    provenance: &'a Provenance,
}

/// The identity of an experiment in a study: 16 hexadecimal digits.
pub fn identity(
    study: &Study,
    experiment: &dyn Experiment,
    units: &[Box<dyn Unit + '_>],
) -> String {
    let method = &study.request().method;
    let templates = study.sets.iter().map(|(template, _)| {
        let operation = template.operation.to_string();
        [template.style.clone(), operation]
    });
    let identity = Identity {
        version: VERSION,
        experiment: experiment.kind().to_string(),
        units: units.iter().map(|unit| unit.words()).collect(),
        templates: templates.collect(),
        model: &study.model.name,
        estimator: method.estimator.name(),
        claim: method.claim,
        level: method.level,
        inference: method.inference.name(),
        provenance: &study.provenance,
    };
    let text = serde_json::to_string(&identity).expect("an identity is plain data");
    sha256_bytes(text.as_bytes()).short().to_owned()
}
