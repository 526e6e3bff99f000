//! Numbers of several tokens: prompts by shape and step, and the keys of their means.

use std::collections::BTreeMap;
use std::sync::Arc;

use af1::error::exit;
use af1::intervene::{Estimator, Plan, ablation};
use af1::measure::{Request, evaluate};
use af1::prompt::{
    ContextsFrom, Key, KeyedBy, Numbers, PromptSet, Role, Selection, Shape, Step, Tokenizer, shapes,
};
use rstest::rstest;
use serde_json::Value;

use super::fixtures::{path, smollm2, template};
use super::program::planted;

/// A tokenizer that takes every digit apart.
fn tokenizer() -> Tokenizer {
    Tokenizer::read(&path("tokenizers/digits.json")).unwrap()
}

fn selection(operands: std::ops::RangeInclusive<i64>) -> Selection {
    Selection {
        operands,
        results: 0..=198,
        contexts: 100,
        contexts_from: ContextsFrom::All,
        seed: 42,
    }
}

fn numbers(shape: &str, step: Step, keyed_by: KeyedBy) -> Numbers {
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

/// What an independent implementation finds in SmolLM2, prompt by prompt: 900 sums of 10 to 39.
#[rstest]
#[case("0", KeyedBy::Span, Estimator::LeaveOneOut)]
#[case("1", KeyedBy::Token, Estimator::PlugIn)]
#[case("stop", KeyedBy::Span, Estimator::LeaveOneOut)]
fn counts_equal_the_reference(
    #[case] step: &str,
    #[case] keyed_by: KeyedBy,
    #[case] estimator: Estimator,
) {
    let text = std::fs::read_to_string(path("reference/digits.json")).unwrap();
    let reference: Value = serde_json::from_str(&text).unwrap();
    let find = |all: &Value, fits: &dyn Fn(&Value) -> bool| -> Value {
        let mut all = all.as_array().unwrap().iter();
        all.find(|one| fits(one))
            .expect("the reference has it")
            .clone()
    };
    let of_model = find(&reference["models"], &|model| model["name"] == "smollm2");
    let of_step = find(&of_model["steps"], &|found| found["step"] == step);
    let expected = find(&of_step["groups"], &|group| {
        group["key"] == keyed_by.name() && group["estimator"] == estimator.name()
    });
    let loaded = smollm2();
    let (model, engine) = &*loaded;
    let template = template("calculate", "A+B");
    let selection = Selection {
        operands: 10..=39,
        results: 0..=299,
        ..selection(10..=39)
    };
    let numbers = numbers("2+2=2", step.parse().unwrap(), keyed_by);
    let set = PromptSet::of_numbers(
        &template,
        &model.tokenizer,
        model.bos(),
        &selection,
        &numbers,
    );
    let cells = expected["cells"].as_object().unwrap();
    let plan = |name: &String| {
        let numbers: Vec<usize> = name.split(' ').filter_map(|n| n.parse().ok()).collect();
        Plan::af1(numbers[0], numbers[1])
    };
    let names: Vec<&String> = cells
        .keys()
        .filter(|name| name.starts_with("af1"))
        .collect();
    let plans: Vec<Plan> = names.iter().map(|name| plan(name)).collect();
    let ablations = [ablation::CAMA];
    let request = Request {
        estimator,
        ..Request::new(&plans, &ablations)
    };
    let found = evaluate(&mut engine.lock().unwrap(), set.unwrap(), &request).unwrap();
    let evaluation = &found.evaluation;
    assert_eq!(
        evaluation.evaluated.len() as u64,
        expected["evaluated"].as_u64().unwrap()
    );
    assert_eq!(
        evaluation.base_right() as u64,
        expected["base_right"].as_u64().unwrap()
    );
    for (name, cell) in names.iter().zip(&found.cells) {
        let expected = &cells[*name];
        // A bit a prompt, four a digit, the first the highest.
        let digits = expected["bits"].as_str().unwrap().chars();
        let digits: Vec<u32> = digits.map(|digit| digit.to_digit(16).unwrap()).collect();
        let is_right = |prompt: usize| digits[prompt / 4] >> (3 - prompt % 4) & 1 == 1;
        let right = evaluation.correct(cell);
        let pairs = evaluation.evaluated.iter().zip(right);
        let others = pairs
            .filter(|&(&prompt, right)| right != is_right(prompt))
            .count();
        // Prompts whose two largest logits are nearly equal may fall either way.
        let close = expected["close"].as_u64().unwrap() as usize;
        assert!(
            others <= close,
            "{name}: {others} answers are others, {close} are close"
        );
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
