//! Which shapes a template's prompts have.

use std::collections::BTreeMap;

use super::set::universe;
use super::shape::{MOST_TOKENS, Shape};
use super::{Selection, Template, Tokenizer};
use crate::{Error, Result};

/// How many prompts of every shape there are whose result is in range, by shape. Prompts whose operands or answer share a token with the
/// text around them are of none.
///
/// # Errors
/// Too many combinations to enumerate; the tokenizer's own reason.
pub fn shapes(
    template: &Template,
    tokenizer: &Tokenizer,
    selection: &Selection,
) -> Result<BTreeMap<Shape, usize>> {
    let fail = |reason: String| Error::NoPrompts {
        style: template.style.clone(),
        operation: template.operation.to_string(),
        reason,
    };
    let mut found = BTreeMap::new();
    for (operands, result) in universe(template, selection)? {
        let Some(result) = result else { continue };
        let rendered = template.render(&operands);
        let text = format!("{}{result}", rendered.text);
        let tokens = tokenizer.encode(&text).map_err(fail)?;
        let tokens = || tokens.iter().filter(|token| !tokenizer.is_space(token.id));
        let inside = |place: &std::ops::Range<usize>| {
            let touching = tokens()
                .filter(|token| token.bytes.start < place.end && place.start < token.bytes.end);
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
        if counts.iter().all(askable) && askable(&answer) {
            let shape = Shape {
                operands: counts,
                answer,
            };
            *found.entry(shape).or_insert(0) += 1;
        }
    }
    Ok(found)
}
