//! The experiments against an independent implementation in PyTorch, prompt by prompt, and against their own
//! definitions.

use std::collections::HashMap;

use af1::experiment::waiting;
use af1::intervene::ablation::{self, Ablation};
use af1::intervene::masking::MaskedBy;
use af1::intervene::{Estimator, Plan, Tail};
use af1::measure::{Draw, Evaluated, Request, evaluate, prepare};
use af1::model::Model;
use af1::prompt::{PromptSet, Styles};
use rstest::rstest;

use super::fixtures::{build, json, one, path, smollm2, styles, template, tiny};

/// Logits of the two implementations differ by at most [`super::fixtures::PARITY`]; where the two largest logits of the
/// reference are closer than this, either may be the answer.
const CLEAR_MARGIN: f64 = 1e-3;

fn single_digits(model: &Model, style: &str, operation: &str) -> PromptSet {
    let four_shot = path("styles/four-shot.toml");
    let template = match style {
        "four-shot" => one(&Styles::read(&four_shot).unwrap(), style, operation),
        _ => template(style, operation),
    };
    build(model, &template, 0..=9, 0..=9)
}

/// The ablations of the reference, in its order.
fn all() -> Vec<&'static dyn Ablation> {
    let named = |name| ablation::named(name).unwrap();
    ["cama", "mean", "zero"].map(named).to_vec()
}

fn request<'a>(
    plans: &'a [Plan],
    ablations: &'a [&'static dyn Ablation],
    estimator: Estimator,
) -> Request<'a> {
    Request {
        estimator,
        ..Request::new(plans, ablations)
    }
}

fn af1(wait: usize, transfer: usize) -> Plan {
    Plan::af1(wait, transfer)
}

/// Compares the answers to every prompt with the reference's condition of that name.
fn same_answers(found: &[(usize, u32)], reference: &serde_json::Value, condition: &str) {
    let expected = &reference["conditions"][condition];
    let tokens = expected["tokens"]
        .as_array()
        .unwrap_or_else(|| panic!("no condition {condition:?}"));
    let mut unclear = 0;
    for &(prompt, token) in found {
        let margin = expected["margins"][prompt].as_f64().unwrap();
        if margin < CLEAR_MARGIN {
            unclear += 1;
        } else {
            assert_eq!(
                u64::from(token),
                tokens[prompt].as_u64().unwrap(),
                "{condition}, prompt {prompt}"
            );
        }
    }
    assert!(
        unclear <= 1 || condition.starts_with("wait zero"),
        "{condition}: {unclear} near ties"
    );
}

/// The evaluated prompts with their answers in a cell.
fn answers(found: &Evaluated, cell: usize) -> Vec<(usize, u32)> {
    let predicted = found.cells[cell].predicted.iter().copied();
    found
        .evaluation
        .evaluated
        .iter()
        .copied()
        .zip(predicted)
        .collect()
}

fn correct_given_base(found: &Evaluated, cell: usize) -> usize {
    let evaluation = &found.evaluation;
    let correct = evaluation.correct(&found.cells[cell]);
    let pairs = correct.zip(&evaluation.evaluated);
    pairs
        .filter(|(correct, prompt)| *correct && evaluation.base_correct(**prompt))
        .count()
}

/// Every answer of the real model under every condition is the one that PyTorch finds.
#[rstest]
#[case("four-shot", "A+B", "four-shot/add", &[1, 8, 14, 18, 22])]
#[case("calculate", "A+B", "calculate/add", &[0, 1, 7, 14, 19, 20, 21, 26, 30])]
#[case("calculate", "A-B", "calculate/sub", &[0, 1, 14, 20, 30])]
#[case("symbolic", "A-B", "symbolic/sub", &[0, 1, 14, 20, 30])]
#[case("python", "A+B", "python/add", &[1, 14, 20])]
fn answers_equal_the_reference(
    #[case] style: &str,
    #[case] operation: &str,
    #[case] name: &str,
    #[case] waits: &[usize],
) {
    let fixture = json("reference/smollm2_af1.json");
    let sets = fixture["sets"].as_array().unwrap();
    let reference = sets.iter().find(|set| set["name"] == name).unwrap();
    let loaded = smollm2();
    let mut engine = loaded.1.lock().unwrap();

    let set = single_digits(&loaded.0, style, operation);
    for (prompt, expected) in set.prompts.iter().zip(reference["ids"].as_array().unwrap()) {
        let ids: Vec<i64> = prompt.ids.iter().map(|&id| i64::from(id)).collect();
        assert_eq!(ids, super::fixtures::ints(expected), "{}", prompt.text);
    }
    let mut plans = waiting(waits);
    plans.extend([af1(20, 6), af1(20, 8), af1(20, 0)]);
    let ablations = all();
    let found = evaluate(
        &mut engine,
        set,
        &request(&plans, &ablations, Estimator::PlugIn),
    )
    .unwrap();
    let base: Vec<(usize, u32)> = found.evaluation.base.iter().copied().enumerate().collect();
    same_answers(&base, reference, "base");
    let mut compared = 0;
    for (i, cell) in found.cells.iter().enumerate() {
        let (kind, end) = match cell.plan.tail {
            Tail::Af1 { transfer } => ("af1", format!(" {transfer}")),
            _ => ("wait", String::new()),
        };
        // The reference has the subgraphs with CAMA only.
        if kind == "af1" && cell.ablation.name() != "cama" {
            continue;
        }
        let condition = format!("{kind} {} {}{end}", cell.ablation.name(), cell.plan.wait);
        same_answers(&answers(&found, i), reference, &condition);
        compared += 1;
    }
    assert_eq!(compared, 3 * waits.len() + 3);
    let undefined = reference["undefined_leave_one_out"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(
        found.evaluation.degenerate, undefined,
        "what has one context is degenerate under plug-in"
    );

    let plans = [af1(20, 6)];
    let found = {
        let set = single_digits(&loaded.0, style, operation);
        evaluate(
            &mut engine,
            set,
            &request(&plans, &ablations, Estimator::LeaveOneOut),
        )
        .unwrap()
    };
    assert_eq!(found.evaluation.undefined, undefined);
    for (i, name) in ["cama", "mean"].into_iter().enumerate() {
        same_answers(
            &answers(&found, i),
            reference,
            &format!("af1 {name} leave-one-out 20 6"),
        );
    }
}

/// AF1(20, 6) across all input styles and ablations: the accuracy is the one that PyTorch finds, and the three ablations
/// stand in the order that the theory says wherever the model can do the task.
#[rstest]
fn styles_operations_and_ablations(#[values("A+B", "A-B")] operation: &str) {
    for style in styles() {
        ablations_on(&style, operation);
    }
}

fn ablations_on(style: &str, operation: &str) {
    let fixture = json("reference/smollm2_styles.json");
    let name = format!("{style}/{}", if operation == "A+B" { "add" } else { "sub" });
    let sets = fixture["sets"].as_array().unwrap();
    let reference = sets.iter().find(|set| set["name"] == *name).unwrap();
    let loaded = smollm2();
    let mut engine = loaded.1.lock().unwrap();
    let set = single_digits(&loaded.0, style, operation);
    let ablations = all();
    let plans = [af1(20, 6)];
    let found = evaluate(
        &mut engine,
        set,
        &request(&plans, &ablations, Estimator::PlugIn),
    )
    .unwrap();
    let base: Vec<(usize, u32)> = found.evaluation.base.iter().copied().enumerate().collect();
    same_answers(&base, reference, "base");
    let mut kept = Vec::new();
    for (i, cell) in found.cells.iter().enumerate() {
        let condition = format!("af1 {} 20 6", cell.ablation.name());
        same_answers(&answers(&found, i), reference, &condition);
        let correct = found
            .evaluation
            .correct(cell)
            .filter(|correct| *correct)
            .count();
        let expected = reference["conditions"][&condition]["correct"]
            .as_u64()
            .unwrap() as usize;
        assert!(
            correct.abs_diff(expected) <= 1,
            "{condition}: {correct}, expected {expected}"
        );
        kept.push(correct_given_base(&found, i));
    }
    // Best constant answer: 10 of 55.
    let base_correct = found
        .evaluation
        .evaluated
        .iter()
        .filter(|&&p| found.evaluation.base_correct(p))
        .count();
    if base_correct > 20 {
        assert!(
            kept[0] > kept[1] && kept[1] >= kept[2],
            "{style} {operation}: {kept:?} of {base_correct}"
        );
    }
}

/// The counts by which SmolLM2 is known: four worked examples, single digits, plug-in, 55 prompts.
#[test]
fn the_known_counts_come_out() {
    let loaded = smollm2();
    let mut engine = loaded.1.lock().unwrap();
    let ablations = all();
    let mut plans = waiting(&[1, 8, 14, 18, 22]);
    plans.extend([af1(20, 6), af1(20, 8)]);
    let set = single_digits(&loaded.0, "four-shot", "A+B");
    assert_eq!((set.len(), set.positions()), (55, 39));
    let found = evaluate(
        &mut engine,
        set,
        &request(&plans, &ablations, Estimator::PlugIn),
    )
    .unwrap();
    assert_eq!(
        (0..55)
            .filter(|&p| found.evaluation.base_correct(p))
            .count(),
        44
    );
    let counts: Vec<usize> = (0..found.cells.len())
        .map(|cell| correct_given_base(&found, cell))
        .collect();
    // CAMA, mean, zero at each boundary; within one prompt, for near ties.
    let expected = [44, 6, 0, 42, 6, 0, 37, 6, 0, 30, 6, 0, 14, 6, 0];
    for (i, (found, expected)) in counts.iter().zip(expected).enumerate() {
        assert!(
            found.abs_diff(expected) <= 1,
            "cell {i}: {found}, expected {expected}"
        );
    }
    assert!(counts[15].abs_diff(26) <= 1, "AF1(20, 6): {}", counts[15]);
    assert!(counts[18].abs_diff(27) <= 1, "AF1(20, 8): {}", counts[18]);
}

/// On any model and template: waiting to 0 under CAMA and the full tail change nothing.
#[rstest]
fn interventions_that_change_nothing(
    #[values("symbolic", "verbal", "question", "calculate")] style: &str,
    #[values("A+B", "A-B")] operation: &str,
    #[values(Estimator::PlugIn, Estimator::LeaveOneOut, Estimator::Split)] estimator: Estimator,
) {
    let (model, mut engine) = tiny("f32");
    let set = single_digits(&model, style, operation);
    let ablations = all();
    let plans = waiting(&[0]);
    let found = evaluate(&mut engine, set, &request(&plans, &ablations, estimator)).unwrap();
    // resid[0] is the embedding: a function of the token alone, so its mean over contexts is itself.
    let base: Vec<u32> = found
        .evaluation
        .evaluated
        .iter()
        .map(|&prompt| found.evaluation.base[prompt])
        .collect();
    assert_eq!(found.cells[0].ablation.name(), "cama");
    assert_eq!(found.cells[0].predicted, base);
    assert_eq!(
        found.evaluation.evaluated.len() + found.evaluation.undefined,
        match estimator {
            Estimator::Split => found.evaluation.set.len() - found.evaluation.set.len() / 2,
            _ => found.evaluation.set.len(),
        }
    );
}

/// Batches do not change answers, and equal requests give equal results.
#[rstest]
fn batches_do_not_matter(#[values(1, 7, 64)] batch: usize) {
    let (model, mut engine) = tiny("f32");
    let ablations = all();
    // Means of what heads read are taken batch by batch, too.
    let attention_mean = MaskedBy::named("attention-mean").unwrap();
    let plans = [
        waiting(&[1, 2, 3]),
        vec![af1(1, 0), af1(1, 1), af1(1, 2), af1(0, 3)],
        vec![af1(1, 1).with(attention_mean)],
    ]
    .concat();
    let mut answers = Vec::new();
    for batch in [batch, 55] {
        let mut request = request(&plans, &ablations, Estimator::LeaveOneOut);
        request.batch = batch;
        let set = single_digits(&model, "symbolic", "A+B");
        let found = evaluate(&mut engine, set, &request).unwrap();
        let cells: Vec<Vec<u32>> = found.cells.into_iter().map(|cell| cell.predicted).collect();
        answers.push((found.evaluation.base, cells));
    }
    assert_eq!(answers[0], answers[1]);
}

/// A prompt that the means are not over has nothing of its own to leave out: its means are those of all that were drawn.
#[test]
fn what_was_not_drawn_is_not_left_out() {
    let (model, mut engine) = tiny("f32");
    let attention_mean = MaskedBy::named("attention-mean").unwrap();
    let plans = [af1(1, 1).with(attention_mean)];
    let ablations = [ablation::IDENTITY];
    let mut logits = |estimator, contexts| {
        let request = Request {
            draw: Some(Draw { contexts, seed: 7 }),
            ..request(&plans, &ablations, estimator)
        };
        let set = single_digits(&model, "symbolic", "A+B");
        let mut found = prepare(&mut engine, set, &request, &[1]).unwrap();
        let logits = found.logits(&mut engine, &plans, ablations[0]).unwrap();
        let rows = logits[0].outer_iter().map(|row| row.to_vec());
        let rows: Vec<Vec<f32>> = rows.collect();
        found
            .evaluated
            .into_iter()
            .zip(rows)
            .collect::<HashMap<_, _>>()
    };
    // To leave one out it takes one more.
    let (without, of_all) = (
        logits(Estimator::LeaveOneOut, 2),
        logits(Estimator::PlugIn, 3),
    );
    let same = without
        .iter()
        .filter(|(prompt, row)| of_all[*prompt] == **row);
    let same = same.count();
    assert!(
        0 < same && same < without.len(),
        "{same} of {}",
        without.len()
    );
}

/// Where only the head follows, the tail's masks do not matter.
#[test]
fn at_the_last_boundary_only_the_head_follows() {
    let (model, mut engine) = tiny("f32");
    let ablations = all();
    let plans = [waiting(&[3]), vec![af1(3, 0)]].concat();
    let set = single_digits(&model, "symbolic", "A+B");
    let found = evaluate(
        &mut engine,
        set,
        &request(&plans, &ablations, Estimator::PlugIn),
    )
    .unwrap();
    for i in 0..3 {
        assert_eq!(found.cells[i].predicted, found.cells[i + 3].predicted);
    }
}
