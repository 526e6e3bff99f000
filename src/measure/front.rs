//! Whether the model would rather be asked with another token in front, or with none: what it answers on a handful of prompts
//! both ways. With the wrong choice no experiment means anything, and nothing else would show it.

use ndarray::{Array2, Axis, concatenate};

use super::biases::Biases;
use super::forward::base_forward;
use super::scores::first_maximum;
use crate::Result;
use crate::model::Model;
use crate::prompt::{Bos, Frame, PromptSet, Rule};
use crate::runtime::Engine;
use crate::stats::{discordant, mcnemar_greater};

/// Prompts that are asked both ways.
const HANDFUL: usize = 32;

/// Where the other choice is right more often with this probability or less by chance, it is much better.
const SURE: f64 = 0.01;

/// What the unmodified model answers with either choice of what stands in front.
#[derive(Clone, Debug, PartialEq)]
pub struct Fronts {
    /// The prompts that were asked.
    pub prompts: usize,
    /// What stands in front of prompts.
    pub own: Option<Bos>,
    /// What decided that.
    pub rule: Rule,
    /// The other choice.
    pub other: Option<Bos>,
    /// Right answers as prompts are asked.
    pub right: usize,
    /// Right answers with the other choice.
    pub other_right: usize,
    /// The exact one-sided McNemar test that the other choice is better.
    pub p: f64,
}

impl Fronts {
    /// Whether the other choice is much better.
    pub fn other_is_better(&self) -> bool {
        self.p <= SURE
    }
}

impl std::fmt::Display for Fronts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let front = |bos: &Option<Bos>| match bos {
            Some(bos) => format!("{} in front", bos.token),
            None => "nothing in front".to_owned(),
        };
        let (n, right, other) = (self.prompts, self.right, self.other_right);
        write!(
            f,
            "on {n} prompts the model is right {right} times with {}, {other} times with {}",
            front(&self.own),
            front(&self.other)
        )?;
        if self.other_is_better() {
            let choice = self.other.as_ref().map_or("none", |bos| &bos.token);
            write!(
                f,
                ": the model is not asked as it wants to be ({} decided it), and no experiment on it means much; try --bos '{choice}'",
                self.rule
            )?;
        }
        Ok(())
    }
}

/// Asks a handful of a template's prompts with and without a token in front: the token that stands there, or else the model's
/// beginning-of-sequence token. `None` where a model has neither, and where a chat template writes what stands in front, as the
/// model was trained.
///
/// # Errors
/// The runtime's reason; an interrupt.
pub fn fronts(engine: &mut Engine, model: &Model, set: &PromptSet) -> Result<Option<Fronts>> {
    if set.template.frame == Frame::Chat {
        return Ok(None);
    }
    let own = model.front.bos.clone();
    let named = || {
        let token = model.named_bos.clone()?;
        let id = model.tokenizer.id(&token)?;
        Some(Bos { token, id })
    };
    let other = match &own {
        Some(_) => None,
        None => match named() {
            Some(bos) => Some(bos),
            None => return Ok(None),
        },
    };
    let asked = set.asked();
    let step = asked.len().div_ceil(HANDFUL);
    let prompts: Vec<usize> = asked.into_iter().step_by(step).collect();
    let ids = set.ids(&prompts);
    let others = match &other {
        None => ids.slice(ndarray::s![.., 1..]).to_owned(),
        Some(bos) => {
            let front = Array2::from_elem((prompts.len(), 1), i64::from(bos.id));
            concatenate(Axis(1), &[front.view(), ids.view()]).expect("as many rows")
        }
    };
    let mut right = |ids: Array2<i64>| -> Result<Vec<bool>> {
        let biases = Biases::new(ids.ncols())?;
        let (_, logits) = base_forward(engine, ids, &biases, &[])?;
        let rows = prompts.iter().zip(logits.outer_iter());
        Ok(rows
            .map(|(&p, row)| set.prompts[p].answers.contains(&first_maximum(row)))
            .collect())
    };
    let (with_own, with_other) = (right(ids)?, right(others)?);
    let (wins, losses) = discordant(with_other.iter().copied().zip(with_own.iter().copied()));
    let count = |right: &[bool]| right.iter().filter(|right| **right).count();
    Ok(Some(Fronts {
        prompts: prompts.len(),
        own,
        rule: model.front.rule,
        other,
        right: count(&with_own),
        other_right: count(&with_other),
        p: mcnemar_greater(wins, losses),
    }))
}
