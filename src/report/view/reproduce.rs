//! The main table: for every template and ablation the ablation alone beside AF1 with it.

use super::View;
use super::waiting::Waiting;
use crate::kit::words::about::{
    accuracy, af1, base_accuracy, constant, distinct, empty_accuracy, faithfulness, gained, lost,
    outcome, verdict,
};
use crate::kit::{Column, Table, column};
use crate::record::{Group, Measurement, Sweep, Tested};

/// Whether the sweep is of one subgraph, and of waiting without its transfer.
pub fn is_main_table(sweep: &Sweep) -> bool {
    let waiting = Waiting.experiment();
    let alone = sweep.measurements().any(|m| m.experiment == waiting);
    let waits = distinct(sweep.measurements().map(|m| m.wait));
    let transfers = distinct(sweep.measurements().filter_map(|m| m.transfer));
    alone && waits.len() == 1 && transfers.len() == 1
}

/// A row of the table.
struct Row<'s> {
    /// The template.
    group: &'s Group,
    /// AF1 with one of the ablations.
    cell: &'s Tested,
    /// Whether the row is the first of its template.
    first: bool,
}

impl Row<'_> {
    /// What is the same in all rows of a template.
    fn once(&self, text: impl Fn(&Measurement) -> String) -> String {
        match self.first {
            true => text(&self.cell.m),
            false => String::new(),
        }
    }

    /// The ablation without AF1's transfer.
    fn alone(&self) -> String {
        let mut cells = self.group.cells.iter().map(|cell| &cell.m);
        let found = cells.find(|m| m.transfer.is_none() && m.ablation == self.cell.m.ablation);
        found.map_or(String::new(), faithfulness)
    }
}

/// A row a template and ablation.
pub fn table(sweep: &Sweep) -> Table {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for group in &sweep.groups {
        let cells = group.cells.iter().filter(|cell| cell.m.transfer.is_some());
        rows.extend(cells.enumerate().map(|(i, cell)| Row {
            group,
            cell,
            first: i == 0,
        }));
    }
    let subgraph = rows.first().map(|row| &row.cell.m);
    let wait = subgraph.map_or(0, |m| m.wait);
    let said = |text: fn(&Measurement) -> String| move |row: &Row<'_>| text(&row.cell.m);
    let once = |text: fn(&Measurement) -> String| move |row: &Row<'_>| row.once(text);
    let mut columns: Vec<Column<'_, Row<'_>>> = vec![
        column("style", once(|m| m.style.clone())),
        column("op", once(|m| m.operation.clone())),
        column("base accuracy", once(base_accuracy)),
        column("constant", once(constant)),
        column("replaced by", said(|m| m.ablation.clone())),
        column(format!("waiting to {wait}"), Row::alone),
        column(subgraph.map_or(String::new(), af1), said(faithfulness)),
        column("lost", said(lost)),
        column("gained", said(gained)),
        column("accuracy", said(accuracy)),
        column(format!("AF1({wait}, 0) accuracy"), |row: &Row<'_>| {
            empty_accuracy(row.cell)
        }),
        column("verdict", said(verdict)),
    ];
    let corrected = |row: &Row<'_>| row.cell.in_sweep;
    let several = |row: &Row<'_>| corrected(row).is_some_and(|corrected| corrected.among > 1);
    if rows.iter().any(several) {
        columns.push(column("after Holm", move |row: &Row<'_>| {
            corrected(row).map_or("", |corrected| outcome(corrected.outcome))
        }));
    }
    Table::of("", &columns, &rows)
}
