//! What a measurement is of.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::intervene::{Estimator, Head, MaskedBy, Plan, Tail, layer_range, layer_ranges};
use crate::measure::{Draw, Part};

/// The most heads that are listed.
const MOST_HEADS: usize = 1 << 20;

/// What a measurement is of: a template of a model under an intervention, and how it was made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subject {
    /// The model's name.
    pub model: String,
    /// The number of layers of the model.
    pub layers: usize,
    /// The number of heads a layer, where heads are taken out; 0 where a record of an earlier af1 does not say it.
    pub heads: usize,
    /// The style of the template.
    pub style: String,
    /// The operation of the template.
    pub operation: String,
    /// What replaces the residual stream at the boundary, by its name.
    pub ablation: String,
    /// Where it is replaced, and what runs after it.
    pub plan: Plan,
    /// How the heads came to be that a pruned plan takes out.
    pub pruning: Option<PruningOrder>,
    /// How means treat the evaluated prompt.
    pub estimator: Estimator,
    /// Which prompts were evaluated.
    pub part: Part,
    /// The draw of contexts that means are over; `None` where they are over all.
    pub draw: Option<Draw>,
}

/// How the pruned heads of a cell came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PruningOrder {
    /// Heads go step by step, the head whose loss costs least first.
    Greedy,
    /// Heads go step by step, in an order that was drawn: the control.
    RandomOrder,
    /// Heads go all at once: a set that was drawn by itself.
    RandomSet,
}

impl std::fmt::Display for PruningOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Greedy => "greedy",
            Self::RandomOrder => "random-order",
            Self::RandomSet => "random-set",
        })
    }
}

impl Subject {
    /// `W`: the boundary at which the residual stream is replaced; for knock-outs the first layer of them.
    pub fn wait(&self) -> usize {
        self.plan.wait
    }

    /// `K`; `None` where nothing is an AF1.
    pub fn transfer(&self) -> Option<usize> {
        self.plan.tail.transfer()
    }

    /// The layers that transfer, as an inclusive range, or as several where they stand apart; `none` where `K` is 0.
    pub fn transfer_layers(&self) -> Option<String> {
        match &self.plan.tail {
            Tail::Apart { layers } => Some(layer_ranges(layers)),
            tail => tail.transfer().map(|k| layer_range(self.plan.wait, k)),
        }
    }

    /// The layers that transfer where they do not follow the boundary.
    pub fn transfers_apart(&self) -> Option<&BTreeSet<usize>> {
        match &self.plan.tail {
            Tail::Apart { layers } => Some(layers),
            _ => None,
        }
    }

    /// The layers that are knocked out, as an inclusive range.
    pub fn knockout_layers(&self) -> Option<String> {
        match self.plan.tail {
            Tail::Knockout { layers } => Some(layer_range(self.plan.wait, layers)),
            _ => None,
        }
    }

    /// What keeps tokens from looking at each other; `None` where nothing is an AF1.
    pub fn masking(&self) -> Option<MaskedBy> {
        self.transfer().map(|_| self.plan.masking)
    }

    /// The name of [`Self::masking`].
    pub fn masked_by(&self) -> Option<String> {
        self.masking().map(|masking| masking.name())
    }

    /// The heads that do not peek; `None` where none could be pruned.
    pub fn pruned_heads(&self) -> Option<&BTreeSet<Head>> {
        match &self.plan.tail {
            Tail::Pruned { without, .. } => Some(without),
            _ => None,
        }
    }

    /// The heads of the transfer layers that peek, where heads are taken out and it is known how many a layer has.
    pub fn heads_left(&self) -> Option<BTreeSet<Head>> {
        let (without, transfer) = (self.pruned_heads()?, self.transfer()?);
        let layers = self.wait()..self.wait().checked_add(transfer)?;
        // A record may say anything.
        let known = (1..=MOST_HEADS).contains(&transfer.checked_mul(self.heads)?);
        let all = || Head::all(layers, self.heads);
        known.then(|| all().filter(|head| !without.contains(head)).collect())
    }
}
