//! The prompts of a cell by what makes them hard: what is carried, and which digit is right.

use std::collections::BTreeMap;

use crate::measure::Evaluation;
use crate::prompt::{Carry, Operation, Step, Tokenizer};
use crate::stats::Proportion;

/// What prompts of a stratum have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// What is carried or borrowed.
    Carry(Carry),
    /// The digit with which begins what is right at the step, and of whole answers the answer; `-` where a sign stands there.
    Digit(char),
    /// The word of a table that answers.
    Word {
        /// The index of the word, by which words are in the order of the table.
        index: i64,
        /// The word.
        word: String,
    },
}

/// The prompts of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stratum {
    /// The class.
    pub class: Class,
    /// Evaluated prompts.
    pub prompts: usize,
    /// Prompts that the unmodified model answers correctly.
    pub base_correct: usize,
    /// Prompts answered correctly under the intervention.
    pub correct: usize,
    /// Prompts answered correctly by both.
    pub correct_given_base: usize,
}

impl Stratum {
    /// The share that the unmodified model answers correctly, with its exact interval.
    pub fn base_accuracy(&self) -> Proportion {
        Proportion::clopper_pearson(self.base_correct, self.prompts)
    }

    /// The share answered correctly under the intervention, with its exact interval.
    pub fn accuracy(&self) -> Proportion {
        Proportion::clopper_pearson(self.correct, self.prompts)
    }

    /// The share of the unmodified model's right answers that is kept, with its exact interval.
    pub fn faithfulness(&self) -> Proportion {
        Proportion::clopper_pearson(self.correct_given_base, self.base_correct)
    }
}

/// The classes of every prompt, in one order.
#[derive(Clone, Debug, Default)]
pub(super) struct Classes(Vec<Vec<Class>>);

impl Classes {
    /// The classes of the evaluated prompts at their step; none where every number is one token and answers.
    pub fn of(evaluation: &Evaluation, tokenizer: &Tokenizer) -> Self {
        let set = &evaluation.set;
        let operation = &set.template.operation;
        let evaluated = evaluation.evaluated.iter();
        if let Some(words) = set.template.answer.words() {
            let of =
                |&prompt: &usize| by_word(operation, &set.prompts[prompt].operands, words.all());
            return Self(evaluated.map(of).collect());
        }
        if set.numbers.shape.is_single() {
            return Self::default();
        }
        let of = |&prompt: &usize| {
            let prompt = &set.prompts[prompt];
            let token = match set.numbers.step {
                Step::At(_) => prompt.answers.first(),
                // Whatever ends an answer is right.
                Step::Stop | Step::Whole => None,
            };
            let digit = token.map_or(String::new(), |&token| tokenizer.decode(token));
            classes(operation, &prompt.operands, &digit)
        };
        Self(evaluated.map(of).collect())
    }

    /// The classes of whole answers, which are these words by their index, or numbers where there are none.
    pub fn of_whole<'a>(
        operation: &Operation,
        prompts: impl Iterator<Item = &'a [i64]>,
        words: &[String],
    ) -> Self {
        let of = |operands: &'a [i64]| {
            if !words.is_empty() {
                return by_word(operation, operands, words);
            }
            let answer = operation
                .evaluate(operands)
                .map_or(String::new(), |n| n.to_string());
            classes(operation, operands, &answer)
        };
        Self(prompts.map(of).collect())
    }

    /// The strata of these prompts, in the order of their classes; none that has no prompt.
    pub fn strata(&self, base: &[bool], right: &[bool]) -> Vec<Stratum> {
        let mut strata: BTreeMap<Class, Stratum> = BTreeMap::new();
        for ((classes, &base), &right) in self.0.iter().zip(base).zip(right) {
            for class in classes {
                let stratum = strata.entry(class.clone()).or_insert_with(|| Stratum {
                    class: class.clone(),
                    prompts: 0,
                    base_correct: 0,
                    correct: 0,
                    correct_given_base: 0,
                });
                stratum.prompts += 1;
                stratum.base_correct += usize::from(base);
                stratum.correct += usize::from(right);
                stratum.correct_given_base += usize::from(base && right);
            }
        }
        strata.into_values().collect()
    }
}

/// The class of a prompt that one of these words answers.
fn by_word(operation: &Operation, operands: &[i64], words: &[String]) -> Vec<Class> {
    let index = operation.evaluate(operands);
    let of = |index: i64| {
        let word = words.get(usize::try_from(index).ok()?)?.clone();
        Some(Class::Word { index, word })
    };
    index.and_then(of).into_iter().collect()
}

/// The classes of a prompt whose right answer reads so.
fn classes(operation: &Operation, operands: &[i64], answer: &str) -> Vec<Class> {
    let carry = Carry::of(operation, operands).map(Class::Carry);
    let first = answer.trim().chars().next();
    let digit = first.filter(|c| c.is_ascii_digit() || *c == '-');
    carry.into_iter().chain(digit.map(Class::Digit)).collect()
}
