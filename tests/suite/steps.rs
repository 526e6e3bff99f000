//! Numbers of several tokens, measured: against an independent implementation, at once and one by one, by carry and by key.

use std::collections::BTreeMap;

use af1::intervene::{Estimator, Plan, ablation};
use af1::measure::{Asked, Request, Way, apart, evaluate, prepare, prepare_steps, same_up_to};
use af1::prompt::{KeyedBy, PromptSet, Selection, Step};
use rstest::rstest;
use serde_json::Value;

use super::digits::{numbers, selection};
use super::fixtures::{path, smollm2, template};
use super::gate::Reference;
use super::program::{Words, af1, stdout};
use super::real::{Loaded, qwen};

/// What an independent implementation finds in SmolLM2 and in Qwen, prompt by prompt: 900 sums of 10 to 39.
#[rstest]
#[case(smollm2, "smollm2", "0", KeyedBy::Span, Estimator::LeaveOneOut)]
#[case(smollm2, "smollm2", "1", KeyedBy::Token, Estimator::PlugIn)]
#[case(smollm2, "smollm2", "stop", KeyedBy::Span, Estimator::LeaveOneOut)]
#[case(qwen, "qwen25_coder", "0", KeyedBy::Span, Estimator::LeaveOneOut)]
fn counts_equal_the_reference(
    #[case] load: fn() -> Loaded,
    #[case] name: &str,
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
    let of_model = find(&reference["models"], &|model| model["name"] == name);
    let of_step = find(&of_model["steps"], &|found| found["step"] == step);
    let expected = find(&of_step["groups"], &|group| {
        group["key"] == keyed_by.name() && group["estimator"] == estimator.name()
    });
    let loaded = load();
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
        match numbers[..] {
            [wait] => Plan::waiting(wait),
            _ => Plan::af1(numbers[0], numbers[1]),
        }
    };
    let names: Vec<&String> = cells.keys().collect();
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

/// Steps that go through the first pass at once, in trees, say what each says by itself when every prompt is run as a whole: base, AF1,
/// waiting and a knock-out, to the named tolerance.
#[rstest]
fn steps_at_once_are_as_each_by_itself(
    #[values(Estimator::LeaveOneOut, Estimator::PlugIn)] estimator: Estimator,
    #[values("calculate", "instruction")] style: &str,
) {
    let loaded = smollm2();
    let (model, engine) = &*loaded;
    let engine = &mut *engine.lock().unwrap();
    let selection = selection(18..=26);
    let set = |step| {
        let numbers = numbers("2+2=2", step, KeyedBy::Span);
        let template = template(style, "A+B");
        let (tokenizer, bos) = (&model.tokenizer, model.bos());
        PromptSet::of_numbers(&template, tokenizer, bos, &selection, &numbers).unwrap()
    };
    let sets = [Step::At(0), Step::At(1), Step::Stop].map(set);
    let plans = [
        Plan::af1(20, 6),
        Plan::waiting(20),
        Plan::waiting(0),
        Plan::knockout(20, 3),
    ];
    let ablations = [ablation::CAMA];
    let request = Request {
        estimator,
        batch: 32,
        ..Request::new(&plans, &ablations)
    };
    let asked = |set| Asked {
        set,
        request,
        wanted: true,
    };
    let asked: Vec<Asked<'_>> = sets.iter().map(asked).collect();
    let together = prepare_steps(engine, &asked, &[0, 20]).unwrap();
    for (set, made) in sets.iter().zip(together) {
        let mut found = made.expect("it is wanted").unwrap();
        let masked = Request {
            way: Way::Masked,
            ..request
        };
        let mut expected = prepare(engine, set.clone(), &masked, &[0, 20]).unwrap();
        assert_eq!(found.base, expected.base, "{}", set.name());
        assert_eq!(found.evaluated, expected.evaluated);
        let [logits, by_masks] = [&mut found, &mut expected]
            .map(|of| of.logits(engine, &plans, ablation::CAMA).unwrap());
        for ((plan, found), expected) in plans.iter().zip(&logits).zip(&by_masks) {
            let by = apart(found, expected);
            let tolerance = same_up_to(model.precision);
            assert!(by <= tolerance, "{} {plan:?}: {by}", set.name());
        }
    }
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

/// Logits are f32 and round otherwise in batches of another size, so that a cell beside others and the same cell alone are apart by less
/// than this. Another key moves a cell by more.
const SAME: f64 = 1e-6;

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
            assert!(apart < SAME, "{field} is apart by {apart}");
            // The keys are not the same: 12 and 22 share a token, and not a number.
            assert!((value(there) - value(own)).abs() > SAME, "{field} of {own}");
        }
    }
    let table = stdout(program("alternatives", key));
    assert!(table.contains("| keyed by |"), "{table}");
    // A claim is about the key that is asked for alone.
    assert_eq!(table.matches("cama AF1(1, 1): ").count(), 2, "{table}");
}

/// Sets of which neither goes on the other are run each by itself, and only those that are wanted are made.
#[test]
fn other_prompts_are_no_steps() {
    let loaded = smollm2();
    let (model, engine) = &*loaded;
    let engine = &mut *engine.lock().unwrap();
    let sets = [("A+B", "2+2=2"), ("A-B", "2+2=1"), ("A+B", "2+2=2")].map(|(operation, shape)| {
        let numbers = numbers(shape, Step::At(0), KeyedBy::Span);
        let template = template("calculate", operation);
        let (tokenizer, bos) = (&model.tokenizer, model.bos());
        PromptSet::of_numbers(&template, tokenizer, bos, &selection(30..=38), &numbers).unwrap()
    });
    let ablations = [ablation::CAMA];
    let request = Request::new(&[], &ablations);
    let asked = sets.iter().enumerate().map(|(i, set)| Asked {
        set,
        request,
        wanted: i < 2,
    });
    let asked: Vec<Asked<'_>> = asked.collect();
    let made = prepare_steps(engine, &asked, &[20]).unwrap();
    for (i, (set, made)) in sets.iter().zip(made).enumerate() {
        assert_eq!(made.is_some(), i < 2);
        let Some(found) = made else { continue };
        let alone = prepare(engine, set.clone(), &request, &[20]).unwrap();
        assert_eq!(found.unwrap().base, alone.base, "{}", set.name());
    }
}
