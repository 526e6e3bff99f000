//! Where residuals of another prompt decide the answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::about::About;
use super::{Address, Kind, Place, Provenance, Run};
use crate::measure::{Change, Interchange, Patches, Swap};
use crate::prompt::{Operation, PromptSet, Role, Tokenizer};
use crate::stats::{Inference, Proportion};

/// What becomes of the answers when the residual of a counterfactual prompt is swapped in at a boundary, position by position.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patched {
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
    /// What the counterfactual prompts change.
    pub change: Change,
    /// The operation of the counterfactual prompts, where it is another one.
    pub other: Option<String>,
    /// In which layers the counterfactual's residual stands.
    pub swap: Swap,
    /// The boundary: the residual that enters this layer is the first that is swapped; at the number of layers that which leaves the last one.
    pub boundary: usize,
    /// The number of pairs of prompts.
    pub pairs: usize,
    /// What becomes of the answers, by position, from the first one on at which prompts and counterfactuals differ.
    pub positions: BTreeMap<usize, PatchedPosition>,
    /// Under what it was measured.
    pub provenance: Provenance,
}

impl Patched {
    /// What tells it from all others.
    pub fn address(&self) -> Address<'_> {
        self.place.address(&self.style, &self.operation)
    }
}

/// What a position carries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PatchedPosition {
    /// What stands there: `A`, `A2` for the second token of A, the text of a token of the template, `last`.
    pub token: String,
    /// Pairs whose answer becomes the counterfactual's.
    pub moved: Share,
    /// Pairs whose answer stays.
    pub stayed: Share,
}

/// A share of pairs with its 95% interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The number of pairs, or of prompts, of which it is true.
    pub count: usize,
    /// The share of all; `None` where there are none.
    pub value: Option<f64>,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

impl From<Proportion> for Share {
    fn from(of: Proportion) -> Self {
        Self {
            count: of.successes,
            value: of.value,
            low: of.low,
            high: of.high,
        }
    }
}

/// The records of what swapped residuals do: one for every boundary, in the order of the patches.
pub fn patched(
    asked: &Interchange<'_>,
    change: Change,
    patches: &[Patches],
    run: &Run<'_>,
) -> Vec<Patched> {
    let (set, others, pairs) = (&asked.evaluation.set, &asked.others.set, asked.pairs);
    let prompts: Vec<usize> = pairs.iter().map(|pair| pair.prompt).collect();
    let about = About::of(set, &prompts, run.inference);
    let share = |patch: &Patches, right: &[&[u32]]| {
        let given = right.iter().zip(&patch.predicted);
        let given: Vec<bool> = given.map(|(right, token)| right.contains(token)).collect();
        Share::from(about.share(&given).interval())
    };
    let of_others = pairs
        .iter()
        .map(|pair| &*others.prompts[pair.other].answers);
    let of_others: Vec<&[u32]> = of_others.collect();
    let own = prompts.iter().map(|&prompt| &*set.prompts[prompt].answers);
    let own: Vec<&[u32]> = own.collect();
    let other = (others.template.operation != set.template.operation)
        .then(|| others.template.operation.to_string());
    let position = |patch: &Patches| {
        let found = PatchedPosition {
            token: token(set, patch.position, run.tokenizer),
            moved: share(patch, &of_others),
            stayed: share(patch, &own),
        };
        (patch.position, found)
    };
    let record = |of_boundary: &[Patches]| Patched {
        place: Place::default(),
        experiment: run.experiment.clone(),
        model: run.model.to_owned(),
        style: set.template.style.clone(),
        operation: set.template.operation.to_string(),
        inference: run.inference,
        layers: run.layers,
        change,
        other: other.clone(),
        swap: asked.swap,
        boundary: of_boundary[0].boundary,
        pairs: pairs.len(),
        positions: of_boundary.iter().map(position).collect(),
        provenance: run.provenance.clone(),
    };
    patches
        .chunk_by(|a, b| a.boundary == b.boundary)
        .map(record)
        .collect()
}

/// What stands at a position of all prompts of a set.
fn token(set: &PromptSet, position: usize, tokenizer: &Tokenizer) -> String {
    let role = set.roles[position];
    let before = set.roles[..position].iter().rev();
    let nth = 1 + before.take_while(|other| **other == role).count();
    match role {
        Role::Bos => "bos".to_owned(),
        Role::Operand(i) => match set.numbers.shape.operands[i] {
            1 => Operation::letter(i).to_string(),
            _ => format!("{}{nth}", Operation::letter(i)),
        },
        Role::Text => format!("{:?}", tokenizer.decode(set.prompts[0].ids[position])),
        Role::Answer => format!("answer {nth}"),
        Role::Last => "last".to_owned(),
    }
}
