//! Chat templates: what a model's own files put around a user's message.
//!
//! transformers renders the template and splits the text into tokens without adding any: what stands first is what the template writes.
//! So it is here. The template is rendered a few times, not for every prompt: once with marks in the operands' places, which says what
//! stands around them, and then with numbers, which must give the same text.

mod clock;
mod jinja;
mod json;
mod read;

use self::jinja::Jinja;
use super::template::{Frame, Piece};
use super::{Operation, Template};
use crate::file::{Sha256, sha256_bytes};
use crate::{Error, Result};

/// A model's chat template, or why it has none that could be used.
#[derive(Clone, Debug)]
pub struct Chat {
    found: std::result::Result<ChatTemplate, String>,
}

/// A chat template as a model's files have it.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    /// The file, and where in it.
    pub place: String,
    /// The template, in the language of Jinja.
    pub text: String,
    /// The tokens that it knows by name (`bos_token`), with their texts.
    pub tokens: Vec<(String, String)>,
    hash: Sha256,
}

/// The longest chat template; those of today have some 20 kB.
const MOST_BYTES: usize = 1 << 18;

/// What to do where a chat template cannot be used.
const REMEDY: &str = "correct it, or take a style without chat = true";

/// Operands with which the template must write what it writes around the marks; of an operation with fewer the first ones.
const SAMPLES: [[i64; 4]; 3] = [[1, 2, 3, 4], [45, 7, 10, 99], [128, 256, 0, 31]];

impl ChatTemplate {
    /// A template from `place`.
    ///
    /// # Errors
    /// One that is too long.
    fn new(
        place: String,
        text: &str,
        tokens: Vec<(String, String)>,
    ) -> std::result::Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err(format!(
                "the chat template {place} has {} bytes; expected {MOST_BYTES} at most: {REMEDY}",
                text.len()
            ));
        }
        Ok(Self {
            hash: sha256_bytes(text.as_bytes()),
            text: text.to_owned(),
            place,
            tokens,
        })
    }

    /// The SHA-256 of its text.
    pub fn hash(&self) -> &Sha256 {
        &self.hash
    }
}

impl Chat {
    /// The template, if there is one that can be read; whether it can be rendered is another question.
    pub fn template(&self) -> Option<&ChatTemplate> {
        self.found.as_ref().ok()
    }

    /// A template with the model's chat template around its text, if its style wants that; any other template as it is.
    ///
    /// # Errors
    /// A model without a chat template; one that is broken, does not come to an end, refuses the text or leaves it out.
    pub fn frame(&self, template: &Template) -> Result<Template> {
        let Frame::Wanted { prefill } = &template.frame else {
            return Ok(template.clone());
        };
        let framed = self.found.as_ref().map_err(Clone::clone);
        let framed = framed.and_then(|chat| chat.around(template, prefill));
        framed.map_err(|reason| Error::Chat {
            style: template.style.clone(),
            reason,
        })
    }
}

impl ChatTemplate {
    /// A template with this one around its text, and the beginning of the answer behind it.
    fn around(&self, template: &Template, prefill: &str) -> std::result::Result<Template, String> {
        let jinja = Jinja::new(self)?;
        let of = |what: &str| format!("the chat template {} {what}: {REMEDY}", self.place);
        let marks = self.marks(template)?;
        let marked = template.pieces.iter().map(|piece| match piece {
            Piece::Text(plain) => plain.clone(),
            Piece::Operand(index) => marks[*index].to_string(),
        });
        let written = jinja.render(&marked.collect::<String>())? + prefill;
        let pieces = split(&written, &marks);
        for index in 0..template.operation.operands() {
            if !pieces.contains(&Piece::Operand(index)) {
                let letter = Operation::letter(index);
                return Err(of(&format!(
                    "leaves operand {letter} out of the user's message"
                )));
            }
        }
        if let Some(Piece::Operand(_)) = pieces.last() {
            return Err(of(
                "writes nothing behind an operand at the end, so that the last token would not be the same in every prompt",
            ));
        }
        let framed = Template {
            pieces,
            frame: Frame::Chat,
            ..template.clone()
        };
        for sample in SAMPLES {
            let values = sample.iter().cycle().zip(&template.operands);
            let operands: Vec<i64> = values
                .map(|(value, written)| match written.words() {
                    None => *value,
                    Some(words) => value.rem_euclid(words.all().len() as i64),
                })
                .collect();
            let written = jinja.render(&template.render(&operands).text)? + prefill;
            if framed.render(&operands).text != written {
                return Err(of("writes other words around other numbers"));
            }
        }
        Ok(framed)
    }

    /// A character for every operand that is in neither template: of those that Unicode leaves to private use.
    fn marks(&self, template: &Template) -> std::result::Result<Vec<char>, String> {
        let taken = |mark: &char| {
            let inside = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains(*mark));
            self.text.contains(*mark) || template.pieces.iter().any(inside)
        };
        let free = ('\u{e000}'..='\u{f8ff}').filter(|mark| !taken(mark));
        let marks: Vec<char> = free.take(template.operation.operands()).collect();
        match marks.len() == template.operation.operands() {
            true => Ok(marks),
            false => Err(format!(
                "the chat template {} and the style together have all characters of private use: {REMEDY}",
                self.place
            )),
        }
    }
}

/// A text as pieces, where every mark is the place of its operand.
fn split(text: &str, marks: &[char]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    for c in text.chars() {
        match marks.iter().position(|mark| *mark == c) {
            None => plain.push(c),
            Some(index) => {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Operand(index));
            }
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    pieces
}
