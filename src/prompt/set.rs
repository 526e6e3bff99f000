//! Sets of prompts: every combination of operands in a range, tokenized, with the same roles at the same positions.

use std::ops::RangeInclusive;

use ndarray::Array2;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Template, Tokenizer};
use crate::{Error, Result};

/// Which prompts of a template are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The values of every operand.
    pub operands: RangeInclusive<i64>,
    /// The values that the result may have.
    pub results: RangeInclusive<i64>,
    /// Contexts a token, on average. Two operands are enumerated in full, which are all the contexts that there are; of
    /// three or more, `contexts` times the number of values of an operand are drawn without replacement.
    pub contexts: usize,
    /// The seed of that draw.
    pub seed: u64,
}

/// What stands at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The beginning-of-sequence token.
    Bos,
    /// The operand of that index.
    Operand(usize),
    /// Text of the template.
    Text,
    /// The last token, where the answer is read.
    Last,
}

/// One prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The text, without the beginning-of-sequence token.
    pub text: String,
    /// The operands.
    pub operands: Vec<i64>,
    /// The right answer.
    pub result: i64,
    /// The tokens that are the right answer.
    pub answers: Vec<u32>,
    /// The tokens, the beginning-of-sequence token included, `[pos]`.
    pub ids: Vec<u32>,
}

/// Prompts that were left out, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excluded {
    /// An operand is not one token in this model's tokenizer.
    pub operand: usize,
    /// The answer is not one token.
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
    /// The prompts, in the order of their operands.
    pub prompts: Vec<Prompt>,
    /// The role of every position, `[pos]`.
    pub roles: Vec<Role>,
    /// What was left out.
    pub excluded: Excluded,
}

/// Above this many combinations the operands are not enumerated.
const MOST_COMBINATIONS: u128 = 5_000_000;

impl PromptSet {
    /// Makes the prompts of a template.
    ///
    /// # Errors
    /// Too many combinations to enumerate; no prompt left; prompts of different lengths or roles.
    pub fn build(
        template: &Template,
        tokenizer: &Tokenizer,
        bos: Option<u32>,
        selection: &Selection,
    ) -> Result<Self> {
        let mut universe = universe(template, selection)?;
        let values = selection.operands.clone().count();
        let limit = match template.operation.operands() {
            0..=2 => universe.len(),
            _ => selection.contexts.saturating_mul(values),
        };
        if limit < universe.len() {
            universe.shuffle(&mut ChaCha8Rng::seed_from_u64(selection.seed));
        }
        let none = |reason: String| Error::NoPrompts {
            style: template.style.clone(),
            operation: template.operation.to_string(),
            reason,
        };
        if universe.is_empty() {
            return Err(none(format!(
                "no operands in {}..={} give a result in {}..={}; widen --operands or --results",
                selection.operands.start(),
                selection.operands.end(),
                selection.results.start(),
                selection.results.end()
            )));
        }

        let mut excluded = Excluded::default();
        let mut accepted: Vec<(Prompt, Vec<Role>)> = Vec::new();
        for (operands, result) in universe {
            if accepted.len() == limit {
                break;
            }
            let answers = tokenizer.numeral(result).to_vec();
            if answers.is_empty() {
                excluded.answer += 1;
                continue;
            }
            match tokenize(template, tokenizer, bos, &operands).map_err(none)? {
                None => excluded.operand += 1,
                Some((text, ids, roles)) => {
                    let prompt = Prompt {
                        text,
                        operands,
                        result,
                        answers,
                        ids,
                    };
                    accepted.push((prompt, roles));
                }
            }
        }
        if accepted.is_empty() {
            return Err(none(format!(
                "in this model's tokenizer an operand ({} prompts) or the answer ({}) is never one token; try another \
                 range with --operands and --results",
                excluded.operand, excluded.answer
            )));
        }
        // The draw decides which prompts, not their order.
        accepted.sort_by(|(a, _), (b, _)| a.operands.cmp(&b.operands));
        let roles = accepted[0].1.clone();
        if let Some(Role::Operand(_)) = roles.first() {
            return Err(none(
                "position 0, which is never replaced and which every token sees, would be an operand; put a token before \
                 every prompt with --bos"
                    .to_owned(),
            ));
        }
        let first = accepted[0].0.clone();
        for (prompt, found) in &accepted {
            let same =
                |t: usize| matches!(roles[t], Role::Operand(_)) || prompt.ids[t] == first.ids[t];
            if *found == roles && !(0..roles.len()).all(same) {
                return Err(Error::PromptTokens {
                    style: template.style.clone(),
                    operation: template.operation.to_string(),
                    reference: first.text,
                    prompt: prompt.text.clone(),
                });
            }
            if *found != roles {
                return Err(Error::PromptLength {
                    style: template.style.clone(),
                    operation: template.operation.to_string(),
                    reference: first.text,
                    expected: roles.len(),
                    prompt: prompt.text.clone(),
                    found: found.len(),
                });
            }
        }
        Ok(Self {
            template: template.clone(),
            prompts: accepted.into_iter().map(|(prompt, _)| prompt).collect(),
            roles,
            excluded,
        })
    }

    /// The number of prompts.
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

    /// Some of the prompts, in that order.
    pub fn subset(&self, prompts: &[usize]) -> Self {
        Self {
            template: self.template.clone(),
            prompts: prompts.iter().map(|&p| self.prompts[p].clone()).collect(),
            roles: self.roles.clone(),
            excluded: self.excluded,
        }
    }

    /// The tokens of some of the prompts, `[batch, pos] i64`.
    pub fn ids(&self, prompts: &[usize]) -> Array2<i64> {
        Array2::from_shape_fn((prompts.len(), self.positions()), |(b, t)| {
            i64::from(self.prompts[prompts[b]].ids[t])
        })
    }
}

/// All operands whose result is in range, with the result, in ascending order.
fn universe(template: &Template, selection: &Selection) -> Result<Vec<(Vec<i64>, i64)>> {
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
        if let Some(result) = template.operation.evaluate(&operands)
            && selection.results.contains(&result)
        {
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

type Tokenized = Option<(String, Vec<u32>, Vec<Role>)>;

/// The tokens of one prompt with their roles; `None` where an operand is not one token.
fn tokenize(
    template: &Template,
    tokenizer: &Tokenizer,
    bos: Option<u32>,
    operands: &[i64],
) -> Result<Tokenized, String> {
    let rendered = template.render(operands);
    let tokens = tokenizer.encode(&rendered.text)?;
    let mut ids: Vec<u32> = bos.into_iter().collect();
    let mut roles = vec![Role::Bos; ids.len()];
    ids.extend(tokens.iter().map(|token| token.id));
    roles.extend(tokens.iter().map(|_| Role::Text));
    let start = ids.len() - tokens.len();
    for (index, place) in rendered.places {
        let mut touching = tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| token.bytes.start < place.end && place.start < token.bytes.end)
            // The space that SentencePiece puts before a text stands for the text's first byte, too.
            .filter(|(_, token)| !tokenizer.is_space(token.id));
        // One token may hold the operand and white space around it, nothing else.
        match (touching.next(), touching.next()) {
            (Some((at, token)), None)
                if token.bytes.start <= place.start
                    && place.end <= token.bytes.end
                    && tokenizer.numeral(operands[index]).contains(&token.id) =>
            {
                roles[start + at] = Role::Operand(index);
            }
            _ => return Ok(None),
        }
    }
    match roles.last_mut() {
        Some(role @ Role::Text) => *role = Role::Last,
        // The operand swallowed the text behind it: its token would be the last one.
        _ => return Ok(None),
    }
    Ok(Some((rendered.text, ids, roles)))
}
