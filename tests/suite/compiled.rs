//! The compiled way of running a plan against the masked way: the same logits up to rounding, the same answers to every
//! prompt.

use std::collections::BTreeSet;

use af1::emit;
use af1::graph::{self, Graph};
use af1::intervene::{Estimator, Head, MaskedBy, Plan, ablation};
use af1::measure::{Request, Way, first_maximum, prepare};
use af1::model::planted::Route;
use af1::model::{BosChoice, Model, Weights};
use af1::prompt::{ContextsFrom, PromptSet, Step};
use af1::runtime::{self, Device, Engine};
use ndarray::Array2;
use rstest::rstest;

use super::fixtures::{
    build, build_from, cache, distance, every_step, families, few, load, part, path,
    planted_models, runtime, smollm2, styles, template, tiny,
};
use super::preflight::others::mixed_layer;
use super::program::{Words, af1, stdout};

/// How far the two ways may be apart in f32.
fn tolerance() -> f32 {
    af1::measure::same_up_to(af1::graph::Precision::F32)
}

/// Plans with every kind of tail, and with maskings that can be compiled and that cannot.
fn plans(wait: usize, transfer: usize, layers: usize) -> Vec<Plan> {
    let head = |layer, head| Head { layer, head };
    let first = BTreeSet::from([head(wait, 0), head(wait, 2)]);
    let later = BTreeSet::from([head(wait + transfer - 1, 1)]);
    let mut plans: Vec<Plan> = [0, 1, transfer].map(|k| Plan::af1(wait, k)).into();
    plans.push(Plan::af1(wait, layers - wait));
    plans.push(Plan::pruned(wait, transfer, first));
    plans.push(Plan::pruned(wait, transfer, later));
    let apart = [
        vec![wait + 1],
        vec![wait, wait + transfer],
        vec![wait + 1, layers - 1],
    ];
    plans.extend(apart.map(|layers| Plan::transferring(wait, layers.into_iter().collect())));
    plans.extend([0, wait, layers].map(Plan::waiting));
    plans.extend([0, wait].map(|from| Plan::knockout(from, 2)));
    for name in ["no-sink", "value-zero"] {
        plans.push(Plan::af1(wait, transfer).with(MaskedBy::named(name).unwrap()));
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
        estimator,
        limit: Some(limit),
        // The last batch is smaller than the others.
        batch: limit * 2 / 3,
        way,
        ..Request::new(plans, &ablations)
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
                apart <= tolerance() * largest,
                "{what}: logits up to {largest} differ by {apart}"
            );
            assert_eq!(answers(masked), answers(compiled), "{what}");
        }
    }
}

/// Every planted model in some styles, every style in some of them.
#[rstest]
fn planted_models_answer_the_same_compiled(#[values(0, 1, 2, 3)] quarter: usize) {
    let models = part(planted_models().into_iter().enumerate());
    for (_, (preset, plant)) in models.filter(|(i, _)| i % 4 == quarter) {
        let (model, mut engine) = load(preset.name);
        let plans = plans(3, 2, model.sizes.layers);
        let asked = match plant.route {
            // A number cannot be the first token.
            Route::NoBos => preset.styles.iter().map(|&style| style.into()).collect(),
            // There are several steps of every prompt.
            Route::Digits { .. } => vec![preset.styles[0].to_owned()],
            _ => {
                let all = styles().into_iter().enumerate();
                let some = all.filter(|(at, _)| at % 4 == quarter);
                some.map(|(_, style)| style).collect()
            }
        };
        for style in asked {
            for operation in ["A+B", "A-B"] {
                for set in few(&model, &plant, &style, operation, 5) {
                    same(&mut engine, &set, &plans, Estimator::LeaveOneOut, 12);
                }
            }
        }
    }
}

pub fn prompts(model: &Model, style: &str, operation: &str) -> PromptSet {
    build(model, &template(style, operation), 0..=9, 0..=198)
}

/// Templates of the real model answer the same compiled, with each estimator.
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

/// In every family: learned positions, rotations of a layer's own and the like must be the same for a token that is run alone.
#[test]
fn families_answer_the_same_compiled() {
    for family in families() {
        family_answers_the_same_compiled(&family);
    }
}

fn family_answers_the_same_compiled(family: &str) {
    let folder = path("reference/tiny-families").join(family);
    let (model, mut engine) = load(&folder.to_string_lossy());
    let set = build(&model, &template("symbolic", "A+B"), 0..=9, 0..=19);
    let of = |wait, transfer| Plan::af1(wait, transfer);
    let mut plans = vec![of(0, 0), of(0, 1), of(0, 2), of(1, 0), of(1, 1)];
    plans.extend([0, 1, model.sizes.layers].map(Plan::waiting));
    plans.push(Plan::knockout(0, 1));
    plans.push(Plan::transferring(0, [1].into()));
    for name in ["no-sink", "value-zero"] {
        plans.push(of(0, 1).with(MaskedBy::named(name).unwrap()));
    }
    same(&mut engine, &set, &plans, Estimator::LeaveOneOut, 12);
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
    let plans = [
        Plan::af1(3, 2),
        Plan::af1(3, 0),
        Plan::waiting(3),
        Plan::knockout(3, 2),
    ];
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
    let ablations = [mean];
    let request = Request {
        estimator: Estimator::PlugIn,
        ..Request::new(&plans, &ablations)
    };
    let mut found = prepare(&mut engine, set, &request, &[3]).unwrap();
    let logits = found.logits(&mut engine, &plans, mean).unwrap();
    assert_eq!(logits[0].nrows(), 100);
    assert!(logits[0].outer_iter().all(|row| row == logits[0].row(0)));
}

/// Where the answer's first digit is the last token, prompts of one digit have one mean there: what is run once for them must reach them, and
/// no others.
#[test]
fn last_tokens_that_some_prompts_share() {
    let loaded = smollm2();
    let (model, mut engine) = (&loaded.0, loaded.1.lock().unwrap());
    let mut sets = every_step(model, &template("calculate", "A+B"), 44..=56).into_iter();
    let set = sets.find(|set| set.numbers.step == Step::At(1)).unwrap();
    let last = set.positions() - 1;
    let ends: Vec<u32> = set.prompts.iter().map(|prompt| prompt.ids[last]).collect();
    // The second ends as the first does, and some other does not.
    assert_eq!(ends[0], ends[1]);
    assert!(ends.iter().any(|end| *end != ends[0]));
    same(
        &mut engine,
        &set,
        &[Plan::af1(20, 0)],
        Estimator::PlugIn,
        set.len(),
    );
}

/// What AF1 leaves, as a graph of its own, answers as the masked model does, and NaN where it knows a token not.
#[rstest]
#[case("planted-af1", 3, 2)]
#[case("planted-two-hop", 3, 2)]
#[case("planted-spread", 3, 5)]
#[case("planted-af1", 3, 0)]
fn a_graph_of_its_own_answers_the_same(
    #[case] model: &str,
    #[case] wait: usize,
    #[case] transfer: usize,
) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_string_lossy().into_owned();
    let mut export = af1(&format!(
        "export --af1 {wait},{transfer} --model {model} --style calculate"
    ));
    let more = format!("--operation A-B --operands 0..=9 --out {out}");
    let text = stdout(export.words(&more));
    assert!(text.contains("checked: 55 of 55 prompts"), "{text}");
    let files: BTreeSet<_> = (folder.path().read_dir().unwrap())
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        files,
        ["af1.onnx", "af1.safetensors"].map(str::to_owned).into()
    );

    // Not by the program's own word: the same graph again, against the masked model.
    let (model, mut engine) = load(model);
    let template = template("calculate", "A-B");
    let set = build_from(ContextsFrom::All, &model, &template, 0..=9, 0..=198);
    let cama = ablation::named("cama").unwrap();
    let plans = [Plan::af1(wait, transfer)];
    let ablations = [cama];
    let request = |way| Request {
        estimator: Estimator::PlugIn,
        way,
        ..Request::new(&plans, &ablations)
    };
    let mut masked = prepare(&mut engine, set.clone(), &request(Way::Masked), &[wait]).unwrap();
    let expected = masked.logits(&mut engine, &plans, cama).unwrap().remove(0);
    let compiled = prepare(&mut engine, set.clone(), &request(Way::Compiled), &[wait]).unwrap();
    let (of, _) = compiled.tables(&mut engine, wait, transfer).unwrap();
    let weights = Weights::of_file(folder.path(), "af1.safetensors").unwrap();
    let decoder = model.decoder("").unwrap();
    let graph = emit::af1::af1(&decoder.spec, &weights, &decoder.names, &of).unwrap();
    let bytes = std::fs::read(folder.path().join("af1.onnx")).unwrap();
    assert_eq!(graph.to_bytes(), bytes);
    let mut part = runtime::Part::new(runtime(), &Device::Cpu, &graph, folder.path()).unwrap();
    let mut run = |ids: Array2<i64>| {
        let ids = runtime::Tensor::from_i64(ids).unwrap();
        let [logits] = part
            .run(&[(graph::INPUT_IDS, &ids)], [graph::LOGITS])
            .unwrap();
        logits.view::<ndarray::Ix2>().unwrap().to_owned()
    };
    let ids = set.ids(&set.asked());
    let found = run(ids.clone());
    let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let apart = distance(found.as_slice().unwrap(), expected.as_slice().unwrap());
    assert!(apart <= tolerance() * largest, "{apart} of {largest}");
    // Another token anywhere but at position 0, in the second of two prompts.
    let pos = set.positions();
    for t in 1..pos {
        let mut two = ids.select(ndarray::Axis(0), &[3, 4]);
        two[[1, t]] = 77;
        let logits = run(two);
        assert_eq!(logits.row(0), found.row(3));
        assert!(logits.row(1).iter().all(|x| x.is_nan()), "position {t}");
    }
}

/// Only a token's plug-in mean is the same in every prompt.
#[test]
fn means_that_leave_prompts_out_are_no_tables() {
    let (model, mut engine) = load("planted-af1");
    let set = prompts(&model, "symbolic", "A+B");
    let plans = [Plan::af1(3, 2)];
    let ablations = [ablation::named("cama").unwrap()];
    let request = Request::new(&plans, &ablations);
    let found = prepare(&mut engine, set, &request, &[3]).unwrap();
    let error = found.tables(&mut engine, 3, 2).err().unwrap().to_string();
    assert!(error.contains("plug-in"), "{error}");
}

/// `af1 diff` says for every template that the two ways are the same.
#[rstest]
fn the_two_ways_are_beside_each_other(
    #[values("planted-af1", "planted-two-hop", "planted-late")] model: &str,
) {
    let mut diff = af1(&format!(
        "diff --model {model} --operands 0..=6 --format json"
    ));
    let text = stdout(diff.words("--style symbolic,python --wait 2,3 --transfer 0..=2"));
    let rows: Vec<serde_json::Value> = (text.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Styles, operations, ablations, W, K.
    assert_eq!(rows.len(), 2 * 2 * 3 * 2 * 3);
    for row in &rows {
        assert_eq!(
            (&row["same"], &row["other_answers"]),
            (&true.into(), &0.into()),
            "{row}"
        );
        assert_eq!(row["correct"], row["correct_masked"]);
        assert!(row["first"].is_null(), "{row}");
    }
}

/// What comes apart is named by where it does so first.
#[test]
fn the_first_difference_is_named() {
    let (model, mut engine) = load("planted-af1");
    let set = prompts(&model, "symbolic", "A+B");
    let plans = [Plan::af1(3, 2)];
    let cama = ablation::named("cama").unwrap();
    let ablations = [cama];
    let request = Request {
        estimator: Estimator::PlugIn,
        ..Request::new(&plans, &ablations)
    };
    let mut found = prepare(&mut engine, set.clone(), &request, &[3]).unwrap();
    let mut first = |tolerance| {
        let first = found.first_difference(&mut engine, &plans[0], cama, tolerance);
        first.unwrap()
    };
    assert_eq!(first(tolerance()), None);
    // What was replaced is the same in both, so that it is not apart by anything.
    assert!(first(0.0).is_none_or(|place| place.boundary > 3));
    // With less than no tolerance, the first place there is.
    let place = first(-1.0).unwrap();
    assert_eq!((place.boundary, place.position), (3, 1));
    assert_eq!(place.prompt, set.prompts[0].text);
}

/// A layer that reads other positions although no mask lets it is another one where tokens are run alone: from there on, and not before.
#[test]
fn a_difference_behind_the_boundary_is_found() {
    let (model, _) = tiny("f32");
    let mut graph = model.graph().unwrap();
    mixed_layer(&mut graph);
    let mut engine = engine(&model, &graph);
    let set = prompts(&model, "symbolic", "A+B");
    let plans = [Plan::af1(0, 1)];
    let cama = ablation::named("cama").unwrap();
    let ablations = [cama];
    let request = Request::new(&plans, &ablations);
    let mut found = prepare(&mut engine, set, &request, &[0]).unwrap();
    let first = found.first_difference(&mut engine, &plans[0], cama, tolerance());
    assert_eq!(first.unwrap().unwrap().boundary, 2);
}
