//! What the model's own final norm and unembedding read from residual streams before the end: the lens.

use std::collections::{BTreeMap, HashMap};

use ndarray::{Array2, ArrayView1, Axis, Ix2, s};

use super::Evaluation;
use super::forward::{not_finite, streams, trace};
use super::memory::in_batches_that_fit;
use super::scores::{all_finite, in_parallel, normaliser, rank};
use crate::interrupt::interrupted;
use crate::intervene::{Ablation, Mask, Plan};
use crate::prompt::{Operation, PromptSet, Role};
use crate::runtime::{Engine, Tensor};
use crate::{Result, graph, progress};

/// A token of every prompt at which residual streams are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// The last token, where the answer is read.
    Last,
    /// The last token of the operand of that index.
    Operand(usize),
}

/// A token that is looked for in what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sought {
    /// What is right at the step; of several tokens that are right the one with the largest logit, and the probability of them together.
    Answer,
    /// The first token of the operand of that index, as it stands in the prompt.
    Operand(usize),
}

impl Spot {
    /// The last token, and each of so many operands.
    pub fn all(operands: usize) -> Vec<Self> {
        let each = (0..operands).map(Self::Operand);
        std::iter::once(Self::Last).chain(each).collect()
    }

    /// The name of the spot in records: `last`, or the letter of the operand.
    pub fn name(self) -> String {
        match self {
            Self::Last => "last".to_owned(),
            Self::Operand(i) => Operation::letter(i).to_string(),
        }
    }

    /// Where it is in the prompts of a set.
    fn position(self, set: &PromptSet) -> Option<usize> {
        match self {
            Self::Last => set.positions().checked_sub(1),
            Self::Operand(i) => set.roles.iter().rposition(|role| *role == Role::Operand(i)),
        }
    }
}

impl Sought {
    /// The answer, and each of so many operands.
    pub fn all(operands: usize) -> Vec<Self> {
        let each = (0..operands).map(Self::Operand);
        std::iter::once(Self::Answer).chain(each).collect()
    }

    /// The name in records: `answer`, or the letter of the operand.
    pub fn name(self) -> String {
        match self {
            Self::Answer => "answer".to_owned(),
            Self::Operand(i) => Operation::letter(i).to_string(),
        }
    }

    /// The tokens that are it in a prompt.
    fn tokens(self, set: &PromptSet, prompt: usize) -> Vec<u32> {
        let prompt = &set.prompts[prompt];
        match self {
            Self::Answer => prompt.answers.to_vec(),
            Self::Operand(i) => {
                let first = set.roles.iter().position(|role| *role == Role::Operand(i));
                first.map(|at| prompt.ids[at]).into_iter().collect()
            }
        }
    }
}

/// How a token stands in what is read from a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// One more than the number of tokens before the token, or before the best right one: 1 is the first choice.
    pub rank: u32,
    /// The probability of the token, or of all right tokens together.
    pub probability: f32,
}

/// What is read at a boundary.
#[derive(Clone, Debug, PartialEq)]
pub struct Glimpse {
    /// The boundary.
    pub boundary: usize,
    /// How what is looked for stands in every evaluated prompt, by where it is read and what is looked for.
    pub found: BTreeMap<(Spot, Sought), Vec<Standing>>,
}

/// So many rows of logits are computed at once.
const ROWS: usize = 256;

impl Evaluation {
    /// What the model's final norm and unembedding read from the streams of the evaluated prompts at some boundaries, at the last token
    /// and the last token of every operand: of the unmodified model, or of a plan with an ablation from its boundary on, which must have
    /// been prepared.
    ///
    /// # Errors
    /// The runtime's reason; NaN or infinity; an interrupt.
    pub fn read(
        &mut self,
        engine: &mut Engine,
        boundaries: &[usize],
        under: Option<(&Plan, &'static dyn Ablation)>,
    ) -> Result<Vec<Glimpse>> {
        in_batches_that_fit(self.batch, self.evaluated.len(), |batch| {
            self.take(batch);
            self.read_all(engine, boundaries, under)
        })
    }

    fn read_all(
        &mut self,
        engine: &mut Engine,
        boundaries: &[usize],
        under: Option<(&Plan, &'static dyn Ablation)>,
    ) -> Result<Vec<Glimpse>> {
        let operands = self.set.template.operation.operands();
        let new = |&boundary: &usize| Glimpse {
            boundary,
            found: BTreeMap::new(),
        };
        let mut all: Vec<Glimpse> = boundaries.iter().map(new).collect();
        let chunks = self.evaluated.len().div_ceil(self.batch);
        let bar = progress::steps(
            &self.set.name(),
            (chunks * boundaries.len()) as u64,
            progress::Unit::Batches,
        );
        for begin in (0..self.evaluated.len()).step_by(self.batch) {
            let part = begin..self.evaluated.len().min(begin + self.batch);
            let streams = self.spots(engine, boundaries, under, part.clone())?;
            let prompts = &self.evaluated[part];
            for glimpse in &mut all {
                interrupted()?;
                for spot in Spot::all(operands) {
                    let Some(stream) = streams.get(&(glimpse.boundary, spot)) else {
                        continue;
                    };
                    let at = (glimpse.boundary, spot);
                    for (sought, standings) in self.standings(engine, stream, prompts, at)? {
                        let found = glimpse.found.entry((spot, sought)).or_default();
                        found.extend(standings);
                    }
                }
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok(all)
    }

    /// The streams of some of the evaluated prompts where they are read, `[batch, d_model]` by boundary and spot.
    fn spots(
        &mut self,
        engine: &mut Engine,
        boundaries: &[usize],
        under: Option<(&Plan, &'static dyn Ablation)>,
        part: std::ops::Range<usize>,
    ) -> Result<BTreeMap<(usize, Spot), Array2<f32>>> {
        let spots = Spot::all(self.set.template.operation.operands());
        let spots = spots.into_iter();
        let placed = spots.filter_map(|spot| Some((spot, spot.position(&self.set)?)));
        let placed: Vec<(Spot, usize)> = placed.collect();
        let prompts = &self.evaluated[part.clone()];
        let mut found = BTreeMap::new();
        match under {
            None => {
                let (set, biases) = (&self.set, &self.biases);
                let all = streams(engine, set, prompts, &Mask::Causal, biases, boundaries)?;
                for (boundary, of_all) in all {
                    for &(spot, position) in &placed {
                        let stream = of_all.index_axis(Axis(1), position).to_owned();
                        found.insert((boundary, spot), stream);
                    }
                }
            }
            Some((plan, ablation)) => {
                let plans = std::slice::from_ref(plan);
                let (layers, heads) = (engine.layers(), engine.heads());
                self.biases.include_plans(plans, layers, heads)?;
                let streams = self.streams(engine, &[ablation], prompts, &[plan.wait])?;
                let replaced = self.replaced(ablation, &streams, plan.wait, part)?;
                let mut all = trace(engine, replaced, plan, &self.biases)?;
                for &boundary in boundaries {
                    for &(spot, position) in &placed {
                        if let Some(stream) = all.remove(&(boundary, position)) {
                            found.insert((boundary, spot), stream);
                        }
                    }
                }
            }
        }
        Ok(found)
    }

    /// How every token that is looked for stands in what is read from streams of some prompts, `[batch, d_model]`. Streams that are the
    /// same are read once.
    fn standings(
        &self,
        engine: &mut Engine,
        streams: &Array2<f32>,
        prompts: &[usize],
        (boundary, spot): (usize, Spot),
    ) -> Result<BTreeMap<Sought, Vec<Standing>>> {
        let (firsts, which) = different(streams);
        let all = Sought::all(self.set.template.operation.operands());
        let mut found: BTreeMap<Sought, Vec<Option<Standing>>> = BTreeMap::new();
        for (chunk, of_chunk) in firsts.chunks(ROWS).enumerate() {
            let rows = streams.select(Axis(0), of_chunk).insert_axis(Axis(1));
            let logits = engine.logits(&Tensor::from_f32(rows)?)?;
            let logits = logits.view::<Ix2>()?;
            if !all_finite(logits.view()) {
                let at = format!(
                    "{} read from {} at the token {}",
                    graph::LOGITS,
                    graph::resid(boundary),
                    spot.name()
                );
                return Err(not_finite(&self.set, at, f32::NAN));
            }
            let here = chunk * ROWS..chunk * ROWS + of_chunk.len();
            let here: Vec<usize> = (0..prompts.len())
                .filter(|&p| here.contains(&which[p]))
                .collect();
            let set = &self.set;
            for &sought in &all {
                let standing = |i: usize| {
                    let tokens = sought.tokens(set, prompts[here[i]]);
                    standing(logits.slice(s![which[here[i]] - chunk * ROWS, ..]), &tokens)
                };
                let standings = in_parallel(here.len(), standing);
                let of_sought = found
                    .entry(sought)
                    .or_insert_with(|| vec![None; prompts.len()]);
                for (&p, standing) in here.iter().zip(standings) {
                    of_sought[p] = Some(standing);
                }
            }
        }
        let all = found.into_iter();
        let all = all.map(|(sought, of)| (sought, of.into_iter().flatten().collect()));
        Ok(all.collect())
    }
}

/// The rows that are different, by the first of each, and which of them every row is.
fn different(streams: &Array2<f32>) -> (Vec<usize>, Vec<usize>) {
    let (mut firsts, mut which) = (Vec::new(), Vec::new());
    let mut known: HashMap<Vec<u32>, usize> = HashMap::new();
    for (row, stream) in streams.outer_iter().enumerate() {
        let bits = stream.iter().map(|x| x.to_bits()).collect();
        let next = firsts.len();
        let index = *known.entry(bits).or_insert(next);
        if index == next {
            firsts.push(row);
        }
        which.push(index);
    }
    (firsts, which)
}

/// How some tokens stand in logits: the rank of the one with the largest logit, and the probability of all of them.
fn standing(logits: ArrayView1<'_, f32>, tokens: &[u32]) -> Standing {
    let logits = logits.to_slice().expect("logits lie in a row");
    let of = |&token: &u32| logits[token as usize];
    let largest = tokens.iter().map(of).fold(f32::NEG_INFINITY, f32::max);
    let normaliser = normaliser(logits);
    let probability = |token: &u32| (f64::from(of(token)) - normaliser).exp();
    let probability: f64 = tokens.iter().map(probability).sum();
    Standing {
        rank: rank(logits, tokens, largest),
        probability: probability.min(1.0) as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exponentials of logits are taken in f32, and so is the probability, whose last place is 6e-8.
    const SINGLE: f64 = 1e-6;

    /// Standings follow from the definition, in f64; of equal logits the first token stands first.
    #[test]
    fn standings_are_those_of_the_definition() {
        let logits = [1.0f32, 3.0, -2.0, 3.0, 0.5];
        let whole: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        for (tokens, rank, sum) in [
            (vec![1], 1, 3f64.exp()),
            (vec![3], 2, 3f64.exp()),
            (vec![2], 5, (-2f64).exp()),
            (vec![4, 0], 3, 0.5f64.exp() + 1f64.exp()),
        ] {
            let found = standing(ArrayView1::from(&logits), &tokens);
            assert_eq!(found.rank, rank, "{tokens:?}");
            assert!((f64::from(found.probability) - sum / whole).abs() < SINGLE);
        }
    }

    #[test]
    fn streams_that_are_the_same_are_one() {
        let streams = ndarray::array![[1.0f32, 2.0], [1.0, 3.0], [1.0, 2.0]];
        assert_eq!(different(&streams), (vec![0, 1], vec![0, 1, 0]));
    }
}
