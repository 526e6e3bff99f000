//! The gate: claims about a model, read from a file, and what measurements say about them. Showing
//! them is [`crate::report`]'s business.
//!
//! A claim is answered condition by condition; each [`condition`] is a file of its own.

mod answer;
mod claim;
pub mod condition;
mod file;
mod run;

use std::path::PathBuf;

pub use answer::{all, answer};
pub use claim::Claim;
pub use condition::{Need, Undefined, needs};
pub use run::{Found, How};

pub use crate::record::{Answer, Judgement};

use crate::intervene::Estimator;

/// What a gate asks.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The file.
    pub path: PathBuf,
    /// How means are estimated.
    pub estimator: Estimator,
    /// The seed of every draw.
    pub seed: u64,
    /// A file of styles.
    pub styles: Option<PathBuf>,
    /// What is claimed, in the order of the file.
    pub claims: Vec<Claim>,
}
