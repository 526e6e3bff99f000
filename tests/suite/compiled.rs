//! The compiled way of running a plan against the masked way: the same logits up to rounding, the same answers to every
//! prompt.

use std::collections::BTreeSet;

use af1::experiment::{Part, Request, Way, first_maximum, prepare};
use af1::graph::Graph;
use af1::intervene::{Estimator, Head, Plan, Technique, ablation};
use af1::model::{BosChoice, Model};
use af1::prompt::PromptSet;
use af1::runtime::{Device, Engine};
use ndarray::Array2;
use rstest::rstest;

use super::fixtures::{build, cache, distance, load, runtime, smollm2, template};

/// The largest difference of logits, relative to the largest of them. The two ways multiply the same numbers in batches of
/// other shapes, in f32; a mask, a position or a prompt mistaken for another moves logits by more than a hundredth.
const SAME: f32 = 3e-5;

/// AF1 with every kind of tail that can be compiled, and one that cannot.
fn plans(wait: usize, transfer: usize, layers: usize) -> Vec<Plan> {
    let head = |layer, head| Head { layer, head };
    let first = BTreeSet::from([head(wait, 0), head(wait, 2)]);
    let later = BTreeSet::from([head(wait + transfer - 1, 1)]);
    let mut plans: Vec<Plan> = [0, 1, transfer].map(|k| Plan::af1(wait, k)).into();
    plans.push(Plan::af1(wait, layers - wait));
    plans.push(Plan::pruned(wait, transfer, first));
    plans.push(Plan::pruned(wait, transfer, later));
    for name in ["no-sink", "value-zero"] {
        plans.push(Plan::af1(wait, transfer).with(Technique::named(name).unwrap()));
    }
    plans
}

/// Both ways on some prompts of a set.
fn same(engine: &mut Engine, set: &PromptSet, plans: &[Plan], estimator: Estimator, limit: usize) {
    let ablations = ["cama", "mean"].map(|name| ablation::named(name).unwrap());
    let waits: Vec<usize> = BTreeSet::from_iter(plans.iter().map(|plan| plan.wait))
        .into_iter()
        .collect();
    let request = |way| Request {
        plans,
        ablations: &ablations,
        estimator,
        limit: Some(limit),
        seed: 42,
        // The last batch is smaller than the others.
        batch: limit * 2 / 3,
        way,
        part: Part::All,
        draw: None,
        operations: &[],
    };
    let mut both = [Way::Masked, Way::Compiled]
        .map(|way| prepare(engine, set.clone(), &request(way), &waits).unwrap());
    assert_eq!(both[0].base, both[1].base);
    for ablation in ablations {
        let [masked, compiled] = both
            .each_mut()
            .map(|found| found.logits(engine, plans, ablation).unwrap());
        for (plan, (masked, compiled)) in plans.iter().zip(masked.iter().zip(&compiled)) {
            let answers = |logits: &Array2<f32>| -> Vec<u32> {
                logits.outer_iter().map(first_maximum).collect()
            };
            let largest = masked.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            let apart = distance(
                masked.as_slice().unwrap(),
                compiled.as_standard_layout().as_slice().unwrap(),
            );
            let what = format!("{plan:?} {ablation:?}");
            assert!(
                apart <= SAME * largest,
                "{what}: logits up to {largest} differ by {apart}"
            );
            assert_eq!(answers(masked), answers(compiled), "{what}");
        }
    }
}

/// In every template of every planted model.
#[rstest]
fn planted_models_answer_the_same_compiled(
    #[values(
        "planted-af1",
        "planted-operator",
        "planted-heads",
        "planted-style",
        "planted-noisy",
        "planted-late",
        "planted-spread",
        "planted-two-hop",
        "planted-relay",
        "planted-weak",
        "planted-constant"
    )]
    model: &str,
) {
    let (model, mut engine) = load(model);
    let layers = model.spec.layers;
    for style in [
        "symbolic",
        "verbal",
        "question",
        "instruction",
        "word-problem",
        "python",
        "calculate",
    ] {
        for operation in ["A+B", "A-B"] {
            let set = build(&model, &template(style, operation), 0..=5, 0..=198);
            same(
                &mut engine,
                &set,
                &plans(3, 2, layers),
                Estimator::LeaveOneOut,
                12,
            );
        }
    }
}

fn prompts(model: &Model, style: &str, operation: &str) -> PromptSet {
    build(model, &template(style, operation), 0..=9, 0..=198)
}

/// In templates of the real model, with each estimator.
#[rstest]
#[case("calculate", "A+B", Estimator::LeaveOneOut)]
#[case("calculate", "A-B", Estimator::PlugIn)]
#[case("python", "A+B", Estimator::Split)]
fn the_real_model_answers_the_same_compiled(
    #[case] style: &str,
    #[case] operation: &str,
    #[case] estimator: Estimator,
) {
    let loaded = smollm2();
    let mut engine = loaded.1.lock().unwrap();
    let set = build(&loaded.0, &template(style, operation), 0..=9, 0..=9);
    same(&mut engine, &set, &plans(20, 6, 30), estimator, 60);
}

fn engine(model: &Model, graph: &Graph) -> Engine {
    Engine::from_graph(runtime(), &Device::Cpu, model, graph).unwrap()
}

/// Without a beginning-of-sequence token position 0 is the first token of the text.
#[test]
fn prompts_without_a_bos_answer_the_same() {
    let model = Model::load("planted-af1", &BosChoice::None, &cache()).unwrap();
    let mut engine = engine(&model, &model.graph().unwrap());
    let set = prompts(&model, "calculate", "A+B");
    assert!(set.shared() > 0);
    same(&mut engine, &set, &plans(3, 2, 8), Estimator::PlugIn, 60);
}

/// A graph that does not name its keys and values is run masked, whatever is asked for.
#[test]
fn a_graph_without_keys_and_values_is_run_masked() {
    let model = Model::load("planted-af1", &BosChoice::Default, &cache()).unwrap();
    let mut graph = model.graph().unwrap();
    (graph.boundaries).retain(|port| !port.name.starts_with("attn_"));
    let mut engine = engine(&model, &graph);
    assert!(!engine.takes_keys_values());
    let set = prompts(&model, "symbolic", "A+B");
    let plans = [Plan::af1(3, 2), Plan::af1(3, 0)];
    same(&mut engine, &set, &plans, Estimator::PlugIn, 60);
}

/// Prompts that are the same at the cut are one: with the mean over positions there is a single one, whatever the number of
/// prompts. What is evaluated once must reach every prompt.
#[test]
fn what_is_run_once_reaches_every_prompt() {
    let (model, mut engine) = load("planted-af1");
    let set = prompts(&model, "symbolic", "A+B");
    let mean = ablation::named("zero").unwrap();
    let plans = [Plan::af1(3, 2)];
    let request = Request {
        plans: &plans,
        ablations: &[mean],
        estimator: Estimator::PlugIn,
        limit: None,
        seed: 42,
        batch: 64,
        way: Way::Compiled,
        part: Part::All,
        draw: None,
        operations: &[],
    };
    let mut found = prepare(&mut engine, set, &request, &[3]).unwrap();
    let logits = found.logits(&mut engine, &plans, mean).unwrap();
    assert_eq!(logits[0].nrows(), 100);
    assert!(logits[0].outer_iter().all(|row| row == logits[0].row(0)));
}
