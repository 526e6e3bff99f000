//! Transfer in any window: the planted one has rank 1 alone, whatever is claimed, and every logit is that of numpy.

use std::collections::{BTreeMap, BTreeSet};

use af1::error::exit;
use af1::experiment::{Windows, random_heads};
use af1::intervene::{Estimator, Head, Plan, Tail, ablation};
use af1::measure::{Request, Way, evaluate, prepare};
use af1::model::planted::{Plant, Route};
use af1::prompt::{ContextsFrom, KeyedBy, Step};
use af1::record::{Line, Row};
use af1::study::{self, Asked, Method, Study};
use rstest::rstest;

use super::fixtures::{
    CHANCE, PARITY, build, build_from, distance, floats, json, load, path, planted_models, template,
};
use super::program::{Words, af1, planted, stdout};
use super::real::{CLEAR_MARGIN, qwen};

/// A study of a planted model on few prompts of a style.
pub fn of_plant(model: &str, plant: &Plant, style: &str) -> Study {
    let operands = match plant.route {
        Route::Digits { .. } => "44..=56",
        // What leaks is where a number lies among all: of few numbers that says little.
        Route::Leak => "0..=99",
        _ => "0..=12",
    };
    let request = study::Request {
        asked: Asked {
            style: vec![style.to_owned()],
            operations: vec!["A+B".parse().unwrap()],
            operands: Some(operands.parse().unwrap()),
            results: Some("0..=198".parse().unwrap()),
            ..Asked::default()
        },
        method: Method {
            limit: 40,
            ..Method::default()
        },
        ..study::Request::default()
    };
    Study::open(request, || Ok(load(model))).unwrap()
}

/// Every window of so many layers, and nothing else but the complement of the one that is claimed.
fn every_window(wait: usize, transfer: usize, layers: usize) -> Windows {
    Windows {
        wait,
        transfer,
        layers,
        starts: (0..=layers - transfer).collect(),
        sets: Vec::new(),
        head_sets: Vec::new(),
        ablation: ablation::CAMA,
    }
}

/// The share of the right answers that every window keeps, by its first layer, and the share that the complement keeps.
fn kept(lines: &[Line], step: Step, transfer: usize) -> (BTreeMap<usize, f64>, f64) {
    let (mut windows, mut complement) = (BTreeMap::new(), f64::NAN);
    for line in lines {
        let Row::Measured(m) = &line.row else {
            panic!("{}", line.text);
        };
        let share = m.scores.faithfulness.value.unwrap();
        match &m.subject.plan.tail {
            _ if m.place.step != step => {}
            Tail::Af1 { transfer: k } if *k == transfer => {
                windows.insert(m.subject.plan.wait, share);
            }
            Tail::Apart { layers } if layers.len() == transfer => {
                windows.insert(*layers.first().unwrap(), share);
            }
            Tail::Knockout { .. } => complement = share,
            _ => {}
        }
    }
    (windows, complement)
}

/// A window that keeps fewer answers is not the one that was planted, however many a plant is said to keep.
const MOST: f64 = 0.5;

/// Whichever window of as many layers is claimed, as long as tokens that wait know what they are.
#[test]
fn the_planted_window_has_rank_1_alone() {
    let mut held = 0;
    for (preset, plant) in planted_models() {
        let style = preset.styles[0];
        let Some(truth) = plant.truth(style, KeyedBy::Span, 0.0) else {
            continue;
        };
        let mut study = of_plant(preset.name, &plant, style);
        let (layers, transfer) = (plant.layers, plant.transfer);
        for claimed in [truth.waits - 1, truth.waits, layers - transfer] {
            let asked = every_window(claimed, transfer, layers);
            let swept = study.run(&asked, |_| Ok(())).unwrap();
            let (found, complement) = kept(&swept.lines, Step::At(0), transfer);
            let what = format!("{} claimed at {claimed}: {found:?}", preset.name);
            assert_eq!(found.len(), layers - transfer + 1, "{what}");
            let planted = truth.af1.map(|(wait, _)| wait);
            for (&first, &share) in &found {
                match planted == Some(first) {
                    true => assert!(share >= truth.faithful - CHANCE && share > MOST, "{what}"),
                    false => assert!(share <= CHANCE, "{first} {what}"),
                }
            }
            held += usize::from(planted.is_some());
            if Some(claimed) == planted {
                assert!(complement <= CHANCE, "{what}: {complement}");
            }
        }
    }
    assert!(held > 20);
}

/// Of the heads behind the boundary those that fetch suffice, whichever others go, and none of them can be missed.
#[test]
fn heads_that_are_drawn_keep_the_answers_if_the_planted_ones_are_among_them() {
    let (mut kept, mut lost) = (0, 0);
    for (preset, plant) in planted_models() {
        let style = preset.styles[0];
        let truth = plant.truth(style, KeyedBy::Span, 0.0);
        let Some((truth, (wait, transfer))) = truth.and_then(|t| t.af1.map(|af1| (t, af1))) else {
            continue;
        };
        let needed: BTreeSet<Head> = (truth.heads.iter())
            .map(|&(layer, head)| Head { layer, head })
            .collect();
        let mut study = of_plant(preset.name, &plant, style);
        let (layers, heads) = (plant.layers, study.engine.heads());
        let all = Head::all(wait..layers, heads).collect::<BTreeSet<Head>>();
        let mut sets = random_heads(wait, layers - wait, heads, heads, 12, 7);
        let others = all.difference(&needed).copied().collect();
        sets.push(Plan::pruned(wait, layers - wait, others));
        let asked = Windows {
            head_sets: sets,
            ..every_window(wait, transfer, layers)
        };
        let swept = study.run(&asked, |_| Ok(())).unwrap();
        let mut seen = 0;
        for line in &swept.lines {
            let Row::Measured(m) = &line.row else {
                panic!("{}", line.text);
            };
            let (Some(without), Step::At(0)) = (m.subject.pruned_heads(), m.place.step) else {
                continue;
            };
            let share = m.scores.faithfulness.value.unwrap();
            let what = format!("{} without {without:?}: {share}", preset.name);
            match needed.is_disjoint(without) {
                true => assert!(share >= truth.faithful - CHANCE, "{what}"),
                false => assert!(share < truth.faithful - CHANCE, "{what}"),
            }
            match needed.is_disjoint(without) {
                true => kept += 1,
                false => lost += 1,
            }
            seen += 1;
        }
        assert!(seen > 8, "{}: {seen}", preset.name);
    }
    assert!(kept > 10 && lost > 50, "{kept} {lost}");
}

/// The logits of numpy, in both ways of running.
#[rstest]
fn logits_are_those_of_numpy(#[values(Way::Compiled, Way::Masked)] way: Way) {
    let reference = json("reference/windows.json");
    let folder = path("reference/tiny-llama/f32");
    let (model, mut engine) = load(&folder.to_string_lossy());
    let of_fixture = reference["plans"].as_array().unwrap();
    let plan = |of: &serde_json::Value| {
        let layers: Vec<usize> = serde_json::from_value(of["layers"].clone()).unwrap();
        let wait = of["wait"].as_u64().unwrap() as usize;
        Plan::transferring(wait, layers.into_iter().collect())
    };
    let plans: Vec<Plan> = of_fixture.iter().map(plan).collect();
    let ablations = [ablation::CAMA];
    let request = Request {
        way,
        estimator: Estimator::LeaveOneOut,
        ..Request::new(&plans, &ablations)
    };
    let set = build(&model, &template("symbolic", "A+B"), 0..=9, 0..=9);
    let mut evaluation = prepare(&mut engine, set, &request, &[0, 1]).unwrap();
    let logits = evaluation
        .logits(&mut engine, &plans, ablation::CAMA)
        .unwrap();
    let mut compared = 0;
    for ((of, plan), logits) in of_fixture.iter().zip(&plans).zip(&logits) {
        for (row, &prompt) in evaluation.evaluated.iter().enumerate() {
            let text = evaluation.set.prompts[prompt].text.trim_end_matches('=');
            let Some(due) = of["logits"].get(text) else {
                continue;
            };
            let apart = distance(&logits.row(row).to_vec(), &floats(due));
            assert!(apart <= PARITY, "{plan:?}, {text}: {apart}");
            compared += 1;
        }
    }
    assert_eq!(compared, 6 * 5);
}

/// The sentence says the rank, who is tied, what the rest of the model keeps and how drawn layers do.
#[test]
fn the_sentence_says_the_rank() {
    let conclusion = |model: &str, options: &str| {
        let run = planted("windows").model(model);
        let text = stdout(run.run().words(options));
        let line = text.lines().find(|line| line.starts_with("conclusion: "));
        line.unwrap().to_owned()
    };
    let found = conclusion("planted-af1", "--controls 5 --head-controls 3");
    let due = "conclusion: symbolic A+B: of 7 windows the claimed one, layers 3–4, has rank 1, alone: it keeps 100/100 1.00 [.96, 1.00] \
               of the right answers; ";
    assert!(found.starts_with(due), "{found}");
    assert!(
        found.contains("5 random sets of as many layers")
            && found.contains("3 random sets of as many heads, of the layers from W on")
            && found.matches("and 0 of them keep").count() == 2,
        "{found}"
    );
    let found = conclusion("planted-relay", "--transfer 3");
    assert!(
        found.contains("tied with") && !found.contains("alone"),
        "{found}"
    );
}

/// Options that do not fit a model are refused by what they are.
#[rstest]
#[case(
    "--transfer 0",
    "--transfer 0: a window has a layer at least; expected 1 or more"
)]
#[case(
    "--transfer-at 2,7",
    "--transfer-at 7: the model has 8 layers; expected at most 6, the first of the last 2"
)]
#[case(
    "--transfer 1 --controls 3",
    "--controls 3: every set of 1 of 8 layers is a window; leave it out"
)]
#[case(
    "--wait 6 --transfer 2 --head-controls 3",
    "--head-controls 3: no layer is behind the window, so every head from layer 6 on is of it; leave it out"
)]
fn what_does_not_fit_is_refused(#[case] options: &str, #[case] due: &str) {
    let output = planted("windows").run().words(options).output().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(exit::USAGE)));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(due), "{said}");
}

/// A graph of another program is asked by its masks.
#[test]
fn another_programs_graph_is_asked() {
    let file = path("foreign/gpt2-shaped.onnx");
    let words =
        "windows --style symbolic --operation A+B --operands 0..=9 --wait 1 --transfer 1 --model";
    let text = stdout(af1(words).arg(file));
    assert!(
        text.contains("of 3 windows the claimed one, layer 1,"),
        "{text}"
    );
}

/// A cell of a record is read again as the plan that it was.
#[test]
fn layers_apart_are_read_again() {
    let run = planted("windows").operands("0..=4");
    let text = stdout(run.run().words("--controls 3 --format json"));
    let mut apart = 0;
    for line in text.lines() {
        let Row::Measured(m) = Line::read(line).unwrap().row else {
            continue;
        };
        let again = Line::new(Row::Measured(m.clone()));
        assert_eq!(again.text, line);
        if let Tail::Apart { layers } = &m.subject.plan.tail {
            assert_eq!(layers.len(), m.subject.transfer().unwrap());
            let broken = line.replace("\"transfer_at\":[", "\"transfer_at\":[0,1,");
            let error = Line::read(&broken).unwrap_err();
            assert!(
                error.contains("transfer_at") && error.contains("expected"),
                "{error}"
            );
            apart += 1;
        }
    }
    assert!(apart > 4);
}

/// Right answers of Qwen in windows of one layer, prompt by prompt, by PyTorch; that of layer 16 keeps most by far.
#[test]
fn windows_of_qwen_are_those_of_pytorch() {
    let reference = json("reference/qwen25_coder_looks.json");
    let of_windows = reference["windows"].as_object().unwrap();
    let wait = reference["wait"].as_u64().unwrap() as usize;
    let firsts: Vec<usize> = of_windows
        .keys()
        .map(|first| first.parse().unwrap())
        .collect();
    let plan = |&first: &usize| Plan::transferring(wait.min(first), [first].into());
    let plans: Vec<Plan> = firsts.iter().map(plan).collect();
    let ablations = [ablation::CAMA];
    let loaded = qwen();
    let mut engine = loaded.1.lock().unwrap();
    let set = build_from(
        ContextsFrom::All,
        &loaded.0,
        &template("calculate", "A+B"),
        0..=9,
        0..=9,
    );
    let found = evaluate(&mut engine, set, &Request::new(&plans, &ablations)).unwrap();
    let mut kept = BTreeMap::new();
    for (cell, (first, of)) in found.cells.iter().zip(of_windows) {
        let right: Vec<bool> = found.evaluation.correct(cell).collect();
        let due = of["right"].as_str().unwrap();
        let margins = floats(&of["margins"]);
        assert_eq!((right.len(), margins.len()), (due.len(), due.len()));
        for (i, (due, margin)) in due.chars().zip(margins).enumerate() {
            let clear = f64::from(margin) >= CLEAR_MARGIN;
            assert!(
                !clear || right[i] == (due == '1'),
                "layer {first}, prompt {i}"
            );
        }
        kept.insert(first.as_str(), right.iter().filter(|right| **right).count());
    }
    let claimed = kept.remove("16").unwrap();
    assert!(
        kept.values().all(|others| 5 * others < claimed),
        "{claimed} {kept:?}"
    );
}
