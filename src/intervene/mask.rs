//! Attention-based peeking: which positions a query may see.

use ndarray::Array4;

/// What is added to the scores of positions that may not be seen. Finite, so that a row can never become NaN, and far
/// below any score, so that its weight after softmax is exactly zero.
const BLOCKED: f32 = -1e9;

/// A mask of one layer (paper, section 3: attention-based peeking).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mask {
    /// The model's own: every query sees itself and everything before it.
    Causal,
    /// Every query sees itself and position 0, nothing else.
    SelfPeek,
    /// The last query sees everything before it; every other query is as in [`Mask::SelfPeek`].
    Peek,
    /// As [`Mask::Peek`], but the heads with these indices, in ascending order, are as in [`Mask::SelfPeek`].
    PeekWithout(Vec<usize>),
    /// The last query sees itself and position 0; every other query is as in [`Mask::Causal`].
    Knockout,
}

impl Mask {
    /// Whether the query at position `q` of a head sees the key at position `k` in a prompt of `pos` tokens.
    pub fn allows(&self, head: usize, q: usize, k: usize, pos: usize) -> bool {
        let last = q + 1 == pos;
        let sees_all = match self {
            Self::Causal => true,
            Self::SelfPeek => false,
            Self::Peek => last,
            Self::PeekWithout(heads) => last && !heads.contains(&head),
            Self::Knockout => !last,
        };
        k <= q && (sees_all || k == q || k == 0)
    }

    /// The additive mask for prompts of `pos` tokens, the same for every prompt: `[1, 1, q_pos, k_pos] f32`, and
    /// `[1, head, q_pos, k_pos] f32` where it differs by head.
    pub fn bias(&self, heads: usize, pos: usize) -> Array4<f32> {
        let heads = match self {
            Self::PeekWithout(_) => heads,
            _ => 1,
        };
        Array4::from_shape_fn((1, heads, pos, pos), |(_, head, q, k)| {
            if self.allows(head, q, k, pos) {
                0.0
            } else {
                BLOCKED
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Mask::Causal, ["x...", "xx..", "xxx.", "xxxx"])]
    #[case(Mask::SelfPeek, ["x...", "xx..", "x.x.", "x..x"])]
    #[case(Mask::Peek, ["x...", "xx..", "x.x.", "xxxx"])]
    #[case(Mask::Knockout, ["x...", "xx..", "xxx.", "x..x"])]
    fn who_sees_whom(#[case] mask: Mask, #[case] rows: [&str; 4]) {
        let bias = mask.bias(2, 4);
        assert_eq!(bias.dim(), (1, 1, 4, 4));
        for (q, row) in rows.iter().enumerate() {
            for (k, cell) in row.chars().enumerate() {
                assert_eq!(bias[[0, 0, q, k]] == 0.0, cell == 'x', "{mask:?} {q} {k}");
            }
        }
    }

    #[test]
    fn heads_are_taken_out_one_by_one() {
        let bias = Mask::PeekWithout(vec![1]).bias(3, 4);
        assert_eq!(bias.dim(), (1, 3, 4, 4));
        for (head, mask) in [(0, Mask::Peek), (1, Mask::SelfPeek), (2, Mask::Peek)] {
            let expected = mask.bias(3, 4);
            assert_eq!(
                bias.index_axis(ndarray::Axis(1), head),
                expected.index_axis(ndarray::Axis(1), 0)
            );
        }
    }

    #[test]
    fn one_token_sees_itself() {
        let every = [Mask::Causal, Mask::SelfPeek, Mask::Peek, Mask::Knockout];
        for mask in every {
            assert_eq!(mask.bias(1, 1)[[0, 0, 0, 0]], 0.0);
        }
    }
}
