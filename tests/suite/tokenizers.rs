//! The ways in which tokenizers split numbers, and what `af1 inspect` says of them. The fixtures and the script that made them are in
//! `fixtures/tokenizers/`.

use af1::prompt::{Front, Stated, Tokenizer};
use rstest::rstest;
use tempfile::TempDir;

use super::fixtures::{copied, ints, json, load, path};
use super::program::{Words, af1, stdout};

#[rstest]
#[case("whole")]
#[case("digits")]
#[case("sentencepiece")]
#[case("gemma")]
#[case("bytepairs")]
fn texts_are_split_as_in_python(#[case] kind: &str) {
    let file = path("tokenizers").join(format!("{kind}.json"));
    let tokenizer = Tokenizer::read(&file).unwrap();
    let expected = &json("tokenizers/expected.json")[kind];
    for (text, tokens) in expected.as_object().unwrap() {
        // Python counts characters; these texts are ASCII.
        let found = tokenizer.encode(text).unwrap();
        let found = found.iter().map(|token| {
            let name = tokenizer.name(token.id).unwrap();
            serde_json::json!([name, token.bytes.start, token.bytes.end])
        });
        assert_eq!(*tokens, found.collect::<serde_json::Value>(), "{text:?}");
    }
}

/// A tiny model with a tokenizer of that kind.
pub fn with(kind: &str) -> TempDir {
    let model = copied(&path("reference/tiny-llama/f32"));
    let tokenizer = path("tokenizers").join(format!("{kind}.json"));
    std::fs::copy(tokenizer, model.path().join("tokenizer.json")).unwrap();
    model
}

/// Which numbers are one token, with a space and without, which styles can be asked, what is left out.
#[rstest]
#[case("whole")]
#[case("digits")]
#[case("sentencepiece")]
#[case("gemma")]
#[case("bytepairs")]
fn what_a_model_can_be_asked(#[case] kind: &str) {
    let model = with(kind);
    let mut command = af1("inspect --model");
    command.arg(model.path());
    command.words("--style symbolic,calculate,python --operation A+B");
    command.words("--operands 0..=19 --results 0..=39");
    let text = stdout(&mut command);
    let from = text.find("numbers that are").unwrap();
    insta::assert_snapshot!(kind, &text[from..]);
}

/// A GGUF file with a tokenizer of SentencePiece, trained by `fixtures/reference/gguf_sentencepiece.py`, against what SentencePiece says.
#[test]
fn sentencepiece_in_gguf_files() {
    let file = path("reference/sentencepiece.gguf");
    let (model, _) = load(&file.to_string_lossy());
    let expected = json("reference/sentencepiece.json");
    let texts = expected["texts"].as_object().unwrap();
    assert_eq!(texts.len(), 14);
    for (text, ids) in texts {
        let found = model.tokenizer.encode(text).unwrap();
        let found: Vec<i64> = found.iter().map(|token| i64::from(token.id)).collect();
        assert_eq!(found, ints(ids), "{text:?}");
    }
    assert_eq!(model.front.bos.as_ref().map(|bos| &*bos.token), Some("<s>"));
    // Digit by digit: a numeral of one digit is one token, without the space before it.
    let found = model.tokenizer.encode("7+3=").unwrap();
    let own = model.tokenizer.numeral(7);
    assert!(own.contains(&found[1].id) && model.tokenizer.numeral(12).is_empty());
}

/// What stands in front of a text, in files with the fields of real models' files: what transformers 5 puts there. The few folders on
/// which its versions, or transformers and its own tokenizers package, disagree are named with whose answer is taken, and why.
#[test]
fn what_stands_in_front_is_what_transformers_puts_there() {
    let expected = json("tokenizers/front/expected.json");
    let texts: Vec<&str> = expected["texts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t.as_str().unwrap())
        .collect();
    // A flag where there is no post-processor is what the model was trained with; version 5 forgets it.
    // Version 5 forgets a post-processor that the file has, if the class is GPTNeoXTokenizer; no published file is so.
    let others = [
        ("llama-2-no-post-processor", "transformers-4"),
        ("gpt-neox-template", "tokenizers"),
    ];
    let mut kinds = 0;
    for (name, folder) in expected["folders"].as_object().unwrap() {
        let at = path("tokenizers/front").join(name);
        let tokenizer = Tokenizer::read(&at.join("tokenizer.json")).unwrap();
        let front = Front::of_tokenizer(&tokenizer, &Stated::read(&at).unwrap()).unwrap();
        let other = others.iter().find(|(of, _)| of == name);
        let whose = other.map_or("transformers-5", |(_, whose)| whose);
        let before = ints(&folder[whose]["front"]);
        if let Some((_, whose)) = other {
            assert_ne!(
                folder["transformers-5"]["front"], folder[*whose]["front"],
                "{name} is no exception any more"
            );
        }
        for (text, ids) in texts.iter().zip(folder["ids"].as_array().unwrap()) {
            let mut found: Vec<i64> = front.bos.iter().map(|bos| i64::from(bos.id)).collect();
            found.extend(
                tokenizer
                    .encode(text)
                    .unwrap()
                    .iter()
                    .map(|token| i64::from(token.id)),
            );
            let with: Vec<i64> = before.iter().copied().chain(ints(ids)).collect();
            assert_eq!(found, with, "{name}: {text:?} ({})", front.rule);
        }
        kinds += 1;
    }
    assert!(kinds >= 10, "{kinds}");
}
