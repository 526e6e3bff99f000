//! Lines about what the lens reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::{CellName, Kind, Place, Provenance, Reading, Stands, Under};
use super::{SCHEMA, order, shape};
use crate::prompt::Step;
use crate::stats::Inference;

/// What is read at a boundary, as it is written.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Read {
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
    under: Option<Under>,
    boundary: usize,
    prompts: usize,
    lens: BTreeMap<String, BTreeMap<String, Stands>>,
    provenance: Provenance,
}

impl From<&Reading> for Read {
    fn from(r: &Reading) -> Self {
        Self {
            schema: SCHEMA,
            sweep: r.place.sweep.clone(),
            sweep_kind: r.place.kind.clone(),
            cell: r.place.cell.name.clone(),
            order: order(&r.place),
            cells: r.place.cells,
            templates: r.place.templates,
            experiment: r.experiment.clone(),
            model: r.model.clone(),
            style: r.style.clone(),
            operation: r.operation.clone(),
            shape: shape(&r.place, &r.operation),
            step: r.place.step,
            inference: r.inference,
            layers: r.layers,
            under: r.under.clone(),
            boundary: r.boundary,
            prompts: r.prompts,
            lens: r.lens.clone(),
            provenance: r.provenance.clone(),
        }
    }
}

impl TryFrom<Read> for Reading {
    type Error = String;

    fn try_from(line: Read) -> Result<Self, String> {
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
            under: line.under,
            boundary: line.boundary,
            prompts: line.prompts,
            lens: line.lens,
            provenance: line.provenance,
        })
    }
}
