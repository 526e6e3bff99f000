//! What of a batch is different: the rows that the compiled way runs, each once.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;

use ndarray::{Array2, Array3, ArrayView1, ArrayView2, ArrayView3, Axis, s};

use crate::Result;
use crate::runtime::Tensor;

/// The different rows of a batch at a boundary.
pub struct Rows {
    /// The position of each row of a token that is not the last, from 1 on.
    pub positions: Vec<usize>,
    /// Where each of them occurs first: the prompt of the batch, the position.
    pub firsts: Vec<(usize, usize)>,
    /// The streams of these rows, `[row, 1, d_model]`.
    pub others: Rc<Tensor>,
    /// The streams of the different last tokens, `[row, 1, d_model]`.
    pub last: Rc<Tensor>,
    /// The streams of the last token of every different prompt, `[prompt, 1, d_model]`.
    pub trunk: Rc<Tensor>,
    /// The rows of the tokens of every different prompt from position 1 on but for the last, `[prompt, len]`; `None` where there are
    /// none.
    pub index: Option<Tensor>,
    /// The row of each position from 1 on of every different prompt, the last token's among [`Self::last`].
    pub prompts: Vec<Vec<usize>>,
    /// Which of the different prompts every prompt of the batch is.
    pub which: Vec<usize>,
}

impl Rows {
    /// The different rows of the streams `[batch, pos, d_model]`.
    pub fn new(replaced: ArrayView3<'_, f32>) -> Result<Self> {
        let pos = replaced.len_of(Axis(1));
        let columns: Vec<Vec<usize>> = (1..pos)
            .map(|t| first_alike(replaced.index_axis(Axis(1), t)))
            .collect();
        let mut numbers: HashMap<(usize, usize), usize> = HashMap::new();
        let mut firsts: Vec<(usize, usize)> = Vec::new();
        let mut lasts: Vec<usize> = Vec::new();
        let mut distinct: HashMap<Vec<usize>, usize> = HashMap::new();
        let (mut prompts, mut which) = (Vec::new(), Vec::new());
        for b in 0..replaced.len_of(Axis(0)) {
            let row_of = |(t, column): (usize, &Vec<usize>)| {
                let first = (column[b], t);
                *numbers.entry(first).or_insert_with(|| match t + 1 == pos {
                    true => {
                        lasts.push(b);
                        lasts.len() - 1
                    }
                    false => {
                        firsts.push(first);
                        firsts.len() - 1
                    }
                })
            };
            let rows: Vec<usize> = (1..).zip(&columns).map(row_of).collect();
            let next = distinct.len();
            let index = *distinct.entry(rows.clone()).or_insert(next);
            if index == next {
                prompts.push(rows);
            }
            which.push(index);
        }
        let stack = |rows: &[(usize, usize)]| {
            let d_model = replaced.len_of(Axis(2));
            let mut out = Array3::zeros((rows.len(), 1, d_model));
            for (mut out, &(b, t)) in out.outer_iter_mut().zip(rows) {
                out.row_mut(0).assign(&replaced.slice(s![b, t, ..]));
            }
            out
        };
        let own_row = |rows: &Vec<usize>| *rows.last().expect("a prompt has a last token");
        let last = stack(&lasts.iter().map(|&b| (b, pos - 1)).collect::<Vec<_>>());
        let trunk = last.select(Axis(0), &prompts.iter().map(own_row).collect::<Vec<_>>());
        let shape = (prompts.len(), pos.saturating_sub(2));
        let index = Array2::from_shape_fn(shape, |(prompt, t)| prompts[prompt][t] as i64);
        Ok(Self {
            positions: firsts.iter().map(|(_, t)| *t).collect(),
            others: Rc::new(Tensor::from_f32(stack(&firsts))?),
            firsts,
            last: Rc::new(Tensor::from_f32(last)?),
            trunk: Rc::new(Tensor::from_f32(trunk)?),
            index: (!index.is_empty())
                .then(|| Tensor::from_i64(index))
                .transpose()?,
            prompts,
            which,
        })
    }
}

/// The first stream of the batch with the same bits, for every stream, `[batch, d_model]`.
fn first_alike(streams: ArrayView2<'_, f32>) -> Vec<usize> {
    let state = foldhash::fast::FixedState::default();
    let digest = |stream: ArrayView1<'_, f32>| {
        let mut hasher = state.build_hasher();
        stream.iter().for_each(|x| hasher.write_u32(x.to_bits()));
        hasher.finish()
    };
    let alike = |a: usize, b: usize| {
        let pairs = streams.row(a).into_iter().zip(streams.row(b));
        pairs.into_iter().all(|(a, b)| a.to_bits() == b.to_bits())
    };
    // Different streams of one digest stand in one list.
    let mut known: HashMap<u64, Vec<usize>> = HashMap::new();
    let first = |b: usize| {
        let of_digest = known.entry(digest(streams.row(b))).or_default();
        let found = of_digest.iter().copied().find(|&first| alike(first, b));
        found.unwrap_or_else(|| {
            of_digest.push(b);
            b
        })
    };
    (0..streams.nrows()).map(first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// Streams are alike by their bits: a zero of another sign is another stream.
    #[test]
    fn what_is_alike_is_one_row() {
        let streams = array![[1.0, 0.0], [1.0, -0.0], [1.0, 0.0], [2.0, 0.0], [1.0, -0.0]];
        assert_eq!(first_alike(streams.view()), [0, 1, 0, 3, 1]);
    }
}
