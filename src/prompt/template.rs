//! Templates: how one operation is asked in one style.

use std::ops::Range;

use super::written::Tables;
use super::{Operation, Written};

/// How one operation is asked in one style. All prompts of a template have the same tokens in all but the operands'
/// places.
#[derive(Clone, Debug)]
pub struct Template {
    /// The style's name.
    pub style: String,
    /// The operation.
    pub operation: Operation,
    /// The text, the style's prefix included.
    pub pieces: Vec<Piece>,
    /// What stands around the text.
    pub frame: Frame,
    /// How every operand is written.
    pub operands: Vec<Written>,
    /// How the answer is written.
    pub answer: Written,
}

/// What stands around the text of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Nothing: it is asked as it is, behind the token that the tokenizer puts before a text.
    Plain,
    /// The model's chat template, which is still to be put there ([`super::Chat::frame`]).
    Wanted {
        /// How the answer begins, behind the assistant's header.
        prefill: String,
    },
    /// The model's chat template, whose words are in the pieces. Nothing stands before it that it does not write itself.
    Chat,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// The place of the operand of that index.
    Operand(usize),
}

/// The text of a prompt, with the places of the operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The index and the bytes in `text` of every place of an operand, in the order of the text.
    pub places: Vec<(usize, Range<usize>)>,
}

impl Template {
    /// A template of a style: how `text` asks for an operation behind the style's prefix.
    ///
    /// # Errors
    /// What is wrong with the text, in words.
    pub(super) fn of(
        style: &str,
        operation: Operation,
        prefix: &str,
        text: &str,
        frame: Frame,
        tables: &Tables,
    ) -> Result<Self, String> {
        let answer = operation.table().map(|table| tables.written(table));
        let answer = answer.transpose()?.unwrap_or_default();
        let mut operands: Vec<Option<Written>> = vec![None; operation.operands()];
        let mut pieces = Vec::new();
        if !prefix.is_empty() {
            pieces.push(Piece::Text(prefix.to_owned()));
        }
        for place in parse_places(text, &operation)? {
            pieces.push(place.piece.clone());
            let Piece::Operand(index) = place.piece else {
                continue;
            };
            let written = place.table.map(|table| tables.written(table)).transpose()?;
            let written = written.unwrap_or_default();
            let before = operands[index].replace(written.clone());
            if before.is_some_and(|before| before != written) {
                let letter = Operation::letter(index);
                return Err(format!(
                    "{text:?} writes operand {letter} in two ways; expected one"
                ));
            }
        }
        for index in 0..operation.operands() {
            if !pieces.contains(&Piece::Operand(index)) {
                let letter = Operation::letter(index);
                return Err(format!(
                    "{text:?} has no place {{{letter}}} for operand {letter}"
                ));
            }
        }
        // Behind the text of a chat stands what the chat template writes there.
        if let (Some(Piece::Operand(index)), Frame::Plain) = (pieces.last(), &frame) {
            let letter = Operation::letter(*index);
            return Err(format!(
                "{text:?} ends with {{{letter}}}: the last token must be the same in every prompt, because the answer is \
                 read there"
            ));
        }
        Ok(Self {
            style: style.to_owned(),
            operation,
            pieces,
            frame,
            operands: operands
                .into_iter()
                .map(Option::unwrap_or_default)
                .collect(),
            answer,
        })
    }

    /// The prompt for these operands.
    ///
    /// # Panics
    /// If `operands` has another length than the operation.
    pub fn render(&self, operands: &[i64]) -> Rendered {
        let mut text = String::new();
        let mut places = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Operand(index) => {
                    let start = text.len();
                    text.push_str(&self.operands[*index].text(operands[*index]));
                    places.push((*index, start..text.len()));
                }
            }
        }
        Rendered { text, places }
    }

    /// The operands of a text that is one of its prompts.
    ///
    /// # Errors
    /// Where it is not.
    pub fn read(&self, text: &str) -> Result<Vec<i64>, String> {
        let mut operands: Vec<Option<i64>> = vec![None; self.operation.operands()];
        let mut rest = text;
        let fail = |rest: &str, expected: String| {
            let column = 1 + text[..text.len() - rest.len()].chars().count();
            format!(
                "the text {text:?} does not fit {:?} of the style {}: at column {column}: expected {expected}",
                self.pattern(),
                self.style
            )
        };
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => {
                    let behind = rest.strip_prefix(plain.as_str());
                    rest = behind.ok_or_else(|| fail(rest, format!("{plain:?}")))?;
                }
                Piece::Operand(index) => {
                    let is_due = |value: i64| operands[*index].is_none_or(|known| known == value);
                    let found = self.operands[*index].begin(rest);
                    let found = found.filter(|(value, _)| is_due(*value));
                    let operand = self.operand(*index);
                    let (value, behind) =
                        found.ok_or_else(|| fail(rest, format!("the operand {operand}")))?;
                    operands[*index] = Some(value);
                    rest = behind;
                }
            }
        }
        match rest.is_empty() {
            true => Ok(operands
                .into_iter()
                .map(Option::unwrap_or_default)
                .collect()),
            false => Err(fail(rest, "the end".to_owned())),
        }
    }

    /// The text with its places, as a style file has it.
    fn pattern(&self) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(plain) => plain.replace('{', "{{").replace('}', "}}"),
            Piece::Operand(index) => format!("{{{}}}", self.operand(*index)),
        };
        self.pieces.iter().map(piece).collect()
    }

    /// An operand as its placeholder has it, `A` or `months[B]`.
    fn operand(&self, index: usize) -> String {
        let letter = Operation::letter(index);
        match self.operands[index].words() {
            None => letter.to_string(),
            Some(words) => format!("{}[{letter}]", words.name()),
        }
    }
}

/// A part of a text, with the name of the table of which an operand is a word.
struct Place<'a> {
    piece: Piece,
    table: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of_text(plain: String) -> Self {
        Self {
            piece: Piece::Text(plain),
            table: None,
        }
    }

    /// The place that is called so, `A` or `months[B]`; `None` where there is none.
    fn named(name: &'a str, operation: &Operation) -> Option<Self> {
        let (table, letter) = match name.strip_suffix(']') {
            None => (None, name),
            Some(inside) => {
                let (table, letter) = inside.split_once('[')?;
                (Some(table), letter)
            }
        };
        let mut operands = 0..operation.operands();
        let index = operands.find(|&i| letter == Operation::letter(i).to_string())?;
        Some(Self {
            piece: Piece::Operand(index),
            table,
        })
    }
}

/// Splits a text at `{A}`, `{months[B]}`, ...; `{{` and `}}` are braces.
fn parse_places<'a>(text: &'a str, operation: &Operation) -> Result<Vec<Place<'a>>, String> {
    let mut places = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        plain.push_str(&rest[..at]);
        let brace = &rest[at..at + 1];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            plain.push_str(brace);
            rest = after;
            continue;
        }
        let Some((name, after)) = rest.split_once('}').filter(|_| brace == "{") else {
            return Err(format!(
                "{text:?} has a lone {brace:?}; write {brace}{brace} for a brace"
            ));
        };
        let Some(place) = Place::named(name, operation) else {
            let letters: Vec<String> = (0..operation.operands())
                .map(|i| format!("{{{}}}", Operation::letter(i)))
                .collect();
            return Err(format!(
                "{text:?} has the unknown placeholder {{{name}}}; expected {}",
                letters.join(", ")
            ));
        };
        if !plain.is_empty() {
            places.push(Place::of_text(std::mem::take(&mut plain)));
        }
        places.push(place);
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        places.push(Place::of_text(plain));
    }
    Ok(places)
}
