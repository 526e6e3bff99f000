//! What measurements say about claims of papers.

use crate::claims::{Answer, Finding, Outcome, Paper, Tested};
use crate::kit::{Block, Document, Table, column};

/// The number of tests by what came out; then paper by paper the tests, and what each claim says.
pub fn summary(answers: &[Answer<'_>]) -> Document {
    let mut papers: Vec<&Paper> = Vec::new();
    for answer in answers {
        if !papers
            .iter()
            .any(|paper| std::ptr::eq(*paper, answer.paper))
        {
            papers.push(answer.paper);
        }
    }
    let mut document = vec![vec![Block::Text(counts(answers))]];
    document.extend(papers.into_iter().map(|paper| {
        let of: Vec<&Answer<'_>> = answers
            .iter()
            .filter(|a| std::ptr::eq(a.paper, paper))
            .collect();
        of_paper(paper, &of)
    }));
    document
}

/// How many tests were run, and what came out.
fn counts(answers: &[Answer<'_>]) -> String {
    let counted = Outcome::ALL.iter().filter_map(|outcome| {
        let count = answers.iter().filter(|a| a.outcome() == *outcome).count();
        (count > 0).then(|| format!("{count} {outcome}"))
    });
    let counted: Vec<String> = counted.collect();
    format!(
        "{} tests of claims: {} (confirmed: the intervals of all that is expected lie on its side; contradicted: one lies beyond)",
        answers.len(),
        counted.join(", ")
    )
}

/// A row of the table: a finding of a test, or why there is none.
struct Asked<'a> {
    answer: &'a Answer<'a>,
    finding: Option<&'a Finding>,
    /// Whether it is the first of its test.
    first: bool,
}

fn of_paper(paper: &Paper, answers: &[&Answer<'_>]) -> Vec<Block> {
    let mut rows = Vec::new();
    for answer in answers {
        let findings: Vec<Option<&Finding>> = match &answer.tested {
            Tested::Run(findings) => findings.iter().map(Some).collect(),
            Tested::NotRun(_) => vec![None],
        };
        let row = |(i, finding)| Asked {
            answer,
            finding,
            first: i == 0,
        };
        rows.extend(findings.into_iter().enumerate().map(row));
    }
    let mut table = Table::of(
        format!("{} ({})", paper.about, paper.source),
        &columns(),
        &rows,
    );
    let mut told: Vec<&str> = Vec::new();
    for Answer { claim, .. } in answers {
        if !told.contains(&&*claim.id) {
            told.push(&claim.id);
            let asks = claim.base_accuracy.map_or(String::new(), |least| {
                format!("; of models that are right on at least {least} of the prompts")
            });
            let line = format!(
                "{}: {} ({}{asks})",
                claim.id,
                claim.says,
                claim.confidence.words()
            );
            table.notes.push(line);
        }
    }
    vec![Block::Table(table)]
}

fn columns<'a>() -> [crate::kit::Column<'a, Asked<'a>>; 6] {
    let once = |row: &Asked<'_>, text: &str| match row.first {
        true => text.to_owned(),
        false => String::new(),
    };
    let finding =
        |row: &Asked<'_>, of: fn(&Finding) -> String| row.finding.map_or(String::new(), of);
    [
        column("claim", move |row: &Asked<'_>| {
            once(row, &row.answer.claim.id)
        }),
        column("model", move |row: &Asked<'_>| {
            once(row, row.answer.test.map_or("", |test| &test.model))
        }),
        column("", move |row: &Asked<'_>| {
            once(row, &row.answer.outcome().to_string())
        }),
        column("expected", move |row: &Asked<'_>| {
            finding(row, |f| format!("{}: {}", f.of, f.expected))
        }),
        column("found", move |row: &Asked<'_>| match &row.answer.tested {
            Tested::NotRun(reason) => reason.clone(),
            Tested::Run(_) => finding(row, |f| f.found.clone()),
        }),
        column("this says", move |row: &Asked<'_>| {
            finding(row, |f| f.outcome.to_string())
        }),
    ]
}
