//! Tables for the terminal.

use comfy_table::{ContentArrangement, Table, presets};

use crate::record::Measurement;
use crate::stats::Proportion;

/// What every table begins with: the model, the runtime, the prompts.
pub fn heading(measurements: &[Measurement]) -> String {
    let Some(m) = measurements.first() else {
        return "no measurements\n".to_owned();
    };
    let p = &m.provenance;
    let bos = p.bos.as_deref().unwrap_or("no token");
    format!(
        "{}, {} layers, {} on ONNX Runtime {} ({})\n\
         operands {}..={}, results {}..={}, {bos} before every prompt; means: {}; 95% Wilson intervals\n",
        m.model,
        m.layers,
        p.dtype,
        p.runtime_version,
        p.device,
        p.operands[0],
        p.operands[1],
        p.results[0],
        p.results[1],
        m.estimator,
    )
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    table
}

fn proportion(successes: usize, trials: usize) -> String {
    let p = Proportion::wilson(successes, trials);
    match p.value {
        None => "none to keep".to_owned(),
        Some(value) => format!(
            "{successes}/{trials} {value:.2} [{:.2}, {:.2}]",
            p.low, p.high
        ),
    }
}

fn faithfulness(m: &Measurement) -> String {
    proportion(m.correct_given_base, m.base_correct)
}

fn verdict(m: &Measurement) -> String {
    m.verdict
        .as_ref()
        .map_or("", |v| outcome(v.outcome))
        .to_owned()
}

fn outcome(outcome: crate::record::Outcome) -> &'static str {
    use crate::record::Outcome;
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "FAIL",
        Outcome::Inconclusive => "inconclusive",
    }
}

/// Groups neighbours of one template, in order.
fn by_template(measurements: &[Measurement]) -> Vec<&[Measurement]> {
    measurements
        .chunk_by(|a, b| a.style == b.style && a.operation == b.operation)
        .collect()
}

/// The values of a field in order of appearance, each once.
fn distinct<'m, T: PartialEq>(
    measurements: &'m [Measurement],
    field: impl Fn(&'m Measurement) -> T,
) -> Vec<T> {
    let mut values = Vec::new();
    for value in measurements.iter().map(field) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// The main table: for every template and ablation the ablation alone beside AF1 with it.
pub fn reproduction(measurements: &[Measurement]) -> String {
    let Some(af1) = measurements.iter().find(|m| m.transfer.is_some()) else {
        return String::new();
    };
    let wait = format!("waiting to {}", af1.wait);
    let subgraph = format!("AF1({}, {})", af1.wait, af1.transfer.unwrap_or(0));
    let empty = format!("AF1({}, 0)", af1.wait);
    let mut table = table(&[
        "style",
        "op",
        "base accuracy",
        "constant",
        "replaced by",
        &wait,
        &subgraph,
        &empty,
        "verdict",
    ]);
    for group in by_template(measurements) {
        let alone = |ablation: &str| {
            let found = group
                .iter()
                .find(|m| m.transfer.is_none() && m.ablation == ablation);
            found.map_or(String::new(), faithfulness)
        };
        for (i, m) in group.iter().filter(|m| m.transfer.is_some()).enumerate() {
            let first = |text: String| if i == 0 { text } else { String::new() };
            table.add_row([
                first(m.style.clone()),
                first(m.operation.clone()),
                first(proportion(m.base_correct, m.prompts)),
                first(format!("{}/{}", m.constant_correct, m.prompts)),
                m.ablation.clone(),
                alone(&m.ablation),
                faithfulness(m),
                m.empty_correct
                    .map_or(String::new(), |empty| format!("{empty}/{}", m.prompts)),
                verdict(m),
            ]);
        }
    }
    format!("{table}\n")
}

/// AF1 subgraphs, a row each.
pub fn subgraphs(measurements: &[Measurement]) -> String {
    let mut table = table(&[
        "style",
        "op",
        "replaced by",
        "W",
        "transfer",
        "base accuracy",
        "constant",
        "accuracy",
        "faithfulness",
        "normalised",
        "verdict",
    ]);
    for m in measurements {
        table.add_row([
            m.style.clone(),
            m.operation.clone(),
            m.ablation.clone(),
            m.wait.to_string(),
            m.transfer_layers.clone().unwrap_or_default(),
            proportion(m.base_correct, m.prompts),
            format!("{}/{}", m.constant_correct, m.prompts),
            proportion(m.correct, m.prompts),
            faithfulness(m),
            m.normalised_faithfulness
                .map_or(String::new(), |f| format!("{f:.2}")),
            verdict(m),
        ]);
    }
    format!("{table}\n")
}

/// The waiting sweep: a table a template, a row a boundary, a column an ablation.
pub fn waiting(measurements: &[Measurement]) -> String {
    let mut text = String::new();
    for group in by_template(measurements) {
        let m = &group[0];
        text += &format!(
            "\n{} {}: base accuracy {}; faithfulness when every token waits to W\n",
            m.style,
            m.operation,
            proportion(m.base_correct, m.prompts)
        );
        let ablations = distinct(group, |m| m.ablation.as_str());
        let header: Vec<&str> = std::iter::once("W")
            .chain(ablations.iter().copied())
            .collect();
        let mut table = table(&header);
        for wait in distinct(group, |m| m.wait) {
            let mut row = vec![wait.to_string()];
            for ablation in &ablations {
                let found = group
                    .iter()
                    .find(|m| m.wait == wait && m.ablation == *ablation);
                row.push(found.map_or(String::new(), faithfulness));
            }
            table.add_row(row);
        }
        text += &format!("{table}\n");
    }
    text
}

/// The grid: a table a template and ablation, a row a boundary, a column a number of transfer layers.
pub fn transfer(measurements: &[Measurement]) -> String {
    let mut text = String::new();
    for group in by_template(measurements) {
        for ablation in distinct(group, |m| m.ablation.as_str()) {
            let m = &group[0];
            text += &format!(
                "\n{} {}, {ablation}: base accuracy {}; faithfulness of AF1(W, K)\n",
                m.style,
                m.operation,
                proportion(m.base_correct, m.prompts)
            );
            let cells: Vec<&Measurement> =
                group.iter().filter(|m| m.ablation == ablation).collect();
            let mut transfers: Vec<usize> = cells.iter().filter_map(|m| m.transfer).collect();
            transfers.sort_unstable();
            transfers.dedup();
            let mut header = vec!["W".to_owned()];
            header.extend(transfers.iter().map(|k| format!("K={k}")));
            let mut table = table(&header.iter().map(String::as_str).collect::<Vec<_>>());
            for wait in distinct(group, |m| m.wait) {
                let mut row = vec![wait.to_string()];
                for &k in &transfers {
                    let found = cells
                        .iter()
                        .find(|m| m.wait == wait && m.transfer == Some(k));
                    row.push(
                        found
                            .and_then(|m| m.faithfulness)
                            .map_or(String::new(), |f| format!("{f:.2}")),
                    );
                }
                table.add_row(row);
            }
            text += &format!("{table}\n");
        }
    }
    text
}

/// What stands below a table: prompts that were left out, and the reasons of the verdicts.
pub fn notes(measurements: &[Measurement]) -> String {
    let mut text = String::new();
    for group in by_template(measurements) {
        let m = &group[0];
        let counts = [
            (
                m.excluded,
                "excluded: an operand or the answer is not one token",
            ),
            (m.undefined, "undefined: no mean for one of their tokens"),
            (
                m.degenerate,
                "degenerate: a \"mean\" that is the prompt's own residual",
            ),
        ];
        for (count, reason) in counts {
            if count > 0 {
                text += &format!("{} {}: {count} prompts {reason}\n", m.style, m.operation);
            }
        }
        // The claim is about the first ablation, CAMA by default; the others are there for comparison.
        for m in group.iter().filter(|m| m.ablation == group[0].ablation) {
            let Some(verdict) = &m.verdict else { continue };
            text += &format!(
                "{} {} {} AF1({}, {}): {}: {}\n",
                m.style,
                m.operation,
                m.ablation,
                m.wait,
                m.transfer.unwrap_or(0),
                outcome(verdict.outcome),
                verdict.reason
            );
        }
    }
    text
}
