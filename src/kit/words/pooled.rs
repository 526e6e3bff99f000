//! Claims over several templates together, or over all tokens of the answers, below the table of each.

use super::about::{af1, outcome};
use super::columns::{
    ablation, accurate, against_base, base, faithful, masking_of_several, operation, style,
    transfer, verdicts, wait,
};
use crate::kit::{Block, Table};
use crate::printable;
use crate::prompt::Step;
use crate::record::{Kind, Tested};
use crate::stats::Inference;

/// A row a pool, or a template with its whole answers.
fn table(pools: &[Tested]) -> Table {
    let first = pools.first().map(|first| &first.m.experiment);
    match first == Some(&Kind::WHOLE) {
        true => rows(WHOLE.to_owned(), "style", pools),
        false => rows(title(pools), "pooled over", pools),
    }
}

/// What stands above the table of whole answers.
const WHOLE: &str =
    "whole answers: right where every token of the answer is, as greedy decoding has it";

/// A row a measurement: words, because no record has these numbers.
fn rows(title: String, over: &str, pools: &[Tested]) -> Table {
    let cells: Vec<&Tested> = pools.iter().collect();
    let mut columns = vec![style(over), operation("op"), ablation()];
    columns.extend(masking_of_several(&cells));
    columns.extend([wait(), transfer("transfer", "")]);
    columns.extend(base());
    columns.extend([accurate(), faithful()]);
    columns.extend(against_base());
    columns.extend(verdicts(&cells));
    Table::of(title, &columns, pools).in_words()
}

/// How prompts of several styles are counted.
fn title(pools: &[Tested]) -> String {
    let first = pools.first().map(|pool| &pool.m);
    let units = match first.map(|m| m.test.inference) {
        Some(Inference::Operands) => "prompts that share the value of an operand",
        _ => "the same question in several styles",
    };
    let of = match first.map(|m| m.place.step) {
        Some(Step::Whole) => "whole answers of ",
        _ => "",
    };
    format!(
        "{of}all styles together; {units} may succeed or fail together (clusters, exact intervals at the effective number of prompts)"
    )
}

/// The pools with the reasons of the first technique; nothing where there is nothing to pool.
pub fn summary(pools: &[Tested]) -> Option<Block> {
    let first = pools.first()?;
    let first = (&first.m.subject.ablation, first.m.subject.masking());
    let claimed = |pool: &&Tested| (&pool.m.subject.ablation, pool.m.subject.masking()) == first;
    let note = |Tested { m, .. }: &Tested| {
        let verdict = m
            .test
            .verdict
            .as_ref()
            .filter(|_| m.subject.transfer().is_some())?;
        Some(format!(
            "{}, {}: {} {}: {}: {}",
            m.subject.style,
            m.question(),
            m.subject.ablation,
            af1(m),
            outcome(verdict.outcome),
            printable::line(&verdict.reason)
        ))
    };
    let notes = pools.iter().filter(claimed).filter_map(note).collect();
    Some(Block::Table(Table {
        notes,
        ..table(pools)
    }))
}

/// The pools with all reasons; nothing where there is nothing to pool.
pub fn detail(pools: &[Tested]) -> Option<Block> {
    let note = |Tested { m, .. }: &Tested| {
        let reason = m.test.verdict.as_ref().map_or("", |v| &v.reason);
        format!(
            "{}, {}, {}: {reason}",
            m.subject.style,
            m.question(),
            m.subject.ablation
        )
    };
    let notes = pools.iter().map(note).collect();
    (!pools.is_empty()).then(|| {
        Block::Table(Table {
            notes,
            ..table(pools)
        })
    })
}
