//! What could not be measured.

use crate::kit::{Block, Table, column};
use crate::printable;
use crate::record::{Failure, Findings};

/// A line about a failure.
pub fn line(failure: &Failure) -> Block {
    Block::Text(format!(
        "{} {}: {}",
        failure.style,
        failure.operation,
        printable::line(&failure.error)
    ))
}

/// A row a failure.
pub fn table(findings: &Findings<'_>) -> Table {
    let title = "Templates that could not be evaluated, and ablations that are not defined on one";
    let ablation = |f: &Failure| f.ablation.clone().unwrap_or_else(|| "all".to_owned());
    let columns = [
        column("model", |f: &Failure| f.model.clone()),
        column("experiment", |f: &Failure| f.experiment.to_string()),
        column("style", |f: &Failure| f.style.clone()),
        column("operation", |f: &Failure| f.operation.clone()),
        column("ablation", ablation),
        column("why", |f: &Failure| f.error.clone()),
        column("exit code", |f: &Failure| f.exit_code.to_string()),
    ];
    let failures = findings.sweeps.iter().flat_map(|sweep| &sweep.failures);
    Table::of(title, &columns, failures)
}
