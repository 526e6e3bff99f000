//! What runs after a boundary: the masks of the layers from `W` on.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Mask, MaskedBy};

/// An attention head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Head {
    /// The layer of the head.
    pub layer: usize,
    /// The index of the head in the layer.
    pub head: usize,
}

impl Head {
    /// All heads of some layers, in order; every layer has so many.
    pub fn all(layers: Range<usize>, heads: usize) -> impl Iterator<Item = Self> {
        layers.flat_map(move |layer| (0..heads).map(move |head| Self { layer, head }))
    }
}

impl Serialize for Head {
    /// Writes the head as it is printed, `L15H3`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Head {
    /// Reads the head as it is printed.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl std::str::FromStr for Head {
    type Err = String;

    /// Reads the head as it is printed.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.strip_prefix('L').and_then(|rest| rest.split_once('H'));
        let head = numbers.and_then(|(layer, head)| {
            Some(Self {
                layer: layer.parse().ok()?,
                head: head.parse().ok()?,
            })
        });
        head.ok_or_else(|| format!("{text:?} is no head; expected a layer and an index, L15H3"))
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "L{}H{}", self.layer, self.head)
    }
}

/// What the layers after the boundary do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tail {
    /// All of them run as in the model itself: the waiting sweep.
    Causal,
    /// AF1: `transfer` layers peek, the others compute alone.
    Af1 {
        /// The number of transfer layers, `K`.
        transfer: usize,
    },
    /// AF1 in which some heads of the transfer layers do not peek.
    Pruned {
        /// The number of transfer layers, `K`.
        transfer: usize,
        /// The heads that compute alone.
        without: BTreeSet<Head>,
    },
    /// AF1 in which other layers transfer than those behind the boundary: the last token sees the others in these, and every token is
    /// alone in all others. [`Plan::transferring`] makes it.
    Apart {
        /// The transfer layers, none before the boundary.
        layers: BTreeSet<usize>,
    },
    /// In the first `layers` layers the last token sees no other token but position 0; the others run as in the model
    /// itself.
    Knockout {
        /// The number of layers.
        layers: usize,
    },
}

impl Tail {
    /// The number of transfer layers, `K`; `None` where nothing is an AF1.
    pub fn transfer(&self) -> Option<usize> {
        match self {
            Self::Causal | Self::Knockout { .. } => None,
            Self::Af1 { transfer } | Self::Pruned { transfer, .. } => Some(*transfer),
            Self::Apart { layers } => Some(layers.len()),
        }
    }

    /// The number of layers of which it says something of its own.
    fn span(&self) -> usize {
        match self {
            Self::Causal => 0,
            Self::Af1 { transfer } | Self::Pruned { transfer, .. } => *transfer,
            Self::Apart { layers } => layers.len(),
            Self::Knockout { layers } => *layers,
        }
    }
}

/// An intervention on a model of `layers` layers: replace `resid[wait]`, then run the tail.
///
/// The authors' demo overwrites `blocks.14.hook_resid_post` and peeks in layers 15 and 16; here that is `wait = 15` and
/// `transfer = 2`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// The boundary `W` at which the residual stream is replaced: layers `0 .. W` wait.
    pub wait: usize,
    /// What follows.
    pub tail: Tail,
    /// What keeps tokens from looking at each other in an AF1.
    pub masking: MaskedBy,
}

impl Default for Plan {
    /// A plan of waiting to boundary 0: the model itself, as long as its streams are kept.
    fn default() -> Self {
        Self::waiting(0)
    }
}

impl Plan {
    /// Every token waits to `wait`, the model's own attention follows.
    pub fn waiting(wait: usize) -> Self {
        Self::new(wait, Tail::Causal)
    }

    /// AF1(W, K).
    pub fn af1(wait: usize, transfer: usize) -> Self {
        Self::new(wait, Tail::Af1 { transfer })
    }

    /// AF1(W, K) without some heads of the transfer layers.
    pub fn pruned(wait: usize, transfer: usize, without: BTreeSet<Head>) -> Self {
        Self::new(wait, Tail::Pruned { transfer, without })
    }

    /// Every token waits to `wait`; the last one sees the others in these layers, none of which is before it, and nowhere else. AF1 where
    /// they follow the boundary.
    pub fn transferring(wait: usize, layers: BTreeSet<usize>) -> Self {
        match layers.iter().copied().eq(wait..wait + layers.len()) {
            true => Self::af1(wait, layers.len()),
            false => Self::new(wait, Tail::Apart { layers }),
        }
    }

    /// The last token sees no other token in layers `from .. from + layers`.
    pub fn knockout(from: usize, layers: usize) -> Self {
        Self::new(from, Tail::Knockout { layers })
    }

    fn new(wait: usize, tail: Tail) -> Self {
        Self {
            wait,
            tail,
            masking: MaskedBy::ABP,
        }
    }

    /// The same with another technique in place of ABP.
    pub fn with(self, masking: MaskedBy) -> Self {
        Self { masking, ..self }
    }

    /// The mask of a layer at or after the boundary.
    pub fn mask(&self, layer: usize) -> Mask {
        let inside = match &self.tail {
            Tail::Apart { layers } => layers.contains(&layer),
            tail => layer < self.wait + tail.span(),
        };
        match &self.tail {
            Tail::Causal => Mask::Causal,
            Tail::Knockout { .. } if inside => Mask::Knockout,
            Tail::Knockout { .. } => Mask::Causal,
            Tail::Af1 { .. } | Tail::Pruned { .. } | Tail::Apart { .. } if !inside => {
                Mask::SelfPeek(self.masking)
            }
            Tail::Af1 { .. } | Tail::Apart { .. } => Mask::Peek(self.masking),
            Tail::Pruned { without, .. } => {
                let here = without.iter().filter(|head| head.layer == layer);
                let heads: Vec<usize> = here.map(|head| head.head).collect();
                match heads.is_empty() {
                    true => Mask::Peek(self.masking),
                    false => Mask::PeekWithout(self.masking, heads),
                }
            }
        }
    }

    /// The plan in words that stay the same from version to version, for identities: two plans have the same words only if they are
    /// the same.
    pub fn words(&self) -> String {
        let (wait, masking) = (self.wait, self.masking.name());
        match &self.tail {
            Tail::Causal => format!("waiting {wait}"),
            Tail::Knockout { layers } => format!("knockout {wait} {layers}"),
            Tail::Af1 { transfer } => format!("af1 {wait} {transfer} {masking}"),
            Tail::Apart { layers } => {
                let layers: Vec<String> = layers.iter().map(ToString::to_string).collect();
                format!(
                    "waiting {wait} transfer at [{}] {masking}",
                    layers.join(" ")
                )
            }
            Tail::Pruned { transfer, without } => {
                let heads: Vec<String> = without.iter().map(ToString::to_string).collect();
                let heads = heads.join(" ");
                format!("pruned {wait} {transfer} {masking} without [{heads}]")
            }
        }
    }

    /// Where the plan stands among others: by boundary, then what follows it, then the number of its layers, or the first
    /// where they stand apart, then the masking.
    pub fn order(&self) -> [usize; 5] {
        let tail = match &self.tail {
            Tail::Causal => 0,
            Tail::Af1 { .. } => 1,
            Tail::Pruned { .. } | Tail::Apart { .. } => 2,
            Tail::Knockout { .. } => 3,
        };
        let [masking, size] = self.masking.order();
        let layers = match &self.tail {
            Tail::Apart { layers } => layers.first().copied().unwrap_or(0),
            tail => tail.span(),
        };
        [self.wait, tail, layers, masking, size]
    }

    /// The first layer of an AF1 behind those that transfer.
    pub fn transferred(&self) -> usize {
        match &self.tail {
            Tail::Apart { layers } => layers.last().map_or(self.wait, |last| last + 1),
            tail => self.wait + tail.span(),
        }
    }

    /// Whether the model has the layers that the plan needs.
    pub fn fits(&self, layers: usize) -> bool {
        match &self.tail {
            Tail::Apart { layers: these } => these.iter().all(|l| (self.wait..layers).contains(l)),
            tail => self
                .wait
                .checked_add(tail.span())
                .is_some_and(|end| end <= layers),
        }
    }
}

/// Layers as they are printed: ranges, `3..=4, 7..=7`; `none` where there are none.
pub fn layer_ranges(layers: &BTreeSet<usize>) -> String {
    let all: Vec<usize> = layers.iter().copied().collect();
    let ranges = all.chunk_by(|a, b| a + 1 == *b);
    let ranges: Vec<String> = ranges.map(|of| layer_range(of[0], of.len())).collect();
    match ranges.is_empty() {
        true => layer_range(0, 0),
        false => ranges.join(", "),
    }
}

/// A range of layers as it is printed, `15..=16`; `none` where it is empty.
pub fn layer_range(first: usize, count: usize) -> String {
    match count {
        0 => "none".to_owned(),
        // A record may say anything.
        _ => format!("{first}..={}", first.saturating_add(count - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABP: MaskedBy = MaskedBy::ABP;

    #[test]
    fn a_head_is_read_as_it_is_written() {
        let head = Head { layer: 15, head: 3 };
        let text = serde_json::to_string(&head).unwrap();
        assert_eq!(text, "\"L15H3\"");
        assert_eq!(serde_json::from_str::<Head>(&text).unwrap(), head);
        assert!(serde_json::from_str::<Head>("\"L15\"").is_err());
    }

    #[test]
    fn the_papers_subgraph_peeks_in_layers_15_and_16() {
        let plan = Plan::af1(15, 2);
        let peeking: Vec<usize> = (15..32)
            .filter(|&l| plan.mask(l) == Mask::Peek(ABP))
            .collect();
        assert_eq!(peeking, [15, 16]);
        assert!((17..32).all(|l| plan.mask(l) == Mask::SelfPeek(ABP)));
        assert_eq!(layer_range(15, 2), "15..=16");
        assert_eq!(layer_range(15, 0), "none");
    }

    #[test]
    fn heads_are_read_as_they_are_printed() {
        let heads: Vec<Head> = Head::all(1..3, 2).collect();
        let words: Vec<String> = heads.iter().map(ToString::to_string).collect();
        assert_eq!(words, ["L1H0", "L1H1", "L2H0", "L2H1"]);
        for (head, text) in heads.iter().zip(&words) {
            assert_eq!(text.parse(), Ok(*head));
            assert_eq!(serde_json::to_value(head).unwrap(), text.as_str());
        }
        for wrong in ["", "L1", "1H1", "LxH1", "L1H", "L1H-1"] {
            let error = wrong.parse::<Head>().unwrap_err();
            assert!(error.contains("is no head"), "{error}");
        }
    }

    /// The words are parts of identities: two plans have the same ones only if they are the same.
    #[test]
    fn plans_have_words() {
        let window = MaskedBy::named("window-2").unwrap();
        let without = [(3, 1), (4, 0)].map(|(layer, head)| Head { layer, head });
        let pruned = Plan::pruned(3, 2, without.into()).with(window);
        let plans = [
            (Plan::waiting(3), None, "waiting 3"),
            (Plan::af1(3, 2), Some(2), "af1 3 2 abp"),
            (Plan::knockout(3, 2), None, "knockout 3 2"),
            (Plan::transferring(3, [3, 4].into()), Some(2), "af1 3 2 abp"),
            (
                Plan::transferring(3, [4, 7].into()),
                Some(2),
                "waiting 3 transfer at [4 7] abp",
            ),
            (pruned, Some(2), "pruned 3 2 window-2 without [L3H1 L4H0]"),
        ];
        for (plan, transfer, words) in plans {
            assert_eq!((plan.tail.transfer(), &*plan.words()), (transfer, words));
        }
    }

    #[test]
    fn masks_are_of_the_technique() {
        let window = MaskedBy::named("window-2").unwrap();
        let plan = Plan::af1(1, 1).with(window);
        assert_eq!(plan.mask(1), Mask::Peek(window));
        assert_eq!(plan.mask(2), Mask::SelfPeek(window));
        assert_eq!(Plan::waiting(1).mask(1), Mask::Causal);
    }

    #[test]
    fn knockouts_end() {
        let plan = Plan::knockout(3, 2);
        let masks: Vec<Mask> = (3..6).map(|layer| plan.mask(layer)).collect();
        assert_eq!(masks, [Mask::Knockout, Mask::Knockout, Mask::Causal]);
    }

    #[test]
    fn layers_that_transfer_may_stand_apart() {
        let plan = Plan::transferring(3, [4, 5, 7].into());
        let peeking: Vec<usize> = (3..9)
            .filter(|&l| plan.mask(l) == Mask::Peek(ABP))
            .collect();
        assert_eq!((peeking, plan.transferred()), (vec![4, 5, 7], 8));
        assert_eq!(plan.mask(6), Mask::SelfPeek(ABP));
        assert!(plan.fits(8) && !plan.fits(7) && !Plan::transferring(3, [2].into()).fits(8));
        assert_eq!(Plan::af1(3, 2).transferred(), 5);
        assert_eq!(layer_ranges(&[4, 5, 7].into()), "4..=5, 7..=7");
        assert_eq!(layer_ranges(&BTreeSet::new()), "none");
    }

    #[test]
    fn pruned_heads_are_those_of_the_layer() {
        let without = [(15, 3), (15, 1), (17, 0)].map(|(layer, head)| Head { layer, head });
        let plan = Plan::pruned(15, 2, without.into());
        let masks: Vec<Mask> = (15..18).map(|layer| plan.mask(layer)).collect();
        let expected = [
            Mask::PeekWithout(ABP, vec![1, 3]),
            Mask::Peek(ABP),
            // A compute layer is alone whatever is pruned.
            Mask::SelfPeek(ABP),
        ];
        assert_eq!(masks, expected);
    }

    #[test]
    fn plans_end_at_the_last_layer() {
        let fits = |wait, transfer| Plan::af1(wait, transfer).fits(30);
        assert!(fits(30, 0) && fits(20, 10));
        assert!(!fits(30, 1) && !fits(31, 0) && !fits(20, 11) && !fits(usize::MAX, 1));
        assert!(Plan::knockout(29, 1).fits(30) && !Plan::knockout(30, 1).fits(30));
    }
}
