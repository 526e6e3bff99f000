//! Prompts that are drawn until so many are answered correctly.

use std::collections::HashSet;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::prompts::TemplatePrompts;
use super::steps::goes_on;
use crate::measure::{Biases, base_forward, first_maximum};
use crate::prompt::PromptSet;
use crate::runtime::Engine;
use crate::{Error, Result};

/// How prompts are drawn.
#[derive(Clone, Copy)]
pub(super) struct Draw {
    /// The number of prompts that are to be answered correctly.
    pub right: usize,
    /// The seed of their order.
    pub seed: u64,
    /// Prompts in a batch.
    pub batch: usize,
}

/// Leaves of every template the prompts that were tried until the unmodified model had answered so many correctly, the others as contexts.
/// An answer of several tokens is correct where every step of it is. A template of which too few are is one without prompts.
///
/// # Errors
/// The runtime's reason; an interrupt.
pub(super) fn until_right(
    engine: &mut Engine,
    sets: &mut [TemplatePrompts],
    draw: Draw,
) -> Result<()> {
    let mut begin = 0;
    while begin < sets.len() {
        let steps = (begin + 1..sets.len())
            .take_while(|&t| goes_on(&sets[t - 1], &sets[t]))
            .count();
        let steps = &mut sets[begin..=begin + steps];
        begin += steps.len();
        let all: Vec<&PromptSet> = steps.iter().filter_map(TemplatePrompts::prompts).collect();
        if all.is_empty() {
            continue;
        }
        let tried = tried(engine, &all, draw)?;
        for step in steps {
            if let Ok(found) = &mut step.set {
                match &tried {
                    Ok(tried) => found.ask_only(tried),
                    Err(right) => step.set = Err(too_few(found, *right, draw.right)),
                }
            }
        }
    }
    Ok(())
}

/// The operands of the prompts that were tried, or how many were answered correctly where all were tried and these are too few.
fn tried(
    engine: &mut Engine,
    steps: &[&PromptSet],
    draw: Draw,
) -> Result<std::result::Result<HashSet<Vec<i64>>, usize>> {
    let first = steps[0];
    let mut order = first.asked();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(draw.seed));
    let (mut tried, mut right) = (HashSet::new(), 0);
    for batch in order.chunks(draw.batch.max(1)) {
        let operands: Vec<&[i64]> = (batch.iter())
            .map(|&p| &*first.prompts[p].operands)
            .collect();
        let mut correct = vec![true; batch.len()];
        for set in steps {
            answer(engine, set, &operands, &mut correct)?;
        }
        for (operands, correct) in operands.into_iter().zip(correct) {
            tried.insert(operands.to_vec());
            right += usize::from(correct);
            if right == draw.right {
                return Ok(Ok(tried));
            }
        }
    }
    Ok(Err(right))
}

/// Asks a step of those prompts that were correct so far.
fn answer(
    engine: &mut Engine,
    set: &PromptSet,
    operands: &[&[i64]],
    correct: &mut [bool],
) -> Result<()> {
    let mut asked = Vec::new();
    for (i, operands) in operands.iter().enumerate() {
        // The prompts are in the order of their operands.
        let found = set
            .prompts
            .binary_search_by(|prompt| (*prompt.operands).cmp(operands));
        match found.ok().filter(|&p| correct[i] && set.prompts[p].asked()) {
            Some(prompt) => asked.push((i, prompt)),
            None => correct[i] = false,
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    let prompts: Vec<usize> = asked.iter().map(|&(_, prompt)| prompt).collect();
    let biases = Biases::new(set.positions())?;
    let (_, logits) = base_forward(engine, set.ids(&prompts), &biases, &[])?;
    for (&(i, prompt), logits) in asked.iter().zip(logits.outer_iter()) {
        correct[i] = set.prompts[prompt].answers.contains(&first_maximum(logits));
    }
    Ok(())
}

fn too_few(set: &PromptSet, right: usize, wanted: usize) -> Error {
    Error::NoPrompts {
        style: set.template.style.clone(),
        operation: set.template.operation.to_string(),
        reason: format!(
            "--right-answers {wanted}: of all {} prompts the model answers {right} correctly; ask for fewer, or for more prompts with \
             --operands and --results",
            set.asked().len()
        ),
    }
}
