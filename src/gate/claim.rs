//! A claim about one template, and what must be measured to answer it.

use std::fmt;

use crate::experiment::{Experiment, Plans, Unit};
use crate::intervene::{Ablation, Plan, ablation};
use crate::prompt::{KeyedBy, Operation, Shape, Span, Step};
use crate::record::Kind;
use crate::stats::Inference;

/// A claim about one template.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The style.
    pub style: String,
    /// The operation.
    pub operation: Operation,
    /// `W`.
    pub wait: usize,
    /// `K`.
    pub transfer: usize,
    /// The share of right answers that AF1 is claimed to keep.
    pub faithful: f64,
    /// By how much it may fall short of that.
    pub margin: f64,
    /// AF1 with CAMA is more often right than with these.
    pub better_than: Vec<&'static dyn Ablation>,
    /// The share of right answers that is lost when the last token sees no other in the transfer layers.
    pub necessity_drop: Option<f64>,
    /// The fewest right answers of the model that are enough.
    pub right_answers: usize,
    /// By how much an accuracy may fall below that of a baseline.
    pub baseline_margin: f64,
    /// The share of the prompts in the ranges that must be askable: they have the shape.
    pub coverage: f64,
    /// The level of every test, at most [`LEVEL`](crate::stats::LEVEL).
    pub level: f64,
    /// What the answer is about.
    pub inference: Inference,
    /// Most prompts that are evaluated.
    pub limit: u32,
    /// The values of every operand.
    pub operands: Option<Span>,
    /// The values of results.
    pub results: Option<Span>,
    /// How many tokens the numbers have; where it is `None` one each, or the most frequent shape where no prompt has such numbers.
    pub shape: Option<Shape>,
    /// Which step of the answers it is about; where it is `None` whole answers, which are the only step where an answer is one token.
    pub step: Option<Step>,
    /// What means are conditioned on.
    pub key: KeyedBy,
}

/// What a claim is about is measured as an experiment: its AF1 with CAMA and with what it is to be better than, and its knock-out.
impl Experiment for Claim {
    fn kind(&self) -> Kind {
        Kind::AF1
    }

    /// A claim has a sweep of its own: what its cells say is corrected for nothing that other claims ask.
    fn words(&self) -> String {
        format!("claim {self}")
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        let mut ablations = vec![ablation::CAMA];
        ablations.extend(&self.better_than);
        let mut units: Vec<Box<dyn Unit + '_>> = vec![Box::new(Plans {
            plans: vec![self.af1()],
            ablations,
        })];
        if self.necessity_drop.is_some() {
            units.push(Box::new(Plans {
                plans: vec![self.knockout()],
                ablations: vec![ablation::IDENTITY],
            }));
        }
        units
    }
}

impl Claim {
    /// The subgraph.
    pub fn af1(&self) -> Plan {
        Plan::af1(self.wait, self.transfer)
    }

    /// The share that a pass claims: what is faithful, less the margin.
    pub fn share(&self) -> f64 {
        self.faithful - self.margin
    }

    /// The knock-out of its transfer layers.
    pub fn knockout(&self) -> Plan {
        Plan::knockout(self.wait, self.transfer)
    }

    /// The claim about prompts of this shape, where that is known.
    #[must_use]
    pub fn about(self, shape: &Shape) -> Self {
        let step = match self.step {
            None | Some(Step::Whole) if shape.answer == 1 => Step::At(0),
            None => Step::Whole,
            Some(step) => step,
        };
        Self {
            shape: Some(shape.clone()),
            step: Some(step),
            ..self
        }
    }

    /// The steps at which prompts are asked; none for all that give a token of the answer.
    pub fn steps(&self) -> Vec<Step> {
        self.step
            .into_iter()
            .filter(|step| *step != Step::Whole)
            .collect()
    }

    /// Whether it is about whole answers of several tokens, which follow from the steps.
    pub fn is_whole(&self) -> bool {
        self.step == Some(Step::Whole)
    }

    /// The template, and where numbers have several tokens their shape and the step.
    pub fn question(&self) -> String {
        let operation = self.operation.to_string();
        let question = match (&self.shape, self.step) {
            (Some(shape), Some(step)) => shape.question(&operation, step),
            _ => operation,
        };
        format!("{} {question}", self.style)
    }
}

/// The template and the subgraph.
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} AF1({}, {}){}{}",
            self.question(),
            self.wait,
            self.transfer,
            match self.key {
                KeyedBy::Span => "",
                KeyedBy::Token => ", keyed by token",
            },
            match self.inference {
                Inference::Prompts => "",
                Inference::Operands => ", about other operands",
            }
        )
    }
}
