//! What the last token must see: what was planted is found without a hint, in every style and at every step.

use std::collections::BTreeMap;

use af1::experiment::Peek;
use af1::record::{Line, Row};
use rstest::rstest;
use serde_json::Value;

use super::fixtures::{floats, json};
use super::program::{af1, json_lines, stdout};
use super::real::CLEAR_MARGIN;

/// The share that is kept, by the words for what the last token sees, of a step.
fn kept(rows: &[Value], step: &str) -> BTreeMap<String, f64> {
    let of_step = rows
        .iter()
        .filter(|row| row["step"] == step && row["experiment"] != "whole");
    of_step
        .map(|row| {
            let sight = row["cell"].as_str().unwrap().to_owned();
            (sight, row["faithfulness"].as_f64().unwrap())
        })
        .collect()
}

/// The last token has to see both operands and the operator, but in `planted-operator`, where the mean of the last token keeps the operator
/// because all prompts of a template share it. Of `A+B=` these are within the last four tokens.
#[rstest]
#[case("planted-af1", "symbolic", 4)]
#[case("planted-operator", "symbolic", 4)]
#[case("planted-operator", "calculate", 8)]
#[case("planted-heads", "symbolic", 4)]
#[case("planted-af1", "calculate", 8)]
fn what_must_be_seen_was_planted(#[case] model: &str, #[case] style: &str, #[case] reach: usize) {
    let run = format!("peek --model {model} --style {style} --operation A+B --operands 0..=19");
    let rows = json_lines(af1(&run));
    let kept = kept(&rows, "0");
    assert_eq!(kept["everything"], 1.0);
    match model {
        "planted-operator" => assert_eq!(kept["operands"], 1.0),
        _ => assert!(kept["operands"] <= LOST, "{}", kept["operands"]),
    }
    let lost = [
        "A alone",
        "B alone",
        "all but A",
        "all but B",
        "text",
        "answer so far",
        "nothing",
    ];
    for sight in lost {
        assert!(kept[sight] <= LOST, "{sight}: {}", kept[sight]);
    }
    let window = |n: usize| match n {
        1 => kept["the last token"],
        n => kept[&format!("the last {n} tokens")],
    };
    for n in (1..=8).chain([10, 12, 16, 24, 32]) {
        match n >= reach {
            true => assert_eq!(window(n), 1.0, "{n}"),
            false => assert!(window(n) <= LOST, "{n}: {}", window(n)),
        }
    }
    assert_eq!(kept.len(), 5 + 4 + 13);
}

/// What the last token of Qwen must see, prompt by prompt, by PyTorch: both operands, and nothing else.
#[test]
fn sights_of_qwen_are_those_of_pytorch() {
    let reference = json("reference/qwen25_coder_looks.json");
    let run = "peek --style calculate --operation A+B --window 2,3,5,6 --format json";
    let text = stdout(&mut af1(run));
    let mut kept = BTreeMap::new();
    for line in text.lines() {
        let Row::Measured(m) = Line::read(line).unwrap().row else {
            continue;
        };
        let sight = m.place.cell.name.clone();
        let Some(of) = reference["peek"].get(&sight) else {
            continue;
        };
        let (due, margins) = (of["right"].as_str().unwrap(), floats(&of["margins"]));
        assert_eq!(
            (m.answers.right.len(), margins.len()),
            (due.len(), due.len())
        );
        for (i, (due, margin)) in due.chars().zip(margins).enumerate() {
            let clear = f64::from(margin) >= CLEAR_MARGIN;
            let right = m.answers.right[i];
            assert!(!clear || right == (due == '1'), "{sight}, prompt {i}");
        }
        kept.insert(sight, m.counts.correct);
    }
    assert_eq!(kept.len(), reference["peek"].as_object().unwrap().len());
    let [all, operands] = ["everything", "operands"].map(|sight| kept.remove(sight).unwrap());
    assert!(operands == all && kept.remove("the last 6 tokens") == Some(all));
    assert!(kept.values().all(|less| 5 * less < all), "{all} {kept:?}");
}

/// Without an operand the answer can be right by chance.
const LOST: f64 = 0.12;

/// A single digit is more often right by chance: the first of a sum of 10 to 29 and 10 to 29 is one of four.
const LOST_DIGIT: f64 = 0.5;

/// At the second digit of an answer the first stands in the prompt: in a planted model of digits the operands are needed there all the
/// same, and the digit that was given does not do instead.
#[test]
fn every_step_has_its_sight() {
    let run = "peek --model planted-digits --style symbolic --operation A+B --operands 10..=29 --window 1,32";
    let rows = json_lines(af1(run));
    for step in ["0", "1"] {
        let kept = kept(&rows, step);
        assert_eq!(
            (kept["everything"], kept["the last 32 tokens"]),
            (1.0, 1.0),
            "{step}"
        );
        for sight in ["all but A", "all but B", "answer so far", "nothing"] {
            assert!(kept[sight] < LOST_DIGIT, "{step} {sight}: {}", kept[sight]);
        }
    }
}

/// A sight is a technique by its positions, so that `run` says the same of it.
#[test]
fn a_sight_is_a_masking() {
    let of = "--model planted-af1 --style symbolic --operation A+B --operands 0..=9";
    let rows = json_lines(af1(&format!("peek {of} --window 2")));
    let masking = |cell: &str| {
        let row = rows.iter().find(|row| row["cell"] == cell).unwrap();
        (row["masking"].as_str().unwrap(), row["answers"].clone())
    };
    for (cell, name) in [
        ("everything", "abp"),
        ("operands", "sees-1+3"),
        ("A alone", "sees-1"),
        ("all but A", "sees-2+3"),
        ("text", "sees-2"),
        ("nothing", "sees-0"),
        ("the last 2 tokens", "window-2"),
    ] {
        let (found, answers) = masking(cell);
        assert_eq!(found, name, "{cell}");
        let run = json_lines(af1(&format!("run {of} --ablation cama --masking {name}")));
        let row = run.iter().find(|row| row["masking"] == name).unwrap();
        assert_eq!(row["answers"], answers, "{cell}");
    }
}

/// What asks for nothing is refused by name.
#[rstest]
#[case("--window 0", "--window 0: the last token sees itself")]
#[case("--transfer 0", "--transfer 0: the last token sees nothing then")]
fn what_asks_for_nothing(#[case] args: &str, #[case] part: &str) {
    let output = af1(&format!("peek --model planted-af1 --style symbolic {args}"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(af1::error::exit::USAGE.into()));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(part), "{error}");
}

/// The library's own type has what the options say.
#[test]
fn an_experiment_of_the_library() {
    let peek = Peek {
        plan: af1::intervene::Plan::af1(3, 2),
        windows: [1, 4].into(),
        ablation: af1::intervene::ablation::CAMA,
    };
    let units = af1::experiment::Experiment::units(&peek);
    let sizes = af1::experiment::Sizes {
        layers: 8,
        heads: 4,
    };
    assert_eq!(units[0].cells(sizes).len(), 5);
    assert_eq!(units.last().unwrap().cells(sizes).len(), 2);
    let two = "1+1=1".parse().unwrap();
    assert_eq!(units.iter().filter(|unit| unit.applies(&two)).count(), 4);
}
