//! The self-check: what was planted above what was found.

use crate::intervene::Head;
use crate::kit::words::about::{in_front, outcome};
use crate::kit::{Block, Table, TableCell, column};
use crate::record::{Checked, Line, Outcome, Row as Recorded};
use crate::runtime::Placement;
use crate::selfcheck::{CLAIM, Row};

/// What stands above the table: what it is about, and what stands in front of the prompts.
pub fn heading(runtime_version: &str, device: &Placement, rows: &[Row]) -> Block {
    let of = |row: &Row| in_front(row.bos.as_deref(), Some(&row.bos_rule));
    let mut fronts: Vec<(String, Vec<&str>)> = Vec::new();
    for row in rows {
        match fronts.iter_mut().find(|(known, _)| *known == of(row)) {
            Some((_, models)) if models.contains(&&*row.model) => {}
            Some((_, models)) => models.push(&row.model),
            None => fronts.push((of(row), vec![&row.model])),
        }
    }
    // That of most models first; the others by name.
    fronts.sort_by_key(|(_, models)| std::cmp::Reverse(models.len()));
    let mut text = format!(
        "models whose answer is known by construction, on ONNX Runtime {runtime_version} ({device})\n"
    );
    for (i, (front, models)) in fronts.iter().enumerate() {
        text += &match i {
            0 => format!("{front} before every prompt"),
            _ => format!(", but {front} before those of {}", models.join(", ")),
        };
    }
    Block::Text(text)
}

/// A sentence that all is as planted; `None` where it is not.
pub fn sentence(runtime_version: &str, device: &Placement, rows: &[Row]) -> Option<Block> {
    let planted = rows.iter().all(|row| row.differences().is_empty());
    let verdicts = rows
        .iter()
        .map(|row| format!("{} ({})", row.model, outcome(row.verdict)));
    let verdicts: Vec<String> = verdicts.collect();
    planted.then(|| {
        Block::Text(format!(
            "control: what was planted was found in {} on ONNX Runtime {runtime_version} ({device}); `af1 selfcheck` shows it",
            verdicts.join(", ")
        ))
    })
}

/// A table with two lines for every template and step, those that say the same joined. Where all is as planted the second line
/// repeats the first.
pub fn summary(rows: &[Row]) -> Vec<Block> {
    let wrong = rows.iter().filter(|row| !row.differences().is_empty());
    let conclusion = match wrong.count() {
        0 => "all as planted".to_owned(),
        n => format!("{n} of {} templates are not as planted", rows.len()),
    };
    vec![
        Block::Table(table(rows)),
        Block::Text(format!(
            "{conclusion} (a subgraph holds from a faithfulness of {CLAIM} on)"
        )),
    ]
}

/// Templates of a model that say the same.
struct Joined<'r> {
    rows: Vec<&'r Row>,
    lines: [[String; 6]; 2],
}

impl Joined<'_> {
    /// The templates, the steps of each together.
    fn templates(&self) -> String {
        let mut text = String::new();
        let mut last: Option<&Row> = None;
        for &row in &self.rows {
            let same =
                last.is_some_and(|last| last.template_at(row.numbers.step) == row.template());
            text += &match last {
                Some(_) if same => format!(" {}", row.numbers.step),
                Some(_) => format!(", {}", row.template()),
                None => row.template(),
            };
            last = Some(row);
        }
        text
    }
}

fn table(rows: &[Row]) -> Table {
    let claim = rows.first().map_or((0, 0), |row| row.claim);
    let columns = [
        "model",
        "template",
        "",
        "base accuracy",
        "CAMA holds to",
        "AF1",
        "layers needed",
        "heads needed",
        &format!("verdict on AF1({}, {})", claim.0, claim.1),
    ];
    let mut all: Vec<Joined<'_>> = Vec::new();
    for row in rows {
        let lines = lines(row);
        let same = |joined: &&mut Joined<'_>| {
            let alike = |other: &&Row| {
                other.model == row.model && other.numbers.keyed_by == row.numbers.keyed_by
            };
            joined.lines == lines && joined.rows.iter().all(alike)
        };
        match all.iter_mut().find(same) {
            Some(joined) => joined.rows.push(row),
            None => all.push(Joined {
                rows: vec![row],
                lines,
            }),
        }
    }
    let row = |first: [&str; 3], rest: [String; 6]| -> Vec<TableCell> {
        let first = first.map(TableCell::words);
        first
            .into_iter()
            .chain(rest.map(TableCell::words))
            .collect()
    };
    let both = |joined: Joined<'_>| {
        let model = joined.rows.first().map_or("", |row| &row.model);
        let templates = joined.templates();
        let [planted, found] = joined.lines;
        [
            row([model, &templates, "planted"], planted),
            row(["", "", "found"], found),
        ]
    };
    Table {
        columns: columns.map(str::to_owned).into(),
        rows: all.into_iter().flat_map(both).collect(),
        ..Table::default()
    }
}

/// What was planted and what was found.
fn lines(row: &Row) -> [[String; 6]; 2] {
    let none = || "none".to_owned();
    let list = |items: Vec<String>| match items.is_empty() {
        true => none(),
        false => items.join(" "),
    };
    let af1 = |af1: Option<(usize, usize)>| match af1 {
        Some((wait, transfer)) => format!("AF1({wait}, {transfer})"),
        None => none(),
    };
    let verdict = |v: Outcome| outcome(v).to_owned();
    let found = &row.found;
    let share = |right: usize| format!("{:.2}", right as f64 / found.prompts.max(1) as f64);
    let base = share(found.base_correct);
    let Some(truth) = &row.planted else {
        // What is found in the few answers that happen to be right says nothing.
        let mut planted = [const { String::new() }; 6];
        planted[0] = "too low to say".to_owned();
        planted[5] = verdict(row.due);
        let mut seen = [const { String::new() }; 6];
        seen[0] = base;
        seen[5] = verdict(row.verdict);
        return [planted, seen];
    };
    let names = |heads: &[Head]| list(heads.iter().map(ToString::to_string).collect());
    [
        [
            share(row.right_planted),
            format!("W = {}", truth.waits),
            af1(truth.af1),
            list(truth.knockouts.iter().map(usize::to_string).collect()),
            names(&row.planted_heads()),
            verdict(row.due),
        ],
        [
            base,
            found.waits.map_or_else(none, |wait| format!("W = {wait}")),
            af1(found.af1),
            list(found.knockouts.iter().map(usize::to_string).collect()),
            names(&found.heads),
            verdict(row.verdict),
        ],
    ]
}

/// The self-checks among records: a row a template, with what is not as planted.
pub fn recorded<'l>(lines: &'l [Line]) -> Table {
    let check = |line: &'l Line| match &line.row {
        Recorded::Selfcheck(check) => Some(&**check),
        _ => None,
    };
    let checks = lines.iter().filter_map(check);
    let differences = |check: &Checked| match check.differences.is_empty() {
        true => "none: all as planted".to_owned(),
        false => check.differences.join("; "),
    };
    let columns = [
        column("model", |check: &Checked| check.model.clone()),
        column("style", |check: &Checked| check.style.clone()),
        column("operation", |check: &Checked| check.operation.clone()),
        column("tokens", |check: &Checked| {
            check.shape.words(&check.operation)
        }),
        column("step", |check: &Checked| check.step.to_string()),
        column("key", |check: &Checked| check.key.name().to_owned()),
        column("verdict due", |check: &Checked| check.due.to_string()),
        column("verdict found", |check: &Checked| check.verdict.to_string()),
        column("differences", differences),
    ];
    let title = "What was found in planted models, against what was planted";
    Table::of(title, &columns, checks)
}
