//! Sets of prompts: every combination of operands in a range, tokenized, with the same roles at the same positions.

use std::ops::RangeInclusive;
use std::sync::Arc;

use ndarray::Array2;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::shape::{Key, KeyedBy, Shape, Step};
use super::tokens::{Answers, Merged, tokenize};
use super::{Frame, Template, Tokenizer};
use crate::{Error, Result};

/// Which prompts of a template are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The values of every operand.
    pub operands: RangeInclusive<i64>,
    /// The values that the result of a prompt that is asked may have.
    pub results: RangeInclusive<i64>,
    /// Contexts a token, on average. Two operands are enumerated in full, which are all the contexts that there are; of
    /// three or more, `contexts` times the number of values of an operand are drawn without replacement.
    pub contexts: usize,
    /// Which prompts are contexts.
    pub contexts_from: ContextsFrom,
    /// The seed of that draw.
    pub seed: u64,
}

/// Which prompts the means of a template may be taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContextsFrom {
    /// All operands in range, whatever the result is: a context needs no answer, and one operand says nothing of another.
    #[default]
    All,
    /// Only the prompts that can be asked. The range of results then cuts the operands, so that one operand says something
    /// of another, and the mean at its token, too.
    Answerable,
}

impl ContextsFrom {
    /// Both.
    pub const ALL: [Self; 2] = [Self::All, Self::Answerable];

    /// Its name, on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Answerable => "answerable",
        }
    }
}

/// What stands at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The token that the model's tokenizer puts before a text.
    Bos,
    /// The operand of that index.
    Operand(usize),
    /// Text of the template.
    Text,
    /// A token of the right answer that stands before the place where the next one is read.
    Answer,
    /// The last token, where the answer is read.
    Last,
}

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

/// Which of a template's prompts are one set: how many tokens their numbers have, and where in the answer they are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// How many tokens each operand and the answer have.
    pub shape: Shape,
    /// Where in the answer the next token is read.
    pub step: Step,
    /// What means are conditioned on.
    pub keyed_by: KeyedBy,
}

impl Numbers {
    /// Every number is one token.
    pub fn single(operands: usize) -> Self {
        Self {
            shape: Shape::single(operands),
            step: Step::At(0),
            keyed_by: KeyedBy::Span,
        }
    }

    /// The number of tokens of the answer that stand in the prompt.
    pub fn given(&self) -> usize {
        match self.step {
            Step::At(step) => step,
            Step::Stop | Step::Whole => self.shape.answer,
        }
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

/// Above this many combinations the operands are not enumerated.
const MOST_COMBINATIONS: u128 = 5_000_000;

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
        let mut universe = asked_universe(template, selection)?;
        let none = |reason: String| none(template, reason);
        let values = selection.operands.clone().count();
        let limit = match template.operation.operands() {
            0..=2 => universe.len(),
            _ => selection.contexts.saturating_mul(values),
        };
        let drawn = limit < universe.len();
        if drawn {
            universe.shuffle(&mut ChaCha8Rng::seed_from_u64(selection.seed));
        }
        let only_answerable = selection.contexts_from == ContextsFrom::Answerable;
        let of_answers = Answers::new(template, tokenizer, numbers);
        let mut excluded = Excluded::default();
        let mut accepted: Vec<(Prompt, Vec<Role>)> = Vec::new();
        let mut unanswered: Option<(String, i64)> = None;
        for (operands, result) in universe {
            if accepted.len() == limit {
                break;
            }
            let answer = of_answers.of(&operands, result).map_err(none)?;
            let fits = answer.len() == numbers.shape.answer;
            if !fits {
                excluded.answer += usize::from(result.is_some());
                if let (Some(result), true, None) = (result, answer.is_empty(), &unanswered) {
                    unanswered = Some((template.render(&operands).text, result));
                }
                // Without an answer there is nothing to give a part of.
                if only_answerable || answer.len() < numbers.given() {
                    continue;
                }
            }
            match tokenize(template, tokenizer, bos, &operands, numbers).map_err(none)? {
                None => excluded.operand += usize::from(fits),
                Some(mut tokens) => {
                    tokens
                        .give(&answer[..numbers.given()], numbers.keyed_by)
                        .map_err(none)?;
                    let prompt = Prompt {
                        text: tokens.text,
                        operands,
                        result,
                        answers: of_answers.right(&answer, fits),
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
                Merged::of(tokenizer, prompt, answer)
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
    if universe.iter().all(|(_, result)| result.is_none()) {
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

/// Operands with their result, where that is in range.
pub(super) type Combination = (Vec<i64>, Option<i64>);

/// All operands that may be asked or are contexts, in ascending order.
pub(super) fn universe(template: &Template, selection: &Selection) -> Result<Vec<Combination>> {
    let (first, last) = (*selection.operands.start(), *selection.operands.end());
    let values = u128::try_from(i128::from(last) - i128::from(first) + 1).unwrap_or(0);
    let count = template.operation.operands();
    let combinations = (0..count).try_fold(1u128, |all, _| all.checked_mul(values));
    if combinations.is_none_or(|all| all > MOST_COMBINATIONS) {
        return Err(Error::Usage(format!(
            "--operands {first}..={last} gives {values}^{count} combinations for {}, more than {MOST_COMBINATIONS}; \
             narrow the range",
            template.operation
        )));
    }
    let mut universe = Vec::new();
    let mut operands = vec![first; count];
    for _ in 0..combinations.unwrap_or(0) {
        let result = template.operation.evaluate(&operands);
        let result = result.filter(|result| selection.results.contains(result));
        if result.is_some() || selection.contexts_from == ContextsFrom::All {
            universe.push((operands.clone(), result));
        }
        for operand in operands.iter_mut().rev() {
            *operand += 1;
            if *operand <= last {
                break;
            }
            *operand = first;
        }
    }
    Ok(universe)
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
