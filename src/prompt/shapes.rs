//! Which shapes a template's prompts have.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::shape::{MOST_TOKENS, Shape};
use super::tokens::{Behind, Merged, behind, place_of};
use super::universe::universe;
use super::{Selection, Template, Tokenizer, Written};
use crate::{Error, Result};

/// The shapes that a template's prompts have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shapes {
    /// How many prompts of every shape there are among those that were looked at.
    pub counts: BTreeMap<Shape, usize>,
    /// How many have an answer that begins in one token with the end of the prompt, so that they cannot be asked as they stand.
    pub merged: usize,
    /// One of these.
    pub example: Option<Merged>,
    /// How many prompts whose result is in range were looked at.
    pub looked_at: usize,
    /// How many there are.
    pub of: usize,
}

impl Shapes {
    /// The shape that most prompts have, the smallest of equals; `None` where no prompt has one.
    pub fn most_frequent(&self) -> Option<&Shape> {
        let all = self.counts.iter();
        let most = all.max_by_key(|&(shape, count)| (*count, std::cmp::Reverse(shape)));
        most.map(|(shape, _)| shape)
    }
}

/// More prompts than this are not looked at: of three operands some are drawn by the seed.
const MOST_LOOKED_AT: usize = 100_000;

/// How many prompts of every shape there are whose result is in range. Prompts whose operands or answer share a token with the text around
/// them are of none.
///
/// # Errors
/// Too many combinations to enumerate; the tokenizer's own reason.
pub fn shapes(template: &Template, tokenizer: &Tokenizer, selection: &Selection) -> Result<Shapes> {
    let fail = |reason: String| Error::NoPrompts {
        style: template.style.clone(),
        operation: template.operation.to_string(),
        reason,
    };
    let universe = universe(template, selection)?.into_iter();
    let mut prompts: Vec<(Vec<i64>, i64)> = universe
        .filter(|of| of.asked)
        .filter_map(|of| Some((of.operands, of.result?)))
        .collect();
    let of = prompts.len();
    if of > MOST_LOOKED_AT {
        prompts.shuffle(&mut ChaCha8Rng::seed_from_u64(selection.seed));
        prompts.truncate(MOST_LOOKED_AT);
    }
    let mut counts = BTreeMap::new();
    let (mut merged, mut first_merged) = (0, None);
    for (operands, result) in &prompts {
        match shape_of(template, tokenizer, operands, *result).map_err(fail)? {
            Found::Of(shape) => *counts.entry(shape).or_insert(0) += 1,
            Found::Merged => {
                merged += 1;
                first_merged.get_or_insert_with(|| (operands.clone(), *result));
            }
            Found::None => {}
        }
    }
    let example = first_merged.map(|(operands, result)| Merged {
        prompt: template.render(&operands).text,
        answer: template.answer.text(result),
    });
    Ok(Shapes {
        counts,
        merged,
        example,
        looked_at: prompts.len(),
        of,
    })
}

/// What is found of one prompt.
enum Found {
    /// The numbers of the prompt have so many tokens.
    Of(Shape),
    /// The answer of the prompt begins in one token with the end of the prompt.
    Merged,
    /// An operand shares a token with the text around it, or a number has too many.
    None,
}

/// The shape of one prompt.
fn shape_of(
    template: &Template,
    tokenizer: &Tokenizer,
    operands: &[i64],
    result: i64,
) -> Result<Found, String> {
    let rendered = template.render(operands);
    let text = &rendered.text;
    let tokens = tokenizer.encode(text)?;
    let mut counts = vec![0; operands.len()];
    for (index, place) in &rendered.places {
        let found = place_of(&tokens, tokenizer, text, place);
        counts[*index] = found.map_or(0, |found| found.len());
    }
    let askable = |count: usize| (1..=MOST_TOKENS).contains(&count);
    if !counts.iter().all(|&count| askable(count)) {
        return Ok(Found::None);
    }
    let written = &template.answer;
    let is_single = *written == Written::Numeral && !tokenizer.numeral(result).is_empty();
    let answer = match is_single {
        true => 1,
        false => match behind(tokenizer, written, text, result)? {
            Behind::Apart(tokens) => tokens.len(),
            Behind::Merged(single) if single.is_empty() => return Ok(Found::Merged),
            Behind::Merged(_) => 1,
        },
    };
    Ok(match askable(answer) {
        false => Found::None,
        true => Found::Of(Shape {
            operands: counts,
            answer,
        }),
    })
}
