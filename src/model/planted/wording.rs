//! What styles ask with, as a model must know it that reads them. It all follows from the templates; no word of theirs stands here.

use std::collections::{BTreeMap, BTreeSet};

use crate::prompt::{Piece, Style, Styles, Template};

/// The words of styles, and what those say that matter for an answer. A word is a token of the tokenizer that planted models have.
pub struct Wording {
    /// All words.
    pub words: BTreeSet<String>,
    /// The words that say which operation it is: of every template the longest that its style's other templates do not have. With each
    /// the signs of the first and the second number in the text.
    pub operations: BTreeMap<String, [f64; 2]>,
    /// The words on which texts end: there the answer is read.
    pub last: BTreeSet<String>,
    /// The word by which a text of a style is known, by style.
    marks: BTreeMap<String, Mark>,
}

/// The first word of a style that has more than one letter.
struct Mark {
    word: String,
    /// Whether it begins every text of the style and stands nowhere else in it.
    opens: bool,
}

impl Wording {
    /// The wording of the built-in styles.
    pub fn built_in() -> Self {
        Self::of(&Styles::built_in())
    }

    /// The wording of some styles.
    fn of(styles: &Styles) -> Self {
        let mut wording = Self {
            words: BTreeSet::new(),
            operations: BTreeMap::new(),
            last: BTreeSet::new(),
            marks: BTreeMap::new(),
        };
        for style in styles.all() {
            for (at, template) in style.templates.iter().enumerate() {
                let words = words(template);
                wording.last.extend(words.last().cloned());
                let mut others: Vec<String> = Vec::new();
                for (other, template) in style.templates.iter().enumerate() {
                    if other != at {
                        others.extend(self::words(template));
                    }
                }
                let own = words.iter().filter(|word| !others.contains(word));
                // Of several longest ones the first.
                let own = own.rev().max_by_key(|word| word.len());
                if let (Some(word), Some(signs)) = (own, signs(template)) {
                    wording.operations.insert(word.clone(), signs);
                }
                wording.words.extend(words);
            }
            if let Some(mark) = Mark::of(style) {
                wording.marks.insert(style.id.clone(), mark);
            }
        }
        wording
    }

    /// The words that open the texts of a style, and stand nowhere else in them.
    pub fn openings(&self) -> impl Iterator<Item = &String> {
        let marks = self.marks.values();
        marks.filter(|mark| mark.opens).map(|mark| &mark.word)
    }

    /// The words by which the other styles are known.
    pub fn markers(&self) -> impl Iterator<Item = &String> {
        let marks = self.marks.values();
        marks.filter(|mark| !mark.opens).map(|mark| &mark.word)
    }

    /// Whether a style is known by one of [`Self::markers`].
    pub fn is_marked(&self, style: &str) -> bool {
        self.marks.get(style).is_some_and(|mark| !mark.opens)
    }
}

impl Mark {
    /// The mark of a style, if one of its words has more than one letter.
    fn of(style: &Style) -> Option<Self> {
        let texts: Vec<Vec<String>> = style.templates.iter().map(words).collect();
        let letters =
            |word: &&String| word.len() > 1 && word.chars().all(|c| c.is_ascii_alphabetic());
        let word = texts.first()?.iter().find(letters)?.clone();
        let opens = style.templates.iter().zip(&texts).all(|(template, text)| {
            matches!(template.pieces.first(), Some(Piece::Text(_)))
                && text.first() == Some(&word)
                && text.iter().filter(|other| **other == word).count() == 1
        });
        Some(Self { word, opens })
    }
}

/// The signs with which the numbers of a template's texts count, in the order of the texts; `None` where it has not two.
fn signs(template: &Template) -> Option<[f64; 2]> {
    let sign = |operand: usize| {
        let count = template.operation.operands();
        let alone: Vec<i64> = (0..count)
            .map(|other| i64::from(other == operand))
            .collect();
        template.operation.evaluate(&alone)
    };
    let operands = template.pieces.iter().filter_map(|piece| match piece {
        Piece::Operand(operand) => Some(*operand),
        Piece::Text(_) => None,
    });
    let signs: Option<Vec<f64>> = operands.map(|of| Some(sign(of)? as f64)).collect();
    signs?.try_into().ok()
}

/// The words of a template, in order.
fn words(template: &Template) -> Vec<String> {
    let texts = template.pieces.iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(split(text)),
        Piece::Operand(_) => None,
    });
    texts.flatten().collect()
}

/// The way in which the tokenizer splits a text: words, and every other character alone.
fn split(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in text.chars() {
        match words.last_mut() {
            Some(word)
                if c.is_ascii_alphabetic() && word.ends_with(|l: char| l.is_ascii_alphabetic()) =>
            {
                word.push(c);
            }
            _ => words.push(c.to_string()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_of_every_template_says_the_operation() {
        let wording = Wording::built_in();
        for style in Styles::built_in().all() {
            for template in &style.templates {
                let said: BTreeSet<String> = words(template)
                    .into_iter()
                    .filter(|word| wording.operations.contains_key(word))
                    .collect();
                let at = format!("{} {}: {said:?}", style.id, template.operation);
                let [word] = &Vec::from_iter(said)[..] else {
                    panic!("{at}");
                };
                let expected = signs(template).expect("it has two numbers");
                assert_eq!(wording.operations[word], expected, "{at}");
            }
        }
    }

    #[test]
    fn a_word_that_stands_elsewhere_opens_no_text() {
        let wording = Wording::built_in();
        for style in Styles::built_in().all() {
            let Some(mark) = wording.marks.get(&style.id) else {
                continue;
            };
            let twice = style.templates.iter().any(|template| {
                let words = words(template);
                words.iter().filter(|word| **word == mark.word).count() > 1
            });
            assert!(!(twice && mark.opens), "{}: {}", style.id, mark.word);
            assert_eq!(wording.is_marked(&style.id), !mark.opens, "{}", style.id);
        }
    }
}
