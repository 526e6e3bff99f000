//! Which heads of the transfer layers matter: they are taken out one by one, the least important first, or in an order that
//! is drawn.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Emit, Experiment, Shape, Todo, Unit, Workbench, share_under};
use crate::Result;
use crate::intervene::{Ablation, Head, Plan};
use crate::measure::{Cell, Compared, Evaluation, Part, Request};
use crate::record::{CellName, Kind, Measurement, PruningOrder, Row, measure};
use crate::runtime::Engine;

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
    /// Random sets.
    pub controls: usize,
    /// The seed of their draw.
    pub seed: u64,
    /// Whether heads, and the size of the sets, are chosen on one half of the prompts and reported on the other.
    pub held_out: bool,
}

/// In which order heads go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The one whose loss costs least first, measured anew at every step (greedy backward elimination).
    Greedy,
    /// An order that is drawn by this seed: the control.
    Random(u64),
}

impl Order {
    /// What records say of a step.
    fn of_steps(self) -> PruningOrder {
        match self {
            Self::Greedy => PruningOrder::Greedy,
            Self::Random(_) => PruningOrder::RandomOrder,
        }
    }
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

    fn cells(&self, shape: Shape) -> Vec<CellName> {
        let steps = (0..=shape.heads * self.transfer).map(step);
        steps.chain((0..self.controls).map(random_set)).collect()
    }

    fn plans(&self, shape: Shape) -> Vec<Plan> {
        let layers = self.wait..self.wait + self.transfer;
        let heads = Head::all(layers, shape.heads).collect();
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
            eprintln!(
                "{} {}: no head can be pruned, so there are no random sets to compare with",
                template.style, template.operation
            );
            return Ok(());
        }
        let heads = bench.engine.heads();
        let (wait, transfer) = (self.wait, self.transfer);
        let sets = random_sets(wait, transfer, heads, steps.held, self.controls, self.seed);
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

/// AF1(wait, transfer) with fewer and fewer heads that peek: first with all of them, then, a plan a step, without one more,
/// until none is left; the plan that takes out all heads is AF1(wait, 0) by another way.
pub struct Pruning {
    wait: usize,
    transfer: usize,
    order: Order,
    left: Vec<Head>,
    without: Option<BTreeSet<Head>>,
}

impl Pruning {
    /// All heads of the transfer layers, of which there are so many a layer.
    pub fn new(wait: usize, transfer: usize, heads: usize, order: Order) -> Self {
        let mut left: Vec<Head> = Head::all(wait..wait + transfer, heads).collect();
        if let Order::Random(seed) = order {
            left.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        }
        Self {
            wait,
            transfer,
            order,
            left,
            without: None,
        }
    }

    /// Goes on from where these heads are out.
    pub fn resume(&mut self, without: BTreeSet<Head>) {
        self.left.retain(|head| !without.contains(head));
        self.without = Some(without);
    }

    /// The next plan, chosen on an evaluation that was prepared at `wait`. `None` when no head is left.
    ///
    /// A head costs least if most of the prompts that the unmodified model answers correctly stay correct; among equals, if
    /// the mean logit difference stays highest; then the first.
    ///
    /// # Errors
    /// The runtime's reason; NaN or infinity; an interrupt.
    pub fn next(
        &mut self,
        engine: &mut Engine,
        evaluation: &mut Evaluation,
        ablation: &'static dyn Ablation,
    ) -> Result<Option<Plan>> {
        let (wait, transfer) = (self.wait, self.transfer);
        let plan = |without: &BTreeSet<Head>| Plan::pruned(wait, transfer, without.clone());
        let Some(without) = &mut self.without else {
            let none = BTreeSet::new();
            let first = plan(&none);
            self.without = Some(none);
            return Ok(Some(first));
        };
        if self.left.is_empty() {
            return Ok(None);
        }
        let best = match self.order {
            Order::Random(_) => 0,
            Order::Greedy => {
                let candidates: Vec<Plan> = self
                    .left
                    .iter()
                    .map(|&head| {
                        let mut more = without.clone();
                        more.insert(head);
                        plan(&more)
                    })
                    .collect();
                let tried = evaluation.sweep(engine, &candidates, &[ablation])?;
                let score = |at: &usize| {
                    let cell = &tried[*at];
                    let sum: f64 = cell.logit_difference.iter().map(|&d| f64::from(d)).sum();
                    (evaluation.kept(cell).1, sum)
                };
                (0..tried.len())
                    .rev()
                    .max_by(|a, b| {
                        let (a, b) = (score(a), score(b));
                        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
                    })
                    .expect("there are heads left")
            }
        };
        without.insert(self.left.remove(best));
        Ok(Some(plan(without)))
    }
}

/// Sets of so many heads of the transfer layers, each drawn by itself: controls of the size of a pruned set.
pub fn random_sets(
    wait: usize,
    transfer: usize,
    heads: usize,
    size: usize,
    draws: usize,
    seed: u64,
) -> Vec<Plan> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut all: Vec<Head> = Head::all(wait..wait + transfer, heads).collect();
    let draw = |_| {
        all.shuffle(&mut random);
        Plan::pruned(
            wait,
            transfer,
            all[..size.min(all.len())].iter().copied().collect(),
        )
    };
    (0..draws).map(draw).collect()
}
