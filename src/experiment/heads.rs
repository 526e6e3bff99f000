//! Which heads of the transfer layers matter: they are taken out one by one, the least important first, or in an order that
//! is drawn; a row for every pruned head, and curves over their number.

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};

use super::parts::options::{AblationName, OneSubgraph};
use super::parts::{
    Ask, Emit, Entry, Experiment, Given, Order, Pruning, Sizes, Todo, Unit, View, Workbench,
    fairness, fewest, names, pruned, random_heads, share_under,
};
use crate::Result;
use crate::intervene::{Ablation, Head, Plan};
use crate::kit::words::about::{
    NOTHING_TO_KEEP, accuracy, af1, all_counts, baseline, distinct, faithfulness, heading,
    left_open, template,
};
use crate::kit::words::columns::{estimate, joined, logits, part, said, shares};
use crate::kit::words::{SEE_TABLE, each_group, each_template};
use crate::kit::{Block, Curves, Drawing, Fact, Figure, Series, Table, column};
use crate::measure::{Cell, Compared, Evaluation, Part, Request};
use crate::progress::say;
use crate::record::{
    CellName, Controls, Group, Kind, Measurement, PruningOrder, Row, Sweep, is_random_set, measure,
};

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "heads",
    "Head pruning: which heads of the transfer layers matter?",
    &Shown,
    [
        "heads -s calculate --operation A+B --controls 20",
        "heads -m planted-heads -s symbolic --operands 0..=9",
    ],
);

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    subgraph: OneSubgraph,
    /// What replaces the residual stream of waiting tokens
    #[arg(long, value_name = "NAME", default_value = "cama")]
    ablation: AblationName,
    /// Which head goes next
    #[arg(long, value_enum, default_value_t)]
    order: OrderName,
    /// Random sets of heads, of the size of the largest pruned set that holds, for comparison
    #[arg(long, value_name = "N", default_value_t = 0)]
    controls: u16,
    /// Choose heads, and the size of random sets, on one half of the prompts and report on the other, which shares no operand with it
    #[arg(long)]
    held_out: bool,
}

impl Ask for Options {
    fn experiment(&self, given: &Given<'_>) -> Result<Box<dyn Experiment>> {
        let (wait, transfer) = self.subgraph.resolve(given.model)?;
        Ok(Box::new(HeadPruning {
            wait,
            transfer,
            ablation: self.ablation.0,
            order: match self.order {
                OrderName::Greedy => Order::Greedy,
                OrderName::Random => Order::Random(given.seed),
            },
            controls: self.controls.into(),
            seed: given.seed,
            held_out: self.held_out,
        }))
    }
}

/// In which order heads go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum OrderName {
    /// The one whose loss costs least
    #[default]
    Greedy,
    /// Drawn by --seed
    Random,
}

/// Pruning heads, a cell a step, and then random sets of the size of the largest pruned set that holds.
#[derive(Clone)]
pub struct HeadPruning {
    /// `W`.
    pub wait: usize,
    /// `K`.
    pub transfer: usize,
    /// What replaces the residual stream of waiting tokens.
    pub ablation: &'static dyn Ablation,
    /// In which order heads go.
    pub order: Order,
    /// The number of random sets.
    pub controls: usize,
    /// The seed of their draw.
    pub seed: u64,
    /// Whether heads, and the size of the sets, are chosen on one half of the prompts and reported on the other.
    pub held_out: bool,
}

impl Experiment for HeadPruning {
    fn kind(&self) -> Kind {
        Kind::HEADS
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        vec![Box::new(self.clone())]
    }
}

impl Unit for HeadPruning {
    fn words(&self) -> String {
        let order = match self.order {
            Order::Greedy => "greedy".to_owned(),
            Order::Random(seed) => format!("random by {seed}"),
        };
        let reported = if self.held_out { "held out" } else { "all" };
        format!(
            "heads {} {} by {}, order {order}, {} controls by {}, {reported}",
            self.wait,
            self.transfer,
            self.ablation.name(),
            self.controls,
            self.seed
        )
    }

    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        vec![self.ablation]
    }

    fn cells(&self, sizes: Sizes) -> Vec<CellName> {
        let steps = (0..=sizes.heads * self.transfer).map(step);
        steps.chain((0..self.controls).map(random_set)).collect()
    }

    fn plans(&self, sizes: Sizes) -> Vec<Plan> {
        let layers = self.wait..self.wait + self.transfer;
        let heads = Head::all(layers, sizes.heads).collect();
        vec![
            Plan::af1(self.wait, 0),
            Plan::pruned(self.wait, self.transfer, heads),
        ]
    }

    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()> {
        let request = bench.request;
        let part = |part| Request { part, ..request };
        let (choice, reported) = match self.held_out {
            true => (Part::Development, Part::HeldOut),
            false => (request.part, request.part),
        };
        let choose = bench.prepare(&part(choice), bench.waits)?;
        let mut report = bench.prepare(&part(reported), bench.waits)?;
        // AF1(W, 0) first: what an answer without transfer is worth.
        let empty = [Plan::af1(self.wait, 0)];
        let empty = report.sweep(bench.engine, &empty, &[self.ablation])?;
        let heads = bench.engine.heads();
        let mut steps = Steps {
            of: self,
            pruning: Pruning::new(self.wait, self.transfer, heads, self.order),
            choose,
            report,
            empty,
            held: 0,
        };
        emit.known(&todo.known)?;
        let mut number = steps.resume(bench, todo)?;
        while let Some(plan) = steps.next(bench)? {
            let m = steps.pruned(bench, plan, self.order.of_steps())?;
            steps.see(bench, &m)?;
            emit.new_lines(&[bench.line(m, &step(number))])?;
            number += 1;
        }
        self.controls(bench, &mut steps, todo, emit)
    }
}

impl HeadPruning {
    /// Measures random sets of the size of the largest pruned set that holds.
    fn controls(
        &self,
        bench: &mut Workbench<'_>,
        steps: &mut Steps<'_>,
        todo: &Todo,
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        if self.controls == 0 {
            return Ok(());
        }
        if steps.held == 0 {
            let template = &bench.set.template;
            say!(
                "{} {}: no head can be pruned, so there are no random sets to compare with",
                template.style,
                template.operation
            );
            return Ok(());
        }
        let heads = bench.engine.heads();
        let (wait, transfer) = (self.wait, self.transfer);
        let sets = random_heads(wait, transfer, heads, steps.held, self.controls, self.seed);
        for (plan, cell) in sets.into_iter().zip((0..).map(random_set)) {
            if todo.line(&cell).is_none() {
                let m = steps.pruned(bench, plan, PruningOrder::RandomSet)?;
                emit.new_lines(&[bench.line(m, &cell)])?;
            }
        }
        Ok(())
    }
}

/// Pruning that goes on: where heads are chosen, and where they are reported.
struct Steps<'a> {
    of: &'a HeadPruning,
    pruning: Pruning,
    choose: Evaluation,
    report: Evaluation,
    /// AF1(W, 0) where it is reported.
    empty: Vec<Cell>,
    /// The size of the largest pruned set that holds so far.
    held: usize,
}

impl Steps<'_> {
    /// Goes on behind the steps that the record holds; the number of the first that it does not.
    fn resume(&mut self, bench: &mut Workbench<'_>, todo: &Todo) -> Result<usize> {
        // Steps follow from each other: behind a gap they are found again.
        let mut number = 0;
        while let Some(Row::Measured(m)) = todo.line(&step(number)).map(|line| &line.row) {
            number += 1;
            self.see(bench, m)?;
            self.pruning.resume(heads_of(m));
        }
        Ok(number)
    }

    /// The next plan; `None` when no head is left.
    fn next(&mut self, bench: &mut Workbench<'_>) -> Result<Option<Plan>> {
        (self.pruning).next(bench.engine, &mut self.choose, self.of.ablation)
    }

    /// The measurement of a plan where it is reported.
    fn pruned(
        &mut self,
        bench: &mut Workbench<'_>,
        plan: Plan,
        how: PruningOrder,
    ) -> Result<Measurement> {
        let swept = self
            .report
            .sweep(bench.engine, &[plan], &[self.of.ablation])?;
        let compared = swept.iter().map(|cell| Compared {
            cell,
            empty: self.empty.first(),
            reference: None,
        });
        let mut measured = measure(&self.report, bench.run, compared);
        let mut m = measured.pop().expect("one plan has one cell");
        m.subject.pruning = Some(how);
        Ok(m)
    }

    /// Takes note of a step: the size of random sets is fixed where the heads are chosen, not where they are reported.
    fn see(&mut self, bench: &mut Workbench<'_>, m: &Measurement) -> Result<()> {
        if self.of.controls == 0 {
            return Ok(());
        }
        let heads = heads_of(m);
        let size = heads.len();
        let share = match self.of.held_out {
            true => {
                let plan = Plan::pruned(self.of.wait, self.of.transfer, heads);
                share_under(bench.engine, &mut self.choose, &plan, self.of.ablation)?
            }
            false => m.scores.faithfulness.value.unwrap_or(0.0),
        };
        if share >= bench.run.claim {
            self.held = self.held.max(size);
        }
        Ok(())
    }
}

/// The heads that a measurement says were pruned.
fn heads_of(m: &Measurement) -> BTreeSet<Head> {
    m.subject.pruned_heads().cloned().unwrap_or_default()
}

/// The cell of a step of pruning, from 0 on.
fn step(number: usize) -> CellName {
    CellName::new([0, number], format!("step {number}"))
}

/// The cell of a random set of heads, from 0 on.
fn random_set(number: usize) -> CellName {
    CellName::new([1, number], format!("random set {number}"))
}

/// What is shown of its records.
pub struct Shown;

impl View for Shown {
    fn kind(&self) -> Kind {
        Kind::HEADS
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
        each_group(sweep, |group| {
            let m = group.first();
            let (of, claim) = (subgraph(m), m.test.claim);
            match fewest(group) {
                _ if m.counts.base_correct == 0 => NOTHING_TO_KEEP.to_owned(),
                // The first step is that with all of them.
                None => format!(
                    "{of} keeps less than the claim {claim} even with all heads: {} of the right answers{}",
                    faithfulness(m),
                    left_open(m)
                ),
                Some(fewest) => format!(
                    "{} of the {} heads of {of} are enough for the claim {claim}: with {} it keeps {} of the right answers{}",
                    fewest.left.len(),
                    fewest.all,
                    fewest.named(),
                    faithfulness(fewest.m),
                    left_open(fewest.m)
                ),
            }
        })
    }

    fn facts(&self, group: &Group) -> Vec<Fact> {
        let m = group.first();
        let Some(fewest) = fewest(group).filter(|_| m.counts.base_correct > 0) else {
            return Vec::new();
        };
        vec![Fact {
            name: "heads needed",
            value: format!("{} of {}", fewest.left.len(), fewest.all),
            because: format!(
                "{} in {}: {}",
                fewest.named(),
                subgraph(m),
                faithfulness(fewest.m)
            ),
        }]
    }
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
    let series = distinct(cells().map(|m| m.subject.pruning));
    let series = series.iter().map(curve).collect();
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
        drawing: Drawing::Curves(
            Curves::over_numbers("heads pruned", "faithfulness", series)
                .with_claim(m.test.claim)
                .marking(fewest(group).map(|fewest| {
                    let kept = format!("{} heads kept", fewest.left.len());
                    (fewest.all - fewest.left.len(), kept)
                })),
        ),
    }
}
