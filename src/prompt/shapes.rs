//! Which shapes a template's prompts have.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::set::universe;
use super::shape::{MOST_TOKENS, Shape};
use super::{Selection, Template, Tokenizer};
use crate::{Error, Result};

/// The shapes that a template's prompts have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shapes {
    /// How many prompts of every shape there are among those that were looked at.
    pub counts: BTreeMap<Shape, usize>,
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
        .filter_map(|(operands, result)| Some((operands, result?)))
        .collect();
    let of = prompts.len();
    if of > MOST_LOOKED_AT {
        prompts.shuffle(&mut ChaCha8Rng::seed_from_u64(selection.seed));
        prompts.truncate(MOST_LOOKED_AT);
    }
    let mut counts = BTreeMap::new();
    for (operands, result) in &prompts {
        if let Some(shape) = shape_of(template, tokenizer, operands, *result).map_err(fail)? {
            *counts.entry(shape).or_insert(0) += 1;
        }
    }
    Ok(Shapes {
        counts,
        looked_at: prompts.len(),
        of,
    })
}

/// The shape of one prompt.
fn shape_of(
    template: &Template,
    tokenizer: &Tokenizer,
    operands: &[i64],
    result: i64,
) -> Result<Option<Shape>, String> {
    let rendered = template.render(operands);
    let text = format!("{}{result}", rendered.text);
    let tokens = tokenizer.encode(&text)?;
    let tokens = || tokens.iter().filter(|token| !tokenizer.is_space(token.id));
    let inside = |place: &std::ops::Range<usize>| {
        let touching =
            tokens().filter(|token| token.bytes.start < place.end && place.start < token.bytes.end);
        touching.count()
    };
    let mut counts = vec![0; operands.len()];
    for (index, place) in &rendered.places {
        counts[*index] = inside(place);
    }
    let answer = match tokenizer.numeral(result).is_empty() {
        false => 1,
        true => inside(&(rendered.text.len()..text.len())),
    };
    let askable = |count: &usize| (1..=MOST_TOKENS).contains(count);
    let fits = counts.iter().all(askable) && askable(&answer);
    Ok(fits.then_some(Shape {
        operands: counts,
        answer,
    }))
}
