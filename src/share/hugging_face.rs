//! The results of a model as its repository on the Hugging Face hub keeps them: a YAML file below `.eval_results`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Form, Shared};
use crate::file::write_atomically;
use crate::kit::words::about::{faithfulness, intervals, outcome, template};
use crate::record::Measurement;
use crate::{Error, Result};

/// The form.
pub struct HuggingFace;

impl Form for HuggingFace {
    fn name(&self) -> &'static str {
        "hugging-face"
    }

    fn help(&self) -> &'static str {
        "A file for the .eval_results of a model's repository, an entry a verdict"
    }

    fn write(&self, shared: &Shared<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
        let Some(dataset) = &shared.about.dataset else {
            let needed = "--as hugging-face needs --dataset OWNER/NAME: the dataset on the hub whose tasks these are";
            return Err(Error::Usage(needed.to_owned()));
        };
        let entries: Vec<String> = (shared.cells())
            .filter_map(|cell| entry(shared, &cell.m, &dataset.to_string()))
            .collect();
        if entries.is_empty() {
            let nothing = "no cell of these records has a verdict; `af1 run` makes a claim";
            return Err(Error::Usage(nothing.to_owned()));
        }
        let folder = folder.join(".eval_results");
        std::fs::create_dir_all(&folder).map_err(|e| Error::writing(&folder, e))?;
        let path = folder.join("af1.yaml");
        write_atomically(&path, entries.concat().as_bytes())?;
        Ok(vec![path])
    }
}

/// The entry of a verdict. Texts are written as JSON, which YAML reads.
fn entry(shared: &Shared<'_>, m: &Measurement, dataset: &str) -> Option<String> {
    let value = m.scores.faithfulness.value?;
    let verdict = m.test.verdict.as_ref()?;
    let (plan, ablation) = (m.subject.plan.words(), &m.subject.ablation);
    let notes = format!(
        "{plan} by {ablation} keeps {} of the right answers ({}); {}: {}",
        faithfulness(m),
        intervals([m]),
        outcome(verdict.outcome),
        verdict.reason
    );
    let task = shared.apart(&format!("{}: {plan} by {ablation}", template(m)), m);
    let text = |text: &str| json!(text).to_string();
    Some(format!(
        "- dataset:\n    id: {}\n    task_id: {}\n  value: {value}\n  notes: {}\n",
        text(dataset),
        text(&task),
        text(&notes)
    ))
}
