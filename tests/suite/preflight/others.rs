//! Graphs as another program may write them, which have no keys and values: what they get wrong although they keep the contract.

use af1::graph::{Attribute, Constant, Dtype, Graph, Node, attn_bias, attn_out, resid};
use af1::intervene::masking::MaskedBy;
use af1::intervene::{Plan, ablation};
use af1::measure::{Request, preflight};
use af1::runtime::{Device, Engine};
use rstest::rstest;

use super::graphs::node;
use super::{assert_fails, check, prompts};
use crate::fixtures::{runtime, tiny};

/// A tensor of its own.
pub fn constant(
    graph: &mut Graph,
    name: &str,
    dtype: Dtype,
    shape: &[usize],
    bytes: &[u8],
) -> String {
    graph.constants.push(Constant {
        name: name.to_owned(),
        shape: shape.to_vec(),
        dtype,
        bytes: bytes.to_vec(),
    });
    name.to_owned()
}

/// A node before the one that reads `value`, which then reads the new one's.
pub fn before_reader(
    graph: &mut Graph,
    value: &str,
    op: &'static str,
    inputs: Vec<String>,
    attributes: &[(&'static str, i64)],
) {
    let reads = |node: &Node| node.inputs.iter().any(|input| input == value);
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
    let at = made_at(graph, value);
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
pub fn mixed_layer(graph: &mut Graph) {
    mixed(graph, &resid(2));
}

/// Embeddings that know of each other.
fn mixed_embedding(graph: &mut Graph) {
    mixed(graph, &resid(0));
}

/// Logits of the mean over positions.
fn pooled(graph: &mut Graph) {
    let axis = constant(graph, "positions", Dtype::I64, &[1], &1i64.to_le_bytes());
    let end = resid(3);
    let slices = |node: &&mut Node| node.op == "Slice" && node.inputs[0] == end;
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

/// Adds one everywhere.
fn one_more(graph: &mut Graph, read: &str) {
    let one = constant(graph, "one", Dtype::F32, &[], &1f32.to_le_bytes());
    changed_at_end(graph, read, "Add", one);
}

/// What the second head reads, and something of it for the first.
fn second_for_the_first(graph: &mut Graph, read: &str) {
    let [from, to, axis] = [("from", 1i64), ("to", 2), ("heads", 1)]
        .map(|(name, value)| constant(graph, name, Dtype::I64, &[1], &value.to_le_bytes()));
    let of_heads: Vec<u8> = [1f32, 0.0, 0.0, 0.0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let first = constant(graph, "first", Dtype::F32, &[1, 4, 1, 1], &of_heads);
    let at = made_at(graph, read);
    let like = graph.nodes[at].clone();
    let unchanged = format!("{read} unchanged");
    let slice = node(
        &like,
        "Slice",
        vec![unchanged, from, to, axis],
        "second head",
    );
    let of_first = node(
        &like,
        "Mul",
        vec!["second head".to_owned(), first],
        "for the first",
    );
    changed_at_end(graph, read, "Add", "for the first".to_owned());
    graph.nodes.splice(at + 1..at + 1, [slice, of_first]);
}

/// Which node makes a value.
fn made_at(graph: &Graph, value: &str) -> usize {
    let makes = |node: &Node| node.outputs.iter().any(|output| output == value);
    graph.nodes.iter().position(makes).unwrap()
}

/// A value with something done to it, and with what else.
pub fn changed_at_end(graph: &mut Graph, value: &str, op: &'static str, by: String) {
    let at = made_at(graph, value);
    let unchanged = format!("{value} unchanged");
    let like = graph.nodes[at].clone();
    graph.nodes[at].outputs[0].clone_from(&unchanged);
    graph
        .nodes
        .insert(at + 1, node(&like, op, vec![unchanged, by], value));
}

/// What a graph of others calls the outputs of heads must be what these read.
#[rstest]
fn outputs_that_are_none(#[values(one_more, second_for_the_first)] break_it: fn(&mut Graph, &str)) {
    let (model, _) = tiny("f32");
    let mut graph = model.graph().unwrap();
    let keys = |name: &str| name.starts_with("attn_key.") || name.starts_with("attn_value.");
    graph.boundaries.retain(|port| !keys(&port.name));
    let set = prompts(&model);
    let value_zero = MaskedBy::named("value-zero").unwrap();
    let plans = [Plan::af1(1, 1).with(value_zero)];
    let ablations = [ablation::ALL[0]];
    let run = |graph: &Graph| {
        let mut engine = Engine::from_graph(runtime(), &Device::Cpu, &model, graph).unwrap();
        preflight(&mut engine, &model, &set, &Request::new(&plans, &ablations))
    };
    run(&graph).unwrap();
    break_it(&mut graph, &attn_out(1));
    assert_fails(run(&graph), "attention", "attn_out.1 differs by");
}
