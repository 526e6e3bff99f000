//! Interventions: what replaces the residual stream at a layer boundary (CAMA and its alternatives), which attention is
//! allowed (ABP masks), and the AF1 subgraph made of the two. Nothing here decides which interventions are tried or
//! counts answers; see [`crate::experiment`].

pub mod ablation;
mod estimate;
#[cfg(test)]
pub(crate) mod examples;
pub mod masking;
mod plan;

pub use ablation::Ablation;
pub use estimate::{Contexts, Estimator, Means, Moments};
pub use masking::{BLOCKED, Cut, Mask, MaskedBy, Masking, sees};
pub use plan::{Head, Plan, Tail, layer_range, layer_ranges};
