//! Every Eval Ever 0.3 (arXiv 2606.14516): a file of a model's results with their uncertainty, and beside it one of single answers, where
//! files of answers are given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Form, Relationship, Shared, title};
use crate::file::{Growing, Sha256, sha256_bytes, write_atomically};
use crate::kit::words::about::{intervals, outcome, template};
use crate::record::{Answered, Measurement, OwnedAddress, Provenance, Tested, each_answer};
use crate::stats::Proportion;
use crate::{Error, Result};

/// The version of the schema.
const SCHEMA: &str = "0.3.0";

/// The form.
pub struct EveryEvalEver;

impl Form for EveryEvalEver {
    fn name(&self) -> &'static str {
        "every-eval-ever"
    }

    fn help(&self) -> &'static str {
        "Every Eval Ever 0.3: results with their uncertainty, and single answers of --answers"
    }

    fn write(&self, shared: &Shared<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
        let results = results(shared);
        let model = &shared.about.model;
        // A version-4 UUID of what is shared, so that the same records have the same name.
        let named = json!([results, model.to_string(), shared.about.written]);
        let uuid = uuid(sha256_bytes(named.to_string().as_bytes()).as_str());
        let inside = format!("data/af1/{}/{}", model.owner, model.name);
        let below = folder.join(&inside);
        std::fs::create_dir_all(&below).map_err(|e| Error::writing(&below, e))?;
        let run = format!("af1/{model}/{}", shared.about.written);
        let mut whole = json!({
            "schema_version": SCHEMA, "evaluation_id": run, "retrieved_timestamp": shared.about.written.to_string(),
            "source_metadata": source(shared), "eval_library": library(shared), "model_info": model_info(shared),
            "evaluation_results": results,
        });
        let mut written = Vec::new();
        if !shared.answers.is_empty() {
            let file = format!("{uuid}_samples.jsonl");
            let path = below.join(&file);
            let rows = samples(shared, &run, &path)?;
            whole["detailed_evaluation_results"] = json!({
                "format": "jsonl", "file_path": format!("{inside}/{file}"), "total_rows": rows,
            });
            written.push(path);
        }
        let path = below.join(format!("{uuid}.json"));
        let text = serde_json::to_string_pretty(&whole).expect("plain values are JSON") + "\n";
        write_atomically(&path, text.as_bytes())?;
        written.insert(0, path);
        Ok(written)
    }
}

/// The first digits of a hash in the form of a UUID of version 4, variant 1.
fn uuid(hash: &str) -> String {
    let part = |from: usize, to: usize| &hash[from..to];
    format!(
        "{}-{}-4{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 15),
        part(15, 18),
        part(18, 30)
    )
}

fn source(shared: &Shared<'_>) -> Value {
    let relationship = match shared.about.relationship {
        Relationship::FirstParty => "first_party",
        Relationship::ThirdParty => "third_party",
        Relationship::Collaborative => "collaborative",
        Relationship::Other => "other",
    };
    json!({
        "source_name": "af1", "source_type": "evaluation_run", "source_organization_name": shared.about.by,
        "evaluator_relationship": relationship,
    })
}

/// What made the first cell; every result has its own provenance.
fn first<'s>(shared: &'s Shared<'_>) -> Option<&'s Measurement> {
    shared.cells().map(|cell| &cell.m).next()
}

fn library(shared: &Shared<'_>) -> Value {
    let version = first(shared).map_or("unknown", |m| &m.provenance.crate_version);
    json!({ "name": "af1", "version": version })
}

fn model_info(shared: &Shared<'_>) -> Value {
    let model = &shared.about.model;
    let mut info = json!({
        "name": model.name, "id": model.to_string(), "developer": model.owner,
        "additional_details": { "deployment_type": "self_deployed", "model_availability": "unknown" },
    });
    if let Some(m) = first(shared) {
        let p = &m.provenance;
        info["inference_engine"] = json!({ "name": p.runtime, "version": p.runtime_version });
        info["additional_details"]["name_in_record"] = json!(m.subject.model);
        info["additional_details"]["sha256"] = json!(p.model_sha256);
    }
    info
}

/// The results of every cell: what is kept, and what is right, of the model itself once a template.
fn results(shared: &Shared<'_>) -> Vec<Value> {
    let mut all = Vec::new();
    let mut seen = Vec::new();
    for cell in shared.cells() {
        let m = &cell.m;
        let prompts = (template(m), &m.answers.prompts_sha256);
        if !seen.contains(&prompts) {
            let itself = Metric::BaseAccuracy;
            all.extend(itself.result(shared, cell, m.scores.base_accuracy));
            seen.push(prompts);
        }
        all.extend(Metric::Faithfulness.result(shared, cell, m.scores.faithfulness));
        all.extend(Metric::Accuracy.result(shared, cell, m.scores.accuracy));
    }
    all
}

/// A share that is shared.
#[derive(Clone, Copy)]
enum Metric {
    BaseAccuracy,
    Accuracy,
    Faithfulness,
}

impl Metric {
    /// The identifier of the metric, which stands for its kind, too.
    fn id(self) -> &'static str {
        match self {
            Self::BaseAccuracy | Self::Accuracy => "accuracy",
            Self::Faithfulness => "af1.faithfulness",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::BaseAccuracy => "accuracy of the unmodified model",
            Self::Accuracy => "accuracy under the intervention",
            Self::Faithfulness => "faithfulness",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::BaseAccuracy => {
                "the share of the prompts that the unmodified model answers correctly"
            }
            Self::Accuracy => {
                "the share of the prompts that are answered correctly under the intervention"
            }
            Self::Faithfulness => {
                "the share of the unmodified model's right answers that stay right under the intervention"
            }
        }
    }

    /// What joins a result with its instances.
    fn key(self, m: &Measurement) -> String {
        let (sweep, template, name) = (&m.place.sweep, template(m), self.name());
        match self {
            // A sweep may have a template on several sets of prompts, such as those of the two halves of a choice.
            Self::BaseAccuracy => {
                let prompts = Sha256::known(&m.answers.prompts_sha256);
                format!("{sweep} {} {template}: model: {name}", prompts.short())
            }
            _ => format!("{sweep} {template}: {}: {name}", m.place.cell.name),
        }
    }

    fn title(self, shared: &Shared<'_>, m: &Measurement) -> String {
        let title = match self {
            Self::BaseAccuracy => format!("{}: the unmodified model", template(m)),
            _ => title(m),
        };
        shared.apart(&title, m)
    }

    /// `None` where the share is of nothing.
    fn result(self, shared: &Shared<'_>, cell: &Tested, share: Proportion) -> Option<Value> {
        let m = &cell.m;
        let value = share.value?;
        let mut details = BTreeMap::from([
            ("successes", share.successes.to_string()),
            ("trials", share.trials.to_string()),
            ("prompts", m.counts.prompts.to_string()),
        ]);
        if matches!(self, Self::Faithfulness) {
            details.extend(verdict(cell));
        }
        Some(json!({
            "evaluation_result_id": self.key(m),
            "evaluation_name": self.title(shared, m),
            "source_data": {
                "dataset_name": format!("af1: {}", template(m)), "source_type": "other",
                "additional_details": prompts(m),
            },
            "metric_config": {
                "evaluation_description": self.description(), "metric_id": self.id(), "metric_name": self.name(),
                "metric_kind": self.id(), "metric_unit": "proportion", "lower_is_better": false,
                "score_type": "continuous", "min_score": 0.0, "max_score": 1.0,
            },
            "score_details": {
                "score": value, "details": details,
                "uncertainty": {
                    "confidence_interval": {
                        "lower": share.low, "upper": share.high, "confidence_level": 0.95, "method": intervals([m]),
                    },
                    "num_samples": share.trials,
                },
            },
            "generation_config": {
                "generation_args": { "temperature": 0.0 },
                "additional_details": made(&m.provenance),
            },
        }))
    }
}

/// What is claimed, and what the tests say.
fn verdict(cell: &Tested) -> Vec<(&'static str, String)> {
    let test = &cell.m.test;
    let Some(found) = &test.verdict else {
        return Vec::new();
    };
    let mut all = vec![
        ("claim", test.claim.to_string()),
        ("verdict", outcome(found.outcome).to_owned()),
        ("reason", found.reason.clone()),
    ];
    if let Some(corrected) = cell.in_sweep {
        let among = format!("{} (Holm, {})", outcome(corrected.outcome), corrected.among);
        all.push(("verdict_after_correction", among));
    }
    all
}

/// Which prompts they are.
fn prompts(m: &Measurement) -> Value {
    let range = |[first, last]: [i64; 2]| format!("{first}..={last}");
    let p = &m.provenance;
    json!({
        "prompts_sha256": m.answers.prompts_sha256, "styles_sha256": p.styles_sha256,
        "operands": range(p.operands), "results": range(p.results), "seed": p.seed.to_string(),
    })
}

/// How it was made: the provenance as texts.
fn made(p: &Provenance) -> BTreeMap<String, String> {
    let Ok(Value::Object(fields)) = serde_json::to_value(p) else {
        return BTreeMap::new();
    };
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    fields.map(|(name, value)| (name, text(value))).collect()
}

/// Writes what was said to every prompt in every cell, and says how many lines that is.
fn samples(shared: &Shared<'_>, run: &str, path: &Path) -> Result<usize> {
    let cells: BTreeMap<OwnedAddress, &Measurement> = (shared.cells())
        .map(|cell| (cell.m.address().owned(), &cell.m))
        .collect();
    let mut file = Growing::begin(path)?;
    let mut rows = 0;
    for answers in shared.answers {
        let mut failed = Ok(());
        each_answer(answers, |answered| {
            if let (Some(m), Ok(())) = (cells.get(&answered.address), &failed) {
                let sample = sample(shared, run, m, &answered);
                failed = file.write(format!("{sample}\n").as_bytes());
                rows += 1;
            }
            Ok(())
        })?;
        failed?;
    }
    file.finish()?;
    Ok(rows)
}

/// What was said to a prompt: the instance of the accuracy under the intervention.
fn sample(shared: &Shared<'_>, run: &str, m: &Measurement, answered: &Answered) -> Value {
    let told = &answered.told;
    let input = format!("{}{}", told.prompt, answered.given);
    let reference: Vec<&str> = answered.answer.as_deref().into_iter().collect();
    json!({
        "schema_version": SCHEMA, "evaluation_id": run, "model_id": shared.about.model.to_string(),
        "evaluation_name": Metric::Accuracy.title(shared, m), "evaluation_result_id": Metric::Accuracy.key(m),
        "sample_id": format!("{}: {}", template(m), told.prompt),
        "sample_hash": sha256_bytes((input.clone() + &reference.concat()).as_bytes()),
        "interaction_type": "single_turn",
        "input": { "raw": input, "reference": reference },
        "output": { "raw": [told.text] },
        "answer_attribution": [{
            "turn_idx": 0, "source": "output.raw", "extracted_value": told.text, "extraction_method": "exact_match",
            "is_terminal": true,
        }],
        "evaluation": { "score": f64::from(u8::from(answered.right)), "is_correct": answered.right },
        "metadata": {
            "operands": json!(told.operands).to_string(), "step": m.place.step.to_string(),
            "right_in_the_unmodified_model": answered.base_right.to_string(),
            "logit_difference": told.logit_difference.to_string(),
            "logit_difference_of_the_unmodified_model": told.base_logit_difference.to_string(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_makes_a_uuid() {
        let hash = sha256_bytes(b"");
        assert_eq!(uuid(hash.as_str()), "e3b0c442-98fc-41c1-849a-fbf4c8996fb9");
    }
}
