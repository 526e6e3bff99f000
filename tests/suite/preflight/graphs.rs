//! Graphs with a mistake, each found by its check.

use af1::graph::{Attribute, Constant, Dtype, Graph, LOGITS, Node, attn_bias, resid};
use af1::intervene::masking::MaskedBy;
use af1::intervene::{Estimator, Plan, ablation};
use af1::measure::{Request, Way, attention, preflight, prepare};
use af1::runtime::{Device, Engine};
use rstest::rstest;

use super::others::{changed_at_end, constant};
use super::{assert_fails, check, prompts};
use crate::fixtures::{runtime, tiny};

/// The nodes of a layer's attention of that kind.
fn nodes<'g>(graph: &'g mut Graph, layer: usize, op: &str) -> Vec<&'g mut Node> {
    let scope = format!("layer.{layer}/attn");
    let nodes = graph.nodes.iter_mut();
    nodes
        .filter(|node| node.op == op && node.name.starts_with(&scope))
        .collect()
}

/// A layer that never sees its mask.
fn without_mask(graph: &mut Graph) {
    for node in nodes(graph, 1, "Add") {
        if node.inputs.contains(&attn_bias(1)) {
            node.op = "Identity".into();
            node.inputs.truncate(1);
        }
    }
}

/// Softmax first, then the mask: every token sees all others.
fn softmax_before_mask(graph: &mut Graph) {
    for layer in 0..3 {
        let softmax = nodes(graph, layer, "Softmax").remove(0).clone();
        let mut adds = nodes(graph, layer, "Add");
        let bias = attn_bias(layer);
        adds.retain(|node| node.inputs.contains(&bias));
        let add = adds.remove(0).clone();
        // Softmax reads the scores, the mask is added to the pattern, and what read the pattern reads the sum.
        for node in &mut graph.nodes {
            let (from, to) = match &node.name {
                name if *name == softmax.name => (&add.outputs[0], &add.inputs[0]),
                name if *name == add.name => (&add.inputs[0], &softmax.outputs[0]),
                _ => (&softmax.outputs[0], &add.outputs[0]),
            };
            for input in &mut node.inputs {
                if input == from {
                    input.clone_from(to);
                }
            }
        }
        let at = |name: &str| graph.nodes.iter().position(|node| node.name == *name);
        let (first, second) = (at(&add.name).unwrap(), at(&softmax.name).unwrap());
        graph.nodes.swap(first, second);
    }
}

/// A norm over the prompts of a batch.
fn norm_over_batch(graph: &mut Graph) {
    graph.constants.push(Constant {
        name: "batch_axis".to_owned(),
        shape: vec![1],
        dtype: Dtype::I64,
        bytes: 0i64.to_le_bytes().to_vec(),
    });
    for node in nodes(graph, 1, "ReduceMean") {
        assert_eq!(node.attributes, [("keepdims".into(), Attribute::Int(1))]);
        node.inputs[1] = "batch_axis".to_owned();
    }
}

/// Every head has the mask of the first.
pub fn one_mask_for_all_heads(graph: &mut Graph) {
    for layer in 0..3 {
        let bias = attn_bias(layer);
        let first = format!("first_head_of.{layer}");
        let number = |name: &str, value: i64| Constant {
            name: format!("{first}/{name}"),
            shape: vec![1],
            dtype: Dtype::I64,
            bytes: value.to_le_bytes().to_vec(),
        };
        let bounds = [("from", 0), ("to", 1), ("axis", 1)];
        graph
            .constants
            .extend(bounds.map(|(name, value)| number(name, value)));
        let reader = |node: &Node| node.inputs.contains(&bias);
        let at = graph.nodes.iter().position(reader).unwrap();
        for input in &mut graph.nodes[at].inputs {
            if *input == bias {
                input.clone_from(&first);
            }
        }
        let mut inputs = vec![bias];
        inputs.extend(bounds.map(|(name, _)| format!("{first}/{name}")));
        let slice = node(&graph.nodes[at], "Slice", inputs, &first);
        graph.nodes.insert(at, slice);
    }
}

/// Adds noise to logits: dropout, as in training.
fn noisy_logits(graph: &mut Graph) {
    let last = graph.nodes.last_mut().unwrap();
    let logits = last.outputs[0].clone();
    last.outputs[0] = "quiet".to_owned();
    let like = last.clone();
    graph.constants.push(Constant {
        name: "share".to_owned(),
        shape: vec![],
        dtype: Dtype::F32,
        bytes: 0.5f32.to_le_bytes().to_vec(),
    });
    graph.constants.push(Constant {
        name: "one".to_owned(),
        shape: vec![],
        dtype: Dtype::I64,
        bytes: 1i64.to_le_bytes().to_vec(),
    });
    let mut training = node(&like, "Cast", vec!["one".to_owned()], "training");
    training.attributes = vec![("to".into(), Attribute::Int(9))];
    graph.nodes.push(training);
    let inputs = ["quiet", "share", "training"].map(str::to_owned);
    graph
        .nodes
        .push(node(&like, "Dropout", inputs.into(), &logits));
}

/// Position 1 learns what comes after it; position 0 does not.
fn position_1_looks_ahead(graph: &mut Graph) {
    let end = resid(2);
    let at = graph
        .nodes
        .iter()
        .position(|node| node.outputs.contains(&end))
        .unwrap();
    graph.nodes[at].outputs[0] = "before".to_owned();
    let (like, text) = (graph.nodes[at].clone(), |name: &str| name.to_owned());
    let one = |name: &str, value: i64| Constant {
        name: text(name),
        shape: vec![1],
        dtype: Dtype::I64,
        bytes: value.to_le_bytes().to_vec(),
    };
    graph
        .constants
        .extend([one("over_positions", 1), one("last_axis", 2)]);
    let mut mean = node(
        &like,
        "ReduceMean",
        vec![text("before"), text("over_positions")],
        "ahead",
    );
    mean.attributes = vec![("keepdims".into(), Attribute::Int(1))];
    let mut cast = node(&like, "Cast", vec![text("position_ids")], "as_float");
    cast.attributes = vec![("to".into(), Attribute::Int(1))];
    let wide = node(
        &like,
        "Unsqueeze",
        vec![text("as_float"), text("last_axis")],
        "by_position",
    );
    let product = node(
        &like,
        "Mul",
        vec![text("ahead"), text("by_position")],
        "leak",
    );
    let sum = node(&like, "Add", vec![text("before"), text("leak")], &end);
    for (i, new) in [mean, cast, wide, product, sum].into_iter().enumerate() {
        graph.nodes.insert(at + 1 + i, new);
    }
}

/// A node that makes one value.
pub fn node(like: &Node, op: &'static str, inputs: Vec<String>, output: &str) -> Node {
    let mut node = like.clone();
    node.op = op.into();
    node.inputs = inputs;
    node.outputs = vec![output.to_owned()];
    node.name = format!("broken/{output}");
    node.attributes.clear();
    node
}

#[rstest]
#[case::mask_ignored(without_mask, "mask inputs", "layer 1 has no input \"attn_bias.1\"")]
#[case::softmax_before_mask(softmax_before_mask, "position 0", "the model looks ahead")]
#[case::batch_matters(norm_over_batch, "batch", "in a batch of")]
#[case::noise(noisy_logits, "captured", "when no residual stream is captured")]
#[case::looks_ahead(position_1_looks_ahead, "position 1", "CAMA moves resid.2")]
#[case::heads_alike(one_mask_for_all_heads, "interventions", "masks by head do not work")]
fn broken_graphs(#[case] break_it: fn(&mut Graph), #[case] check_name: &str, #[case] words: &str) {
    let (model, _) = tiny("f32");
    let mut graph = model.graph().unwrap();
    break_it(&mut graph);
    let mut engine = Engine::from_graph(runtime(), &Device::Cpu, &model, &graph).unwrap();
    let set = prompts(&model);
    assert_fails(
        check(&mut engine, &model, &set, &[ablation::ALL[0]]),
        check_name,
        words,
    );
}

/// What a graph calls attention weights must be some, where they are looked at or changed.
#[test]
fn weights_that_are_none() {
    let (model, _) = tiny("f32");
    let mut graph = model.graph().unwrap();
    for node in nodes(&mut graph, 1, "Softmax") {
        node.op = "Sigmoid".into();
        node.attributes.clear();
    }
    let mut engine = Engine::from_graph(runtime(), &Device::Cpu, &model, &graph).unwrap();
    let set = prompts(&model);
    let ablations = [ablation::ALL[0]];
    let words = "attn_pattern.1 has numbers from";
    let value_zero = MaskedBy::named("value-zero").unwrap();
    let plans = [Plan::af1(1, 1).with(value_zero)];
    let request = Request::new(&plans, &ablations);
    let found = preflight(&mut engine, &model, &set, &request);
    assert_fails(found, "attention", words);
    let looked_at = attention(&mut engine, &set, &request);
    assert_fails(looked_at.map(|(heads, _)| heads.len()), "attention", words);
    // Nothing else is wrong with it.
    let plans = [Plan::af1(1, 1)];
    let request = Request::new(&plans, &ablations);
    preflight(&mut engine, &model, &set, &request).unwrap();
}

/// Adds the logarithm of the norm of `from` to a layer's `end`, or of its last position to the logits: it is infinite of a stream of zeros,
/// which no unmodified model has.
fn cannot_take_zeros(graph: &mut Graph, from: &str, end: &str) {
    let number = |name: &str, shape: Vec<usize>, value: i64| Constant {
        name: name.to_owned(),
        shape,
        dtype: Dtype::I64,
        bytes: value.to_le_bytes().to_vec(),
    };
    graph.constants.extend([
        number("last_axis", vec![1], 2),
        number("last_position", vec![], -1),
    ]);
    let mut nodes = graph.nodes.iter();
    let at = nodes
        .position(|node| node.outputs.iter().any(|output| output == end))
        .unwrap();
    graph.nodes[at].outputs[0] = "before".to_owned();
    let like = graph.nodes[at].clone();
    let text = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    let mut norm = node(&like, "ReduceL1", text([from, "last_axis"]), "norm");
    norm.attributes = vec![("keepdims".into(), Attribute::Int(1))];
    let mut new = vec![norm, node(&like, "Log", vec!["norm".to_owned()], "log")];
    let mut of = "log";
    if end == LOGITS {
        let mut last = node(&like, "Gather", text(["log", "last_position"]), "of_last");
        last.attributes = vec![("axis".into(), Attribute::Int(1))];
        new.push(last);
        of = "of_last";
    }
    new.push(node(&like, "Add", text(["before", of]), end));
    graph.nodes.splice(at + 1..at + 1, new);
}

/// What an intervention breaks is named where it breaks.
#[rstest]
#[case::a_layer(Plan::af1(1, 1), 1, &resid(2))]
#[case::the_logits(Plan::waiting(3), 3, LOGITS)]
fn streams_of_zeros_that_break(#[case] plan: Plan, #[case] wait: usize, #[case] end: &str) {
    let (model, _) = tiny("f32");
    let mut graph = model.graph().unwrap();
    cannot_take_zeros(&mut graph, &resid(wait), end);
    let mut engine = Engine::from_graph(runtime(), &Device::Cpu, &model, &graph).unwrap();
    let set = prompts(&model);
    let mean = check(
        &mut engine,
        &model,
        &set,
        &[ablation::named("mean").unwrap()],
    );
    assert!(mean.is_ok(), "{mean:?}");
    let plans = [plan];
    let ablations = [ablation::named("zero").unwrap()];
    let request = Request {
        estimator: Estimator::PlugIn,
        ..Request::new(&plans, &ablations)
    };
    let error = preflight(&mut engine, &model, &set, &request).unwrap_err();
    assert_eq!(error.exit_code(), af1::error::exit::NOT_FINITE);
    for words in [&format!("{end} after zero at resid.{wait}"), "inf"] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// Logits that are broken though no stream is, in the handful of prompts and in all, each way of running them.
#[test]
fn broken_logits_are_found() {
    let (model, _) = tiny("f32");
    let mut graph = model.graph().unwrap();
    let nan = constant(&mut graph, "nan", Dtype::F32, &[], &f32::NAN.to_le_bytes());
    changed_at_end(&mut graph, LOGITS, "Add", nan);
    let mut engine = Engine::from_graph(runtime(), &Device::Cpu, &model, &graph).unwrap();
    let set = prompts(&model);
    let plans = [Plan::af1(1, 1)];
    let ablations = [ablation::ALL[0]];
    let request = Request::new(&plans, &ablations);
    let mut all = vec![preflight(&mut engine, &model, &set, &request).map(drop)];
    for way in [Way::Masked, Way::Compiled] {
        let request = Request { way, ..request };
        all.push(prepare(&mut engine, set.clone(), &request, &[1]).map(drop));
    }
    for found in all {
        let error = found.unwrap_err();
        assert_eq!(error.exit_code(), af1::error::exit::NOT_FINITE, "{error}");
        assert!(error.to_string().contains("logits"), "{error}");
    }
}
