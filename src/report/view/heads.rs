//! Which heads must peek: a row for every pruned head, and curves over their number.

use super::View;
use super::chosen::fairness;
use crate::intervene::Head;
use crate::kit::words::about::{
    NOTHING_TO_KEEP, accuracy, af1, all_counts, baseline, distinct, faithfulness, heading, holds,
    template,
};
use crate::kit::words::columns::{estimate, joined, logits, part, said, shares};
use crate::kit::words::{SEE_TABLE, each_group, each_template};
use crate::kit::{Block, Curves, Drawing, Figure, Series, Table, column};
use crate::record::{Controls, Group, Measurement, Sweep, is_random_set};

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
        each_template(sweep, |group| {
            let mut columns = vec![
                said("heads pruned", |m| pruned(m).len().to_string()),
                said("how", |m| m.pruning.clone().unwrap_or_default()),
                part("part"),
            ];
            columns.extend(joined([shares(), logits()]));
            columns.push(said("which", |m| pruned(m).join(" ")));
            let m = group.first();
            let title = format!("{}: {} without heads", template(m), subgraph(m));
            vec![
                Block::Figure(figure(group)),
                Block::Table(Table::of(title, &columns, &group.cells)),
            ]
        })
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        each_group(sweep, |group| {
            let cells = group.cells.iter().map(|cell| &cell.m);
            let steps: Vec<&Measurement> = cells.filter(|m| !is_random_set(m)).collect();
            let fewest = steps.iter().filter(|m| holds(m));
            let fewest = fewest.max_by_key(|m| pruned(m).len());
            let all = steps.iter().max_by_key(|m| pruned(m).len());
            let all = all.map_or(&[][..], |m| pruned(m));
            let m = group.first();
            let (of, claim) = (subgraph(m), m.claim);
            match fewest {
                _ if m.base_correct == 0 => NOTHING_TO_KEEP.to_owned(),
                None => format!("{of} keeps less than the claim {claim} even with all heads"),
                Some(fewest) => {
                    let left = all.iter().filter(|head| !pruned(fewest).contains(head));
                    let mut left: Vec<&str> = left.map(String::as_str).collect();
                    left.sort_by_key(|name| name.parse::<Head>().ok());
                    format!(
                        "{} of the {} heads of {of} are enough for the claim {claim}: with {} it keeps {} of the right answers",
                        left.len(),
                        all.len(),
                        if left.is_empty() {
                            "none".to_owned()
                        } else {
                            left.join(" ")
                        },
                        faithfulness(fewest)
                    )
                }
            }
        })
    }
}

/// The heads that were pruned.
fn pruned(m: &Measurement) -> &[String] {
    m.pruned_heads.as_deref().unwrap_or_default()
}

/// The subgraph, and what stands in for waiting tokens.
fn subgraph(m: &Measurement) -> String {
    format!("{} with {}", af1(m), m.ablation)
}

/// A row a step: the head that went last, and what is left.
fn steps(group: &Group) -> Table {
    let m = group.first();
    let title = format!(
        "{}\n{}, transfer layers {}: {}",
        baseline(m),
        subgraph(m),
        m.transfer_layers.as_deref().unwrap_or("none"),
        match (m.pruning.as_deref(), &*m.part) {
            (Some("random-order"), _) => "heads go in an order that was drawn",
            (_, "held-out") => {
                "the head whose loss costs least goes first, chosen on other prompts"
            }
            _ => "the head whose loss costs least goes first",
        },
    );
    let cells = group.cells.iter().map(|cell| &cell.m);
    let mut before: &[String] = &[];
    let mut steps: Vec<Step<'_>> = Vec::new();
    for m in cells.filter(|m| !is_random_set(m)) {
        let last = pruned(m).iter().find(|head| !before.contains(head));
        steps.push(Step { last, m });
        before = pruned(m);
    }
    let columns = [
        column("heads pruned", |step: &Step<'_>| {
            pruned(step.m).len().to_string()
        }),
        column("the last", |step: &Step<'_>| {
            step.last.cloned().unwrap_or_default()
        }),
        column("faithfulness", |step: &Step<'_>| faithfulness(step.m)),
        column("accuracy", |step: &Step<'_>| accuracy(step.m)),
    ];
    Table::of(title, &columns, &steps)
}

/// A step of the pruning.
struct Step<'g> {
    /// The head that went last.
    last: Option<&'g String>,
    /// What is left.
    m: &'g Measurement,
}

/// How random sets of heads do beside the pruned set of their size.
fn controls(found: &Controls) -> String {
    format!(
        "without {} heads: {} kept in this order; {} random sets of as many keep {} in the median, {} at most; {} of \
         them keep as much (p = {:.3}){}",
        found.heads,
        found.chosen.correct_given_base,
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
    let kind = |m: &Measurement| m.pruning.clone().unwrap_or_else(|| "none".to_owned());
    let cells = || group.cells.iter().map(|cell| &cell.m);
    let curve = |of: &String| {
        let cells = cells().filter(|m| kind(m) == *of);
        Series {
            name: match of.as_str() {
                "greedy" => "cheapest first",
                "random-order" => "a drawn order",
                "random-set" => "random sets",
                other => other,
            }
            .to_owned(),
            points: cells
                .filter_map(|m| Some((pruned(m).len(), estimate(m)?)))
                .collect(),
            joined: of != "random-set",
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
            SEE_TABLE
        ),
        drawing: Drawing::Curves(Curves::over_numbers(
            "heads pruned",
            "faithfulness",
            distinct(cells().map(kind)).iter().map(curve).collect(),
        )),
    }
}
