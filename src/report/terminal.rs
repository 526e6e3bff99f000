//! What an experiment prints for people: for every sweep its heading, its table, and what is to be known about it.

use super::{gate, pooled, table};
use crate::record::{HeadAttention, Line, Measurement, Row};

/// Everything about the sweeps of these records, in the order in which they first appear.
pub fn terminal(lines: &[Line]) -> String {
    let gates = gate::answers(lines);
    let gates = (!gates.is_empty()).then(|| gate::gate(&gates));
    let texts = sweeps(lines);
    let texts = texts.iter().map(|sweep| text(sweep));
    gates
        .into_iter()
        .chain(texts)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The lines of every sweep, in the order in which the sweeps first appear.
pub fn sweeps(lines: &[Line]) -> Vec<Vec<&Line>> {
    let mut all: Vec<(&str, Vec<&Line>)> = Vec::new();
    for line in lines {
        let Some((sweep, _)) = line.key() else {
            continue;
        };
        match all.iter_mut().find(|(known, _)| *known == sweep) {
            Some((_, lines)) => lines.push(line),
            None => all.push((sweep, vec![line])),
        }
    }
    all.into_iter().map(|(_, lines)| lines).collect()
}

/// The cells of a sweep.
pub fn measured(lines: &[&Line]) -> Vec<Measurement> {
    let cells = lines.iter().filter_map(|line| match &line.row {
        Row::Measured(m) => Some((**m).clone()),
        _ => None,
    });
    cells.collect()
}

/// The heads of a sweep.
pub fn attended(lines: &[&Line]) -> Vec<HeadAttention> {
    let heads = lines.iter().filter_map(|line| match &line.row {
        Row::Attention(a) => Some((**a).clone()),
        _ => None,
    });
    heads.collect()
}

fn text(lines: &[&Line]) -> String {
    let heads = attended(lines);
    let m = measured(lines);
    let mut text = match m.first() {
        None if heads.is_empty() => String::new(),
        None => table::attention_heading(&heads) + &table::attention(&heads),
        Some(_) => {
            // A gate's knock-out stands beside its AF1.
            let (knocked, m): (Vec<Measurement>, Vec<Measurement>) =
                match m.iter().all(|m| m.experiment == "necessity") {
                    true => (Vec::new(), m),
                    false => m.into_iter().partition(|m| m.experiment == "necessity"),
                };
            let beside = match knocked.is_empty() {
                true => String::new(),
                false => table::necessity(&knocked),
            };
            let of = |experiment: &str| m.iter().any(|m| m.experiment == experiment);
            let one = |field: fn(&Measurement) -> usize| m.iter().all(|x| field(x) == field(&m[0]));
            let transfers = || m.iter().filter_map(|m| m.transfer);
            let body = if of("alternatives") {
                table::alternatives(&m) + &table::notes(&m)
            } else if of("contexts") {
                table::contexts(&m)
            } else if of("discover") {
                table::discovered(&m) + &table::notes(&m)
            } else if of("af1") && of("waiting") {
                let same = one(|m| m.wait) && transfers().all(|k| Some(k) == transfers().next());
                match same {
                    true => table::reproduction(&m) + &table::notes(&m),
                    false => table::subgraphs(&m) + &table::notes(&m),
                }
            } else if of("waiting") {
                table::waiting(&m) + &table::counts(&m)
            } else if of("transfer") {
                table::transfer(&m) + &table::counts(&m)
            } else if of("necessity") {
                table::necessity(&m) + &table::counts(&m)
            } else if of("heads") {
                table::heads(&m) + &table::counts(&m)
            } else {
                table::subgraphs(&m) + &table::notes(&m) + &pooled::pools(&m)
            };
            table::heading(&m) + &body + &beside
        }
    };
    for line in lines {
        if let Row::Failed(failure) = &line.row {
            text += &format!(
                "{} {}: {}\n",
                failure.style, failure.operation, failure.error
            );
        }
    }
    text
}
