//! The lens: what it reads of planted models follows from what was planted, and every rank is that of transformers.

use std::collections::BTreeMap;

use af1::error::exit;
use af1::experiment::Lens;
use af1::intervene::{Estimator, Plan, ablation};
use af1::measure::{Request, Sought, Spot, Way, prepare};
use af1::model::planted::{Digits, Plant, Route};
use af1::prompt::{ContextsFrom, KeyedBy, Step};
use af1::record::{Line, Reading, Row, Stands};
use rstest::rstest;

use super::fixtures::{
    CHANCE, build, build_from, floats, json, load, path, planted_models, template,
};
use super::program::{Words, af1, planted, stdout};
use super::real::{CLEAR_MARGIN, qwen};
use super::windows::of_plant;

/// The readings of lines at the first step of an answer.
fn readings<'l>(lines: impl IntoIterator<Item = &'l Line>) -> Vec<Reading> {
    let of = |line: &Line| match &line.row {
        Row::Reading(r) if r.place.step == Step::At(0) => Some((**r).clone()),
        Row::Reading(_) | Row::Conclusion(_) => None,
        _ => panic!("{}", line.text),
    };
    lines.into_iter().filter_map(of).collect()
}

/// How the answer stands at a spot.
fn answer(r: &Reading, spot: &str) -> Stands {
    r.lens[spot]["answer"]
}

/// The first boundary at which the answer stands at the last token of a planted model: it is said two layers behind the last that
/// transfers, by digits more, and where it is only copied and picked one behind.
fn due(plant: &Plant) -> usize {
    match plant.route {
        Route::Relay => plant.wait + plant.transfer + 1,
        _ => plant.least_layers(),
    }
}

/// The answer appears at the last token alone, from where it was planted on, in AF1 likewise; where every AF1 fails, by chance at most.
#[test]
fn the_answer_appears_where_it_was_planted() {
    let (mut held, mut lost) = (0, 0);
    for (preset, plant) in planted_models() {
        let style = preset.styles[0];
        let Some(truth) = plant.truth(style, KeyedBy::Span, 0.0) else {
            continue;
        };
        let mut study = of_plant(preset.name, &plant, style);
        let lens = Lens {
            af1: Some(Plan::af1(plant.wait, plant.transfer)),
            ablation: ablation::CAMA,
            boundaries: (0..=plant.layers).collect(),
        };
        let swept = study.run(&lens, |_| Ok(())).unwrap();
        let of_shape = readings(&swept.lines);
        assert!(!of_shape.is_empty());
        for r in &of_shape {
            let what = format!("{} {:?} resid.{}", preset.name, r.under, r.boundary);
            assert!(r.under.is_none() || r.boundary >= plant.wait, "{what}");
            assert_eq!(
                r.lens.keys().collect::<Vec<_>>(),
                ["A", "B", "last"],
                "{what}"
            );
            for operand in ["A", "B"] {
                assert_eq!(answer(r, operand).first.count, 0, "{what} at {operand}");
            }
            let share = answer(r, "last").first.value.unwrap();
            if r.boundary < due(&plant) {
                assert_eq!(share, 0.0, "{what}");
                continue;
            }
            let makes_mistakes = match plant.route {
                Route::Digits { by, .. } => by == Digits::Copy,
                Route::Noisy { .. } => r.under.is_some(),
                _ => false,
            };
            if r.under.is_some() && truth.af1.is_none() {
                assert!(share <= CHANCE, "{what}: {share}");
                lost += 1;
            } else if makes_mistakes {
                assert!(share > CHANCE && share < 1.0, "{what}: {share}");
            } else {
                assert_eq!(share, 1.0, "{what}");
                held += 1;
            }
        }
    }
    assert!(held > 20 && lost > 3, "{held} {lost}");
}

/// Ranks and probabilities of families with different norms and a soft-capping, by transformers.
#[rstest]
fn readings_are_those_of_transformers(
    #[values("llama", "gpt_neox", "gptj", "gemma2")] family: &str,
    #[values(Way::Compiled, Way::Masked)] way: Way,
) {
    let reference = json("reference/lens.json");
    let folder = path("reference/tiny-families").join(family);
    let (model, mut engine) = load(&folder.to_string_lossy());
    let set = build(&model, &template("symbolic", "A+B"), 0..=9, 0..=9);
    let request = Request {
        way,
        estimator: Estimator::PlugIn,
        // The last batch is smaller than the others.
        batch: 16,
        ..Request::new(&[], &[])
    };
    let mut evaluation = prepare(&mut engine, set, &request, &[]).unwrap();
    let boundaries: Vec<usize> = (0..=engine.layers()).collect();
    let glimpses = evaluation.read(&mut engine, &boundaries, None).unwrap();
    let mut compared = 0;
    for of_prompt in reference["families"][family].as_array().unwrap() {
        let operands: Vec<i64> = serde_json::from_value(of_prompt["operands"].clone()).unwrap();
        let is = |&&prompt: &&usize| evaluation.set.prompts[prompt].operands == operands;
        let at = evaluation
            .evaluated
            .iter()
            .position(|prompt| is(&prompt))
            .unwrap();
        let of_boundaries = of_prompt["read"].as_array().unwrap();
        assert_eq!(of_boundaries.len(), glimpses.len());
        for (glimpse, due) in glimpses.iter().zip(of_boundaries) {
            assert_eq!(glimpse.found.len(), 9);
            for ((spot, sought), standings) in &glimpse.found {
                let due = &due[format!("{} {}", spot.name(), sought.name())];
                let what = format!(
                    "{operands:?} resid.{} {spot:?} {sought:?}",
                    glimpse.boundary
                );
                assert_eq!(
                    u64::from(standings[at].rank),
                    due[0].as_u64().unwrap(),
                    "{what}"
                );
                let apart = (f64::from(standings[at].probability) - due[1].as_f64().unwrap()).abs();
                assert!(apart <= PROBABILITY, "{what}: {apart}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 6 * 3 * 9);
}

/// The largest difference of probabilities from PyTorch in f64: rounding of f32 in streams, norms and products.
const PROBABILITY: f64 = 1e-5;

/// At the end the lens reads what the model says: in the model and under a plan, prompt by prompt.
#[rstest]
fn at_the_end_it_reads_what_is_said(
    // Of the second as many prompts are read at once as there are, which is in two parts.
    #[values(50, 400)] batch: usize,
) {
    let (model, mut engine) = load("planted-noisy");
    let set = build(&model, &template("symbolic", "A+B"), 0..=16, 0..=32);
    let plans = [Plan::af1(3, 2)];
    let ablations = [ablation::CAMA];
    let request = Request {
        batch,
        ..Request::new(&plans, &ablations)
    };
    let mut evaluation = prepare(&mut engine, set, &request, &[3]).unwrap();
    let end = engine.layers();
    let mut read = |under| {
        let glimpses = evaluation.read(&mut engine, &[end], under).unwrap();
        glimpses[0].found[&(Spot::Last, Sought::Answer)].clone()
    };
    let (base, under) = (read(None), read(Some((&plans[0], ablation::CAMA))));
    let cells = evaluation.sweep(&mut engine, &plans, &ablations).unwrap();
    let mut wrong = 0;
    for (i, &prompt) in evaluation.evaluated.iter().enumerate() {
        assert_eq!(base[i].rank == 1, evaluation.base_correct(prompt));
        assert_eq!(under[i].rank, cells[0].rank[i]);
        wrong += usize::from(under[i].rank > 1);
    }
    assert!(wrong > 0 && wrong < evaluation.evaluated.len());
}

/// Of a model of which no AF1 is claimed the model alone is read, also of a graph of another program.
#[rstest]
#[case("reference/tiny-llama/f32", "", "in the model")]
#[case(
    "reference/tiny-llama/f32",
    "--wait 1 --transfer 1",
    "in AF1(1, 1) with cama"
)]
#[case("foreign/gpt2-shaped.onnx", "", "in the model")]
#[case(
    "foreign/gpt2-shaped.onnx",
    "--wait 1 --transfer 1",
    "in AF1(1, 1) with cama"
)]
fn any_model_is_read(#[case] model: &str, #[case] options: &str, #[case] last: &str) {
    let words = "lens --style symbolic --operation A+B --operands 0..=9 --model";
    let text = stdout(af1(words).arg(path(model)).words(options));
    let line = text.lines().find(|line| line.starts_with("conclusion: "));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("in the model the answer is"), "{line}");
    assert!(line.rsplit("; ").next().unwrap().contains(last), "{line}");
}

/// A layer that the model does not have is refused.
#[test]
fn a_layer_that_is_not_there_is_refused() {
    let output = planted("lens").run().words("--layer 2,9").output().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(exit::USAGE)));
    let said = String::from_utf8(output.stderr).unwrap();
    let due = "--layer 9: the model has 8 layers; expected at most 8";
    assert!(said.contains(due), "{said}");
}

/// A line is read again as what it was, at every step of an answer.
#[test]
fn lines_are_read_again() {
    let run = planted("lens").model("planted-digits").style("instruction");
    let options = "--layer 3,9 --step 0,1 --limit 20 --format json";
    let text = stdout(run.operands("44..=50").run().words(options));
    let lines: Vec<Line> = text.lines().map(|line| Line::read(line).unwrap()).collect();
    let mut steps: BTreeMap<String, usize> = BTreeMap::new();
    for line in &lines {
        let Row::Reading(r) = &line.row else {
            continue;
        };
        assert_eq!(Line::new(Row::Reading(r.clone())).text, line.text);
        *steps.entry(r.place.step.to_string()).or_default() += 1;
    }
    assert_eq!(
        steps.into_iter().collect::<Vec<_>>(),
        [("0".to_owned(), 4), ("1".to_owned(), 4)]
    );
}

/// What the lens reads of Qwen at the last token, in the model and under AF1(16, 1), by PyTorch.
#[test]
fn readings_of_qwen_are_those_of_pytorch() {
    let reference = json("reference/qwen25_coder_looks.json");
    let plans = [Plan::af1(16, 1)];
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
    let request = Request::new(&plans, &ablations);
    let mut evaluation = prepare(&mut engine, set, &request, &[16]).unwrap();
    for (run, under) in [("model", None), ("af1", Some((&plans[0], ablations[0])))] {
        let due = reference["lens"][run].as_object().unwrap();
        let mut boundaries: Vec<usize> = due.keys().map(|l| l.parse().unwrap()).collect();
        boundaries.sort_unstable();
        let glimpses = evaluation.read(&mut engine, &boundaries, under).unwrap();
        for glimpse in glimpses {
            for sought in Sought::all(2) {
                let due = &due[&glimpse.boundary.to_string()][sought.name()];
                let found = &glimpse.found[&(Spot::Last, sought)];
                let what = format!("{run} resid.{} {sought:?}", glimpse.boundary);
                let ranks: Vec<u32> = serde_json::from_value(due["ranks"].clone()).unwrap();
                let near = floats(&due["near"]);
                assert_eq!((found.len(), near.len()), (ranks.len(), ranks.len()));
                for (i, (standing, rank)) in found.iter().zip(ranks).enumerate() {
                    let clear = f64::from(near[i]) >= CLEAR_MARGIN;
                    assert!(
                        !clear || standing.rank == rank,
                        "{what} prompt {i}: {standing:?}, not {rank}"
                    );
                }
                let sum: f64 = found.iter().map(|of| f64::from(of.probability)).sum();
                let apart = (sum / found.len() as f64 - due["probability"].as_f64().unwrap()).abs();
                assert!(apart <= OF_QWEN, "{what}: {apart}");
            }
        }
    }
}

/// The largest difference of a mean probability of Qwen from PyTorch: rounding of 24 layers in f32.
const OF_QWEN: f64 = 1e-4;
