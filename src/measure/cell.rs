//! The answers under one plan and ablation.

use crate::intervene::Plan;
use crate::intervene::ablation::Ablation;

/// The answers under one plan and ablation.
pub struct Cell {
    /// What replaced the residual stream.
    pub ablation: &'static dyn Ablation,
    /// Where the residual stream was replaced, and what followed.
    pub plan: Plan,
    /// The token with the largest logit, for every evaluated prompt.
    pub predicted: Vec<u32>,
    /// The logit of the right answer less the largest logit of another token, for every evaluated prompt.
    pub logit_difference: Vec<f32>,
    /// The Kullback-Leibler divergence of the distribution over all tokens from the unmodified model's, `sum p_base ln(p_base
    /// / p)`, in nats, for every evaluated prompt.
    pub kl: Vec<f32>,
    /// How many other tokens have a larger logit than the right answer, plus one, for every evaluated prompt.
    pub rank: Vec<u32>,
}
