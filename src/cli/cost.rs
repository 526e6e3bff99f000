//! What an experiment will take, for people.

use std::time::Duration;

use crate::kit::{Block, Table};
use crate::study::Cost;

/// A row a template, and the time of all.
pub fn blocks(cost: &Cost) -> Vec<Block> {
    let mut table = Table::headed(&[
        "template",
        "prompts",
        "cells",
        "in the record",
        "runs at most",
    ]);
    for template in &cost.templates {
        let prompts = match &template.prompts {
            Ok(prompts) => prompts.to_string(),
            Err(reason) => reason.clone(),
        };
        table.push([
            template.name.clone(),
            prompts,
            template.cells.to_string(),
            template.known.to_string(),
            template.runs().to_string(),
        ]);
    }
    vec![Block::Table(table), Block::Text(sentence(cost))]
}

/// The runs and their time in a sentence.
pub fn sentence(cost: &Cost) -> String {
    let memory = cost.peak.map_or(String::new(), |bytes| {
        format!("; about {} MB of memory at the peak", bytes / 1_000_000)
    });
    match (cost.at_most(), cost.of_prompt) {
        (Some(all), Some(one)) => format!(
            "{} runs of a prompt at most, {} at most at {:.1} ms each, as measured here: cells share what they have in common{memory}",
            cost.runs(),
            readable(all),
            one.as_secs_f64() * 1e3
        ),
        _ => format!("nothing is left to measure{memory}"),
    }
}

/// A time in its largest unit.
fn readable(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
