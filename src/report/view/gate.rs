//! What a gate says.

use crate::gate::Judgement;
use crate::kit::words::about::{front, outcome};
use crate::kit::{Block, Table, column};
use crate::printable;
use crate::record::{Answer, Gated, Line, Outcome, Provenance, Row};

/// A condition of an answer.
struct Asked<'a> {
    gated: &'a Gated,
    condition: &'a Judgement,
    /// Whether the condition is the first of its claim.
    first: bool,
}

/// What stands above the answers: the outcome, and on what it was found.
pub fn heading(model: &str, p: &Provenance, found: Outcome) -> Block {
    // What others wrote ends no line.
    let where_run = format!(
        "{model}, {} on ONNX Runtime {} ({}), model {}",
        p.dtype,
        p.runtime_version,
        p.ran_on(),
        p.model_sha256.get(..16).unwrap_or(&p.model_sha256)
    );
    let asked = format!(
        "{} before every prompt; means over {} contexts",
        front(p),
        p.contexts_from
    );
    Block::Text(format!(
        "gate: {}\n{}\n{}",
        outcome(found),
        printable::line(&where_run),
        printable::line(&asked)
    ))
}

/// The answers of gates among records; of one claim that was asked again the last answer.
pub fn answers(lines: &[Line]) -> Vec<Gated> {
    let answer = |line: &Line| match &line.row {
        Row::Gate(gated) => Some((**gated).clone()),
        _ => None,
    };
    let mut all: Vec<Gated> = Vec::new();
    for gated in lines.iter().filter_map(answer) {
        let same = |known: &Gated| {
            let (a, b) = (&known.answer, &gated.answer);
            let about = (a.level, a.inference, &a.claim) == (b.level, b.inference, &b.claim);
            // Claims about one subgraph may ask for different shares.
            let asked = |answer: &Answer| -> Vec<String> {
                let conditions = answer.conditions.iter();
                conditions
                    .map(|condition| condition.asked.clone())
                    .collect()
            };
            about
                && asked(a) == asked(b)
                && (&known.model, &known.provenance) == (&gated.model, &gated.provenance)
        };
        match all.iter().position(same) {
            Some(at) => all[at].answer = gated.answer,
            None => all.push(gated),
        }
    }
    all
}

/// The conditions of all answers.
fn asked(answers: &[Gated]) -> Vec<Asked<'_>> {
    let mut all = Vec::new();
    for gated in answers {
        let conditions = gated.answer.conditions.iter().enumerate();
        all.extend(conditions.map(|(i, condition)| Asked {
            gated,
            condition,
            first: i == 0,
        }));
    }
    all
}

/// A row a condition, for a glance.
pub fn table(answers: &[Gated]) -> Table {
    let once = |asked: &Asked<'_>, text: &str| match asked.first {
        true => text.to_owned(),
        false => String::new(),
    };
    let columns = [
        column("claim", move |asked: &Asked<'_>| {
            once(asked, &asked.gated.answer.claim)
        }),
        column("", move |asked: &Asked<'_>| {
            once(asked, outcome(asked.gated.answer.outcome))
        }),
        column("condition", |asked: &Asked<'_>| {
            asked.condition.asked.clone()
        }),
        column("outcome", |asked: &Asked<'_>| {
            outcome(asked.condition.outcome)
        }),
        column("reason", |asked: &Asked<'_>| asked.condition.reason.clone()),
    ];
    Table::of("", &columns, &asked(answers))
}

/// A row a condition, with its model.
pub fn full_table(answers: &[Gated]) -> Table {
    let claim = |asked: &Asked<'_>| format!("{}: {}", asked.gated.model, asked.gated.answer.claim);
    let columns = [
        column("claim", claim),
        column("condition", |asked: &Asked<'_>| {
            asked.condition.asked.clone()
        }),
        column("outcome", |asked: &Asked<'_>| {
            outcome(asked.condition.outcome)
        }),
        column("reason", |asked: &Asked<'_>| asked.condition.reason.clone()),
    ];
    let title = "What is claimed, and what the measurements say";
    Table::of(title, &columns, &asked(answers))
}
