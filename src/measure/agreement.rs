//! Where the compiled and the masked way of a plan come apart.

use ndarray::Array2;

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
    /// How far they come apart, as a share of the largest value there.
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
                    let prompt = chunk[first_apart(found, expected, tolerance)];
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

/// The first row of `[batch, d_model]` that is apart by itself; the first of all where none is, because all of them are little beside the
/// largest value of another row.
fn first_apart(found: &Array2<f32>, expected: &Array2<f32>, tolerance: f32) -> usize {
    let is_apart = |&row: &usize| apart(found.row(row), expected.row(row)) > tolerance;
    (0..found.nrows()).find(is_apart).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::first_apart;

    #[test]
    fn the_first_row_that_is_apart_is_found() {
        let expected = array![[1.0, 4.0], [2.0, 4.0], [3.0, 4.0]];
        let found = array![[1.0, 4.0], [3.0, 4.0], [1.0, 4.0]];
        // The second is apart by 1 of 4, the third by 2 of 4.
        for (tolerance, row) in [(-1.0, 0), (0.0, 1), (0.2, 1), (0.25, 2), (0.4, 2), (0.5, 0)] {
            assert_eq!(
                first_apart(&found, &expected, tolerance),
                row,
                "{tolerance}"
            );
        }
    }
}
