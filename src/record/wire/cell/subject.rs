//! What a cell is of, and the plan of which a line has the parts.

use super::Cell;
use crate::intervene::{Head, MaskedBy, Plan, Tail};
use crate::measure::Draw;
use crate::record::Subject;

impl Cell {
    pub(super) fn subject(&self) -> Result<Subject, String> {
        Ok(Subject {
            model: self.model.clone(),
            layers: self.layers,
            heads: self.heads.unwrap_or(0),
            style: self.style.clone(),
            operation: self.operation.clone(),
            ablation: self.ablation.clone(),
            plan: self.plan()?,
            pruning: self.pruning,
            estimator: self.estimator,
            part: self.part,
            draw: (self.contexts_drawn.zip(self.contexts_seed))
                .map(|(contexts, seed)| Draw { contexts, seed }),
        })
    }

    /// The plan, of which a line has the parts.
    fn plan(&self) -> Result<Plan, String> {
        let tail = match (self.transfer, &self.pruned_heads, &self.knockout_layers) {
            (Some(transfer), None, None) if self.transfer_at.is_some() => {
                let layers = self.transfer_at.clone().unwrap_or_default();
                if layers.len() != transfer || layers.first().is_some_and(|&l| l < self.wait) {
                    return Err(format!(
                        "transfer_at {layers:?}: expected {transfer} layers, none before {}",
                        self.wait
                    ));
                }
                Tail::Apart { layers }
            }
            (Some(transfer), None, None) => Tail::Af1 { transfer },
            (Some(transfer), Some(heads), None) => Tail::Pruned {
                transfer,
                without: heads
                    .iter()
                    .map(|head| head.parse::<Head>())
                    .collect::<Result<_, _>>()?,
            },
            (None, None, Some(layers)) => Tail::Knockout {
                layers: count_of(layers)
                    .ok_or_else(|| format!("knockout_layers {layers:?} is no range of layers"))?,
            },
            (None, None, None) => Tail::Causal,
            _ => {
                return Err(
                    "of transfer, pruned_heads and knockout_layers it has some that exclude each other".to_owned(),
                );
            }
        };
        let plan = Plan::waiting(self.wait);
        let masking = match &self.masking {
            None => MaskedBy::ABP,
            Some(name) => MaskedBy::named(name)
                .ok_or_else(|| format!("masking {name:?} is none that this program has"))?,
        };
        Ok(Plan {
            tail,
            masking,
            ..plan
        })
    }
}

/// The number of layers of an inclusive range as it is written, `15..=16`.
fn count_of(layers: &str) -> Option<usize> {
    if layers == "none" {
        return Some(0);
    }
    let (first, last) = layers.split_once("..=")?;
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    last.checked_sub(first)?.checked_add(1)
}
