//! The tokens of one prompt with their roles, and those of its answer.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::role::Role;
use super::shape::{Key, KeyedBy, MOST_TOKENS, Numbers, Step};
use super::{Frame, Template, Token, Tokenizer, Written};

/// A prompt's tokens.
pub(super) struct Tokens {
    /// The text, without a token before it.
    pub text: String,
    /// The ids of the tokens, `[pos]`, with the token before the text.
    pub ids: Vec<u32>,
    /// The roles of the tokens, `[pos]`.
    pub roles: Vec<Role>,
    /// The keys of the tokens, `[pos]`.
    pub keys: Vec<Key>,
}

/// The tokens of one prompt with their roles; `None` where an operand has not the tokens of the shape.
///
/// # Errors
/// The tokenizer's own reason; a token that no key can be made of.
pub(super) fn tokenize(
    template: &Template,
    tokenizer: &Tokenizer,
    bos: Option<u32>,
    operands: &[i64],
    numbers: &Numbers,
) -> Result<Option<Tokens>, String> {
    let rendered = template.render(operands);
    let tokens = tokenizer.encode(&rendered.text)?;
    // A chat template writes itself what stands in front.
    let written = template.frame == Frame::Chat;
    let mut ids: Vec<u32> = bos.filter(|_| !written).into_iter().collect();
    let mut roles = vec![Role::Bos; ids.len()];
    ids.extend(tokens.iter().map(|token| token.id));
    roles.extend(tokens.iter().map(|_| Role::Text));
    if written && bos.is_some() && ids.first().copied() == bos {
        roles[0] = Role::Bos;
    }
    let mut keys = ids
        .iter()
        .map(|id| key(&[*id]))
        .collect::<Result<Vec<_>, _>>()?;
    let start = ids.len() - tokens.len();
    for (index, place) in rendered.places {
        let count = numbers.shape.operands[index];
        let found = place_of(&tokens, tokenizer, &rendered.text, &place);
        let Some(found) = found.filter(|found| found.len() == count) else {
            return Ok(None);
        };
        let span = start + found.start..start + found.end;
        for at in span.clone() {
            roles[at] = Role::Operand(index);
            if numbers.keyed_by == KeyedBy::Span {
                keys[at] = key(&ids[span.start..=at])?;
            }
        }
    }
    match roles.last_mut() {
        Some(role @ Role::Text) => *role = Role::Last,
        // The operand swallowed the text behind it: its token would be the last one.
        _ => return Ok(None),
    }
    Ok(Some(Tokens {
        text: rendered.text,
        ids,
        roles,
        keys,
    }))
}

/// Which of a text's tokens are the operand that stands at `place`; `None` where one of them holds something else, too, or does not read
/// as it although it is the only one.
pub(super) fn place_of(
    tokens: &[Token],
    tokenizer: &Tokenizer,
    text: &str,
    place: &Range<usize>,
) -> Option<Range<usize>> {
    let touches = |token: &Token| {
        token.bytes.start < place.end && place.start < token.bytes.end
            // The space that SentencePiece puts before a text stands for the text's first byte, too.
            && !tokenizer.is_space(token.id)
    };
    let touching = || (0..tokens.len()).filter(|&at| touches(&tokens[at]));
    let (first, last) = (touching().next()?, touching().next_back()?);
    let (begin, end) = (&tokens[first], &tokens[last]);
    // The tokens may hold white space around the operand, nothing else.
    let operand = text.get(place.clone())?;
    let around = text.get(begin.bytes.start..end.bytes.end)?;
    let holds =
        begin.bytes.start <= place.start && place.end <= end.bytes.end && around.trim() == operand;
    let is_one = touching().count() == 1;
    let is_read = !is_one || tokenizer.decode(begin.id).trim() == operand;
    let is_whole = touching().count() == last + 1 - first;
    (holds && is_read && is_whole).then_some(first..last + 1)
}

/// How a tokenizer takes an answer that stands right behind a prompt.
pub(super) enum Behind {
    /// The tokens of the answer, each with those that read the same.
    Apart(Vec<Vec<u32>>),
    /// The beginning of the answer and the end of the prompt are other tokens than the prompt has alone; these read as the whole answer.
    Merged(Vec<u32>),
}

/// The tokens of an answer as those of the whole text have them.
///
/// # Errors
/// The tokenizer's own reason.
pub(super) fn behind(
    tokenizer: &Tokenizer,
    written: &Written,
    prompt: &str,
    result: i64,
) -> Result<Behind, String> {
    let space = written.space_behind(prompt);
    let whole = tokenizer.encode(&format!("{prompt}{space}{}", written.text(result)))?;
    let begins = tokenizer.encode(prompt)?;
    let apart = whole.len() > begins.len()
        && whole.iter().zip(&begins).all(|(a, b)| a.id == b.id)
        && whole[begins.len()].bytes.start >= prompt.len();
    if !apart {
        return Ok(Behind::Merged(written.single(tokenizer, result)?));
    }
    let of = |token: &Token| vec![token.id];
    let mut tokens: Vec<Vec<u32>> = whole[begins.len()..].iter().map(of).collect();
    // A word that is one token is as right without the space before it.
    if let ([first], Written::Word(_)) = (&mut tokens[..], written) {
        let same = written.single(tokenizer, result)?;
        first.extend(same.into_iter().filter(|id| *id != whole[begins.len()].id));
    }
    Ok(Behind::Apart(tokens))
}

/// A prompt and its right answer, which begins in one token with the end of the prompt: where the prompt ends with a space and the answer
/// is negative, many tokenizers take the space and the sign together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The text of the prompt.
    pub prompt: String,
    /// The right answer.
    pub answer: String,
}

impl Merged {
    /// A prompt and its answer, if they are that.
    pub(super) fn of(
        tokenizer: &Tokenizer,
        written: &Written,
        prompt: String,
        answer: i64,
    ) -> Result<Option<Self>, String> {
        Ok(match behind(tokenizer, written, &prompt, answer)? {
            Behind::Merged(_) => Some(Self {
                answer: written.text(answer),
                prompt,
            }),
            Behind::Apart(_) => None,
        })
    }
}

/// What is to be said of it, and what to do.
impl fmt::Display for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this model's tokenizer takes the end of {:?} and the beginning of its answer {} together as one token; a template that ends \
             with a letter or a line feed keeps them apart",
            self.prompt, self.answer
        )
    }
}

impl Tokens {
    /// Puts the first tokens of the answer behind the text: the next one is read at the last of them.
    ///
    /// # Errors
    /// A token that no key can be made of.
    pub fn give(&mut self, answer: &[Vec<u32>], keyed_by: KeyedBy) -> Result<(), String> {
        let begin = self.ids.len();
        for tokens in answer {
            if let Some(last @ Role::Last) = self.roles.last_mut() {
                *last = if self.ids.len() == begin {
                    Role::Text
                } else {
                    Role::Answer
                };
            }
            self.ids.push(tokens[0]);
            self.roles.push(Role::Last);
            let from = match keyed_by {
                KeyedBy::Span => begin,
                KeyedBy::Token => self.ids.len() - 1,
            };
            self.keys.push(key(&self.ids[from..])?);
        }
        Ok(())
    }
}

fn key(tokens: &[u32]) -> Result<Key, String> {
    Key::of(tokens).ok_or_else(|| {
        format!("numbers of up to {MOST_TOKENS} tokens with ids below 2097151 can be asked, found {tokens:?}")
    })
}

/// The answers of a template's prompts.
pub(super) struct Answers<'a> {
    template: &'a Template,
    tokenizer: &'a Tokenizer,
    numbers: &'a Numbers,
    /// What ends an answer: the tokens that do not go on with it.
    ends: Arc<[u32]>,
}

impl<'a> Answers<'a> {
    /// The answers of a template whose numbers have so many tokens.
    pub fn new(template: &'a Template, tokenizer: &'a Tokenizer, numbers: &'a Numbers) -> Self {
        let ends = match numbers.step {
            Step::Stop => (0..tokenizer.len() as u32)
                .filter(|&id| !template.answer.goes_on(tokenizer, id))
                .collect(),
            Step::At(_) | Step::Whole => Vec::new(),
        };
        Self {
            template,
            tokenizer,
            numbers,
            ends: ends.into(),
        }
    }

    /// The right answer, token by token, each with those that read the same; empty where there is none, or where it begins in one token
    /// with the end of the prompt.
    ///
    /// # Errors
    /// The tokenizer's own reason.
    pub fn of(&self, operands: &[i64], result: Option<i64>) -> Result<Vec<Vec<u32>>, String> {
        let Some(result) = result else {
            return Ok(Vec::new());
        };
        let written = &self.template.answer;
        if self.numbers.given() == 0 && *written == Written::Numeral {
            let numeral = self.tokenizer.numeral(result);
            if !numeral.is_empty() {
                return Ok(vec![numeral.to_vec()]);
            }
            // How many tokens it has is of no use where one is asked for.
            if self.numbers.shape.answer == 1 {
                return Ok(Vec::new());
            }
        }
        let prompt = self.template.render(operands).text;
        Ok(match behind(self.tokenizer, written, &prompt, result)? {
            Behind::Apart(tokens) => tokens,
            Behind::Merged(single) if self.numbers.given() == 0 && !single.is_empty() => {
                vec![single]
            }
            Behind::Merged(_) => Vec::new(),
        })
    }

    /// What is right at the step that is asked, of an answer that has the tokens of the shape; nothing of one that has not.
    pub fn right(&self, answer: &[Vec<u32>], fits: bool) -> Arc<[u32]> {
        match self.numbers.step {
            _ if !fits => Arc::from([]),
            Step::At(step) => answer
                .get(step)
                .map_or(Arc::from([]), |tokens| tokens.as_slice().into()),
            Step::Stop | Step::Whole => self.ends.clone(),
        }
    }
}
