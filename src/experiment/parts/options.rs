//! Options that several experiments have.

use std::str::FromStr;

use clap::Args;

use crate::intervene::Plan;
use crate::intervene::ablation::{self, Ablation};
use crate::intervene::masking::{self, MaskedBy};
use crate::model::Model;
use crate::prompt::Span;
use crate::suggest::did_you_mean;
use crate::{Error, Result};

/// What stands in for waiting tokens.
#[derive(Args, Clone, Debug)]
pub struct AblationArgs {
    /// What replaces the residual stream of waiting tokens
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME,...",
        default_value = "cama,mean,zero"
    )]
    ablation: Vec<AblationName>,
}

impl AblationArgs {
    /// The ablations that were asked for, each once.
    pub fn chosen(&self) -> Vec<&'static dyn Ablation> {
        let mut chosen: Vec<&'static dyn Ablation> = Vec::new();
        for name in &self.ablation {
            if chosen.iter().all(|known| known.name() != name.0.name()) {
                chosen.push(name.0);
            }
        }
        chosen
    }
}

/// An ablation on the command line.
#[derive(Clone, Copy, Debug)]
pub struct AblationName(pub &'static dyn Ablation);

impl FromStr for AblationName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ablation::named(text).map(Self).ok_or_else(|| {
            format!(
                "unknown ablation {text:?}{}; expected {}",
                did_you_mean(text, ablation::names()),
                ablation::names().join(", ")
            )
        })
    }
}

/// A masking on the command line.
#[derive(Clone, Copy, Debug)]
pub struct MaskingName(pub MaskedBy);

impl FromStr for MaskingName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        MaskedBy::named(text).map(Self).ok_or_else(|| {
            format!(
                "unknown masking {text:?}{}; expected {}, another size of window, or what the last token sees, such as sees-1+3",
                did_you_mean(text, masking::names().iter().map(String::as_str)),
                masking::names().join(", ")
            )
        })
    }
}

/// Which AF1.
#[derive(Args, Clone, Debug)]
pub struct Subgraph {
    /// W: layers 0..W wait; a number, list or range [default: the model's preset]
    #[arg(long, value_name = "W,...")]
    pub wait: Option<Layers>,
    /// K: layers W..W+K transfer; a number, list or range [default: the model's preset]
    #[arg(long, value_name = "K,...")]
    pub transfer: Option<Layers>,
}

impl Subgraph {
    /// The chosen `(W, K)`, all of which must fit the model.
    ///
    /// # Errors
    /// They do not fit, or are neither given nor in a preset.
    pub fn resolve(&self, model: &Model) -> Result<(Vec<usize>, Vec<usize>)> {
        let preset = model.preset.map(|preset| preset.af1);
        let or_preset = |given: &Option<Layers>, name: &str, preset: Option<usize>| {
            match given {
            Some(Layers(layers)) => Ok(layers.clone()),
            None => preset.map(|layer| vec![layer]).ok_or_else(|| {
                Error::Usage(format!(
                    "{name} is needed: {} has no preset; try `af1 waiting` and `af1 transfer` first",
                    model.name
                ))
            }),
        }
        };
        let waits = or_preset(&self.wait, "--wait", preset.map(|(wait, _)| wait))?;
        let transfers = or_preset(&self.transfer, "--transfer", preset.map(|(_, k)| k))?;
        let layers = model.sizes.layers;
        for &wait in &waits {
            check_layers("--wait", wait, layers)?;
            for &transfer in &transfers {
                if !Plan::af1(wait, transfer).fits(layers) {
                    return Err(Error::Usage(format!(
                        "--wait {wait} --transfer {transfer}: the model has {layers} layers; expected W + K of at \
                         most {layers}"
                    )));
                }
            }
        }
        Ok((waits, transfers))
    }
}

/// Which one AF1.
#[derive(Args, Clone, Debug)]
pub struct OneSubgraph {
    /// W: layers 0..W wait [default: the model's preset]
    #[arg(long, value_name = "W")]
    pub wait: Option<usize>,
    /// K: layers W..W+K transfer [default: the model's preset]
    #[arg(long, value_name = "K")]
    pub transfer: Option<usize>,
}

impl OneSubgraph {
    /// `(W, K)`, which must fit the model.
    ///
    /// # Errors
    /// As [`Subgraph::resolve`].
    pub fn resolve(&self, model: &Model) -> Result<(usize, usize)> {
        let one = |layer: Option<usize>| layer.map(|layer| Layers(vec![layer]));
        let subgraph = Subgraph {
            wait: one(self.wait),
            transfer: one(self.transfer),
        };
        let (waits, transfers) = subgraph.resolve(model)?;
        Ok((waits[0], transfers[0]))
    }
}

/// Several layers: numbers and ranges, joined by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers(pub Vec<usize>);

/// No model has more layers: a larger number is a slip, and a range up to it would fill the memory.
const MOST_LAYERS: i64 = 10_000;

impl FromStr for Layers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut layers = Vec::new();
        for part in text.split(',') {
            let Span(range) = part.parse()?;
            if *range.start() < 0 || *range.end() > MOST_LAYERS {
                return Err(format!("{part:?} is out of 0..={MOST_LAYERS}"));
            }
            layers.extend(range.map(|layer| layer as usize));
        }
        layers.sort_unstable();
        layers.dedup();
        Ok(Self(layers))
    }
}

/// Checks that a model has the layers that are asked for.
///
/// # Errors
/// It has fewer.
pub fn check_layers(name: &str, given: usize, layers: usize) -> Result<()> {
    if given > layers {
        return Err(Error::Usage(format!(
            "{name} {given}: the model has {layers} layers; expected at most {layers}"
        )));
    }
    Ok(())
}

/// The boundaries of a sweep of a model of so many layers: those given, else all.
///
/// # Errors
/// A boundary that the model does not have.
pub fn waits(given: Option<&Layers>, layers: usize) -> Result<Vec<usize>> {
    let waits = given.map_or_else(|| (0..=layers).collect(), |layers| layers.0.clone());
    for &wait in &waits {
        check_layers("--wait", wait, layers)?;
    }
    Ok(waits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_lists_of_ranges() {
        let layers = |text: &str| text.parse::<Layers>().map(|layers| layers.0);
        assert_eq!(layers("20"), Ok(vec![20]));
        assert_eq!(layers("3,0..=2,2"), Ok(vec![0, 1, 2, 3]));
        assert!(layers("-1").is_err());
        assert!(layers("0..=99999999").is_err());
    }
}
