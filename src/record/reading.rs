//! What the lens reads from residual streams.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::about::About;
use super::measured::{finite, median};
use super::{Address, Kind, Place, Provenance, Run, Share, Weight};
use crate::measure::{Evaluation, Glimpse, Standing};
use crate::stats::Inference;

/// What the model's own final norm and unembedding read from the residual streams at a boundary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Which cell of which sweep it is.
    pub place: Place,
    /// The experiment.
    pub experiment: Kind,
    /// The model's name.
    pub model: String,
    /// The style of the template.
    pub style: String,
    /// The operation of the template.
    pub operation: String,
    /// What the intervals are about.
    pub inference: Inference,
    /// The number of layers of the model.
    pub layers: usize,
    /// The AF1 under which it is read; `None` in the unmodified model.
    pub under: Option<Under>,
    /// The boundary: the residual streams that enter this layer are read; at the number of layers those that leave the last one.
    pub boundary: usize,
    /// The number of evaluated prompts.
    pub prompts: usize,
    /// How what is looked for stands, by where it is read and then by what it is.
    pub lens: BTreeMap<String, BTreeMap<String, Stands>>,
    /// Under what it was read.
    pub provenance: Provenance,
}

impl Reading {
    /// What tells it from all others.
    pub fn address(&self) -> Address<'_> {
        self.place.address(&self.style, &self.operation)
    }
}

/// An AF1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Under {
    /// `W`.
    pub wait: usize,
    /// `K`.
    pub transfer: usize,
    /// What replaces the residual stream of waiting tokens, by its name.
    pub ablation: String,
}

/// How a token stands in what is read, over prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Stands {
    /// Prompts in which it is the first choice.
    pub first: Share,
    /// The probability of the token, or of all right tokens together.
    pub probability: Weight,
    /// The rank of the token, or of the best right one, from 1 on.
    pub rank: Weight,
    /// The lower median of its ranks; `None` without prompts.
    pub median_rank: Option<u32>,
}

/// The records of what was read, in the order of the glimpses.
pub fn readings(
    evaluation: &Evaluation,
    glimpses: &[Glimpse],
    under: Option<&Under>,
    run: &Run<'_>,
) -> Vec<Reading> {
    let set = &evaluation.set;
    let about = About::of(set, &evaluation.evaluated, run.inference);
    let record = |glimpse: &Glimpse| {
        let mut lens: BTreeMap<String, BTreeMap<String, Stands>> = BTreeMap::new();
        for ((spot, sought), standings) in &glimpse.found {
            let of_spot = lens.entry(spot.name()).or_default();
            of_spot.insert(sought.name(), stands(&about, standings));
        }
        Reading {
            place: Place::default(),
            experiment: run.experiment.clone(),
            model: run.model.to_owned(),
            style: set.template.style.clone(),
            operation: set.template.operation.to_string(),
            inference: run.inference,
            layers: run.layers,
            under: under.cloned(),
            boundary: glimpse.boundary,
            prompts: evaluation.evaluated.len(),
            lens,
            provenance: run.provenance.clone(),
        }
    };
    glimpses.iter().map(record).collect()
}

fn stands(about: &About, standings: &[Standing]) -> Stands {
    let first: Vec<bool> = standings.iter().map(|of| of.rank == 1).collect();
    let ranks: Vec<u32> = standings.iter().map(|of| of.rank).collect();
    let mean = |of: fn(&Standing) -> f64| {
        let values: Vec<f64> = standings.iter().map(of).collect();
        let mean = about.mean(&values);
        Weight {
            mean: mean.map_or(0.0, |mean| mean.value),
            low: mean.and_then(|mean| finite(mean.low)),
            high: mean.and_then(|mean| finite(mean.high)),
        }
    };
    Stands {
        first: about.share(&first).interval().into(),
        probability: mean(|of| f64::from(of.probability)),
        rank: mean(|of| f64::from(of.rank)),
        median_rank: median(&ranks),
    }
}
