//! Which prompts the means are made of, and which are evaluated.

use std::collections::HashMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::disjoint::Disjoint;
use super::request::{Draw, Part, Request};
use crate::Result;
use crate::intervene::Estimator;
use crate::prompt::{Key, PromptSet};

/// Which prompts the means are made of and which are evaluated.
pub struct Split {
    /// Whether each prompt of the set is one of the estimation prompts.
    pub estimation: Vec<bool>,
    pub evaluated: Vec<usize>,
    pub undefined: usize,
    pub degenerate: usize,
    pub mixed: Option<usize>,
}

impl Split {
    /// All prompts for estimation, none for evaluation.
    pub fn everything(set: &PromptSet) -> Self {
        Self {
            estimation: vec![true; set.len()],
            evaluated: Vec::new(),
            undefined: 0,
            degenerate: 0,
            mixed: None,
        }
    }

    /// Splits the prompts as the estimator asks and leaves out those for which it has no mean.
    ///
    /// A prompt is left out by its tokens alone, whichever ablation is evaluated, so that all ablations are compared on
    /// the same prompts.
    ///
    /// # Errors
    /// A part is asked for, and no halves share no operand.
    pub fn new(set: &PromptSet, request: &Request<'_>) -> Result<Self> {
        let mut estimation = vec![true; set.len()];
        let mut candidates = set.asked();
        let asked = candidates.len();
        let limit = request.limit.unwrap_or(usize::MAX);
        if request.estimator == Estimator::Split || limit < asked {
            candidates.shuffle(&mut ChaCha8Rng::seed_from_u64(request.seed));
        }
        if request.estimator == Estimator::Split {
            candidates = candidates.split_off(asked / 2);
            for &prompt in &candidates {
                estimation[prompt] = false;
            }
        }
        let mut mixed = None;
        if request.part != Part::All {
            let halves = Disjoint::of(set, request.seed)?;
            mixed = Some(halves.mixed);
            let part = match request.part {
                Part::HeldOut => halves.held_out,
                Part::All | Part::Development => halves.development,
            };
            candidates.retain(|prompt| part.binary_search(prompt).is_ok());
        }
        candidates.truncate(limit);
        candidates.sort_unstable();
        if let Some(draw) = request.draw {
            thin_out(set, &mut estimation, draw, request.estimator);
        }
        let mut contexts: HashMap<(usize, Key), usize> = HashMap::new();
        for (prompt, _) in set.prompts.iter().zip(&estimation).filter(|(_, e)| **e) {
            for key in keys(&prompt.keys) {
                *contexts.entry(key).or_insert(0) += 1;
            }
        }
        let fewest = |prompt: usize| {
            let counts = keys(&set.prompts[prompt].keys).map(|key| contexts.get(&key).copied());
            counts.map(Option::unwrap_or_default).min().unwrap_or(0)
        };
        let own = |prompt: usize| match request.estimator {
            Estimator::PlugIn | Estimator::Split => 0,
            Estimator::LeaveOneOut => usize::from(estimation[prompt]),
        };
        let (evaluated, undefined): (Vec<usize>, Vec<usize>) = candidates
            .into_iter()
            .partition(|&prompt| fewest(prompt) > own(prompt));
        let degenerate = match request.estimator {
            Estimator::PlugIn => evaluated
                .iter()
                .filter(|&&prompt| fewest(prompt) == 1)
                .count(),
            Estimator::LeaveOneOut | Estimator::Split => 0,
        };
        Ok(Self {
            estimation,
            evaluated,
            undefined: undefined.len(),
            degenerate,
            mixed,
        })
    }
}

/// Keeps of the estimation prompts, in an order that is drawn, those with a token that has too few contexts so far.
fn thin_out(set: &PromptSet, estimation: &mut [bool], draw: Draw, estimator: Estimator) {
    // One more, because the evaluated prompt's own will be left out.
    let enough = match estimator {
        Estimator::LeaveOneOut => draw.contexts + 1,
        Estimator::PlugIn | Estimator::Split => draw.contexts,
    };
    let mut order: Vec<usize> = (0..set.len()).filter(|&p| estimation[p]).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(draw.seed));
    let mut counts: HashMap<(usize, Key), usize> = HashMap::new();
    for prompt in order {
        let of_prompt = &set.prompts[prompt].keys;
        let few = |key| counts.get(&key).copied().unwrap_or(0) < enough;
        estimation[prompt] = keys(of_prompt).any(few);
        if estimation[prompt] {
            for key in keys(of_prompt) {
                *counts.entry(key).or_insert(0) += 1;
            }
        }
    }
}

/// The keys of a prompt with their positions, from position 1 on.
pub fn keys(of_prompt: &[Key]) -> impl Iterator<Item = (usize, Key)> + '_ {
    of_prompt.iter().copied().enumerate().skip(1)
}

/// Another one of the estimation prompts for every prompt: in a shuffled order the next one.
pub fn others(estimation: &[bool], seed: u64) -> Vec<usize> {
    let mut pool: Vec<usize> = (0..estimation.len()).filter(|&p| estimation[p]).collect();
    pool.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut others: Vec<usize> = (0..estimation.len())
        .map(|prompt| pool[prompt % pool.len()])
        .collect();
    for (i, &prompt) in pool.iter().enumerate() {
        others[prompt] = pool[(i + 1) % pool.len()];
    }
    others
}
