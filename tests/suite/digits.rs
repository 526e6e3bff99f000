//! Numbers of several tokens: prompts by shape and step, and the keys of their means.

use std::collections::BTreeMap;
use std::sync::Arc;

use af1::error::exit;
use af1::prompt::{
    ContextsFrom, Key, KeyedBy, Numbers, PromptSet, Role, Selection, Shape, Step, Tokenizer, shapes,
};
use rstest::rstest;
use serde_json::Value;

use super::fixtures::{path, template};
use super::program::{af1, planted, stdout};

/// A tokenizer that takes every digit apart.
fn tokenizer() -> Tokenizer {
    Tokenizer::read(&path("tokenizers/digits.json")).unwrap()
}

pub fn selection(operands: std::ops::RangeInclusive<i64>) -> Selection {
    Selection {
        operands,
        results: 0..=198,
        contexts: 100,
        contexts_from: ContextsFrom::All,
        seed: 42,
        listed: None,
    }
}

pub fn numbers(shape: &str, step: Step, keyed_by: KeyedBy) -> Numbers {
    Numbers {
        shape: shape.parse().unwrap(),
        step,
        keyed_by,
    }
}

fn set(operation: &str, numbers: &Numbers) -> PromptSet {
    let template = template("calculate", operation);
    let (tokenizer, selection) = (tokenizer(), selection(8..=60));
    PromptSet::of_numbers(&template, &tokenizer, Some(0), &selection, numbers).unwrap()
}

/// The token of a digit or a sign.
fn token(tokenizer: &Tokenizer, text: &str) -> u32 {
    tokenizer.id(text).unwrap()
}

/// Every prompt whose result is in range has one shape, and of each shape a set can be made.
#[rstest]
fn every_prompt_has_a_shape(#[values("A+B", "A-B")] operation: &str) {
    let template = template("calculate", operation);
    let found = shapes(&template, &tokenizer(), &selection(8..=60)).unwrap();
    let mut expected: BTreeMap<Shape, usize> = BTreeMap::new();
    let digits = |n: i64| n.to_string().len();
    for a in 8..=60i64 {
        for b in 8..=60i64 {
            let result = if operation == "A+B" { a + b } else { a - b };
            if (0..=198).contains(&result) {
                let shape = Shape {
                    operands: vec![digits(a), digits(b)],
                    answer: digits(result),
                };
                *expected.entry(shape).or_insert(0) += 1;
            }
        }
    }
    assert_eq!(found.counts, expected);
    let all = expected.values().sum();
    assert_eq!((found.looked_at, found.of), (all, all));
    for (shape, count) in found.counts {
        for step in (0..shape.answer).map(Step::At).chain([Step::Stop]) {
            let numbers = Numbers {
                shape: shape.clone(),
                step,
                keyed_by: KeyedBy::Span,
            };
            let set = set(operation, &numbers);
            assert_eq!(set.asked().len(), count, "{shape:?} {step}");
            assert_eq!(set.numbers, numbers);
        }
    }
}

/// At every step the tokens of the right answer so far stand behind the text, and the next one is right.
#[test]
fn steps_give_the_answer_token_by_token() {
    let tokenizer = tokenizer();
    let id = |text: &str| token(&tokenizer, text);
    let first = |step: Step| {
        let set = set("A+B", &numbers("2+2=2", step, KeyedBy::Span));
        let prompt = set
            .prompts
            .iter()
            .find(|prompt| prompt.operands == [12, 34]);
        (prompt.unwrap().clone(), set.roles)
    };
    let (zero, roles) = first(Step::At(0));
    assert_eq!(&*zero.answers, [id("4")]);
    let positions = |role: Role| roles.iter().filter(|found| **found == role).count();
    assert_eq!(
        (positions(Role::Operand(0)), positions(Role::Operand(1))),
        (2, 2)
    );
    let (one, roles) = first(Step::At(1));
    assert_eq!(
        (&one.ids[..zero.ids.len()], one.ids.last()),
        (&*zero.ids, Some(&id("4")))
    );
    assert_eq!(&*one.answers, [id("6")]);
    assert_eq!(
        (roles[zero.ids.len() - 1], roles.last()),
        (Role::Text, Some(&Role::Last))
    );
    let (stop, roles) = first(Step::Stop);
    assert_eq!(&stop.ids[zero.ids.len()..], [id("4"), id("6")]);
    assert_eq!(roles[zero.ids.len()], Role::Answer);
    // What follows is anything but a digit.
    let digits: Vec<u32> = (0..=9).map(|digit| id(&digit.to_string())).collect();
    assert_eq!(stop.answers.len(), tokenizer.len() - digits.len());
    assert!(digits.iter().all(|digit| !stop.answers.contains(digit)));
}

/// Under `span` a digit of a number knows the digits before it, under `token` it does not; what is no number has its token for a key.
#[rstest]
fn keys_are_what_they_say(#[values(KeyedBy::Span, KeyedBy::Token)] keyed_by: KeyedBy) {
    let set = set("A+B", &numbers("2+2=2", Step::Stop, keyed_by));
    let (text, given) = (set.positions() - 2, 2);
    for prompt in &set.prompts {
        let mut begins = 0;
        for (t, (&key, &id)) in prompt.keys.iter().zip(&prompt.ids).enumerate() {
            let role = set.roles[t];
            let continues = t > 0
                && match role {
                    Role::Operand(_) => set.roles[t - 1] == role,
                    _ => t >= text + given - 1,
                };
            begins = if continues { begins } else { t };
            let of = match keyed_by {
                KeyedBy::Span => &prompt.ids[begins..=t],
                KeyedBy::Token => &[id][..],
            };
            assert_eq!(Some(key), Key::of(of), "position {t} of {:?}", prompt.text);
        }
    }
}

/// The same prompts under the other key have the keys of prompts that are made with it.
#[rstest]
fn keys_are_changed_afterwards(
    #[values("2+2=2", "1+2=2", "2+2=3")] shape: &str,
    #[values(Step::At(0), Step::At(1), Step::Stop)] step: Step,
    #[values(KeyedBy::Span, KeyedBy::Token)] keyed_by: KeyedBy,
) {
    let made = set("A+B", &numbers(shape, step, keyed_by));
    let other = set("A+B", &numbers(shape, step, keyed_by.other())).keyed(keyed_by);
    assert_eq!(
        (&made.prompts, &made.numbers),
        (&other.prompts, &other.numbers)
    );
}

/// Numbers of one token are the case that was always there.
#[test]
fn single_tokens_are_the_special_case() {
    let template = template("calculate", "A+B");
    let build = |numbers: &Numbers| {
        let selection = selection(0..=9);
        PromptSet::of_numbers(&template, &tokenizer(), Some(0), &selection, numbers).unwrap()
    };
    let single = Numbers::single(2);
    let set = build(&single);
    let plain = PromptSet::build(&template, &tokenizer(), Some(0), &selection(0..=9)).unwrap();
    assert_eq!(set.prompts, plain.prompts);
    let by_token = build(&Numbers {
        keyed_by: KeyedBy::Token,
        ..single
    });
    assert_eq!(set.prompts, by_token.prompts);
    assert_eq!(set.asked().len(), 55);
    assert!(
        set.prompts
            .iter()
            .all(|p| p.asked() || p.answers == Arc::from([]))
    );
}

/// `af1 inspect` counts the prompts of every shape, says which one is asked and why, and shows an example of every step with what stands
/// where.
#[rstest]
#[case("", "", "2+2=2", &["0", "1"], "no other shape has more prompts")]
#[case("--shape 2+1=2 --step 1,stop --key token", "token", "2+1=2", &["1", "stop"], "--shape asks for it")]
fn inspect_shows_shapes_and_steps(
    #[case] words: &str,
    #[case] key: &str,
    #[case] shape: &str,
    #[case] steps: &[&str],
    #[case] because: &str,
) {
    let program = "inspect --model smollm2-135m-instruct --style calculate --operation A+B --operands 8..=39 --results 0..=299";
    let json = stdout(af1(&format!("{program} {words} --format json")));
    let found: Value = serde_json::from_str(&json).unwrap();
    let template = &found["templates"][0];
    // 8 and 9 are one token each, 10 to 39 are two; every sum has two.
    let (one, two) = (2, 30);
    let counts = [
        ("1+1=2", one * one),
        ("1+2=2", one * two),
        ("2+1=2", two * one),
        ("2+2=2", two * two),
    ];
    let shapes = template["shapes"]["of"].as_array().unwrap();
    assert_eq!(shapes.len(), counts.len());
    for (found, (words, count)) in shapes.iter().zip(counts) {
        assert_eq!(
            (&found["shape"], &found["prompts"]),
            (&words.into(), &count.into())
        );
        let asked = found["asked"].as_str().unwrap_or_default();
        assert_eq!(asked.contains(because), words == shape, "{found}");
    }
    assert_eq!(template["shapes"]["prompts"], 32 * 32);
    let found = template["steps"].as_array().unwrap();
    let names: Vec<&str> = found
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(names, steps);
    let count = counts.iter().find(|(words, _)| *words == shape).unwrap().1;
    for step in found {
        assert_eq!(
            (&step["shape"], &step["prompts"]),
            (&shape.into(), &count.into())
        );
        assert_eq!(step["key"], if key.is_empty() { "span" } else { key });
        let of = |role: &str| -> String {
            let tokens = step["tokens"].as_array().unwrap().iter();
            let tokens = tokens.filter(|token| token["role"] == role);
            tokens
                .map(|token| token["text"].as_str().unwrap())
                .collect()
        };
        let [a, b]: [i64; 2] = ["A", "B"].map(|role| of(role).parse().unwrap());
        let sum = (a + b).to_string();
        assert_eq!(step["example"], format!("Calculate: {a} + {b} = "));
        let (given, right) = match step["step"].as_str().unwrap() {
            "stop" => (&*sum, None),
            step => (
                &sum[..step.parse().unwrap()],
                Some(&sum[step.parse::<usize>().unwrap()..][..1]),
            ),
        };
        // The last token of what is given is where the next one is read; without any it is the text's last.
        let (so_far, last) = given.split_at(given.len().saturating_sub(1));
        assert_eq!(of("answer"), so_far);
        assert_eq!(of("last"), if last.is_empty() { " " } else { last });
        assert_eq!(of("bos"), "<|endoftext|>");
        match right {
            Some(right) => assert_eq!(step["right"], serde_json::json!([right])),
            None => assert_eq!(step["right"], Value::Null),
        }
    }
    let text = stdout(af1(&format!("{program} {words}")));
    for part in [
        because,
        "last \"",
        &format!("A+B {shape} step {}", steps[0]),
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

/// A verb that knows numbers of one token alone says so, and does not pass over what is asked for.
#[rstest]
#[case("export --out nowhere --af1 3,2 --key token")]
fn what_would_be_passed_over_is_refused(#[case] verb: &str) {
    let mut run = planted(verb).run();
    let output = run.output().unwrap();
    assert_eq!(output.status.code(), Some(exit::USAGE.into()));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("numbers of one token each"), "{said}");
}
