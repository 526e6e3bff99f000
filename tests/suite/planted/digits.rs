//! Planted models that take every digit for a token: every answer against arithmetic, and what the program finds at every step.

use af1::experiment::waiting;
use af1::intervene::{Estimator, Plan};
use af1::measure::{Request, prepare};
use af1::model::Model;
use af1::model::planted::{Digits, Plant, Route};
use af1::prompt::{ContextsFrom, Numbers, Operation, PromptSet, Selection, Step};
use af1::runtime::Engine;
use rstest::rstest;
use serde_json::Value;

use super::{KeyedBy, grow, plant, recover, request};
use crate::fixtures::{every_step, json, load, planted_models, template};
use crate::program::{Words, af1, json_lines, planted};

const OPERATIONS: [&str; 2] = ["A+B", "A-B"];

/// The built-in models of digits.
fn models() -> Vec<(&'static str, Plant, Digits)> {
    let all = planted_models().into_iter();
    let of_digits = all.filter_map(|(preset, plant)| match plant.route {
        Route::Digits { by, .. } => Some((preset.name, plant, by)),
        _ => None,
    });
    let models: Vec<_> = of_digits.collect();
    assert_eq!(
        models.len(),
        8,
        "four routes, with a token in front and without"
    );
    models
}

/// Whether adding two numbers makes no carry, and subtracting them none.
fn carries(operation: &str, operands: &[i64]) -> bool {
    let [a, b] = [operands[0] % 10, operands[1] % 10];
    if operation == "A+B" { a + b > 9 } else { a < b }
}

/// What is right at a step: a digit of the result, or nothing behind its last one.
fn due(set: &PromptSet, result: i64) -> Option<char> {
    result.to_string().chars().nth(match set.numbers.step {
        Step::At(step) => step,
        _ => set.numbers.shape.answer,
    })
}

/// Every answer of a model to operands in a range, at every step: that of arithmetic, or of arithmetic without a carry.
fn answers_are_arithmetic(name: &str, by: Digits, operands: std::ops::RangeInclusive<i64>) {
    let (model, mut engine) = load(name);
    let style = if model.bos().is_some() {
        "symbolic"
    } else {
        "calculate"
    };
    for operation in OPERATIONS {
        let mut whole_and_right = std::collections::BTreeMap::new();
        for set in every_step(&model, &template(style, operation), operands.clone()) {
            let found = prepare(&mut engine, set, &request(&[], &[], 1), &[]).unwrap();
            for (prompt, &said) in found.set.prompts.iter().zip(&found.base) {
                let said = model.tokenizer.decode(said);
                let expected = due(&found.set, prompt.result.unwrap());
                let right = match expected {
                    Some(digit) => said == digit.to_string(),
                    None => said == "<eos>",
                };
                *whole_and_right
                    .entry(prompt.operands.clone())
                    .or_insert(true) &= right;
                let at = format!(
                    "{name} {:?} at {}: {said}",
                    prompt.text, found.set.numbers.step
                );
                assert!(right || by == Digits::Copy, "{at}");
            }
        }
        for (operands, right) in whole_and_right {
            let makes_one = by == Digits::Copy && carries(operation, &operands);
            assert_eq!(right, !makes_one, "{name} {operation} {operands:?}");
        }
    }
}

/// All operands of two digits.
#[rstest]
#[case("planted-digits", Digits::Together)]
#[case("planted-digits-copy", Digits::Copy)]
fn all_answers_are_arithmetic(#[case] name: &str, #[case] by: Digits) {
    answers_are_arithmetic(name, by, 10..=99);
}

/// Some of them in every model.
#[test]
fn answers_of_all_models_are_arithmetic() {
    for (name, _, by) in models() {
        answers_are_arithmetic(name, by, 38..=57);
    }
}

/// Answers are right in every style that has something in front of the operands, or where a token stands there.
#[test]
fn answers_do_not_depend_on_the_style() {
    let (model, mut engine) = load("planted-digits-relay");
    for style in crate::fixtures::styles() {
        for operation in OPERATIONS {
            for set in every_step(&model, &template(&style, operation), 44..=56) {
                let found = prepare(&mut engine, set, &request(&[], &[], 1), &[]).unwrap();
                let wrong = (0..found.set.len()).find(|&prompt| !found.base_correct(prompt));
                let text = wrong.map(|prompt| &found.set.prompts[prompt].text);
                assert_eq!(text, None, "{style} {operation} {}", found.set.numbers.step);
            }
        }
    }
}

fn digits(layers: usize, wait: usize, transfer: usize, by: Digits) -> Plant {
    plant(layers, wait, transfer, Route::Digits { by, bos: true })
}

/// Whatever the sizes, what was planted is found at every step.
#[rstest]
#[case(digits(7, 2, 1, Digits::Together))]
#[case(digits(12, 6, 2, Digits::Together))]
#[case(digits(8, 1, 2, Digits::Apart))]
#[case(digits(11, 4, 4, Digits::Relay))]
#[case(digits(9, 4, 1, Digits::Copy))]
fn what_was_planted_is_found_at_every_step(#[case] plant: Plant) {
    let (model, mut engine) = grow(&plant);
    let template = template("symbolic", "A+B");
    for set in every_step(&model, &template, 30..=59) {
        if set.numbers.shape.answer == 3 {
            continue;
        }
        let at = set.numbers.step;
        let found = recover(&mut engine, set, &request(&[], &[], 40), 0.95).unwrap();
        let truth = plant.truth("symbolic", KeyedBy::Span, 0.95).unwrap();
        assert_eq!(
            (found.waits, found.af1),
            (Some(truth.waits), truth.af1),
            "{at}"
        );
        assert_eq!(found.knockouts, truth.knockouts, "{at}");
        let heads: Vec<(usize, usize)> = found.heads.iter().map(|h| (h.layer, h.head)).collect();
        assert_eq!(heads, truth.heads, "{at}");
    }
}

/// How many right answers a row keeps, of how many.
fn kept(row: &Value) -> (u64, u64) {
    let of = |field: &str| row[field].as_u64().unwrap();
    (of("correct_given_base"), of("base_correct"))
}

/// The waiting sweep of the program itself, at every step, with means by span and by token.
#[rstest]
#[case("planted-digits", "span", 3)]
#[case("planted-digits", "token", 1)]
#[case("planted-digits-apart", "span", 3)]
#[case("planted-digits-apart", "token", 3)]
#[case("planted-digits-relay", "span", 3)]
fn tokens_wait_as_long_as_was_planted(#[case] model: &str, #[case] key: &str, #[case] waits: u64) {
    let verb = format!("waiting --step whole,stop --key {key} --ablation cama");
    let run = planted(&verb).model(model).operands("10..=29");
    let rows = json_lines(run.run());
    let of_steps = rows.iter().filter(|row| row["step"] != "whole");
    let mut seen = std::collections::BTreeSet::new();
    for row in of_steps {
        let (wait, step) = (row["wait"].as_u64().unwrap(), row["step"].as_str().unwrap());
        seen.insert(step);
        let (right, all) = kept(row);
        // The answers 20 and 58 occur once each, so that nothing is left for their means by span.
        let expected = if (step, key) == ("stop", "span") {
            398
        } else {
            400
        };
        assert_eq!(all, expected, "{row}");
        // Once it is decided that nothing follows, that is the same for all prompts, and no mean takes it away.
        if step == "stop" && wait > waits + 1 {
            continue;
        }
        assert_eq!(
            right == all,
            wait <= waits,
            "W = {wait}, step {step}: {right}"
        );
    }
    assert_eq!(Vec::from_iter(seen), ["0", "1", "stop"]);
}

/// W and K of the program itself, chosen on half of the operands and reported on the other half.
#[rstest]
#[case("planted-digits", "", Some((3, 2)))]
#[case("planted-digits", " --key token", None)]
#[case("planted-digits-apart", " --key token", Some((3, 2)))]
#[case("planted-digits-relay", "", None)]
fn what_is_chosen_was_planted(
    #[case] model: &str,
    #[case] key: &str,
    #[case] planted_af1: Option<(u64, u64)>,
) {
    let verb = format!("discover{key}");
    let rows = json_lines(planted(&verb).model(model).operands("10..=49").run());
    let held_out: Vec<&Value> = (rows.iter())
        .filter(|row| row["part"] == "held-out" && row["step"] != "whole")
        .collect();
    assert_eq!(held_out.len(), 2, "a row a step");
    for row in held_out {
        let found = row["wait"].as_u64().zip(row["transfer"].as_u64());
        let passes = row["verdict"]["outcome"] == "pass";
        assert_eq!(passes.then_some(found).flatten(), planted_af1, "{row}");
    }
}

/// Whole answers: AF1(3, 2) keeps all, and where carries are dropped the model is right about just those without one.
#[rstest]
#[case("planted-digits", "span", "pass")]
#[case("planted-digits", "token", "fail")]
#[case("planted-digits-apart-no-bos", "token", "pass")]
#[case("planted-digits-relay-no-bos", "span", "fail")]
#[case("planted-digits-copy", "span", "pass")]
fn whole_answers_are_as_planted(#[case] model: &str, #[case] key: &str, #[case] outcome: &str) {
    for operation in OPERATIONS {
        let operands = if operation == "A+B" {
            "10..=29"
        } else {
            "10..=49"
        };
        let args = format!("run --model {model} --style calculate --operation {operation}");
        let args = format!("{args} --operands {operands} --key {key} --ablation cama");
        let rows = json_lines(af1(&args));
        let of_af1 = |row: &&Value| row["step"] == "whole" && row["transfer"] == 2;
        let whole: Vec<&Value> = rows.iter().filter(of_af1).collect();
        let [whole] = whole[..] else {
            panic!("{} rows of whole answers", whole.len());
        };
        assert_eq!(whole["verdict"]["outcome"], outcome, "{whole}");
        let of: Operation = operation.parse().unwrap();
        let operands: Vec<Vec<i64>> =
            serde_json::from_value(whole["evaluated_operands"].clone()).unwrap();
        let two_digits = |operands: &&Vec<i64>| of.evaluate(operands).unwrap() > 9;
        assert!(operands.iter().all(|operands| two_digits(&operands)));
        let without = operands
            .iter()
            .filter(|operands| !carries(operation, operands));
        let expected = match model {
            "planted-digits-copy" => without.count(),
            _ => operands.len(),
        };
        assert_eq!(whole["base_correct"], expected, "{whole}");
    }
}

/// The self-check says which step a row is of, and the key; in JSON, in the table and on the page.
#[test]
fn the_self_check_says_the_step_and_the_key() {
    let check = "selfcheck --model planted-digits --operation A+B";
    let rows = json_lines(af1(check));
    let said: Vec<[&str; 3]> = (rows.iter())
        .map(|row| ["shape", "step", "key"].map(|field| row[field].as_str().unwrap()))
        .collect();
    let steps = ["0", "1", "stop"];
    let mut expected = steps.map(|step| ["2+2=2", step, "span"]).to_vec();
    expected.push(["2+2=2", "0", "token"]);
    assert_eq!(said, expected);
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let text = rows.iter().map(|row| format!("{row}\n"));
    std::fs::write(&record, text.collect::<String>()).unwrap();
    let page = crate::program::stdout(af1("report").arg(&record).words("--format html"));
    for cell in ["<td>2+2=2</td>", "<td>stop</td>", "<td>token</td>"] {
        assert!(page.contains(cell), "{cell}");
    }
    let table = crate::program::stdout(af1(check));
    for words in [
        "symbolic A+B 2+2=2 step 0 1 ",
        "symbolic A+B 2+2=2 step stop",
        "by token: symbolic A+B 2+2=2 step 0 ",
    ] {
        assert!(table.contains(words), "{table}");
    }
}

/// What is no CAMA loses the answer.
#[test]
fn a_mean_without_its_context_loses_the_answer() {
    let (model, mut engine) = load("planted-digits");
    let set = every_step(&model, &template("symbolic", "A+B"), 30..=59).remove(0);
    let ablations = [super::named("mean"), super::named("cama")];
    let plans = [Plan::af1(3, 2)];
    let found = super::evaluate(&mut engine, set, &request(&plans, &ablations, 60)).unwrap();
    assert_eq!(super::accuracies(&found), [0.0, 1.0]);
}

/// What an independent implementation finds, prompt by prompt counted: all answers to two-digit operands, and what is kept under plug-in
/// means by every wait and by every AF1(3, K).
#[test]
fn counts_equal_the_reference() {
    let reference = json("reference/planted_digits.json");
    for of_model in reference["models"].as_array().unwrap() {
        let (model, mut engine) = load(of_model["model"].as_str().unwrap());
        for row in of_model["rows"].as_array().unwrap() {
            counts_equal(&model, &mut engine, row);
        }
    }
}

fn counts_equal(model: &Model, engine: &mut Engine, row: &Value) {
    let selection = Selection {
        operands: 10..=29,
        results: 0..=98,
        contexts: 100,
        contexts_from: ContextsFrom::All,
        seed: 42,
        listed: None,
    };
    let of = |field: &str| row[field].as_str().unwrap();
    let numbers = Numbers {
        shape: "2+2=2".parse().unwrap(),
        step: of("step").parse().unwrap(),
        keyed_by: of("key").parse().unwrap(),
    };
    let style = if model.bos().is_some() {
        "symbolic"
    } else {
        "calculate"
    };
    let (template, bos) = (template(style, "A+B"), model.bos());
    let set = PromptSet::of_numbers(&template, &model.tokenizer, bos, &selection, &numbers);
    let layers = engine.layers();
    let mut plans = waiting(&Vec::from_iter(0..=layers));
    plans.extend((0..=layers - 3).map(|transfer| Plan::af1(3, transfer)));
    let ablations = [super::named("cama")];
    let request = Request {
        estimator: Estimator::PlugIn,
        ..request(&plans, &ablations, 1000)
    };
    let found = super::evaluate(engine, set.unwrap(), &request).unwrap();
    let right = |cell| {
        found
            .evaluation
            .correct(cell)
            .filter(|right| *right)
            .count() as u64
    };
    let counts: Vec<u64> = found.cells.iter().map(right).collect();
    let expected = ["waiting", "af1"].map(|field| row[field].as_array().unwrap().iter());
    let expected: Vec<u64> = expected
        .into_iter()
        .flatten()
        .map(|n| n.as_u64().unwrap())
        .collect();
    assert_eq!(counts, expected, "{} {row}", model.name);
}
