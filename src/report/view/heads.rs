//! Which heads must peek: a row for every pruned head, and curves over their number.

use std::collections::BTreeSet;

use super::View;
use super::about::{
    NOTHING_TO_KEEP, accuracy, af1, all_counts, baseline, distinct, faithfulness, heading, holds,
    template,
};
use super::chosen::fairness;
use super::columns::{estimate, joined, logits, part, said, shares};
use crate::intervene::Head;
use crate::measure::Part;
use crate::record::{Controls, Group, Measurement, PruningOrder, Sweep, is_random_set};
use crate::report::kit::{Block, Curves, Drawing, Figure, Series, Table, column};

/// The pruning of heads.
pub struct Heads;

impl View for Heads {
    fn experiment(&self) -> &'static str {
        "heads"
    }

    fn question(&self) -> &'static str {
        "Which heads must peek?"
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let mut blocks = vec![heading(sweep)];
        for group in &sweep.groups {
            let mut table = steps(group);
            table.notes.extend(group.controls.as_ref().map(controls));
            blocks.push(Block::Table(table));
        }
        blocks.push(Block::Note(all_counts(sweep)));
        blocks
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        super::each_template(sweep, |group| {
            let mut columns = vec![
                said("heads pruned", |m| pruned(m).len().to_string()),
                said("how", |m| {
                    m.subject
                        .pruning
                        .map_or(String::new(), |how| how.to_string())
                }),
                part("part"),
            ];
            columns.extend(joined([shares(), logits()]));
            columns.push(said("which", |m| names(&pruned(m)).join(" ")));
            let m = group.first();
            let title = format!("{}: {} without heads", template(m), subgraph(m));
            vec![
                Block::Figure(figure(group)),
                Block::Table(Table::of(title, &columns, &group.cells)),
            ]
        })
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        super::each_group(sweep, |group| {
            let cells = group.cells.iter().map(|cell| &cell.m);
            let steps: Vec<&Measurement> = cells.filter(|m| !is_random_set(m)).collect();
            let fewest = steps.iter().filter(|m| holds(m));
            let fewest = fewest.max_by_key(|m| pruned(m).len());
            let all = steps.iter().max_by_key(|m| pruned(m).len());
            let all = all.map_or(BTreeSet::new(), |m| pruned(m));
            let m = group.first();
            let (of, claim) = (subgraph(m), m.test.claim);
            match fewest {
                _ if m.counts.base_correct == 0 => NOTHING_TO_KEEP.to_owned(),
                None => format!("{of} keeps less than the claim {claim} even with all heads"),
                Some(fewest) => {
                    let left: BTreeSet<Head> = all.difference(&pruned(fewest)).copied().collect();
                    format!(
                        "{} of the {} heads of {of} are enough for the claim {claim}: with {} it keeps {} of the right answers",
                        left.len(),
                        all.len(),
                        if left.is_empty() {
                            "none".to_owned()
                        } else {
                            names(&left).join(" ")
                        },
                        faithfulness(fewest)
                    )
                }
            }
        })
    }
}

/// The heads that were pruned.
fn pruned(m: &Measurement) -> BTreeSet<Head> {
    m.subject.pruned_heads().cloned().unwrap_or_default()
}

/// The names of heads.
fn names(heads: &BTreeSet<Head>) -> Vec<String> {
    heads.iter().map(ToString::to_string).collect()
}

/// The subgraph, and what stands in for waiting tokens.
fn subgraph(m: &Measurement) -> String {
    format!("{} with {}", af1(m), m.subject.ablation)
}

/// A row a step: the head that went last, and what is left.
fn steps(group: &Group) -> Table {
    let m = group.first();
    let title = format!(
        "{}\n{}, transfer layers {}: {}",
        baseline(m),
        subgraph(m),
        m.subject.transfer_layers().as_deref().unwrap_or("none"),
        match (m.subject.pruning, m.subject.part) {
            (Some(PruningOrder::RandomOrder), _) => "heads go in an order that was drawn",
            (_, Part::HeldOut) => {
                "the head whose loss costs least goes first, chosen on other prompts"
            }
            _ => "the head whose loss costs least goes first",
        },
    );
    let cells = group.cells.iter().map(|cell| &cell.m);
    let mut before = BTreeSet::new();
    let mut steps: Vec<Step<'_>> = Vec::new();
    for m in cells.filter(|m| !is_random_set(m)) {
        let now = pruned(m);
        let last = now.difference(&before).next().copied();
        steps.push(Step { last, m });
        before = now;
    }
    let columns = [
        column("heads pruned", |step: &Step<'_>| {
            pruned(step.m).len().to_string()
        }),
        column("the last", |step: &Step<'_>| {
            step.last.map_or(String::new(), |head| head.to_string())
        }),
        column("faithfulness", |step: &Step<'_>| faithfulness(step.m)),
        column("accuracy", |step: &Step<'_>| accuracy(step.m)),
    ];
    Table::of(title, &columns, &steps)
}

/// A step of the pruning.
struct Step<'g> {
    /// The head that went last.
    last: Option<Head>,
    /// What is left.
    m: &'g Measurement,
}

/// How random sets of heads do beside the pruned set of their size.
fn controls(found: &Controls) -> String {
    format!(
        "without {} heads: {} kept in this order; {} random sets of as many keep {} in the median, {} at most; {} of \
         them keep as much (p = {:.3}){}",
        found.heads,
        found.chosen.counts.correct_given_base,
        found.sets,
        found.median,
        found.most,
        found.as_good,
        found.p,
        fairness(&found.chosen),
    )
}

/// A curve an order, and the sets that were drawn.
fn figure(group: &Group) -> Figure {
    let cells = || group.cells.iter().map(|cell| &cell.m);
    let curve = |of: &Option<PruningOrder>| {
        let cells = cells().filter(|m| m.subject.pruning == *of);
        Series {
            name: match of {
                Some(PruningOrder::Greedy) => "cheapest first",
                Some(PruningOrder::RandomOrder) => "a drawn order",
                Some(PruningOrder::RandomSet) => "random sets",
                None => "none",
            }
            .to_owned(),
            points: cells
                .filter_map(|m| Some((pruned(m).len(), estimate(m)?)))
                .collect(),
            joined: *of != Some(PruningOrder::RandomSet),
        }
    };
    let m = group.first();
    Figure {
        title: format!(
            "{}: faithfulness of {} by the number of heads that no longer peek",
            template(m),
            subgraph(m)
        ),
        described: format!(
            "Curves with 95% intervals; sets of heads that were drawn stand for themselves. {}",
            super::SEE_TABLE
        ),
        drawing: Drawing::Curves(Curves::over_numbers(
            "heads pruned",
            "faithfulness",
            distinct(cells().map(|m| m.subject.pruning))
                .iter()
                .map(curve)
                .collect(),
        )),
    }
}
