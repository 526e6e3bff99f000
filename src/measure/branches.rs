//! What follows a swapped residual, and nothing else. Up to the swap a prompt is the unmodified model's, so its tokens before the swapped
//! position are keys and values that all swaps of the prompt share; from there on every swap has a branch of tokens of its own.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, Array4, ArrayView3, Axis, Ix2, Ix3, concatenate, s};

use super::captured::Captured;
use super::scores::{all_finite, first_maximum};
use super::swap::{Place, Swap};
use crate::Result;
use crate::interrupt::interrupted;
use crate::intervene::BLOCKED;
use crate::runtime::{Engine, KeysValues, Tensor};

/// Which residuals tokens behind a swap read.
#[derive(Clone, Copy)]
pub struct Reads {
    /// The number of pairs of prompts.
    pub pairs: usize,
    /// The number of tokens of a prompt.
    pub pos: usize,
    /// In which layers the swapped one is read.
    pub swap: Swap,
}

/// A token that follows a swap, or the swapped one itself where its residual goes on from there.
#[derive(Clone, Copy)]
struct Node {
    /// Where the swap is.
    position: usize,
    /// Where the token is.
    at: usize,
}

/// The branches of a batch of pairs: a row a pair, in it the tokens of all its swaps, which see the prompt before the swap and their own
/// branch.
pub struct Branches {
    reads: Reads,
    /// The nodes of each pair.
    nodes: Vec<Vec<Node>>,
    /// Nodes of the longest row: the others are filled up.
    width: usize,
    positions: Tensor,
    /// The keys and values of the prompts by layer, `[pair, kv, pos, d_head]`, and behind them, where a swapped residual is only read, of
    /// their counterfactuals.
    past: BTreeMap<usize, KeysValues>,
    /// What nodes see where the swapped residual is read, `[pair, 1, node, past + node]`.
    swapped: Bias,
    /// The same behind the one layer that reads it.
    restored: Option<Bias>,
    /// The last token of every swap in its row, filled up, and for every place where it is there.
    lasts: Lasts,
}

/// A mask, for all nodes and for the last token of every swap.
struct Bias {
    all: Tensor,
    lasts: Tensor,
}

/// The last tokens of branches.
struct Lasts {
    /// The nodes of each row, `[pair][swap]`, all of one length.
    nodes: Vec<Vec<usize>>,
    positions: Tensor,
    /// The row of every place, and which of the nodes there.
    of_places: Vec<(usize, usize)>,
}

impl Branches {
    /// The branches of the swaps at some places, from the residuals of prompts and counterfactuals, `[pair, pos, d_model]`, at every
    /// boundary from the first one on at which a swap begins.
    ///
    /// # Errors
    /// The runtime's reason; an interrupt.
    pub fn new(
        engine: &mut Engine,
        reads: Reads,
        places: &[Place],
        own: &Captured,
        other: &Captured,
    ) -> Result<Self> {
        let mut nodes: Vec<Vec<Node>> = vec![Vec::new(); reads.pairs];
        let mut lasts: Vec<Vec<usize>> = vec![Vec::new(); reads.pairs];
        let mut of_places = Vec::with_capacity(places.len());
        for &Place { pair, position } in places {
            let first = match reads.swap {
                Swap::Once => position,
                Swap::Layer | Swap::Cumulative => position + 1,
            };
            nodes[pair].extend((first..reads.pos).map(|at| Node { position, at }));
            of_places.push((pair, lasts[pair].len()));
            lasts[pair].push(nodes[pair].len() - 1);
        }
        let width = nodes.iter().map(Vec::len).max().unwrap_or(0);
        let swaps = lasts.iter().map(Vec::len).max().unwrap_or(0);
        lasts.iter_mut().for_each(|of| of.resize(swaps, 0));
        let at = |pair: usize, node: usize| nodes[pair].get(node).map_or(0, |node| node.at as i64);
        let positions = Array2::from_shape_fn((reads.pairs, width), |(i, node)| at(i, node));
        let of_lasts = Array2::from_shape_fn((reads.pairs, swaps), |(i, n)| at(i, lasts[i][n]));
        let lasts = Lasts {
            nodes: lasts,
            positions: Tensor::from_i64(of_lasts)?,
            of_places,
        };
        let bias = |swapped: bool| bias(&nodes, width, reads, swapped);
        let restored = match reads.swap {
            Swap::Layer => Some(Bias::new(bias(false), &lasts.nodes)?),
            Swap::Once | Swap::Cumulative => None,
        };
        Ok(Self {
            swapped: Bias::new(bias(true), &lasts.nodes)?,
            past: past(engine, reads, own, other)?,
            positions: Tensor::from_i64(positions)?,
            reads,
            nodes,
            width,
            restored,
            lasts,
        })
    }

    /// What the model answers at every place when the swap begins at a boundary; `None` where a logit is NaN or infinite.
    ///
    /// # Errors
    /// The runtime's reason; an interrupt.
    pub fn answers(
        &mut self,
        engine: &mut Engine,
        boundary: usize,
        own: &Captured,
        other: &Captured,
    ) -> Result<Option<Vec<u32>>> {
        if self.width == 0 {
            return Ok(Some(Vec::new()));
        }
        let start = self.start(&own[&boundary], &other[&boundary]);
        let mut stream = Tensor::from_f32(start)?;
        let end = engine.layers();
        for layer in boundary..end {
            interrupted()?;
            let bias = match &self.restored {
                Some(restored) if layer > boundary => restored,
                _ => &self.swapped,
            };
            let made = engine.keys_values(layer, &stream, &self.positions)?;
            let seen = engine.after(&self.past[&layer], &made)?;
            // Behind the last layer no other token is looked at.
            stream = match layer + 1 == end {
                false => engine.attend(layer, &stream, &self.positions, &seen, &bias.all)?,
                true => {
                    let lasts = Tensor::from_f32(self.lasts.of(stream.view()?))?;
                    engine.attend(layer, &lasts, &self.lasts.positions, &seen, &bias.lasts)?
                }
            };
        }
        let lasts = match boundary == end {
            true => self.lasts.of(stream.view()?),
            false => stream.view::<Ix3>()?.to_owned(),
        };
        let of_places = (self.lasts.of_places.iter()).map(|&(row, n)| lasts.slice(s![row, n, ..]));
        let rows: Vec<_> = of_places.collect();
        let rows = ndarray::stack(Axis(0), &rows).expect("they have one shape");
        let logits = engine.logits(&Tensor::from_f32(rows.insert_axis(Axis(1)))?)?;
        let logits = logits.view::<Ix2>()?;
        let answers = || logits.outer_iter().map(first_maximum).collect();
        Ok(all_finite(logits).then(answers))
    }

    /// The residuals of the nodes where a swap begins, `[pair, node, d_model]`.
    fn start(&self, own: &Array3<f32>, other: &Array3<f32>) -> Array3<f32> {
        let mut start = Array3::zeros((self.reads.pairs, self.width, own.dim().2));
        for (pair, nodes) in self.nodes.iter().enumerate() {
            for (i, node) in nodes.iter().enumerate() {
                let from = if node.at == node.position { other } else { own };
                let of = from.slice(s![pair, node.at, ..]);
                start.slice_mut(s![pair, i, ..]).assign(&of);
            }
        }
        start
    }
}

impl Bias {
    /// A mask, `[pair, 1, node, past + node]`.
    fn new(all: Array4<f32>, lasts: &[Vec<usize>]) -> Result<Self> {
        let (pairs, _, _, keys) = all.dim();
        let swaps = lasts.first().map_or(0, Vec::len);
        let of_lasts = Array4::from_shape_fn((pairs, 1, swaps, keys), |(pair, _, n, key)| {
            all[[pair, 0, lasts[pair][n], key]]
        });
        Ok(Self {
            all: Tensor::from_f32(all)?,
            lasts: Tensor::from_f32(of_lasts)?,
        })
    }
}

impl Lasts {
    /// The streams of these nodes, `[pair, swap, d_model]`, of the streams of all nodes, `[pair, node, d_model]`.
    fn of(&self, streams: ArrayView3<'_, f32>) -> Array3<f32> {
        let swaps = self.nodes.first().map_or(0, Vec::len);
        let mut of = Array3::zeros((self.nodes.len(), swaps, streams.dim().2));
        for (pair, nodes) in self.nodes.iter().enumerate() {
            for (n, &node) in nodes.iter().enumerate() {
                let last = streams.slice(s![pair, node, ..]);
                of.slice_mut(s![pair, n, ..]).assign(&last);
            }
        }
        of
    }
}

/// The keys and values of whole prompts by layer, and of their counterfactuals where those are read.
fn past(
    engine: &mut Engine,
    reads: Reads,
    own: &Captured,
    other: &Captured,
) -> Result<BTreeMap<usize, KeysValues>> {
    let prompts = match reads.swap {
        Swap::Once => 1,
        Swap::Layer | Swap::Cumulative => 2,
    };
    let shape = (reads.pairs, prompts * reads.pos);
    let positions = Array2::from_shape_fn(shape, |(_, t)| (t % reads.pos) as i64);
    let positions = Tensor::from_i64(positions)?;
    let mut past = BTreeMap::new();
    for (&layer, own) in own.range(..engine.layers()) {
        interrupted()?;
        let both = [own.view(), other[&layer].view()];
        let whole = concatenate(Axis(1), &both[..prompts]).expect("prompts of one length");
        let made = engine.keys_values(layer, &Tensor::from_f32(whole)?, &positions)?;
        past.insert(layer, made);
    }
    Ok(past)
}

/// What nodes see, `[pair, 1, node, past + node]`: the prompt before the swap, at the swap what is read there, and their own branch up to
/// themselves. Where a row is filled up a node sees itself.
fn bias(nodes: &[Vec<Node>], width: usize, reads: Reads, swapped: bool) -> Array4<f32> {
    let pos = reads.pos;
    // Where the residual at the swapped position stands among the keys, if not in the branch.
    let (past, read) = match (reads.swap, swapped) {
        (Swap::Once, _) => (pos, None),
        (_, true) => (2 * pos, Some(pos)),
        (_, false) => (2 * pos, Some(0)),
    };
    let mut bias = Array4::from_elem((nodes.len(), 1, width, past + width), BLOCKED);
    for (pair, nodes) in nodes.iter().enumerate() {
        for i in 0..width {
            let mut see = |key: usize| bias[[pair, 0, i, key]] = 0.0;
            see(past + i);
            let Some(node) = nodes.get(i) else { continue };
            (0..node.position).for_each(&mut see);
            if let Some(read) = read {
                see(read + node.position);
            }
            let before = nodes[..i].iter().enumerate();
            let own = before.filter(|(_, other)| other.position == node.position);
            own.for_each(|(j, _)| see(past + j));
        }
    }
    bias
}
