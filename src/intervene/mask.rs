//! Attention-based peeking: which positions a query may see.

use ndarray::Array4;

/// What is added to the scores of positions that may not be seen. Finite, so that a row can never become NaN, and far
/// below any score, so that its weight after softmax is exactly zero.
const BLOCKED: f32 = -1e9;

/// A mask of one layer (paper, section 3: attention-based peeking).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mask {
    /// The model's own: every query sees itself and everything before it.
    Causal,
    /// Every query sees itself and position 0, nothing else.
    SelfPeek,
    /// The last query sees everything before it; every other query is as in [`Mask::SelfPeek`].
    Peek,
}

impl Mask {
    /// Whether the query at position `q` sees the key at position `k` in a prompt of `pos` tokens.
    pub fn allows(self, q: usize, k: usize, pos: usize) -> bool {
        let peeks = match self {
            Self::Causal => true,
            Self::SelfPeek => false,
            Self::Peek => q + 1 == pos,
        };
        k <= q && (peeks || k == q || k == 0)
    }

    /// The additive mask for prompts of `pos` tokens, the same for every prompt and head: `[1, 1, q_pos, k_pos] f32`.
    pub fn bias(self, pos: usize) -> Array4<f32> {
        Array4::from_shape_fn((1, 1, pos, pos), |(_, _, q, k)| {
            if self.allows(q, k, pos) { 0.0 } else { BLOCKED }
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
    fn who_sees_whom(#[case] mask: Mask, #[case] rows: [&str; 4]) {
        let bias = mask.bias(4);
        for (q, row) in rows.iter().enumerate() {
            for (k, cell) in row.chars().enumerate() {
                assert_eq!(bias[[0, 0, q, k]] == 0.0, cell == 'x', "{mask:?} {q} {k}");
            }
        }
    }

    #[test]
    fn one_token_sees_itself() {
        for mask in [Mask::Causal, Mask::SelfPeek, Mask::Peek] {
            assert_eq!(mask.bias(1)[[0, 0, 0, 0]], 0.0);
        }
    }
}
