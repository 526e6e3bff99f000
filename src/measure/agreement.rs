//! Where the compiled and the masked way of a plan come apart.

use super::Evaluation;
use super::apart::apart;
use super::compiled;
use super::forward::trace;
use crate::Result;
use crate::intervene::Plan;
use crate::intervene::ablation::Ablation;
use crate::runtime::Engine;

/// Where two ways of running a plan come apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// `l` of `resid[l]`.
    pub boundary: usize,
    /// The token's position.
    pub position: usize,
    /// The prompt's text.
    pub prompt: String,
    /// By how much of the largest value there.
    pub apart: f32,
}

impl Evaluation {
    /// Where the compiled and the masked way of a plan first come apart by more than `tolerance` of the largest value of a
    /// boundary: the boundary, the position, the prompt, and by how much of it. `None` where they do not, or the plan is run
    /// masked anyway.
    ///
    /// # Errors
    /// As [`Self::sweep`].
    pub fn first_difference(
        &mut self,
        engine: &mut Engine,
        plan: &Plan,
        ablation: &'static dyn Ablation,
        tolerance: f32,
    ) -> Result<Option<Difference>> {
        if !compiled::compiles(engine, plan, &self.biases) {
            return Ok(None);
        }
        let plans = std::slice::from_ref(plan);
        self.biases
            .include_plans(plans, engine.layers(), engine.heads())?;
        let mut first: Option<Difference> = None;
        for begin in (0..self.evaluated.len()).step_by(self.batch) {
            let chunk = &self.evaluated[begin..self.evaluated.len().min(begin + self.batch)];
            let streams = self.streams(engine, &[ablation], chunk, &[plan.wait])?;
            let replaced =
                self.replaced(ablation, &streams, plan.wait, begin..begin + chunk.len())?;
            let found = compiled::trace(engine, replaced.view(), plan, &self.biases)?;
            let expected = trace(engine, replaced, plan, &self.biases)?;
            for (at, found) in &found {
                let expected = &expected[at];
                let most = apart(found, expected);
                let earlier = first
                    .as_ref()
                    .is_none_or(|d| *at < (d.boundary, d.position));
                if most > tolerance && earlier {
                    let of_prompt = |b: &usize| apart(found.row(*b), expected.row(*b));
                    // The first of them that is apart by itself; all of them are little in a boundary with a large value.
                    let by_itself = (0..chunk.len()).find(|b| of_prompt(b) > tolerance);
                    let prompt = chunk[by_itself.unwrap_or(0)];
                    first = Some(Difference {
                        boundary: at.0,
                        position: at.1,
                        prompt: self.set.prompts[prompt].text.clone(),
                        apart: most,
                    });
                }
            }
        }
        Ok(first)
    }
}
