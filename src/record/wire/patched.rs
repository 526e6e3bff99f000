//! Lines about swapped residuals.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::{CellName, Kind, Patched, PatchedPosition, Place, Provenance};
use super::{SCHEMA, order, shape};
use crate::measure::{Change, Swap};
use crate::prompt::Step;
use crate::stats::Inference;

/// What swapped residuals do at a boundary, as it is written.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Swapped {
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
    #[cfg_attr(test, schemars(with = "String"))]
    change: Change,
    other_operation: Option<String>,
    /// Lines that do not say it were written when there was no other.
    #[serde(default)]
    swap: Swap,
    boundary: usize,
    pairs: usize,
    patched: BTreeMap<usize, PatchedPosition>,
    provenance: Provenance,
}

impl From<&Patched> for Swapped {
    fn from(p: &Patched) -> Self {
        Self {
            schema: SCHEMA,
            sweep: p.place.sweep.clone(),
            sweep_kind: p.place.kind.clone(),
            cell: p.place.cell.name.clone(),
            order: order(&p.place),
            cells: p.place.cells,
            templates: p.place.templates,
            experiment: p.experiment.clone(),
            model: p.model.clone(),
            style: p.style.clone(),
            operation: p.operation.clone(),
            shape: shape(&p.place, &p.operation),
            step: p.place.step,
            inference: p.inference,
            layers: p.layers,
            change: p.change,
            other_operation: p.other.clone(),
            swap: p.swap,
            boundary: p.boundary,
            pairs: p.pairs,
            patched: p.positions.clone(),
            provenance: p.provenance.clone(),
        }
    }
}

impl TryFrom<Swapped> for Patched {
    type Error = String;

    fn try_from(line: Swapped) -> Result<Self, String> {
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
            change: line.change,
            other: line.other_operation,
            swap: line.swap,
            boundary: line.boundary,
            pairs: line.pairs,
            positions: line.patched,
            provenance: line.provenance,
        })
    }
}
