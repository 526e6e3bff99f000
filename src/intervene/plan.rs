//! What runs after a boundary: the masks of the layers from `W` on.

use super::Mask;

/// What the layers after the waiting ones do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tail {
    /// All of them run as in the model itself: the waiting sweep.
    Causal,
    /// AF1: `transfer` layers peek, the others compute alone.
    Af1 {
        /// The number of transfer layers, `K`.
        transfer: usize,
    },
}

impl Tail {
    /// The number of transfer layers, `K`; `None` for the model's own attention.
    pub fn transfer(self) -> Option<usize> {
        match self {
            Self::Causal => None,
            Self::Af1 { transfer } => Some(transfer),
        }
    }
}

/// An intervention on a model of `layers` layers: replace `resid[wait]`, then run the tail.
///
/// The authors' demo overwrites `blocks.14.hook_resid_post` and peeks in layers 15 and 16; here that is `wait = 15` and
/// `transfer = 2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// The boundary `W` at which the residual stream is replaced: layers `0 .. W` wait.
    pub wait: usize,
    /// What follows.
    pub tail: Tail,
}

impl Plan {
    /// The mask of a layer at or after the boundary.
    pub fn mask(&self, layer: usize) -> Mask {
        match self.tail {
            Tail::Causal => Mask::Causal,
            Tail::Af1 { transfer } if layer < self.wait + transfer => Mask::Peek,
            Tail::Af1 { .. } => Mask::SelfPeek,
        }
    }

    /// Whether the model has the layers that the plan needs.
    pub fn fits(&self, layers: usize) -> bool {
        let transfer = self.tail.transfer().unwrap_or(0);
        self.wait
            .checked_add(transfer)
            .is_some_and(|end| end <= layers)
    }
}

/// A range of layers as it is printed, `15..=16`; `none` where it is empty.
pub fn layer_range(first: usize, count: usize) -> String {
    match count {
        0 => "none".to_owned(),
        _ => format!("{first}..={}", first + count - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_subgraph_peeks_in_layers_15_and_16() {
        let plan = Plan {
            wait: 15,
            tail: Tail::Af1 { transfer: 2 },
        };
        let peeking: Vec<usize> = (15..32).filter(|&l| plan.mask(l) == Mask::Peek).collect();
        assert_eq!(peeking, [15, 16]);
        assert!((17..32).all(|l| plan.mask(l) == Mask::SelfPeek));
        assert_eq!(layer_range(15, 2), "15..=16");
        assert_eq!(layer_range(15, 0), "none");
    }

    #[test]
    fn plans_end_at_the_last_layer() {
        let fits = |wait, transfer| {
            let tail = Tail::Af1 { transfer };
            Plan { wait, tail }.fits(30)
        };
        assert!(fits(30, 0) && fits(20, 10));
        assert!(!fits(30, 1) && !fits(31, 0) && !fits(20, 11) && !fits(usize::MAX, 1));
    }
}
