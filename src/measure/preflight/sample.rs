//! The handful of prompts that preflight runs, and what the unmodified model says to them.

use std::collections::BTreeSet;

use ndarray::{Array2, ArrayView, Axis, Dimension};

use crate::measure::captured::Captured;
use crate::measure::compiled::same_up_to;
use crate::measure::forward::{base_forward, check_finite, failed};
use crate::measure::{Biases, apart};
use crate::prompt::{PromptSet, Role};
use crate::runtime::Engine;
use crate::{Error, Result};

/// The largest difference of two results that must be equal, relative to the largest of them. Batches of another size
/// sum the same products in another order, in f32.
const SAME: f32 = 1e-4;

/// Some prompts of a template with a run of the unmodified model.
pub struct Sample {
    /// The prompts.
    pub set: PromptSet,
    /// The tokens of the prompts, `[batch, pos]`.
    pub ids: Array2<i64>,
    /// The masks of so many positions.
    pub biases: Biases,
    /// The streams of the prompts at every boundary.
    pub captured: Captured,
    /// The logits of the prompts, `[batch, vocab]`.
    pub logits: Array2<f32>,
    /// The largest difference of two results that must be equal, for the precision of the model.
    pub tolerance: f32,
    /// By how much logits differ when nothing is changed.
    pub noise: f32,
}

impl Sample {
    /// Runs some prompts of a template.
    ///
    /// # Errors
    /// The check `finite`, which has an error of its own, or `captured`: reading the streams out of the run changes its logits. The
    /// runtime's reason; an interrupt.
    pub fn run(engine: &mut Engine, whole: &PromptSet) -> Result<Self> {
        let set = whole.subset(&some(whole));
        let all: Vec<usize> = (0..set.len()).collect();
        let ids = set.ids(&all);
        let biases = Biases::new(set.positions())?;
        let every: Vec<usize> = (0..=engine.layers()).collect();
        let (captured, logits) = base_forward(engine, ids.clone(), &biases, &every)?;
        let checked = (&captured, Some(logits.view()));
        check_finite(engine, whole, ids.clone(), &biases, checked)?;
        let (_, uncaptured) = base_forward(engine, ids.clone(), &biases, &[])?;
        let sample = Self {
            noise: apart(logits.view(), uncaptured.view()),
            tolerance: SAME.max(same_up_to(engine.precision())),
            set,
            ids,
            biases,
            captured,
            logits,
        };
        sample
            .same(sample.logits.view(), uncaptured.view())
            .map_err(|apart| {
                let reason = format!(
                    "logits differ by {apart} of the largest when no residual stream is captured"
                );
                sample.fails("captured", reason)
            })?;
        Ok(sample)
    }

    /// Checks that every prompt gets the logits alone that it gets in a batch.
    ///
    /// # Errors
    /// The check `batch`; the runtime's reason; an interrupt.
    pub fn one_by_one(&self, engine: &mut Engine) -> Result<()> {
        for row in 0..self.set.len() {
            let one = self.ids.select(Axis(0), &[row]);
            let (_, alone) = base_forward(engine, one, &self.biases, &[])?;
            let of_batch = self.logits.select(Axis(0), &[row]);
            self.same(of_batch.view(), alone.view()).map_err(|apart| {
                let reason = format!(
                    "alone and in a batch of {} the logits of {:?} differ by {apart} of the largest",
                    self.set.len(),
                    self.set.prompts[row].text
                );
                self.fails("batch", reason)
            })?;
        }
        Ok(())
    }

    /// The error of a check that fails on these prompts.
    pub fn fails(&self, check: &'static str, reason: String) -> Error {
        failed(&self.set, check, reason)
    }

    /// Whether two results are the same up to the tolerance; how far they are apart otherwise.
    pub fn same<D: Dimension>(
        &self,
        a: ArrayView<'_, f32, D>,
        b: ArrayView<'_, f32, D>,
    ) -> Result<(), f32> {
        match apart(a, b) {
            apart if apart <= self.tolerance => Ok(()),
            apart => Err(apart),
        }
    }
}

/// A handful of prompts: one, for every position of its numbers another one with the same key there, so that its means have
/// contexts, and the last.
fn some(set: &PromptSet) -> Vec<usize> {
    let asked = set.asked();
    let first = asked[asked.len() / 2];
    let mut chosen = BTreeSet::from([first, asked[asked.len() - 1]]);
    let of = |prompt: usize| &set.prompts[prompt];
    let text = set.positions() - set.numbers.given();
    for t in 1..set.positions() {
        if matches!(set.roles[t], Role::Operand(_)) || t >= text {
            let shares =
                |&p: &usize| of(p).keys[t] == of(first).keys[t] && of(p).ids != of(first).ids;
            let other = asked.iter().copied().find(shares);
            chosen.extend(other.or_else(|| (0..set.len()).find(shares)));
        }
    }
    chosen.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervene::examples::prompts;
    use crate::prompt::Step;

    /// Of the prompts of two operands from 0 to 2 the middle one, (1, 1), for each operand the first that shares it with that one, (1, 0)
    /// and (0, 1), and the last; where the answer stands behind them, one that shares its token, too.
    #[test]
    fn a_handful_shares_every_number() {
        let ids: Vec<[u32; 4]> = (0..9).map(|p| [0, 1 + p / 3, 1 + p % 3, 7]).collect();
        let ids: Vec<&[u32]> = ids.iter().map(|ids| &ids[..]).collect();
        let mut set = prompts(&ids);
        for prompt in &mut set.prompts {
            prompt.answers = [1].into();
        }
        (set.roles[1], set.roles[2]) = (Role::Operand(0), Role::Operand(1));
        assert_eq!(some(&set), [1, 3, 4, 8]);
        set.numbers.step = Step::At(1);
        assert_eq!(some(&set), [0, 1, 3, 4, 8]);
        // A prompt that is a context only is taken where no other will do.
        for prompt in [1, 7] {
            set.prompts[prompt].answers = [].into();
        }
        set.numbers.step = Step::At(0);
        assert_eq!(some(&set), [1, 3, 4, 8]);
    }
}
