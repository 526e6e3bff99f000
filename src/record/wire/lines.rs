//! The lines that are not of cells.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::{
    self as record, Answer, CellName, Conclusion, Ended, Failure, HeadAttention, Judgement, Kind,
    Outcome, Place, Planted, Provenance, Recovered, Weight,
};
use super::{SCHEMA, order, shape};
use crate::intervene;
use crate::prompt::{KeyedBy, Step};
use crate::stats::Inference;

/// What the experiment of an answer of a gate is called.
pub const GATE: &str = "gate";
/// What the experiment of the self-check is called.
pub const SELFCHECK: &str = "selfcheck";
/// What the experiment of a conclusion is called.
pub const CONCLUSION: &str = "conclusion";
/// What the experiment of a shard that has ended is called.
pub const SHARD: &str = "shard";

/// A head's attention as it is written.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Head {
    schema: u32,
    sweep: String,
    sweep_kind: Kind,
    cell: String,
    order: Vec<usize>,
    cells: Option<usize>,
    templates: Option<usize>,
    experiment: Kind,
    model: String,
    style: String,
    operation: String,
    shape: Option<String>,
    #[cfg_attr(test, schemars(with = "String"))]
    step: Step,
    inference: Inference,
    layers: usize,
    layer: usize,
    head: usize,
    prompts: usize,
    weights: BTreeMap<String, Weight>,
    provenance: Provenance,
}

impl From<&HeadAttention> for Head {
    fn from(a: &HeadAttention) -> Self {
        Self {
            schema: SCHEMA,
            sweep: a.place.sweep.clone(),
            sweep_kind: a.place.kind.clone(),
            cell: a.place.cell.name.clone(),
            order: order(&a.place),
            cells: a.place.cells,
            templates: a.place.templates,
            experiment: a.experiment.clone(),
            model: a.model.clone(),
            style: a.style.clone(),
            operation: a.operation.clone(),
            shape: shape(&a.place, &a.operation),
            step: a.place.step,
            inference: a.inference,
            layers: a.layers,
            layer: a.head.layer,
            head: a.head.head,
            prompts: a.prompts,
            weights: a.weights.clone(),
            provenance: a.provenance.clone(),
        }
    }
}

impl TryFrom<Head> for HeadAttention {
    type Error = String;

    fn try_from(line: Head) -> Result<Self, String> {
        Ok(Self {
            place: Place {
                sweep: line.sweep,
                kind: line.sweep_kind,
                shape: line.shape.as_deref().map(str::parse).transpose()?,
                step: line.step,
                template: line.order.first().copied().unwrap_or(0),
                cell: CellName::new(line.order.get(1..).unwrap_or_default(), line.cell.clone()),
                cells: line.cells,
                templates: line.templates,
            },
            experiment: line.experiment,
            model: line.model,
            style: line.style,
            operation: line.operation,
            inference: line.inference,
            layers: line.layers,
            head: intervene::Head {
                layer: line.layer,
                head: line.head,
            },
            prompts: line.prompts,
            weights: line.weights,
            provenance: line.provenance,
        })
    }
}

/// What could not be measured, as it is written.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Failed {
    schema: u32,
    sweep: String,
    sweep_kind: Kind,
    cell: String,
    order: Vec<usize>,
    cells: Option<usize>,
    templates: Option<usize>,
    experiment: Kind,
    model: String,
    style: String,
    operation: String,
    shape: Option<String>,
    #[cfg_attr(test, schemars(with = "String"))]
    step: Step,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ablation: Option<String>,
    error: String,
    exit_code: u8,
}

impl From<&Failure> for Failed {
    fn from(f: &Failure) -> Self {
        Self {
            schema: SCHEMA,
            sweep: f.place.sweep.clone(),
            sweep_kind: f.place.kind.clone(),
            cell: f.place.cell.name.clone(),
            order: order(&f.place),
            cells: f.place.cells,
            templates: f.place.templates,
            experiment: f.experiment.clone(),
            model: f.model.clone(),
            style: f.style.clone(),
            operation: f.operation.clone(),
            shape: shape(&f.place, &f.operation),
            step: f.place.step,
            ablation: f.ablation.clone(),
            error: f.error.clone(),
            exit_code: f.exit_code,
        }
    }
}

impl TryFrom<Failed> for Failure {
    type Error = String;

    fn try_from(line: Failed) -> Result<Self, String> {
        Ok(Self {
            place: Place {
                sweep: line.sweep,
                kind: line.sweep_kind,
                shape: line.shape.as_deref().map(str::parse).transpose()?,
                step: line.step,
                template: line.order.first().copied().unwrap_or(0),
                cell: CellName::new(line.order.get(1..).unwrap_or_default(), line.cell.clone()),
                cells: line.cells,
                templates: line.templates,
            },
            experiment: line.experiment,
            model: line.model,
            style: line.style,
            operation: line.operation,
            ablation: line.ablation,
            error: line.error,
            exit_code: line.exit_code,
        })
    }
}

/// The answer of a gate as it is written.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Gated {
    schema: u32,
    experiment: String,
    model: String,
    claim: String,
    sweep: String,
    level: f64,
    inference: Inference,
    outcome: Outcome,
    conditions: Vec<Judgement>,
    provenance: Provenance,
}

impl From<&record::Gated> for Gated {
    fn from(gated: &record::Gated) -> Self {
        let answer = gated.answer.clone();
        Self {
            schema: SCHEMA,
            experiment: GATE.to_owned(),
            model: gated.model.clone(),
            claim: answer.claim,
            sweep: answer.sweep,
            level: answer.level,
            inference: answer.inference,
            outcome: answer.outcome,
            conditions: answer.conditions,
            provenance: gated.provenance.clone(),
        }
    }
}

impl From<Gated> for record::Gated {
    fn from(line: Gated) -> Self {
        Self {
            model: line.model,
            answer: Answer {
                claim: line.claim,
                sweep: line.sweep,
                level: line.level,
                inference: line.inference,
                outcome: line.outcome,
                conditions: line.conditions,
            },
            provenance: line.provenance,
        }
    }
}

/// A template of the self-check as it is written.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Checked {
    schema: u32,
    experiment: String,
    model: String,
    style: String,
    operation: String,
    shape: String,
    #[cfg_attr(test, schemars(with = "String"))]
    step: Step,
    key: KeyedBy,
    bos: Option<String>,
    bos_rule: String,
    planted: Option<Planted>,
    found: Recovered,
    claim: [usize; 2],
    due: Outcome,
    verdict: Outcome,
    kept_planted: Option<usize>,
    kept: usize,
    differences: Vec<String>,
}

impl From<&record::Checked> for Checked {
    fn from(row: &record::Checked) -> Self {
        let row = row.clone();
        Self {
            schema: SCHEMA,
            experiment: SELFCHECK.to_owned(),
            model: row.model,
            style: row.style,
            shape: row.shape.words(&row.operation),
            step: row.step,
            key: row.key,
            operation: row.operation,
            bos: row.bos,
            bos_rule: row.bos_rule,
            planted: row.planted,
            found: row.found,
            claim: row.claim,
            due: row.due,
            verdict: row.verdict,
            kept_planted: row.kept_planted,
            kept: row.kept,
            differences: row.differences,
        }
    }
}

impl TryFrom<Checked> for record::Checked {
    type Error = String;

    fn try_from(line: Checked) -> Result<Self, String> {
        Ok(Self {
            model: line.model,
            style: line.style,
            operation: line.operation,
            shape: line.shape.parse()?,
            step: line.step,
            key: line.key,
            bos: line.bos,
            bos_rule: line.bos_rule,
            planted: line.planted,
            found: line.found,
            claim: line.claim,
            due: line.due,
            verdict: line.verdict,
            kept_planted: line.kept_planted,
            kept: line.kept,
            differences: line.differences,
        })
    }
}

/// A conclusion as it is written.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Concluded {
    schema: u32,
    experiment: String,
    sweep: String,
    model: String,
    conclusion: String,
}

impl From<&Conclusion> for Concluded {
    fn from(said: &Conclusion) -> Self {
        Self {
            schema: SCHEMA,
            experiment: CONCLUSION.to_owned(),
            sweep: said.sweep.clone(),
            model: said.model.clone(),
            conclusion: said.conclusion.clone(),
        }
    }
}

impl From<Concluded> for Conclusion {
    fn from(line: Concluded) -> Self {
        Self {
            sweep: line.sweep,
            model: line.model,
            conclusion: line.conclusion,
        }
    }
}

/// The end of a shard, as it is written.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Shard {
    schema: u32,
    experiment: String,
    sweep: String,
    cells: usize,
    shards: usize,
    shard: usize,
}

impl From<&Ended> for Shard {
    fn from(ended: &Ended) -> Self {
        Self {
            schema: SCHEMA,
            experiment: SHARD.to_owned(),
            sweep: ended.sweep.clone(),
            cells: ended.cells,
            shards: ended.shards,
            shard: ended.shard,
        }
    }
}

impl From<Shard> for Ended {
    fn from(line: Shard) -> Self {
        Self {
            sweep: line.sweep,
            cells: line.cells,
            shards: line.shards,
            shard: line.shard,
        }
    }
}
