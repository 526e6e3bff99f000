//! Which W and K, chosen on other prompts: numbers to read, not to compare in a picture, because every template has its own
//! subgraph.

use super::View;
use super::chosen::chosen;
use crate::kit::words::about::{
    NOTHING_TO_KEEP, af1, all_counts, faithfulness, heading, notes, verdict,
};
use crate::kit::words::columns::{
    accurate, against_empty, base, faithful, joined, operation, part, shares, style, subgraph,
    technique, template, transfer, verdicts, wait,
};
use crate::kit::words::each_group;
use crate::kit::{Block, Table};
use crate::record::{Sweep, Tested};

/// W and K that were chosen on the development prompts, and what they are worth on the held-out ones.
pub struct Discover;

impl View for Discover {
    fn experiment(&self) -> &'static str {
        "discover"
    }

    fn question(&self) -> &'static str {
        "Which W and K, chosen on other prompts?"
    }

    fn claims(&self) -> bool {
        true
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let cells: Vec<&Tested> = sweep.cells().collect();
        let mut columns = vec![style("style"), operation("op"), part("prompts"), wait()];
        columns.push(transfer("transfer", ""));
        columns.extend(base().into_iter().take(1));
        columns.extend([accurate(), faithful()]);
        columns.extend(verdicts(&cells));
        let rule = "W and K chosen on the development prompts, which share no operand with those held out: the longest wait, \
                    and then the fewest transfer layers, with which AF1 holds; where none does, those that keep most";
        vec![
            heading(sweep),
            Block::Text(rule.to_owned()),
            Block::Table(Table::of("", &columns, sweep.cells())),
            Block::Note(chosen(sweep.cells())),
            Block::Note(notes(sweep)),
        ]
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        let cells: Vec<&Tested> = sweep.cells().collect();
        let columns = joined([
            template(),
            vec![part("prompts")],
            subgraph(),
            technique(),
            shares(),
            against_empty(),
            verdicts(&cells),
        ]);
        let title = "AF1 chosen on the development prompts";
        vec![
            Block::Table(Table::of(title, &columns, sweep.cells())),
            Block::Note(chosen(sweep.cells())),
            Block::Note(all_counts(sweep)),
        ]
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        each_group(sweep, |group| {
            let mut cells = group.cells.iter().map(|cell| &cell.m);
            let Some(m) = cells.find(|m| m.part == "held-out") else {
                return "nothing was measured on prompts that were held out".to_owned();
            };
            if m.base_correct == 0 {
                return NOTHING_TO_KEEP.to_owned();
            }
            let chosen = match m.chosen_holds {
                Some(false) => "no AF1 holds where it is chosen; the one that keeps most there",
                _ => "the AF1 that was chosen on other prompts",
            };
            format!(
                "{chosen} is {} with {}; on the prompts that were held out it keeps {} of the right answers: {}",
                af1(m),
                m.ablation,
                faithfulness(m),
                verdict(m)
            )
        })
    }
}
