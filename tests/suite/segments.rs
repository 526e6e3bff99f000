//! What is asked is what a tokenizer makes of a prompt and its answer as one text: all operations, styles and signs, against the package
//! `tokenizers`.

use std::collections::BTreeMap;
use std::fmt::Write;

use af1::model::{BosChoice, Model};
use af1::prompt::{
    ContextsFrom, KeyedBy, Numbers, PromptSet, Selection, Shape, Step, Styles, Template, shapes,
};
use rstest::rstest;
use serde_json::Value;

use super::fixtures::{cache, ints, json};
use super::program::{af1, stdout};

/// A template of the fixture, as a file of styles has it.
fn read(of: &Value) -> Template {
    let text = |field: &str| of[field].as_str().unwrap();
    let mut file = String::new();
    write!(
        file,
        "[[style]]\nid = {:?}\n[style.templates]\n{:?} = {:?}\n",
        text("style"),
        text("operation"),
        text("template")
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("styles.toml");
    std::fs::write(&path, file).unwrap();
    Styles::read(&path).unwrap().select(&[], &[]).unwrap()[0].clone()
}

fn shape(tokens: &Value) -> Shape {
    let mut operands: Vec<usize> = ints(tokens).iter().map(|n| *n as usize).collect();
    let answer = operands.pop().unwrap();
    Shape { operands, answer }
}

/// Every built-in file's templates are in the fixture as they stand.
fn is_built_in(template: &Template, file: &str) -> bool {
    let styles = match file {
        "builtin" => Styles::built_in(),
        "operations" => Styles::read("operations".as_ref()).unwrap(),
        _ => return true,
    };
    let same = |other: &Template| {
        (&other.style, &other.operation, &other.pieces)
            == (&template.style, &template.operation, &template.pieces)
    };
    let mut all = styles.all().iter().flat_map(|style| &style.templates);
    all.any(same)
}

#[rstest]
#[case("smollm2-135m-instruct")]
#[case("qwen2.5-coder-0.5b-instruct")]
fn what_is_asked_is_the_whole_text(#[case] name: &str) {
    let reference = json("reference/segments.json");
    let mut models = reference["models"].as_array().unwrap().iter();
    let of_model = models.find(|model| model["name"] == name).unwrap();
    let model = Model::load(name, &BosChoice::Default, &cache()).unwrap();
    let selection = Selection {
        operands: 0..=12,
        results: -30..=200,
        contexts: 1000,
        contexts_from: ContextsFrom::Answerable,
        seed: 42,
        listed: None,
    };
    // A token in front, so that no operand stands at position 0.
    let front = 0;
    for expected in of_model["templates"].as_array().unwrap() {
        let template = read(expected);
        let title = format!("{} {}", template.style, template.operation);
        assert!(
            is_built_in(&template, expected["file"].as_str().unwrap()),
            "{title}"
        );
        let found = shapes(&template, &model.tokenizer, &selection).unwrap();
        let counts = expected["shapes"].as_array().unwrap().iter();
        let counts = counts.map(|of| {
            (
                shape(&of["tokens"]),
                of["prompts"].as_u64().unwrap() as usize,
            )
        });
        let counts: BTreeMap<Shape, usize> = counts.collect();
        assert_eq!(found.counts, counts, "{title}");
        assert_eq!(
            [found.of, found.merged].map(Value::from),
            [&expected["asked"], &expected["merged"]].map(Clone::clone),
            "{title}"
        );
        assert_eq!(found.example.is_some(), found.merged > 0, "{title}");
        let prompts = expected["prompts"].as_array().unwrap();
        for (of_shape, &count) in &counts {
            for step in (0..of_shape.answer).map(Step::At).chain([Step::Stop]) {
                let numbers = Numbers {
                    shape: of_shape.clone(),
                    step,
                    keyed_by: KeyedBy::Span,
                };
                let set = PromptSet::of_numbers(
                    &template,
                    &model.tokenizer,
                    Some(front),
                    &selection,
                    &numbers,
                );
                let set = set.unwrap();
                assert_eq!(set.asked().len(), count, "{} {title}", set.name());
                held_to(&set, prompts);
            }
        }
    }
}

/// The prompts of a set that the fixture has are its whole text up to the step, and those whose answer is merged are not asked.
fn held_to(set: &PromptSet, expected: &[Value]) {
    let mut compared = 0;
    for expected in expected {
        let operands = ints(&expected["operands"]);
        let prompt = set
            .prompts
            .iter()
            .find(|prompt| prompt.operands == operands);
        if expected["ids"].is_null() {
            assert!(
                prompt.is_none_or(|prompt| !prompt.asked()),
                "{} {operands:?}",
                set.name()
            );
            continue;
        }
        if shape(&expected["shape"]) != set.numbers.shape {
            continue;
        }
        let prompt = prompt.expect("it has the shape");
        let whole: Vec<u32> = ints(&expected["ids"]).iter().map(|id| *id as u32).collect();
        let given = whole.len() - set.numbers.shape.answer + set.numbers.given();
        assert_eq!(&prompt.ids[1..], &whole[..given], "{}", set.name());
        if let Step::At(_) = set.numbers.step {
            assert!(
                prompt.answers.contains(&whole[given]),
                "{} {operands:?}",
                set.name()
            );
        }
        compared += 1;
    }
    assert!(compared > 0, "the fixture has a prompt of {}", set.name());
}

/// Who asks for answers that begin in one token with the end of the prompt is told so, with the prompt and what helps.
#[test]
fn merged_answers_are_refused_by_name() {
    let program =
        "inspect --model smollm2-135m-instruct --style calculate --operation A-B --operands 0..=12";
    let shown = stdout(af1(program).arg("--results=-30..=200"));
    let why = "takes the end of \"Calculate: 0 - 1 = \" and the beginning of its answer -1 together as one token; a template that ends \
               with a letter or a line feed keeps them apart";
    assert!(
        shown.contains("| none  | 78      | no: ") && shown.contains(why),
        "{shown}"
    );
    assert!(!shown.contains("1-1=2"), "{shown}");
    let json = stdout(af1(program).args(["--results=-30..=200", "--format", "json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["templates"][0]["shapes"]["merged"]["prompts"], 78);
    let mut asked = af1(
        "run --model smollm2-135m-instruct --style calculate --operation A-B --operands 0..=12 --shape 1-1=2",
    );
    let output = asked.arg("--results=-30..=200").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains(why), "{said}");
}
