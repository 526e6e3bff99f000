//! All verdicts of several sweeps.

use crate::kit::Table;
use crate::kit::words::columns::{
    Columns, faithful, joined, said, subgraph, technique, template, verdict,
};
use crate::record::{Findings, Outcome, Sweep, Tested};

/// What is claimed in several sweeps: see [`super::claimed`].
pub fn claimed(findings: &Findings<'_>) -> Vec<Tested> {
    let of = |sweep: &Sweep| -> Vec<Tested> {
        let claimed = super::claimed(sweep).into_iter();
        claimed.cloned().map(Tested::from).collect()
    };
    findings.sweeps.iter().flat_map(of).collect()
}

/// The outcomes over all draws of a number of contexts.
pub fn over_draws(findings: &Findings<'_>) -> Vec<Outcome> {
    let cells = findings.sweeps.iter().flat_map(Sweep::measurements);
    let outcome =
        |m: &crate::record::Measurement| Some(m.over_draws.as_ref()?.verdict.as_ref()?.outcome);
    cells.filter_map(outcome).collect()
}

/// A row a verdict, with its reason.
pub fn table(claimed: &[Tested]) -> Table {
    let reason = said("reason", |m| {
        m.test.verdict.as_ref().map_or("", |v| &v.reason).to_owned()
    });
    let model: Columns<'_> = vec![said("model", |m| m.subject.model.clone())];
    let columns = joined([
        model,
        template(),
        subgraph(),
        technique(),
        vec![faithful(), verdict(), reason],
    ]);
    Table::of("Every verdict with its reason", &columns, claimed)
}
