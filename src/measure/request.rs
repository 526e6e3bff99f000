//! What is asked of one template.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::intervene::ablation::Ablation;
use crate::intervene::{Estimator, Plan};
use crate::prompt::PromptSet;

/// What is asked of one template.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The plans to try.
    pub plans: &'a [Plan],
    /// The ablations to try each plan with.
    pub ablations: &'a [&'static dyn Ablation],
    /// How means are estimated.
    pub estimator: Estimator,
    /// At most this many prompts are evaluated, drawn without replacement; all of them where it is `None`. Means are
    /// estimated over the whole set.
    pub limit: Option<usize>,
    /// The seed of that draw, of [`Estimator::Split`] and of the prompts that resampling takes.
    pub seed: u64,
    /// Prompts in a batch.
    pub batch: usize,
    /// How plans are run.
    pub way: Way,
    /// The number of boundaries of the whole sweep of which these plans may be a part: what is kept in memory, and so is not computed
    /// again, is the same for each of its parts. If it is 0, the boundaries of these plans are all.
    pub boundaries: usize,
    /// Which of the prompts are evaluated.
    pub part: Part,
    /// Means over fewer contexts than there are; over all where it is `None`.
    pub draw: Option<Draw>,
    /// The prompts of the style's other operations, with the same roles at the same positions, for the ablations that need
    /// their means.
    pub operations: &'a [PromptSet],
}

impl<'a> Request<'a> {
    /// All prompts in one part, leave-one-out over all contexts, seed 42, 64 prompts in a batch, compiled where that can be.
    pub fn new(plans: &'a [Plan], ablations: &'a [&'static dyn Ablation]) -> Self {
        Self {
            plans,
            ablations,
            estimator: Estimator::default(),
            limit: None,
            seed: 42,
            batch: 64,
            way: Way::default(),
            boundaries: 0,
            part: Part::All,
            draw: None,
            operations: &[],
        }
    }
}

/// The boundaries of some plans, in ascending order, each once.
pub fn boundaries<'a>(plans: impl IntoIterator<Item = &'a Plan>) -> Vec<usize> {
    let waits: BTreeSet<usize> = plans.into_iter().map(|plan| plan.wait).collect();
    waits.into_iter().collect()
}

/// A draw of estimation prompts, so that every token has only so many contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Contexts of a token at least, the evaluated prompt not counted, or all that there are. Tokens of a template's text have
    /// more.
    pub contexts: usize,
    /// The seed of the draw.
    pub seed: u64,
}

/// A part of the prompts, so that what is chosen on some is reported on others. Means are estimated over all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// All prompts.
    #[default]
    All,
    /// The half on which something is chosen, drawn by the seed: see [`super::Disjoint`].
    Development,
    /// The other half, which shares no operand with it.
    HeldOut,
}

impl Part {
    /// The name of the part in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Development => "development",
            Self::HeldOut => "held-out",
        }
    }
}

/// How a plan is run; the answers are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// What differs from prompt to prompt is run, and each of it once. Plans that cannot be run so are run masked.
    #[default]
    Compiled,
    /// Every layer runs on whole prompts, with its mask.
    Masked,
}
