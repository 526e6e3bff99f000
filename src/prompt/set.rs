//! Sets of prompts: every combination of operands in a range, tokenized, with the same roles at the same positions.

use std::collections::HashSet;
use std::sync::Arc;

use ndarray::Array2;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::role::Role;
use super::shape::{Key, KeyedBy, Numbers};
use super::tokens::{Answers, Merged, tokenize};
use super::universe::{Combination, universe};
use super::{ContextsFrom, Frame, Selection, Template, Tokenizer};
use crate::{Error, Result};

/// One prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The text, without a token before it.
    pub text: String,
    /// The operands.
    pub operands: Vec<i64>,
    /// The right answer, where it lies in the range of results.
    pub result: Option<i64>,
    /// The tokens that are right at this step; none of a prompt that is a context only.
    pub answers: Arc<[u32]>,
    /// The tokens, with the one before the text, `[pos]`.
    pub ids: Vec<u32>,
    /// What the mean of every position is conditioned on, `[pos]`.
    pub keys: Vec<Key>,
}

impl Prompt {
    /// Whether it can be asked: its answer is in range and one token. Others are contexts only.
    pub fn asked(&self) -> bool {
        !self.answers.is_empty()
    }
}

/// Prompts whose result is in range that are not asked, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excluded {
    /// An operand has not the tokens of the shape in this model's tokenizer: one, where no other shape is asked for.
    pub operand: usize,
    /// The answer has not.
    pub answer: usize,
}

impl Excluded {
    /// All of them.
    pub fn total(&self) -> usize {
        self.operand + self.answer
    }
}

/// The prompts of one template, all of one length.
#[derive(Clone, Debug)]
pub struct PromptSet {
    /// The template.
    pub template: Template,
    /// How many tokens the numbers have, and where in the answer the prompts are asked.
    pub numbers: Numbers,
    /// The prompts, in the order of their operands: those that are asked and those that are contexts only.
    pub prompts: Vec<Prompt>,
    /// The role of every position, `[pos]`.
    pub roles: Vec<Role>,
    /// What is not asked although its result is in range.
    pub excluded: Excluded,
    /// Whether the prompts were drawn from a larger number.
    pub drawn: bool,
}

impl PromptSet {
    /// Makes the prompts of a template in which every number is one token.
    ///
    /// # Errors
    /// As [`Self::of_numbers`].
    pub fn build(
        template: &Template,
        tokenizer: &Tokenizer,
        bos: Option<u32>,
        selection: &Selection,
    ) -> Result<Self> {
        let numbers = Numbers::single(template.operation.operands());
        Self::of_numbers(template, tokenizer, bos, selection, &numbers)
    }

    /// Makes the prompts of a template whose numbers have so many tokens.
    ///
    /// # Errors
    /// Too many combinations to enumerate; no prompt that can be asked; prompts of different lengths or roles; a template that wants a
    /// chat template around it and has none.
    pub fn of_numbers(
        template: &Template,
        tokenizer: &Tokenizer,
        bos: Option<u32>,
        selection: &Selection,
        numbers: &Numbers,
    ) -> Result<Self> {
        let universe = asked_universe(template, selection)?;
        let none = |reason: String| none(template, reason);
        let Drawn {
            universe,
            limit,
            drawn,
        } = Drawn::of(universe, template, selection);
        let only_answerable = selection.contexts_from == ContextsFrom::Answerable;
        let of_answers = Answers::new(template, tokenizer, numbers);
        let mut excluded = Excluded::default();
        let mut accepted: Vec<(Prompt, Vec<Role>)> = Vec::new();
        let mut unanswered: Option<(String, i64)> = None;
        for Combination {
            operands,
            result,
            asked,
        } in universe
        {
            if accepted.len() == limit {
                break;
            }
            let answer = of_answers.of(&operands, result).map_err(none)?;
            let fits = answer.len() == numbers.shape.answer;
            if !fits {
                excluded.answer += usize::from(asked);
                let result = result.filter(|_| asked);
                if let (Some(result), true, None) = (result, answer.is_empty(), &unanswered) {
                    unanswered = Some((template.render(&operands).text, result));
                }
                // Without an answer there is nothing to give a part of.
                if only_answerable || answer.len() < numbers.given() {
                    continue;
                }
            }
            match tokenize(template, tokenizer, bos, &operands, numbers).map_err(none)? {
                None => excluded.operand += usize::from(fits && asked),
                Some(mut tokens) => {
                    tokens
                        .give(&answer[..numbers.given()], numbers.keyed_by)
                        .map_err(none)?;
                    let prompt = Prompt {
                        text: tokens.text,
                        operands,
                        result,
                        answers: of_answers.right(&answer, fits && asked),
                        ids: tokens.ids,
                        keys: tokens.keys,
                    };
                    accepted.push((prompt, tokens.roles));
                }
            }
        }
        if !accepted.iter().any(|(prompt, _)| prompt.asked()) {
            let why = unanswered.filter(|_| numbers.shape.answer > 1);
            let why = why.map_or(Ok(None), |(prompt, answer)| {
                Merged::of(tokenizer, &template.answer, prompt, answer)
            });
            let why = why.map_err(none)?;
            return Err(none(never_asked(numbers, template, excluded, why)));
        }
        // The draw decides which prompts, not their order.
        accepted.sort_by(|(a, _), (b, _)| a.operands.cmp(&b.operands));
        let roles = same_roles(template, &accepted, numbers.given())?;
        Ok(Self {
            template: template.clone(),
            numbers: numbers.clone(),
            prompts: accepted.into_iter().map(|(prompt, _)| prompt).collect(),
            roles,
            excluded,
            drawn,
        })
    }

    /// The template and what its prompts ask, in words: `calculate A+B`, and where a number has several tokens `2+2=2 step 0` behind it.
    pub fn name(&self) -> String {
        let Template {
            style, operation, ..
        } = &self.template;
        let question = (self.numbers.shape).question(&operation.to_string(), self.numbers.step);
        format!("{style} {question}")
    }

    /// Asks only the prompts with these operands; the others are contexts from here on.
    pub fn ask_only(&mut self, operands: &HashSet<Vec<i64>>) {
        for prompt in &mut self.prompts {
            if !operands.contains(&prompt.operands) {
                prompt.answers = Arc::from([]);
            }
        }
    }

    /// The indices of the prompts that are asked, in ascending order.
    pub fn asked(&self) -> Vec<usize> {
        (0..self.len())
            .filter(|&prompt| self.prompts[prompt].asked())
            .collect()
    }

    /// The number of prompts, contexts included.
    pub fn len(&self) -> usize {
        self.prompts.len()
    }

    /// Whether there are no prompts; never for a set that was built.
    pub fn is_empty(&self) -> bool {
        self.prompts.is_empty()
    }

    /// The number of positions, the beginning-of-sequence token included.
    pub fn positions(&self) -> usize {
        self.roles.len()
    }

    /// The number of tokens that all prompts begin with, the last one never among them.
    pub fn shared(&self) -> usize {
        let Some((first, others)) = self.prompts.split_first() else {
            return 0;
        };
        let same = |t: &usize| others.iter().all(|other| other.ids[*t] == first.ids[*t]);
        (0..self.positions().saturating_sub(1))
            .take_while(same)
            .count()
    }

    /// The same prompts with means that are conditioned otherwise.
    #[must_use]
    pub fn keyed(&self, keyed_by: KeyedBy) -> Self {
        let mut set = self.clone();
        set.numbers.keyed_by = keyed_by;
        let begins = match keyed_by {
            KeyedBy::Span => self.begins(),
            KeyedBy::Token => (0..self.positions()).collect(),
        };
        for prompt in &mut set.prompts {
            let key = |(t, &begin): (usize, &usize)| Key::of(&prompt.ids[begin..=t]);
            let keys: Option<Vec<Key>> = begins.iter().enumerate().map(key).collect();
            prompt.keys = keys.expect("tokens that have keys have one together, too, in a number");
        }
        set
    }

    /// Where the number begins that stands at each position; the position itself where none does.
    fn begins(&self) -> Vec<usize> {
        let given = self.positions() - self.numbers.given();
        let mut begins: Vec<usize> = (0..self.positions()).collect();
        let mut t = 0;
        while t < given {
            let tokens = match self.roles[t] {
                Role::Operand(operand) => self.numbers.shape.operands[operand],
                _ => 1,
            };
            begins[t..t + tokens].fill(t);
            t += tokens;
        }
        begins[given..].fill(given);
        begins
    }

    /// Some of the prompts, in that order.
    pub fn subset(&self, prompts: &[usize]) -> Self {
        Self {
            template: self.template.clone(),
            numbers: self.numbers.clone(),
            prompts: prompts.iter().map(|&p| self.prompts[p].clone()).collect(),
            roles: self.roles.clone(),
            excluded: self.excluded,
            drawn: self.drawn,
        }
    }

    /// The tokens of some of the prompts, `[batch, pos] i64`.
    pub fn ids(&self, prompts: &[usize]) -> Array2<i64> {
        Array2::from_shape_fn((prompts.len(), self.positions()), |(b, t)| {
            i64::from(self.prompts[prompts[b]].ids[t])
        })
    }
}

/// The combinations of operands in the order in which they are taken, until there are so many prompts.
struct Drawn {
    universe: Vec<Combination>,
    limit: usize,
    /// Whether there are more.
    drawn: bool,
}

impl Drawn {
    /// Two operands are enumerated, of three some are drawn; the prompts of a list are always among them.
    fn of(mut universe: Vec<Combination>, template: &Template, selection: &Selection) -> Self {
        let wanted = selection.contexts.saturating_mul(selection.values());
        let listed = selection.listed.as_ref().map_or(0, |of| of.operands.len());
        let limit = match template.operation.operands() {
            0..=2 => universe.len(),
            _ => wanted.max(listed),
        };
        let drawn = limit < universe.len();
        if drawn {
            universe.shuffle(&mut ChaCha8Rng::seed_from_u64(selection.seed));
        }
        if drawn && listed > 0 {
            universe.sort_by_key(|of| !of.asked);
        }
        Self {
            universe,
            limit,
            drawn,
        }
    }
}

/// The error of a template of which there are no prompts.
fn none(template: &Template, reason: String) -> Error {
    Error::NoPrompts {
        style: template.style.clone(),
        operation: template.operation.to_string(),
        reason,
    }
}

/// The combinations of operands of a template that can be asked.
///
/// # Errors
/// A template that is to stand in a chat, and does not yet; no result in range; too many combinations to enumerate.
fn asked_universe(template: &Template, selection: &Selection) -> Result<Vec<Combination>> {
    if let Frame::Wanted { .. } = template.frame {
        return Err(Error::Chat {
            style: template.style.clone(),
            reason: "no chat template was put around it; call Chat::frame on the template before its prompts are made"
                .to_owned(),
        });
    }
    let universe = universe(template, selection)?;
    if universe.iter().all(|of| !of.asked) {
        return Err(none(
            template,
            format!(
                "no operands in {}..={} give a result in {}..={}; widen --operands or --results",
                selection.operands.start(),
                selection.operands.end(),
                selection.results.start(),
                selection.results.end()
            ),
        ));
    }
    Ok(universe)
}

/// Why no prompt of a shape can be asked.
fn never_asked(
    numbers: &Numbers,
    template: &Template,
    excluded: Excluded,
    merged: Option<Merged>,
) -> String {
    let tokens = match numbers.shape.is_single() {
        true => "one token".to_owned(),
        false => format!(
            "of the shape {}",
            numbers.shape.words(&template.operation.to_string())
        ),
    };
    format!(
        "in this model's tokenizer an operand ({} prompts) or the answer ({}) is never {tokens}; try another range with --operands \
         and --results, or another --shape{}",
        excluded.operand,
        excluded.answer,
        merged.map_or(String::new(), |merged| format!("; {merged}"))
    )
}

/// The roles that all prompts have.
///
/// # Errors
/// Prompts with other roles, or with other text; an operand at position 0.
fn same_roles(
    template: &Template,
    prompts: &[(Prompt, Vec<Role>)],
    given: usize,
) -> Result<Vec<Role>> {
    let (first, roles) = &prompts[0];
    if let Some(Role::Operand(_)) = roles.first() {
        return Err(Error::NoPrompts {
            style: template.style.clone(),
            operation: template.operation.to_string(),
            reason: "position 0, which is never replaced and which every token sees, would be an operand, because this model's \
                     tokenizer puts no token before a text; take a style with a text before the first operand, such as calculate, or \
                     choose a token with --bos if the model was trained with one"
                .to_owned(),
        });
    }
    // Behind the text stands what is given of the answer.
    let text = roles.len() - given;
    for (prompt, found) in prompts {
        let is_number = |t: usize| matches!(roles[t], Role::Operand(_)) || t >= text;
        let same = |t: usize| is_number(t) || prompt.ids[t] == first.ids[t];
        if found == roles && !(0..roles.len()).all(same) {
            return Err(Error::PromptTokens {
                style: template.style.clone(),
                operation: template.operation.to_string(),
                reference: first.text.clone(),
                prompt: prompt.text.clone(),
            });
        }
        if found != roles {
            return Err(Error::PromptLength {
                style: template.style.clone(),
                operation: template.operation.to_string(),
                reference: first.text.clone(),
                expected: roles.len(),
                prompt: prompt.text.clone(),
                found: found.len(),
            });
        }
    }
    Ok(roles.clone())
}
