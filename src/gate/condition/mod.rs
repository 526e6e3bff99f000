//! The conditions of a claim, a file each. An answer asks them in the order of the list below.
//!
//! To add one, write a file with a type that implements [`Condition`] and name it in the list. A condition that has a key of its own in
//! the gate's file takes it from a field of [`Claim`].

use super::{Claim, Judgement};
use crate::record::{Measurement, Outcome};
use crate::stats::{Needed, discordant};

macro_rules! list {
    ($($module:ident :: $name:ident),* $(,)?) => {
        $(mod $module;)*
        /// All conditions, in the order of an answer.
        pub const ALL: &[&dyn Condition] = &[$(&$module::$name),*];
    };
}

list! {
    faithful::Faithful,
    coverage::Coverage,
    right_answers::RightAnswers,
    better_than::BetterThan,
    necessity::Necessity,
    model_baseline::ModelBaseline,
    baseline::Baseline,
}

/// What a claim can ask of measurements.
pub trait Condition: Sync {
    /// What the claim asks and what the measurements say, as often as it asks; nothing where it does not ask.
    fn judge(&self, measured: &Measured<'_>) -> Vec<Judgement>;

    /// What it takes at least; nothing where any number of prompts will do, or the claim does not ask.
    fn needs(&self, _claim: &Claim, _has_baseline: bool) -> Vec<Need> {
        Vec::new()
    }

    /// Whether it is about the model itself, so that it says something where the model cannot do the task, too.
    fn judges_the_task(&self) -> bool {
        false
    }
}

/// What the conditions of a claim take at least: with fewer prompts they can only fail or stay undecided.
pub fn needs(claim: &Claim, has_baseline: bool) -> Vec<Need> {
    let conditions = ALL.iter();
    conditions
        .flat_map(|condition| condition.needs(claim, has_baseline))
        .collect()
}

/// What a condition takes at least to pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// What it is, in words: `faithful 0.95 with margin 0, about these prompts, takes 73 right answers at least`.
    pub words: String,
    /// The number of prompts; `None` where it takes more than anybody asks.
    pub prompts: Option<usize>,
    /// The number of values of every operand.
    pub values: usize,
}

impl Need {
    /// Whether so many prompts, with so many values of the operand that has the fewest, are enough.
    pub fn is_met(&self, prompts: usize, values: usize) -> bool {
        self.prompts.is_some_and(|least| least <= prompts) && self.values <= values
    }
}

/// What conditions are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// The claim.
    pub claim: &'a Claim,
    /// The cells of its template.
    pub cells: &'a [Measurement],
    /// The ablations that could not be measured.
    pub undefined: &'a [Undefined],
    /// The cells of an earlier run, if there is one.
    pub baseline: Option<&'a [Measurement]>,
}

/// An ablation that could not be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undefined {
    /// The name of the ablation.
    pub ablation: String,
    /// Why it is not defined.
    pub reason: String,
}

impl<'a> Measured<'a> {
    /// The claim's AF1 with an ablation.
    pub fn af1(&self, ablation: &str) -> Option<&'a Measurement> {
        let claim = self.claim;
        self.cells.iter().find(|m| {
            m.subject.ablation == ablation
                && m.subject.wait() == claim.wait
                && m.subject.transfer() == Some(claim.transfer)
        })
    }

    /// The claim's AF1 with CAMA.
    pub fn cama(&self) -> Option<&'a Measurement> {
        self.af1("cama")
    }

    /// Whether nothing says that the model cannot do the task.
    pub fn able(&self) -> bool {
        let level = self.claim.level;
        self.cama()
            .is_none_or(|m| m.test.p_base_above_constant <= level)
    }
}

/// The outcome and the reason of what no cell tells.
fn missing() -> (Outcome, String) {
    (Outcome::Inconclusive, "it was not measured".to_owned())
}

/// What a claim asks and what was found.
fn judged(asked: String, (outcome, reason): (Outcome, String)) -> Judgement {
    Judgement {
        asked,
        outcome,
        reason,
    }
}

/// Which prompts are answered rightly under the intervention.
fn answers(m: &Measurement) -> &[bool] {
    &m.answers.right
}

/// How many prompts only the first answers correctly, and only the second.
fn discord(
    m: &Measurement,
    o: &Measurement,
    answers: fn(&Measurement) -> &[bool],
) -> (usize, usize) {
    let pairs = answers(m).iter().copied().zip(answers(o).iter().copied());
    discordant(pairs)
}

/// What it takes to show that a share of the right answers is at least `share`; `what` says which one it is.
fn least(claim: &Claim, what: &str, share: f64) -> Need {
    let about = claim.inference.words();
    let needed = Needed::at_least(claim.inference, share, claim.level);
    let words = match needed {
        None => format!("{what}, about {about}, takes more than 10000 right answers"),
        Some(needed) => format!(
            "{what}, about {about}, takes {needed} at least{}",
            match needed.prompts > claim.limit as usize {
                true => format!(", and the limit is {}", claim.limit),
                false => String::new(),
            }
        ),
    };
    Need {
        words,
        prompts: needed.map(|needed| needed.prompts),
        values: needed.and_then(|needed| needed.values).unwrap_or(0),
    }
}
