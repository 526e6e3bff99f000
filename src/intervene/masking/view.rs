//! The mask of one layer: which positions a query sees.

use ndarray::Array4;

use super::{Cut, MaskedBy};

/// What is added to the scores of positions that may not be seen. Finite, so that a row can never become NaN, and far
/// below any score, so that its weight after softmax is exactly zero.
pub const BLOCKED: f32 = -1e9;

/// A mask of one layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mask {
    /// The model's own: every query sees itself and everything before it.
    Causal,
    /// Every query is alone: under ABP it sees itself and position 0, nothing else.
    SelfPeek(MaskedBy),
    /// The last query sees what it may in a transfer layer, under ABP everything; every other query is alone.
    Peek(MaskedBy),
    /// As [`Mask::Peek`], but in the heads with these indices, in ascending order, the last query is alone, too.
    PeekWithout(MaskedBy, Vec<usize>),
    /// The last query sees itself and position 0; every other query is as in [`Mask::Causal`].
    Knockout,
}

impl Mask {
    /// Whether the query at position `q` of a head sees the key at position `k` in a prompt of `pos` tokens.
    pub fn allows(&self, head: usize, q: usize, k: usize, pos: usize) -> bool {
        let last = q + 1 == pos;
        let alone = |by: &MaskedBy| by.0.alone(q, k);
        let sees = match self {
            Self::Causal => true,
            Self::SelfPeek(by) => alone(by),
            Self::Peek(by) if last => by.0.peek(k, pos),
            Self::PeekWithout(by, heads) if last && !heads.contains(&head) => by.0.peek(k, pos),
            Self::Peek(by) | Self::PeekWithout(by, _) => alone(by),
            Self::Knockout => !last || k == q || k == 0,
        };
        k <= q && sees
    }

    /// Whether every query sees position 0.
    pub fn keeps_sink(&self) -> bool {
        match self {
            Self::Causal | Self::Knockout => true,
            Self::SelfPeek(by) | Self::Peek(by) | Self::PeekWithout(by, _) => by.0.keeps_sink(),
        }
    }

    /// How what is not seen is taken away.
    pub fn cut(&self) -> Cut {
        match self {
            Self::Causal | Self::Knockout => Cut::Scores,
            Self::SelfPeek(by) | Self::Peek(by) | Self::PeekWithout(by, _) => by.0.cut(),
        }
    }

    /// The value for every pair of positions, the same for every prompt: `[1, 1, q_pos, k_pos] f32`, and
    /// `[1, head, q_pos, k_pos] f32` where it differs by head.
    fn pairs(&self, heads: usize, pos: usize, seen: f32, hidden: f32) -> Array4<f32> {
        let heads = match self {
            Self::PeekWithout(..) => heads,
            _ => 1,
        };
        Array4::from_shape_fn((1, heads, pos, pos), |(_, head, q, k)| {
            match self.allows(head, q, k, pos) {
                true => seen,
                false => hidden,
            }
        })
    }

    /// What is added to the scores, [`Cut::Scores`]: 0 where a query sees a key, far below any score elsewhere.
    /// `[1, 1|head, q_pos, k_pos] f32`.
    pub fn bias(&self, heads: usize, pos: usize) -> Array4<f32> {
        self.pairs(heads, pos, 0.0, BLOCKED)
    }

    /// What the attention weights are multiplied by, [`Cut::Values`]: 1 where a query sees a key, 0 elsewhere.
    /// `[1, 1|head, q_pos, k_pos] f32`.
    pub fn factor(&self, heads: usize, pos: usize) -> Array4<f32> {
        self.pairs(heads, pos, 1.0, 0.0)
    }

    /// Whether a query of a head sees everything before it.
    pub fn sees_all(&self, head: usize, q: usize, pos: usize) -> bool {
        (0..=q).all(|k| self.allows(head, q, k, pos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const ABP: MaskedBy = MaskedBy::ABP;

    fn by(name: &str) -> MaskedBy {
        MaskedBy::named(name).unwrap()
    }

    #[rstest]
    #[case(Mask::Causal, ["x...", "xx..", "xxx.", "xxxx"])]
    #[case(Mask::SelfPeek(ABP), ["x...", "xx..", "x.x.", "x..x"])]
    #[case(Mask::Peek(ABP), ["x...", "xx..", "x.x.", "xxxx"])]
    #[case(Mask::Knockout, ["x...", "xx..", "xxx.", "x..x"])]
    #[case(Mask::SelfPeek(by("no-sink")), ["x...", ".x..", "..x.", "...x"])]
    #[case(Mask::Peek(by("no-sink")), ["x...", ".x..", "..x.", "xxxx"])]
    #[case(Mask::Peek(by("window-2")), ["x...", "xx..", "x.x.", "x.xx"])]
    #[case(Mask::SelfPeek(by("window-2")), ["x...", "xx..", "x.x.", "x..x"])]
    #[case(Mask::Peek(by("value-zero")), ["x...", "xx..", "x.x.", "xxxx"])]
    fn who_sees_whom(#[case] mask: Mask, #[case] rows: [&str; 4]) {
        let bias = mask.bias(2, 4);
        let factor = mask.factor(2, 4);
        assert_eq!(bias.dim(), (1, 1, 4, 4));
        for (q, row) in rows.iter().enumerate() {
            for (k, cell) in row.chars().enumerate() {
                assert_eq!(bias[[0, 0, q, k]] == 0.0, cell == 'x', "{mask:?} {q} {k}");
                assert_eq!(factor[[0, 0, q, k]] == 1.0, cell == 'x', "{mask:?} {q} {k}");
            }
        }
    }

    #[test]
    fn masks_are_as_their_technique() {
        for masking in super::super::ALL {
            let technique = MaskedBy(*masking);
            for mask in [
                Mask::SelfPeek(technique),
                Mask::Peek(technique),
                Mask::PeekWithout(technique, vec![1]),
            ] {
                let due = (masking.keeps_sink(), masking.cut());
                assert_eq!((mask.keeps_sink(), mask.cut()), due, "{mask:?}");
            }
        }
        for mask in [Mask::Causal, Mask::Knockout] {
            assert_eq!((mask.keeps_sink(), mask.cut()), (true, Cut::Scores));
        }
    }

    #[test]
    fn only_some_queries_see_all() {
        let seeing = |mask: &Mask, head| {
            let all = (0..4).filter(|&q| mask.sees_all(head, q, 4));
            all.collect::<Vec<_>>()
        };
        assert_eq!(seeing(&Mask::Causal, 0), [0, 1, 2, 3]);
        assert_eq!(seeing(&Mask::Peek(ABP), 0), [0, 1, 3]);
        assert_eq!(seeing(&Mask::SelfPeek(by("no-sink")), 0), [0]);
        let without = Mask::PeekWithout(ABP, vec![1]);
        assert_eq!(seeing(&without, 0), [0, 1, 3]);
        assert_eq!(seeing(&without, 1), [0, 1]);
    }

    #[test]
    fn what_is_hidden_has_no_weight() {
        let bias = Mask::SelfPeek(ABP).bias(1, 3);
        assert_eq!(bias[[0, 0, 2, 1]], -1e9);
        assert_eq!(f32::exp(bias[[0, 0, 2, 1]]), 0.0);
        assert_eq!(Mask::SelfPeek(ABP).factor(1, 3)[[0, 0, 2, 1]], 0.0);
    }

    #[test]
    fn heads_are_taken_out_one_by_one() {
        let bias = Mask::PeekWithout(ABP, vec![1]).bias(3, 4);
        assert_eq!(bias.dim(), (1, 3, 4, 4));
        for (head, mask) in [
            (0, Mask::Peek(ABP)),
            (1, Mask::SelfPeek(ABP)),
            (2, Mask::Peek(ABP)),
        ] {
            let expected = mask.bias(3, 4);
            assert_eq!(
                bias.index_axis(ndarray::Axis(1), head),
                expected.index_axis(ndarray::Axis(1), 0)
            );
        }
    }

    #[test]
    fn one_token_sees_itself() {
        let every = [
            Mask::Causal,
            Mask::SelfPeek(ABP),
            Mask::Peek(ABP),
            Mask::Knockout,
        ];
        for mask in every {
            assert_eq!(mask.bias(1, 1)[[0, 0, 0, 0]], 0.0);
        }
    }
}
