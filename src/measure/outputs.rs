//! What stands in for the outputs of heads: their means.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Array3, Array4, Axis};

use super::Evaluation;
use super::forward::head_outputs;
use crate::Result;
use crate::intervene::Estimator;
use crate::runtime::Engine;

impl Evaluation {
    /// The mean by layer of what the heads read over the estimation prompts, `[head, pos, d_head]`, and the number of these prompts.
    pub(super) fn estimate_heads(&self, engine: &mut Engine) -> Result<(Vec<Array3<f64>>, usize)> {
        let prompts = (0..self.set.len()).filter(|&p| self.estimation[p]);
        let prompts: Vec<usize> = prompts.collect();
        let mut sums: Vec<Array3<f64>> = Vec::new();
        for chunk in prompts.chunks(self.batch) {
            let outputs = head_outputs(engine, self.set.ids(chunk), &self.biases)?;
            for (layer, outputs) in outputs.into_iter().enumerate() {
                let sum = outputs.mapv(f64::from).sum_axis(Axis(0));
                match sums.get_mut(layer) {
                    Some(sums) => *sums += &sum,
                    None => sums.push(sum),
                }
            }
        }
        let count = prompts.len();
        let means = sums.into_iter().map(|sum| sum / count as f64);
        Ok((means.collect(), count))
    }

    /// What stands in for what the heads read of some of the evaluated prompts, by layer, `[batch, head, pos, d_head]`.
    pub(super) fn head_outputs(
        &self,
        engine: &mut Engine,
        part: Range<usize>,
    ) -> Result<BTreeMap<usize, Array4<f32>>> {
        let (means, count) = self.head_means.as_ref().expect("they were just made");
        let own = match self.estimator {
            Estimator::LeaveOneOut => {
                let ids = self.set.ids(&self.evaluated[part.clone()]);
                Some(head_outputs(engine, ids, &self.biases)?)
            }
            Estimator::PlugIn | Estimator::Split => None,
        };
        let n = *count as f64;
        let of_layer = |(layer, mean): (usize, &Array3<f64>)| {
            let (heads, pos, d_head) = mean.dim();
            let shape = (part.len(), heads, pos, d_head);
            let mean = Array4::from_shape_fn(shape, |(b, h, t, i)| {
                let mean = mean[[h, t, i]];
                let included = self.estimation[self.evaluated[part.start + b]];
                let mean = match &own {
                    Some(own) if included => {
                        (n * mean - f64::from(own[layer][[b, h, t, i]])) / (n - 1.0)
                    }
                    _ => mean,
                };
                mean as f32
            });
            (layer, mean)
        };
        Ok(means.iter().enumerate().map(of_layer).collect())
    }
}
