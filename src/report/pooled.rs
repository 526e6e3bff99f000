//! Claims over several templates together, below the table of each.

use super::about::{Holm, accuracy, base_accuracy, gained, lost};
use super::table::{distinct, faithfulness, outcome, table, verdict};
use crate::record::{Line, Measurement, Row, pooled};

/// What a row says, by its column.
pub(super) struct Pools {
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl Pools {
    /// The rows of these pools.
    pub fn of(pools: &[Measurement]) -> Self {
        let holm = Holm::of(pools);
        let several = distinct(pools, |m| &m.masking).len() > 1;
        let mut head = vec!["pooled over", "op", "replaced by"];
        head.extend(several.then_some("masked by"));
        head.extend([
            "W",
            "transfer",
            "base accuracy",
            "constant",
            "accuracy",
            "faithfulness",
            "lost",
            "gained",
            "verdict",
        ]);
        head.extend(holm.head());
        let row = |m: &Measurement| {
            let mut row = vec![m.style.clone(), m.operation.clone(), m.ablation.clone()];
            row.extend(several.then(|| m.masking.clone().unwrap_or_default()));
            row.extend([
                m.wait.to_string(),
                m.transfer_layers.clone().unwrap_or_default(),
                base_accuracy(m),
                format!("{}/{}", m.constant_correct, m.prompts),
                accuracy(m),
                faithfulness(m),
                lost(m),
                gained(m),
                verdict(m),
            ]);
            row.extend(holm.cell(m));
            row
        };
        Self {
            rows: pools.iter().map(row).collect(),
            head,
        }
    }
}

/// What stands between the tables: how prompts of several styles are counted.
pub(super) fn caption(pools: &[Measurement]) -> String {
    let units = match pools.first().map(|m| m.inference) {
        Some(crate::stats::Inference::Operands) => "prompts that share the value of an operand",
        _ => "the same question in several styles",
    };
    format!(
        "all styles together; {units} may succeed or fail together (clusters, exact intervals at the effective number of prompts)"
    )
}

/// The pooled rows of a table with their reasons; nothing where there is nothing to pool.
pub(super) fn pools(measurements: &[Measurement]) -> String {
    let pools = pooled(measurements);
    if pools.is_empty() {
        return String::new();
    }
    let shown = Pools::of(&pools);
    let mut table = table(&shown.head);
    for row in shown.rows {
        table.add_row(row);
    }
    let mut text = format!("\n{}\n{table}\n", caption(&pools));
    let first = (&pools[0].ablation, &pools[0].masking);
    for m in pools.iter().filter(|m| (&m.ablation, &m.masking) == first) {
        let (Some(verdict), Some(transfer)) = (&m.verdict, m.transfer) else {
            continue;
        };
        text += &format!(
            "{}, {}: {} AF1({}, {transfer}): {}: {}\n",
            m.style,
            m.operation,
            m.ablation,
            m.wait,
            outcome(verdict.outcome),
            verdict.reason
        );
    }
    text
}

/// The pooled measurements of these records as lines; they follow from the records and are in none.
pub fn pooled_lines(lines: &[Line]) -> String {
    let cells = lines.iter().filter_map(|line| match &line.row {
        Row::Measured(m) => Some((**m).clone()),
        _ => None,
    });
    let cells: Vec<Measurement> = cells.collect();
    let text = |m| Line::new(Row::Measured(Box::new(m))).text + "\n";
    pooled(&cells).into_iter().map(text).collect()
}
