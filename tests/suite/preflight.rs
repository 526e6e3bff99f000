//! Preflight: what must not be believed is refused, by the check that is there for it.

use af1::Error;
use af1::experiment::waiting;
use af1::graph::{Attribute, Constant, Dtype, Graph, attn_bias};
use af1::intervene::ablation::{self, Ablation, Place, Source, Value};
use af1::intervene::masking::Technique;
use af1::intervene::{Estimator, Plan};
use af1::measure::{CHECKS, Checked, Request, attention, preflight};
use af1::model::Model;
use af1::prompt::{PromptSet, Role};
use af1::runtime::{Device, Engine};
use rstest::rstest;

use super::fixtures::{build, runtime, template, tiny};

fn prompts(model: &Model) -> PromptSet {
    build(model, &template("symbolic", "A+B"), 0..=9, 0..=9)
}

fn check(
    engine: &mut Engine,
    model: &Model,
    set: &PromptSet,
    ablations: &[&'static dyn Ablation],
) -> Result<Checked, Error> {
    let mut plans = waiting(&[0, 2]);
    plans.extend([Plan::af1(1, 1), Plan::knockout(1, 2)]);
    plans.push(Plan::pruned(1, 1, Default::default()));
    let request = Request::new(&plans, ablations);
    preflight(engine, model, set, &request)
}

/// The error is of that check, and says so to the user.
fn assert_fails<T: std::fmt::Debug>(found: Result<T, Error>, check: &str, words: &str) {
    let error = found.unwrap_err();
    let text = error.to_string();
    assert!(CHECKS.contains(&check));
    assert!(
        matches!(&error, Error::Preflight { check: found, .. } if *found == check),
        "{text}"
    );
    assert_eq!(error.exit_code(), af1::error::exit::PREFLIGHT);
    assert!(text.contains(words) && text.contains("symbolic"), "{text}");
}

#[rstest]
fn a_sound_model_passes_with_every_ablation(#[values("symbolic", "calculate")] style: &str) {
    let (model, mut engine) = tiny("f32");
    let set = build(&model, &template(style, "A+B"), 0..=9, 0..=9);
    let run = check(&mut engine, &model, &set, ablation::ALL).unwrap();
    assert!((3..=4).contains(&run.prompts), "{run:?}");
}

#[rstest]
#[case::bos_forgotten(|set: &mut PromptSet| { for p in &mut set.prompts { p.ids.remove(0); } }, "begins with token")]
#[case::bos_twice(|set: &mut PromptSet| { for p in &mut set.prompts { let bos = p.ids[0]; p.ids.insert(0, bos); } }, "token twice")]
#[case::operands_exchanged(|set: &mut PromptSet| set.roles.swap(1, 3), "should hold operand")]
#[case::another_token(|set: &mut PromptSet| { let ids = &mut set.prompts[7].ids; ids[2] += 1; }, "not those of its text")]
#[case::last_is_not_last(|set: &mut PromptSet| *set.roles.last_mut().unwrap() = Role::Text, "where the answer is read")]
fn broken_prompts(#[case] break_it: fn(&mut PromptSet), #[case] words: &str) {
    let (model, mut engine) = tiny("f32");
    let mut set = prompts(&model);
    break_it(&mut set);
    assert_fails(
        check(&mut engine, &model, &set, &[ablation::ALL[0]]),
        "roles",
        words,
    );
}

/// The nodes of a layer's attention of that kind.
fn nodes<'g>(graph: &'g mut Graph, layer: usize, op: &str) -> Vec<&'g mut af1::graph::Node> {
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
fn one_mask_for_all_heads(graph: &mut Graph) {
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
        let reader = |node: &af1::graph::Node| node.inputs.contains(&bias);
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

/// Logits with noise: dropout, as in training.
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
    let resid = af1::graph::resid(2);
    let at = graph
        .nodes
        .iter()
        .position(|node| node.outputs.contains(&resid))
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
    let sum = node(&like, "Add", vec![text("before"), text("leak")], &resid);
    for (i, new) in [mean, cast, wide, product, sum].into_iter().enumerate() {
        graph.nodes.insert(at + 1 + i, new);
    }
}

/// A node that makes one value.
fn node(
    like: &af1::graph::Node,
    op: &'static str,
    inputs: Vec<String>,
    output: &str,
) -> af1::graph::Node {
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

/// A tensor of its own.
fn constant(graph: &mut Graph, name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) -> String {
    graph.constants.push(Constant {
        name: name.to_owned(),
        shape: shape.to_vec(),
        dtype,
        bytes: bytes.to_vec(),
    });
    name.to_owned()
}

/// A node before the one that reads `value`, which then reads the new one's.
fn before_reader(
    graph: &mut Graph,
    value: &str,
    op: &'static str,
    inputs: Vec<String>,
    attributes: &[(&'static str, i64)],
) {
    let reads = |node: &af1::graph::Node| node.inputs.iter().any(|input| input == value);
    let at = graph.nodes.iter().position(reads).unwrap();
    let changed = format!("{value} changed");
    let mut new = node(&graph.nodes[at], op, inputs, &changed);
    let attribute = |(name, value): &(&'static str, i64)| ((*name).into(), Attribute::Int(*value));
    new.attributes = attributes.iter().map(attribute).collect();
    for node in &mut graph.nodes[at..] {
        for input in node.inputs.iter_mut().filter(|input| **input == *value) {
            input.clone_from(&changed);
        }
    }
    graph.nodes.insert(at, new);
}

/// A mask that makes hidden keys less likely, no more.
fn weak_mask(graph: &mut Graph) {
    let bytes = 1e-9f32.to_le_bytes();
    let little = constant(graph, "little", Dtype::F32, &[], &bytes);
    let bias = attn_bias(1);
    before_reader(graph, &bias, "Mul", vec![bias.clone(), little], &[]);
}

/// What the last query may see, for all of them.
fn one_row_for_all(graph: &mut Graph) {
    let bytes = (-1i64).to_le_bytes();
    let last = constant(graph, "last row", Dtype::I64, &[1], &bytes);
    let bias = attn_bias(1);
    before_reader(
        graph,
        &bias,
        "Gather",
        vec![bias.clone(), last],
        &[("axis", 2)],
    );
}

/// A value plus its mean over positions.
fn mixed(graph: &mut Graph, value: &str) {
    let at = (graph.nodes.iter())
        .position(|node| node.outputs.iter().any(|output| output == value))
        .unwrap();
    let axis = constant(graph, "positions", Dtype::I64, &[1], &1i64.to_le_bytes());
    let like = graph.nodes[at].clone();
    graph.nodes[at].outputs[0] = "unmixed".to_owned();
    let mut mean = node(
        &like,
        "ReduceMean",
        vec!["unmixed".to_owned(), axis],
        "mean",
    );
    mean.attributes = vec![("keepdims".into(), Attribute::Int(1))];
    let sum = node(
        &like,
        "Add",
        vec!["unmixed".to_owned(), "mean".to_owned()],
        value,
    );
    graph.nodes.insert(at + 1, mean);
    graph.nodes.insert(at + 2, sum);
}

/// Something beside attention that mixes positions.
fn mixed_layer(graph: &mut Graph) {
    mixed(graph, &af1::graph::resid(2));
}

/// Embeddings that know of each other.
fn mixed_embedding(graph: &mut Graph) {
    mixed(graph, &af1::graph::resid(0));
}

/// Logits of the mean over positions.
fn pooled(graph: &mut Graph) {
    let axis = constant(graph, "positions", Dtype::I64, &[1], &1i64.to_le_bytes());
    let end = af1::graph::resid(3);
    let slices = |node: &&mut af1::graph::Node| node.op == "Slice" && node.inputs[0] == end;
    let slice = graph.nodes.iter_mut().find(slices).unwrap();
    slice.op = "ReduceMean".into();
    slice.inputs = vec![end.clone(), axis];
    slice.attributes = vec![("keepdims".into(), Attribute::Int(1))];
}

/// What a graph that another program wrote gets wrong although it keeps the contract: it has no keys and values.
#[rstest]
#[case::weak_mask(
    weak_mask,
    "blocked",
    "the mask of layer 1 does not reach all of its attention"
)]
#[case::one_row_for_all(one_row_for_all, "blocked", "resid.2 at position")]
#[case::mixed_layer(mixed_layer, "blocked", "or something else mixes positions")]
#[case::mixed_embedding(mixed_embedding, "blocked", "it is no embedding")]
#[case::pooled(pooled, "last position", "they are read at others, too")]
fn broken_graphs_of_others(
    #[case] break_it: fn(&mut Graph),
    #[case] check_name: &str,
    #[case] words: &str,
) {
    let (model, _) = tiny("f32");
    let mut graph = model.graph().unwrap();
    let keys = |name: &str| name.starts_with("attn_key.") || name.starts_with("attn_value.");
    graph.boundaries.retain(|port| !keys(&port.name));
    let set = prompts(&model);
    let run = |graph: &Graph| {
        let mut engine = Engine::from_graph(runtime(), &Device::Cpu, &model, graph).unwrap();
        check(&mut engine, &model, &set, &[ablation::ALL[0]])
    };
    run(&graph).unwrap();
    break_it(&mut graph);
    assert_fails(run(&graph), check_name, words);
}

/// What a graph of others calls the outputs of heads must be what these read.
#[test]
fn outputs_that_are_none() {
    let (model, _) = tiny("f32");
    let mut graph = model.graph().unwrap();
    let keys = |name: &str| name.starts_with("attn_key.") || name.starts_with("attn_value.");
    graph.boundaries.retain(|port| !keys(&port.name));
    let set = prompts(&model);
    let value_zero = Technique::named("value-zero").unwrap();
    let plans = [Plan::af1(1, 1).with(value_zero)];
    let ablations = [ablation::ALL[0]];
    let run = |graph: &Graph| {
        let mut engine = Engine::from_graph(runtime(), &Device::Cpu, &model, graph).unwrap();
        preflight(&mut engine, &model, &set, &Request::new(&plans, &ablations))
    };
    run(&graph).unwrap();
    // One more everywhere.
    let read = af1::graph::attn_out(1);
    let at = (graph.nodes.iter())
        .position(|node| node.outputs.contains(&read))
        .unwrap();
    let one = constant(&mut graph, "one", Dtype::F32, &[], &1f32.to_le_bytes());
    graph.nodes[at].outputs[0] = "read".to_owned();
    let more = node(
        &graph.nodes[at].clone(),
        "Add",
        vec!["read".to_owned(), one],
        &read,
    );
    graph.nodes.insert(at + 1, more);
    assert_fails(run(&graph), "attention", "attn_out.1 differs by");
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
    let value_zero = Technique::named("value-zero").unwrap();
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

/// What an intervention breaks is named where it breaks: of a stream of zeros, which no unmodified model has, the
/// logarithm is infinite.
#[test]
fn a_layer_that_cannot_take_zeros() {
    let (model, _) = tiny("f32");
    let mut graph = model.graph().unwrap();
    let resid = af1::graph::resid(2);
    let mut nodes = graph.nodes.iter();
    let at = nodes
        .position(|node| node.outputs.contains(&resid))
        .unwrap();
    graph.nodes[at].outputs[0] = "before".to_owned();
    let like = graph.nodes[at].clone();
    let mut norm = node(
        &like,
        "ReduceL1",
        vec![af1::graph::resid(1), "last_axis".to_owned()],
        "norm",
    );
    norm.attributes = vec![("keepdims".into(), Attribute::Int(1))];
    let log = node(&like, "Log", vec!["norm".to_owned()], "log");
    let sum = node(
        &like,
        "Add",
        vec!["before".to_owned(), "log".to_owned()],
        &resid,
    );
    graph.constants.push(Constant {
        name: "last_axis".to_owned(),
        shape: vec![1],
        dtype: Dtype::I64,
        bytes: 2i64.to_le_bytes().to_vec(),
    });
    for (i, new) in [norm, log, sum].into_iter().enumerate() {
        graph.nodes.insert(at + 1 + i, new);
    }
    let mut engine = Engine::from_graph(runtime(), &Device::Cpu, &model, &graph).unwrap();
    let set = prompts(&model);
    let mean = check(
        &mut engine,
        &model,
        &set,
        &[ablation::named("mean").unwrap()],
    );
    assert!(mean.is_ok(), "{mean:?}");
    let plans = [Plan::af1(1, 1)];
    let ablations = [ablation::named("zero").unwrap()];
    let request = Request {
        estimator: Estimator::PlugIn,
        ..Request::new(&plans, &ablations)
    };
    let error = preflight(&mut engine, &model, &set, &request).unwrap_err();
    assert_eq!(error.exit_code(), af1::error::exit::NOT_FINITE);
    assert!(
        error.to_string().contains("resid.2 after zero at resid.1"),
        "{error}"
    );
}

/// An ablation that says it replaces and does not.
struct Idle;

impl Ablation for Idle {
    fn name(&self) -> &'static str {
        "idle"
    }

    fn value(&self, _: &Source<'_>, _: Place<'_>) -> Result<Value, String> {
        Ok(Value::Keep)
    }
}

#[test]
fn an_intervention_that_does_nothing() {
    let (model, mut engine) = tiny("f32");
    let set = prompts(&model);
    let found = check(&mut engine, &model, &set, &[&Idle]);
    assert_fails(
        found,
        "interventions",
        "idle changes resid.0 by 0e0 of its largest value",
    );
}
