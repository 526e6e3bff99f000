//! Prompts that begin alike, as trees: a token that sees the same tokens before it in several prompts is run once for all of them.
//!
//! A tree is run as one long prompt in which a token sees its own ancestors and no other branch; its position is that in its prompts.

use std::collections::HashMap;
use std::hash::Hash;

use ndarray::{Array2, Array3, Array4, ArrayView3, Ix3, Ix4, s};

use crate::Result;
use crate::intervene::{BLOCKED, Mask};
use crate::runtime::{Engine, KeysValues, Tensor};

/// Tokens of a tree, or a few more, so that what a token does not see stays a small part of its attention. A longer prompt is a tree
/// alone.
const WIDTH: usize = 192;

/// The trees of a batch of prompts.
pub struct Trees {
    /// The position of the first token that is in a tree.
    first: usize,
    /// Tokens in a prompt: which token of it is the last one, where a mask asks.
    pos: usize,
    /// The nodes of each tree, a parent before its children.
    trees: Vec<Vec<Node>>,
    /// The tree of each prompt, and the nodes of its tokens.
    paths: Vec<Path>,
    /// Nodes of the largest tree: the others are filled up.
    width: usize,
    /// The positions of the nodes, as the runtime has them once a mask is included.
    positions: Option<Tensor>,
    biases: HashMap<Mask, Tensor>,
}

/// A token of a tree.
struct Node {
    parent: Option<usize>,
    /// The token of a prompt that it stands for: the prompt, and its place among the tokens that are in the tree.
    of: (usize, usize),
}

/// One token of each of some prompts.
pub struct Tokens<'a> {
    pub prompts: &'a [usize],
    /// The place of the token among the tokens of its prompt that are in the tree.
    pub token: usize,
}

/// Where a prompt is.
struct Path {
    tree: usize,
    nodes: Vec<usize>,
}

impl Trees {
    /// The trees of prompts, each given by what stands at its positions from `first` on, equal where it is the same; prompts whose
    /// beginnings are alike stand side by side. `pos` is the number of tokens in a prompt of which masks speak.
    pub fn new<T: Copy + Eq + Hash>(first: usize, pos: usize, prompts: &[&[T]]) -> Self {
        // Trees of about one size, because the smaller ones are filled up.
        let whole: usize = grown(prompts, usize::MAX).0.iter().map(Vec::len).sum();
        let longest = prompts.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
        // With room for what a tree begins with that was in the one before.
        let most = whole.div_ceil(whole.div_ceil(WIDTH).max(1)) + 2 * longest;
        let (trees, paths) = grown(prompts, most);
        let width = trees.iter().map(Vec::len).max().unwrap_or(0);
        Self {
            first,
            pos,
            trees,
            paths,
            width,
            positions: None,
            biases: HashMap::new(),
        }
    }

    /// What `of` says of the token that each node stands for, `[tree, node]`; of the first one where a tree is filled up.
    pub fn each<T>(&self, of: impl Fn(usize, usize) -> T) -> Array2<T> {
        let shape = (self.trees.len(), self.width);
        Array2::from_shape_fn(shape, |(tree, node)| {
            let nodes = &self.trees[tree];
            let (prompt, t) = nodes.get(node).unwrap_or(&nodes[0]).of;
            of(prompt, t)
        })
    }

    /// The streams of prompts, `[batch, token, d_model]`, as those of the nodes, `[tree, node, d_model]`.
    pub fn gather(&self, streams: ArrayView3<'_, f32>) -> Array3<f32> {
        let shape = (self.trees.len(), self.width, streams.dim().2);
        let mut out = Array3::zeros(shape);
        for (tree, nodes) in self.trees.iter().enumerate() {
            for (i, node) in nodes.iter().enumerate() {
                let (prompt, t) = node.of;
                out.slice_mut(s![tree, i, ..])
                    .assign(&streams.slice(s![prompt, t, ..]));
            }
        }
        out
    }

    /// The streams of some prompts, `[prompt, token, d_model]`, from those of the nodes: of the tokens `tokens` of each.
    pub fn spread(
        &self,
        nodes: ArrayView3<'_, f32>,
        prompts: &[usize],
        tokens: std::ops::Range<usize>,
    ) -> Array3<f32> {
        let shape = (prompts.len(), tokens.len(), nodes.dim().2);
        let mut out = Array3::zeros(shape);
        for (b, &prompt) in prompts.iter().enumerate() {
            let path = &self.paths[prompt];
            for (t, &node) in path.nodes[tokens.clone()].iter().enumerate() {
                out.slice_mut(s![b, t, ..])
                    .assign(&nodes.slice(s![path.tree, node, ..]));
            }
        }
        out
    }

    /// The first of the prompts that end at each node, and for every prompt which of these it ends with.
    pub fn lasts(&self) -> (Vec<usize>, Vec<usize>) {
        let mut known: HashMap<(usize, Option<usize>), usize> = HashMap::new();
        let mut firsts = Vec::new();
        let which = self.paths.iter().enumerate().map(|(prompt, path)| {
            let next = known.len();
            let end = (path.tree, path.nodes.last().copied());
            let which = *known.entry(end).or_insert(next);
            if which == next {
                firsts.push(prompt);
            }
            which
        });
        let which = which.collect();
        (firsts, which)
    }

    /// The positions of the nodes, `[tree, node]`.
    pub fn positions(&self) -> Array2<i64> {
        self.each(|_, t| (self.first + t) as i64)
    }

    /// Makes the masks that are asked for, `[tree, 1, node, past + node]`: in a prompt, a token sees what the mask lets it see; of the
    /// tokens before `first` that are given it sees all.
    ///
    /// # Errors
    /// The runtime cannot allocate them.
    pub fn include(&mut self, mask: &Mask) -> Result<()> {
        if self.positions.is_none() {
            self.positions = Some(Tensor::from_i64(self.positions())?);
        }
        if !self.biases.contains_key(mask) {
            let bias = Tensor::from_f32(self.bias(mask))?;
            self.biases.insert(mask.clone(), bias);
        }
        Ok(())
    }

    fn bias(&self, mask: &Mask) -> Array4<f32> {
        let (past, width) = (self.first, self.width);
        let mut bias = Array4::from_elem((self.trees.len(), 1, width, past + width), BLOCKED);
        for (tree, nodes) in self.trees.iter().enumerate() {
            for i in 0..width {
                // A node that fills up sees itself, so that its row is not empty.
                bias[[tree, 0, i, past + i]] = 0.0;
                let Some(node) = nodes.get(i) else { continue };
                let q = past + node.of.1;
                let mut sees = |k: usize, at: usize| {
                    if mask.allows(0, q, k, self.pos) {
                        bias[[tree, 0, i, at]] = 0.0;
                    }
                };
                (0..past).for_each(|k| sees(k, k));
                let mut above = node.parent;
                while let Some(at) = above {
                    let other = &nodes[at];
                    sees(past + other.of.1, past + at);
                    above = other.parent;
                }
            }
        }
        bias
    }

    /// `resid[layer + 1]` of the nodes from `resid[layer]`, each `[tree, node, d_model]`, behind the keys and values `past` of the
    /// tokens before the first.
    ///
    /// # Errors
    /// The runtime's reason.
    ///
    /// # Panics
    /// For a mask that was not included.
    pub fn layer(
        &self,
        engine: &mut Engine,
        layer: usize,
        stream: &Tensor,
        past: Option<&KeysValues>,
        mask: &Mask,
    ) -> Result<Tensor> {
        let seen = self.seen(engine, layer, stream, past)?;
        let positions = self.positions.as_ref().expect("a mask is included");
        engine.attend(layer, stream, positions, &seen, &self.biases[mask])
    }

    /// The keys and values that the nodes see in a layer: `past`, and those of the nodes, whose `resid[layer]` is `stream`.
    ///
    /// # Errors
    /// The runtime's reason.
    ///
    /// # Panics
    /// If no mask was included.
    pub fn seen(
        &self,
        engine: &mut Engine,
        layer: usize,
        stream: &Tensor,
        past: Option<&KeysValues>,
    ) -> Result<KeysValues> {
        let positions = self.positions.as_ref().expect("a mask is included");
        let own = engine.keys_values(layer, stream, positions)?;
        match past {
            Some(past) => engine.after(past, &own),
            None => Ok(own),
        }
    }

    /// As [`Self::layer`], of one token of every prompt alone, `[prompt, 1, d_model]`: behind the last layer no other token is looked
    /// at. `seen` is as [`Self::seen`] has it.
    ///
    /// # Errors
    /// The runtime's reason.
    ///
    /// # Panics
    /// For a mask that was not included.
    pub fn layer_at(
        &self,
        engine: &mut Engine,
        layer: usize,
        stream: &Tensor,
        seen: &KeysValues,
        mask: &Mask,
        of: &Tokens<'_>,
    ) -> Result<Tensor> {
        let mut asked: Vec<Vec<usize>> = vec![Vec::new(); self.trees.len()];
        let mut known: HashMap<(usize, usize), usize> = HashMap::new();
        let places = of.prompts.iter().map(|&prompt| {
            let path = &self.paths[prompt];
            let (tree, node) = (path.tree, path.nodes[of.token]);
            let row = *known.entry((tree, node)).or_insert_with(|| {
                asked[tree].push(node);
                asked[tree].len() - 1
            });
            (tree, row)
        });
        let places: Vec<(usize, usize)> = places.collect();
        // Trees in which fewer are asked for are filled up with their first node.
        let width = asked.iter().map(Vec::len).max().unwrap_or(0);
        asked.iter_mut().for_each(|nodes| nodes.resize(width, 0));

        let (stream, bias) = (stream.view::<Ix3>()?, self.biases[mask].view::<Ix4>()?);
        let (d_model, keys) = (stream.dim().2, bias.dim().3);
        let mut queries = Array3::zeros((asked.len(), width, d_model));
        let mut masked = Array4::zeros((asked.len(), 1, width, keys));
        let mut positions = Array2::zeros((asked.len(), width));
        for (tree, nodes) in asked.iter().enumerate() {
            for (row, &node) in nodes.iter().enumerate() {
                let of = stream.slice(s![tree, node, ..]);
                queries.slice_mut(s![tree, row, ..]).assign(&of);
                let sees = bias.slice(s![tree, 0, node, ..]);
                masked.slice_mut(s![tree, 0, row, ..]).assign(&sees);
                positions[[tree, row]] = (self.first + self.trees[tree][node].of.1) as i64;
            }
        }
        let out = engine.attend(
            layer,
            &Tensor::from_f32(queries)?,
            &Tensor::from_i64(positions)?,
            seen,
            &Tensor::from_f32(masked)?,
        )?;
        let out = out.view::<Ix3>()?;
        let mut streams = Array3::zeros((places.len(), 1, d_model));
        for (prompt, &(tree, row)) in places.iter().enumerate() {
            let of = out.slice(s![tree, row, ..]);
            streams.slice_mut(s![prompt, 0, ..]).assign(&of);
        }
        Tensor::from_f32(streams)
    }
}

/// Trees of at most `most` nodes, or of one prompt, and where the prompts are in them.
fn grown<T: Copy + Eq + Hash>(prompts: &[&[T]], most: usize) -> (Vec<Vec<Node>>, Vec<Path>) {
    let mut trees: Vec<Vec<Node>> = Vec::new();
    let mut paths = Vec::new();
    let mut known: HashMap<(Option<usize>, T), usize> = HashMap::new();
    for (prompt, tokens) in prompts.iter().enumerate() {
        let full = |nodes: &Vec<Node>| nodes.len().saturating_add(tokens.len()) > most;
        if trees.last().is_none_or(full) {
            trees.push(Vec::new());
            known.clear();
        }
        let tree = trees.len() - 1;
        let mut parent = None;
        let mut nodes = Vec::with_capacity(tokens.len());
        for (t, &token) in tokens.iter().enumerate() {
            let next = trees[tree].len();
            let node = *known.entry((parent, token)).or_insert(next);
            if node == next {
                let of = (prompt, t);
                trees[tree].push(Node { parent, of });
            }
            nodes.push(node);
            parent = Some(node);
        }
        paths.push(Path { tree, nodes });
    }
    (trees, paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    fn allowed(trees: &Trees, mask: &Mask, tree: usize) -> Vec<String> {
        let bias = trees.bias(mask);
        let row = |q: usize| {
            let seen = bias.slice(s![tree, 0, q, ..]);
            seen.iter()
                .map(|x| if *x == 0.0 { 'x' } else { '.' })
                .collect()
        };
        (0..trees.width).map(row).collect()
    }

    #[test]
    fn what_begins_alike_is_one_node() {
        let prompts: [&[u32]; 4] = [&[5, 6, 9], &[5, 7, 9], &[5, 7, 8, 1], &[4, 7, 9]];
        let trees = Trees::new(2, 6, &prompts);
        let ids = trees.each(|prompt, t| prompts[prompt][t]);
        assert_eq!(ids.row(0).to_vec(), [5, 6, 9, 7, 9, 8, 1, 4, 7, 9]);
        assert_eq!(
            trees.positions().row(0).to_vec(),
            [2, 3, 4, 3, 4, 4, 5, 2, 3, 4]
        );
        assert_eq!(trees.lasts(), (vec![0, 1, 2, 3], vec![0, 1, 2, 3]));
        let again: [&[u32]; 3] = [&[5, 6], &[5, 7], &[5, 6]];
        assert_eq!(
            Trees::new(0, 2, &again).lasts(),
            (vec![0, 1], vec![0, 1, 0])
        );
    }

    /// Every token sees the text before it, its own ancestors and itself, and a knock-out leaves the last one the first and itself.
    #[test]
    fn a_token_sees_its_own_branch() {
        let prompts: [&[u32]; 2] = [&[5, 6], &[5, 7]];
        let trees = Trees::new(1, 3, &prompts);
        assert_eq!(allowed(&trees, &Mask::Causal, 0), ["xx..", "xxx.", "xx.x"]);
        assert_eq!(
            allowed(&trees, &Mask::Knockout, 0),
            ["xx..", "x.x.", "x..x"]
        );
    }

    #[test]
    fn streams_come_back_where_they_were() {
        let prompts: [&[u32]; 3] = [&[1, 2, 3], &[1, 2, 4], &[1, 5, 3]];
        let trees = Trees::new(0, 3, &prompts);
        let streams = Array3::from_shape_fn((3, 3, 2), |(b, t, i)| {
            (prompts[b][t] * 10 + i as u32) as f32
        });
        let nodes = trees.gather(streams.view());
        assert_eq!(trees.spread(nodes.view(), &[0, 1, 2], 0..3), streams);
        let last = trees.spread(nodes.view(), &[2, 0], 2..3);
        assert_eq!(last[[0, 0, 0]], 30.0);
        assert_eq!(trees.positions().row(0).to_vec(), [0, 1, 2, 2, 1, 2]);
    }

    /// A tree ends before it is too large, all are of about one size, and a longer prompt is one alone.
    #[test]
    fn trees_are_bounded() {
        let all: Vec<Vec<u32>> = (0..100).map(|i| vec![0, i, i, i]).collect();
        let prompts: Vec<&[u32]> = all.iter().map(Vec::as_slice).collect();
        let trees = Trees::new(0, 4, &prompts);
        assert!(trees.trees.len() > 1 && trees.width <= WIDTH + 8);
        assert!(trees.trees.iter().all(|tree| tree.len() + 16 > trees.width));
        // What is the same is one branch, however long it is.
        let long = vec![7u32; WIDTH + 9];
        let trees = Trees::new(0, long.len(), &[&long, &long]);
        assert_eq!((trees.trees.len(), trees.width), (1, WIDTH + 9));
    }
}
