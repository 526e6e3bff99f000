//! What a model said instead of the right answers, as people can read it.

use crate::record::{Hint, Measurement};

/// The most frequent wrong tokens of the unmodified model, and what to try: lines for below a table. Nothing where the model can
/// do the task, and for records that do not say it.
pub fn said(m: &Measurement) -> String {
    if m.wrong.said.is_empty() {
        return String::new();
    }
    let wrong = m.counts.prompts - m.counts.base_correct.min(m.counts.prompts);
    let each: Vec<String> = m
        .wrong
        .said
        .iter()
        .map(|said| match said.text.is_empty() {
            true => format!("token {} ({})", said.token_id, said.count),
            false => format!("\"{}\" ({})", visible(&said.text), said.count),
        })
        .collect();
    let named: usize = m.wrong.said.iter().map(|said| said.count).sum();
    let others = match wrong.saturating_sub(named) {
        0 => String::new(),
        others => format!(", others ({others})"),
    };
    let mut text = format!(
        "    the unmodified model is right on {} of {}, below the claim {}; what it says on the other {wrong}: {}\n",
        m.counts.base_correct,
        m.counts.prompts,
        m.test.claim,
        each.join(", ") + &others,
    );
    let hint = match m.wrong.hint {
        None => return text,
        Some(Hint::AddSpace) => {
            "most of this begins with white space, and the template does not end in it: try a space at the template's end"
        }
        Some(Hint::DropSpace) => {
            "most of this is white space, and the template ends in it already: try the template without it"
        }
    };
    text += &format!("    hint: {hint}\n");
    text
}

/// Text in which white space and what is not printed can be seen: a space as `␣`, a line feed as `\n`.
fn visible(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            ' ' => out.push('␣'),
            '\'' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Counts;
    use crate::record::Said;
    use crate::record::Test;
    use crate::record::Wrong;

    #[test]
    fn white_space_is_visible() {
        assert_eq!(visible(" the"), "␣the");
        assert_eq!(visible("\n\t\r "), "\\n\\t\\r␣");
        assert_eq!(visible("\u{a0}\u{0}\u{202e}"), "\\u{a0}\\0\\u{202e}");
        assert_eq!(visible("it's \"é\""), "it's␣\\\"é\\\"");
    }

    #[test]
    fn what_was_said_is_shown_with_its_counts() {
        let of = |token_id, text: &str, count| Said {
            token_id,
            text: text.to_owned(),
            count,
        };
        let mut m = Measurement {
            counts: Counts {
                prompts: 53,
                base_correct: 0,
                ..Counts::default()
            },
            test: Test {
                claim: 0.95,
                ..Test::default()
            },
            wrong: Wrong {
                said: vec![of(216, " ", 50), of(198, "\n", 2), of(7, "", 1)],
                hint: Some(Hint::AddSpace),
            },
            ..Measurement::default()
        };
        let text = said(&m);
        assert!(
            text.contains("on the other 53: \"␣\" (50), \"\\n\" (2), token 7 (1)\n"),
            "{text}"
        );
        assert!(
            text.contains("hint: ") && text.contains("try a space"),
            "{text}"
        );
        m.wrong.hint = None;
        assert!(!said(&m).contains("hint"));
        m.wrong.said.clear();
        assert_eq!(said(&m), "");
    }
}
