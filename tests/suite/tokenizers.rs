//! The ways in which tokenizers split numbers, and what `af1 inspect` says of them. The fixtures and the script that made them are in
//! `fixtures/tokenizers/`.

use af1::prompt::Tokenizer;
use rstest::rstest;
use tempfile::TempDir;

use super::fixtures::{copied, ints, json, load, path};
use super::program::{af1, stdout};

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
fn with(kind: &str) -> TempDir {
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
    let mut command = af1();
    command.arg("inspect").arg("--model").arg(model.path());
    command.args(["--style", "symbolic,calculate,python", "--operation", "A+B"]);
    command.args(["--operands", "0..=19", "--results", "0..=39"]);
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
    assert_eq!(model.bos.as_ref().map(|bos| &*bos.token), Some("<s>"));
    // Digit by digit: a numeral of one digit is one token, without the space before it.
    let found = model.tokenizer.encode("7+3=").unwrap();
    let own = model.tokenizer.numeral(7);
    assert!(own.contains(&found[1].id) && model.tokenizer.numeral(12).is_empty());
}
