//! What the unmodified model says where it is wrong: often the template lacks a space, or has one too many, and the model could
//! do the task.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::prompt::{Frame, Piece, PromptSet, Tokenizer};

/// A wrong next token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The token.
    pub token_id: u32,
    /// The text of the token as it stands after others, white space included; empty where the token has none.
    pub text: String,
    /// On how many of the evaluated prompts it was predicted and wrong.
    pub count: usize,
}

/// What to try where a template seems to be at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Hint {
    /// A space at the end of the template.
    AddSpace,
    /// The template without the white space at its end.
    DropSpace,
}

/// The most frequent wrong tokens, and what they point at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wrong {
    /// The most frequent first, of equals the smallest id; at most [`MOST_SAID`].
    pub said: Vec<Said>,
    /// What to try.
    pub hint: Option<Hint>,
}

/// So many wrong tokens are recorded.
pub const MOST_SAID: usize = 5;

impl Wrong {
    /// The wrong tokens of the evaluated prompts of a set; `base[prompt]` is what the unmodified model predicts for every prompt.
    ///
    /// The hint looks at all wrong tokens. Where the template ends in white space, and most of them are white space alone, the template
    /// has too much of it. Where it ends in something else, and most of them are white space, it lacks a space; and likewise where most
    /// begin with white space and all right answers with something else, because such answers can only stand behind a space.
    pub fn of(set: &PromptSet, evaluated: &[usize], base: &[u32], tokenizer: &Tokenizer) -> Self {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for &prompt in evaluated {
            if !set.prompts[prompt].answers.contains(&base[prompt]) {
                *counts.entry(base[prompt]).or_insert(0) += 1;
            }
        }
        let said = |(&token_id, &count): (&u32, &usize)| Said {
            token_id,
            text: text(tokenizer, token_id),
            count,
        };
        let mut said: Vec<Said> = counts.iter().map(said).collect();
        let total: usize = counts.values().sum();
        let most = |which: fn(&str) -> bool| {
            let found = said.iter().filter(|said| which(&said.text));
            2 * found.map(|said| said.count).sum::<usize>() > total
        };
        let space = |text: &str| !text.is_empty() && text.chars().all(char::is_whitespace);
        let begins = |text: &str| text.starts_with(char::is_whitespace);
        let answers: BTreeSet<u32> = evaluated
            .iter()
            .flat_map(|&prompt| set.prompts[prompt].answers.iter().copied())
            .collect();
        let answers_begin = || answers.iter().any(|&id| begins(&text(tokenizer, id)));
        let end = match set.template.pieces.last() {
            Some(Piece::Text(text)) => text.as_str(),
            _ => "",
        };
        let hint = match end.ends_with(char::is_whitespace) {
            // The end is the chat template's, and no style can change it.
            _ if set.template.frame == Frame::Chat => None,
            // Without its white space the template would end with an operand.
            true if end.trim_end().is_empty() => None,
            true => most(space).then_some(Hint::DropSpace),
            false => (most(space) || most(begins) && !answers_begin()).then_some(Hint::AddSpace),
        };
        // Stable: equals stay in the order of their ids.
        said.sort_by_key(|said| std::cmp::Reverse(said.count));
        said.truncate(MOST_SAID);
        Self { said, hint }
    }
}

/// The text of a token as it stands after others: some decoders strip the space with which a token begins.
fn text(tokenizer: &Tokenizer, id: u32) -> String {
    let text = tokenizer.decode(id);
    match tokenizer.begins_with_space(id) && !text.starts_with(char::is_whitespace) {
        true => format!(" {text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::{ContextsFrom, Selection, Styles};
    use rstest::rstest;

    const TOKENS: [&str; 21] = [
        "<eos>", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "+", "=", "Ġ", "Ċ", "Ġt", "Ġ1",
        "t", "Ġ2", "Ġ3", "Ġ=",
    ];

    fn id(token: &str) -> u32 {
        TOKENS.iter().position(|t| *t == token).unwrap() as u32
    }

    fn tokenizer(spaced_numbers: bool) -> Tokenizer {
        let mut tokens = TOKENS;
        if !spaced_numbers {
            // Other words in their place.
            (tokens[16], tokens[18], tokens[19]) = ("Ġ+", "+=", "==");
        }
        Tokenizer::from_bpe(&tokens, &[], &["<eos>"], "smollm").unwrap()
    }

    fn set(template: &str, tokenizer: &Tokenizer) -> PromptSet {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("styles.toml");
        let styles = format!("[[style]]\nid = 's'\n[style.templates]\n'A+B' = '{template}'\n");
        std::fs::write(&file, styles).unwrap();
        let template = Styles::read(&file).unwrap().select(&[], &[]).unwrap();
        let selection = Selection {
            operands: 1..=2,
            results: 2..=4,
            contexts: 100,
            contexts_from: ContextsFrom::All,
            seed: 42,
            listed: None,
        };
        PromptSet::build(&template[0], tokenizer, Some(0), &selection).unwrap()
    }

    /// What the model says to the four prompts 1+1, 1+2, 2+1, 2+2.
    #[rstest]
    #[case("{A}+{B}=", ["Ġ", "Ġ", "Ġ", "4"], false, Some(Hint::AddSpace))]
    #[case("{A}+{B}=", ["Ċ", "Ġ", "Ċ", "Ġ"], true, Some(Hint::AddSpace))]
    // Half is not most.
    #[case("{A}+{B}=", ["Ġ", "Ġ", "1", "1"], false, None)]
    // Right answers do not count.
    #[case("{A}+{B}=", ["Ġ", "3", "3", "4"], false, Some(Hint::AddSpace))]
    // Words that begin with a space, where a number cannot.
    #[case("{A}+{B}=", ["Ġt", "Ġt", "Ġ=", "4"], false, Some(Hint::AddSpace))]
    // Where numbers can, it is the model's own mistake.
    #[case("{A}+{B}=", ["Ġt", "Ġt", "Ġ=", "4"], true, None)]
    #[case("{A}+{B}= ", ["Ġ", "Ċ", "Ġ", "4"], false, Some(Hint::DropSpace))]
    #[case("{A}+{B}= ", ["Ġt", "Ġt", "Ġt", "4"], false, None)]
    // The last operand would stand last.
    #[case("{A}+{B} ", ["Ġ", "Ġ", "Ġ", "Ġ"], false, None)]
    #[case("{A}+{B}=", ["2", "3", "3", "4"], false, None)]
    fn hints(
        #[case] template: &str,
        #[case] said: [&str; 4],
        #[case] spaced_numbers: bool,
        #[case] expected: Option<Hint>,
    ) {
        let tokenizer = tokenizer(spaced_numbers);
        let set = set(template, &tokenizer);
        assert_eq!(set.len(), 4);
        let base: Vec<u32> = said.iter().map(|token| id(token)).collect();
        let wrong = Wrong::of(&set, &[0, 1, 2, 3], &base, &tokenizer);
        assert_eq!(wrong.hint, expected);
    }

    #[test]
    fn the_most_frequent_are_first_and_only_evaluated_prompts_count() {
        let tokenizer = tokenizer(false);
        let set = set("{A}+{B}=", &tokenizer);
        let base = [id("Ġt"), id("9"), id("Ġt"), id("4")];
        let wrong = |evaluated: &[usize]| Wrong::of(&set, evaluated, &base, &tokenizer).said;
        let said = |token: &str, text: &str, count| Said {
            token_id: id(token),
            text: text.to_owned(),
            count,
        };
        assert_eq!(
            wrong(&[0, 1, 2, 3]),
            [said("Ġt", " t", 2), said("9", "9", 1)]
        );
        // Of equals the smallest id.
        assert_eq!(wrong(&[0, 1]), [said("9", "9", 1), said("Ġt", " t", 1)]);
        assert_eq!(wrong(&[3]), []);
    }

    #[test]
    fn a_space_that_a_decoder_strips_is_a_space() {
        let tokens = ["<s>", "▁", "▁is", "1", "="];
        let scores = [None, Some(-1.0), Some(-2.0), Some(-3.0), Some(-4.0)];
        let tokenizer =
            Tokenizer::from_sentencepiece(&tokens, &scores, &["<s>"], None, true).unwrap();
        assert_eq!(text(&tokenizer, 1), " ");
        assert_eq!(text(&tokenizer, 2), " is");
        assert_eq!(text(&tokenizer, 3), "1");
    }
}
