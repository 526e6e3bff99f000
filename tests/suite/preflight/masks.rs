//! Masks that change nothing: what preflight says of each kind that is asked for, and that it asks of no other.

use af1::graph::{Dtype, Graph, LOGITS, attn_bias, attn_out};
use af1::intervene::ablation::IDENTITY;
use af1::intervene::masking::MaskedBy;
use af1::intervene::{Ablation, Plan, ablation};
use af1::measure::{Request, Way, preflight};
use af1::runtime::{Device, Engine};
use rstest::rstest;

use super::graphs::one_mask_for_all_heads;
use super::others::{before_reader, changed_at_end, constant};
use super::{assert_fails, prompts};
use crate::fixtures::{runtime, tiny};

/// Layers to which it does not matter what their heads read.
fn deaf(graph: &mut Graph) {
    let nothing = constant(graph, "nothing", Dtype::F32, &[], &0f32.to_le_bytes());
    for layer in 0..3 {
        let read = attn_out(layer);
        before_reader(
            graph,
            &read,
            "Mul",
            vec![read.clone(), nothing.clone()],
            &[],
        );
    }
}

/// The last token sees what the one before it may see, whatever its own mask says.
fn last_as_the_one_before(graph: &mut Graph) {
    let rows: Vec<u8> = [0i64, 1, 2, 3, 3]
        .iter()
        .flat_map(|row| row.to_le_bytes())
        .collect();
    let rows = constant(graph, "rows", Dtype::I64, &[5], &rows);
    for layer in 0..3 {
        let bias = attn_bias(layer);
        before_reader(
            graph,
            &bias,
            "Gather",
            vec![bias.clone(), rows.clone()],
            &[("axis", 2)],
        );
    }
}

fn found(
    break_it: fn(&mut Graph),
    plans: &[Plan],
    ablations: &[&'static dyn Ablation],
) -> Result<usize, af1::Error> {
    let (model, _) = tiny("f32");
    let mut graph = model.graph().unwrap();
    break_it(&mut graph);
    let mut engine = Engine::from_graph(runtime(), &Device::Cpu, &model, &graph).unwrap();
    let request = Request {
        way: Way::Masked,
        ..Request::new(plans, ablations)
    };
    preflight(&mut engine, &model, &prompts(&model), &request)
}

#[rstest]
#[case::knockout(
    Plan::knockout(1, 2),
    "the mask knockout in all layers changes no logit"
)]
#[case::alone(Plan::af1(1, 1), "abp in all layers changes no logit")]
#[case::heads(
    Plan::pruned(1, 1, Default::default()),
    "in all layers changes no logit"
)]
fn masks_of_deaf_layers(#[case] plan: Plan, #[case] words: &str) {
    assert_fails(found(deaf, &[plan], &[IDENTITY]), "interventions", words);
}

/// Masks are tried where a plan asks for them: waiting takes none, and AF1 takes one for all heads.
#[test]
fn no_such_mask_is_asked_for() {
    found(deaf, &[Plan::waiting(1)], &[IDENTITY]).unwrap();
    found(one_mask_for_all_heads, &[Plan::af1(1, 1)], &[IDENTITY]).unwrap();
}

/// Whatever happens to the streams, the logits are the same.
#[test]
fn ablations_of_a_mute_head() {
    let mute = |graph: &mut Graph| {
        let nothing = constant(graph, "nothing", Dtype::F32, &[], &0f32.to_le_bytes());
        changed_at_end(graph, LOGITS, "Mul", nothing);
    };
    let cama = ablation::named("cama").unwrap();
    let words = "cama changes no logit at any boundary";
    assert_fails(
        found(mute, &[Plan::waiting(1)], &[cama]),
        "interventions",
        words,
    );
}

/// The last token is kept from what the others carry: that is a fault only where it is to see all of them.
#[test]
fn peeking_that_shows_nothing() {
    let words = "under abp in all layers the last token says the same alone and seeing all others";
    let plan = Plan::af1(1, 1);
    assert_fails(
        found(
            last_as_the_one_before,
            std::slice::from_ref(&plan),
            &[IDENTITY],
        ),
        "interventions",
        words,
    );
    let sees_itself = MaskedBy::named("sees-0").unwrap();
    found(|_| {}, &[plan.with(sees_itself)], &[IDENTITY]).unwrap();
}
