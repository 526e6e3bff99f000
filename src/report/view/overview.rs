//! What was measured: the models, the runtime, the prompts of every sweep.

use crate::kit::words::about::{distinct, fronts, intervals};
use crate::kit::{Table, column};
use crate::record::{Findings, Provenance, Sweep};

/// The models of a sweep.
fn models(sweep: &Sweep) -> impl Iterator<Item = &str> {
    let of_cells = sweep.measurements().map(|m| m.subject.model.as_str());
    let of_heads = sweep.heads.iter().map(|a| a.model.as_str());
    let of_patches = sweep.patches.iter().map(|p| p.model.as_str());
    let of_readings = sweep.readings.iter().map(|r| r.model.as_str());
    of_cells
        .chain(of_heads)
        .chain(of_patches)
        .chain(of_readings)
}

/// The models of all sweeps, by name.
pub fn all_models<'f>(findings: &'f Findings<'_>) -> Vec<&'f str> {
    let mut all: Vec<&str> = findings.sweeps.iter().flat_map(models).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether nothing of the sweep was measured.
pub fn is_empty(sweep: &Sweep) -> bool {
    models(sweep).next().is_none()
}

/// The model and the question of a sweep.
pub fn title(sweep: &Sweep) -> String {
    let model = models(sweep).next().unwrap_or("");
    format!("{model}: {}", super::questions(sweep))
}

/// What the intervals of a sweep are about.
fn about(sweep: &Sweep) -> String {
    let of_heads = sweep.heads.first().map(|head| head.inference);
    let of_patches = || sweep.patches.first().map(|patched| patched.inference);
    let of_readings = || sweep.readings.first().map(|reading| reading.inference);
    match of_heads.or_else(of_patches).or_else(of_readings) {
        Some(inference) if sweep.groups.is_empty() => {
            format!("95% intervals about {}", inference.words())
        }
        _ => intervals(sweep.measurements()),
    }
}

/// Under what the lines of a sweep were measured.
pub fn provenances(sweep: &Sweep) -> impl Iterator<Item = &Provenance> {
    let of_cells = sweep.measurements().map(|m| &m.provenance);
    let of_heads = sweep.heads.iter().map(|a| &a.provenance);
    let of_patches = sweep.patches.iter().map(|p| &p.provenance);
    let of_readings = sweep.readings.iter().map(|r| &r.provenance);
    of_cells
        .chain(of_heads)
        .chain(of_patches)
        .chain(of_readings)
}

/// The layers of its model.
fn layers(sweep: &Sweep) -> usize {
    let mut of_cells = sweep.measurements().map(|m| m.subject.layers);
    let of_heads = || sweep.heads.first().map(|a| a.layers);
    let of_patches = || sweep.patches.first().map(|p| p.layers);
    let of_readings = || sweep.readings.first().map(|r| r.layers);
    of_cells
        .next()
        .or_else(of_heads)
        .or_else(of_patches)
        .or_else(of_readings)
        .unwrap_or(0)
}

/// The least and the largest number of prompts of a template, where they are not the same.
fn prompts(sweep: &Sweep) -> String {
    let of_cells = || sweep.measurements().map(|m| m.counts.prompts);
    let of_heads = || sweep.heads.iter().map(|a| a.prompts);
    let of_patches = || sweep.patches.iter().map(|p| p.pairs);
    let of_readings = || sweep.readings.iter().map(|r| r.prompts);
    let of_others = || of_heads().chain(of_patches()).chain(of_readings());
    let all = || of_cells().chain(of_others());
    match (all().min(), all().max()) {
        (Some(least), Some(most)) if least == most => least.to_string(),
        (Some(least), Some(most)) => format!("{least} to {most}"),
        _ => String::new(),
    }
}

/// A sweep with its provenance.
struct Measured<'f> {
    sweep: &'f Sweep,
    p: &'f Provenance,
}

/// A row a sweep.
pub fn table(findings: &Findings<'_>) -> Table {
    let range = |[first, last]: [i64; 2]| format!("{first} to {last}");
    let estimators = |sweep: &Sweep| {
        distinct(sweep.measurements().map(|m| m.subject.estimator.name())).join(", ")
    };
    let columns = [
        column("sweep", |of: &Measured<'_>| title(of.sweep)),
        column("layers", |of: &Measured<'_>| layers(of.sweep).to_string()),
        column("computed in", |of: &Measured<'_>| of.p.dtype.clone()),
        column("runtime", |of: &Measured<'_>| {
            format!("{} {}", of.p.runtime, of.p.runtime_version)
        }),
        column("device", |of: &Measured<'_>| of.p.ran_on()),
        column("prompts of a template", |of: &Measured<'_>| {
            prompts(of.sweep)
        }),
        column("operands", move |of: &Measured<'_>| range(of.p.operands)),
        column("results", move |of: &Measured<'_>| range(of.p.results)),
        column("before every prompt", |of: &Measured<'_>| {
            fronts(provenances(of.sweep))
        }),
        column("means", move |of: &Measured<'_>| estimators(of.sweep)),
        column("intervals", |of: &Measured<'_>| about(of.sweep)),
    ];
    let measured = |sweep| {
        let p = provenances(sweep).next()?;
        Some(Measured { sweep, p })
    };
    let rows: Vec<Measured<'_>> = findings.sweeps.iter().filter_map(measured).collect();
    Table::of("Models, runtime and prompts", &columns, &rows)
}
