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
use super::gate::Reference;
use super::program::{Words, af1, planted, stdout};

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

/// Records count the prompts of every class of carries, at every step and of whole answers; tables show them. What is carried is found here
/// by adding digit by digit, and what is right is what an independent implementation found.
#[test]
fn carries_are_strata_of_records() {
    let program = "run --model smollm2-135m-instruct --style calculate --operation A+B --operands 10..=39 --results 0..=299 \
                   --wait 20 --transfer 6 --ablation cama";
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("digits.jsonl");
    let mut run = af1(program);
    let table = stdout(run.arg("--record").arg(&record));
    let lines = stdout(af1("report --format json").arg(&record));
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.filter(|line| line.get("strata").is_some()).collect();
    let steps: Vec<&str> = lines
        .iter()
        .map(|line| line["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["0", "1", "whole"]);
    let bits = Reference::of_smollm2();
    let both = |of: &dyn Fn(&str) -> Vec<bool>, step: &str| match step {
        "whole" => of("0").iter().zip(of("1")).map(|(a, b)| *a && b).collect(),
        step => of(step),
    };
    let prompts: Vec<(i64, i64)> = (10..40)
        .flat_map(|a| (10..40).map(move |b| (a, b)))
        .collect();
    for line in &lines {
        let step = line["step"].as_str().unwrap();
        let base = both(&|step| bits.base(step), step);
        let right = both(&|step| bits.af1(step, "span"), step);
        let mut expected: BTreeMap<String, [usize; 4]> = BTreeMap::new();
        for (i, (a, b)) in prompts.iter().enumerate() {
            // No sum of these has a third digit, so that only the units can carry.
            let carry = if a % 10 + b % 10 > 9 { "tens" } else { "none" };
            let sum = (a + b).to_string();
            let digit = match step {
                "1" => &sum[1..],
                _ => &sum[..1],
            };
            let counts = [true, base[i], right[i], base[i] && right[i]];
            for class in [carry, digit] {
                let all = expected.entry(class.to_owned()).or_default();
                all.iter_mut()
                    .zip(counts)
                    .for_each(|(n, counts)| *n += usize::from(counts));
            }
        }
        let strata = line["strata"].as_array().unwrap();
        assert_eq!(strata.len(), expected.len(), "{line}");
        for stratum in strata {
            let class = stratum.get("carry").or(stratum.get("digit")).unwrap();
            let expected = expected[class.as_str().unwrap()];
            let fields = ["prompts", "base_correct", "correct", "correct_given_base"];
            let found = fields.map(|field| stratum[field].as_u64().unwrap() as usize);
            // The reference names one prompt at most whose answer rounding may decide.
            let apart: usize = found.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).sum();
            assert!(
                found[..2] == expected[..2] && apart <= 2,
                "{step} {class}: {found:?}, {expected:?}"
            );
        }
    }
    let shown = stdout(af1("report").arg(&record));
    for text in [&table, &shown] {
        assert!(text.contains("by carry: what is carried"), "{text}");
        assert!(text.contains("A+B 2+2=2 whole"), "{text}");
    }
    let page = stdout(af1("report --format html").arg(&record));
    assert!(page.contains("by carry: what is carried") && page.contains("by digit: "));
}

/// `alternatives` have a row for the other key, which is what is found where that key is asked for; the table says the key of each row.
#[rstest]
#[case("span", "token")]
#[case("token", "span")]
fn alternatives_have_the_other_key(#[case] key: &str, #[case] other: &str) {
    let model = super::tokenizers::with("digits");
    let program = |verb: &str, key: &str| {
        let mut run = af1(verb);
        run.arg("--model").arg(model.path());
        run.words(&format!("--style calculate --operation A+B --operands 8..=25 --shape 2+2=2 --wait 1 --transfer 1 --key {key}"));
        run
    };
    let cells = |text: String| -> Vec<Value> {
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|line| line["ablation"] == "cama" && line["masking"] == "abp")
            .collect()
    };
    let beside = cells(stdout(program("alternatives --format json", key)));
    let alone = cells(stdout(program("run --ablation cama --format json", other)));
    for step in ["0", "1"] {
        let of = |all: &[Value]| -> Vec<Value> {
            all.iter()
                .filter(|line| line["step"] == step)
                .cloned()
                .collect()
        };
        let (beside, alone) = (of(&beside), of(&alone));
        let [own, there] = &beside[..] else {
            panic!("{beside:?}");
        };
        assert_eq!(
            (&own["provenance"]["key"], &there["provenance"]["key"]),
            (&key.into(), &other.into())
        );
        assert_eq!(there["paired"]["ablation"], "cama");
        assert_eq!(there["answers"], alone[0]["answers"]);
        for field in ["logit_difference", "kl_divergence"] {
            let value = |line: &Value| line[field].as_f64().unwrap();
            let apart = (value(there) - value(&alone[0])).abs();
            assert!(apart < 1e-6, "{field} is apart by {apart}");
            // The keys are not the same: 12 and 22 share a token, and not a number.
            assert!((value(there) - value(own)).abs() > 1e-6, "{field} of {own}");
        }
    }
    let table = stdout(program("alternatives", key));
    assert!(table.contains("| keyed by |"), "{table}");
    // A claim is about the key that is asked for alone.
    assert_eq!(table.matches("cama AF1(1, 1): ").count(), 2, "{table}");
}
