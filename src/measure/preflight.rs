//! Preflight: what must hold before any experiment on a template is believed, checked on a handful of its prompts.

use std::collections::{BTreeSet, HashSet};

use ndarray::{Array2, Array3, Array4, ArrayView, ArrayView3, Axis, Dimension, Ix3, s};

use super::apart::apart;
use super::attention::check_weights;
use super::biases::Biases;
use super::captured::Captured;
use super::compiled::same_up_to;
use super::forward::{base_forward, check_finite, failed, last_attention};
use super::front::{Fronts, fronts};
use super::{Part, Request, given, prepare};
use crate::Result;
use crate::intervene::ablation::{CAMA, IDENTITY, Source, ZERO, replace};
use crate::intervene::{Estimator, Mask, Means, Plan, Tail, Technique};
use crate::model::Model;
use crate::prompt::{PromptSet, Role};
use crate::runtime::{Engine, Tensor};

/// The largest difference of two results that must be equal, relative to the largest of them. Batches of another size
/// sum the same products in another order, in f32.
const SAME: f32 = 1e-4;

/// The same for the precision of a model.
fn tolerance(engine: &Engine) -> f32 {
    SAME.max(same_up_to(engine.precision()))
}

/// An ablation must change a residual stream by more than this, relative to its largest value: more than rounding a mean
/// of equal vectors does, less than what any other context does to a token.
const MOVED: f32 = 1e-5;

/// What preflight checks, in its order. `finite` has an error of its own, [`crate::Error::NotFinite`].
///
/// `captured` is about reading residual streams out of a run. That the segments between which they are read are the model
/// is no question for a handful of prompts: the tests compare them with the uncut graph and with PyTorch.
pub const CHECKS: [&str; 13] = [
    "roles",
    "masks",
    "mask inputs",
    "finite",
    "captured",
    "batch",
    "blocked",
    "last position",
    "attention",
    "position 0",
    "position 1",
    "identity",
    "interventions",
];

/// What preflight did.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The prompts that were run.
    pub prompts: usize,
    /// What the model answers with another choice of what stands in front, where there is one. A choice that is much better is no
    /// error here: whoever asks must be told.
    pub fronts: Option<Fronts>,
}

/// Checks a template with the plans and ablations of a request; the estimator and the limit of the request do not matter.
/// What each check demands is said where it is made.
///
/// # Errors
/// [`crate::Error::Preflight`] names the first check that fails, [`crate::Error::NotFinite`] the first boundary with NaN or infinity.
pub fn preflight(
    engine: &mut Engine,
    model: &Model,
    set: &PromptSet,
    request: &Request<'_>,
) -> Result<Checked> {
    let fail = |check: &'static str, reason: String| failed(set, check, reason);
    roles(model, set).map_err(|reason| fail("roles", reason))?;
    masks(engine, set.positions(), request.plans).map_err(|reason| fail("masks", reason))?;
    // A segment without its mask would run, and no mask would ever do anything.
    if let Some(layer) = (0..engine.layers()).find(|&layer| !engine.takes_mask(layer)) {
        let name = crate::graph::attn_bias(layer);
        return Err(fail(
            "mask inputs",
            format!("layer {layer} has no input {name:?}"),
        ));
    }

    let sample = set.subset(&sample(set));
    let all: Vec<usize> = (0..sample.len()).collect();
    let ids = sample.ids(&all);
    let biases = Biases::new(sample.positions())?;
    let every: Vec<usize> = (0..=engine.layers()).collect();
    let (captured, logits) = base_forward(engine, ids.clone(), &biases, &every)?;
    let checked = (&captured, Some(logits.view()));
    check_finite(engine, set, ids.clone(), &biases, checked)?;

    let (_, uncaptured) = base_forward(engine, ids.clone(), &biases, &[])?;
    same(logits.view(), uncaptured.view(), tolerance(engine)).map_err(|apart| {
        let reason =
            format!("logits differ by {apart} of the largest when no residual stream is captured");
        fail("captured", reason)
    })?;
    let noise = apart(logits.view(), uncaptured.view());
    for row in 0..sample.len() {
        let one = ids.select(Axis(0), &[row]);
        let (_, alone) = base_forward(engine, one, &biases, &[])?;
        let of_batch = logits.select(Axis(0), &[row]);
        same(of_batch.view(), alone.view(), tolerance(engine)).map_err(|apart| {
            let reason = format!(
                "alone and in a batch of {} the logits of {:?} differ by {apart} of the largest",
                sample.len(),
                sample.prompts[row].text
            );
            fail("batch", reason)
        })?;
    }
    // Another program wrote it.
    let given = !engine.takes_keys_values();
    if given {
        let said = (&captured, &logits);
        given::check(engine, &ids, said, &biases, tolerance(engine))?
            .map_err(|(check, reason)| fail(check, reason))?;
    }
    if (request.plans.iter()).any(|plan| plan.masking.cuts_attention()) {
        let layers = last_attention(engine, ids.clone(), &biases)?;
        check_weights(&layers).map_err(|reason| fail("attention", reason))?;
        if given {
            given::check_heads(engine, &captured, &biases, tolerance(engine))?
                .map_err(|(check, reason)| fail(check, reason))?;
        }
    }
    first_positions(&sample, &captured, tolerance(engine))
        .map_err(|(check, reason)| fail(check, reason))?;
    interventions(engine, &sample, request, (&captured, &logits), noise)?
        .map_err(|(check, reason)| fail(check, reason))?;
    Ok(Checked {
        prompts: sample.len(),
        fronts: fronts(engine, model, set)?,
    })
}

/// A handful of prompts: one, for each of its operands another one with the same token there, so that its means have
/// contexts, and the last.
fn sample(set: &PromptSet) -> Vec<usize> {
    let asked = set.asked();
    let first = asked[asked.len() / 2];
    let mut chosen = BTreeSet::from([first, asked[asked.len() - 1]]);
    let ids = |prompt: usize| &set.prompts[prompt].ids;
    for t in 1..set.positions() {
        if let Role::Operand(_) = set.roles[t] {
            let shares = |&p: &usize| ids(p)[t] == ids(first)[t] && ids(p) != ids(first);
            let other = asked.iter().copied().find(shares);
            chosen.extend(other.or_else(|| (0..set.len()).find(shares)));
        }
    }
    chosen.into_iter().collect()
}

/// The beginning-of-sequence token stands first, once, the operands where their roles say, the tokens are those
/// of the text.
fn roles(model: &Model, set: &PromptSet) -> Result<(), String> {
    let bos = model.bos();
    let start = usize::from(bos.is_some());
    for prompt in &set.prompts {
        let wrong = |what: String| Err(format!("{:?}: {what}", prompt.text));
        if prompt.ids.first().copied() != bos && bos.is_some() {
            return wrong(format!(
                "begins with token {:?}, not with the beginning-of-sequence token {bos:?}",
                prompt.ids.first()
            ));
        }
        // Farther on, a template may have it on purpose, between worked examples.
        if bos.is_some() && prompt.ids.get(1).copied() == bos {
            return wrong("begins with the beginning-of-sequence token twice".to_owned());
        }
        let tokens = model.tokenizer.encode(&prompt.text)?;
        if !tokens
            .iter()
            .map(|token| token.id)
            .eq(prompt.ids[start..].iter().copied())
        {
            return wrong("its tokens are not those of its text".to_owned());
        }
        for (t, role) in set.roles.iter().enumerate() {
            let Role::Operand(i) = role else { continue };
            let found = model.tokenizer.decode(prompt.ids[t]);
            if found.trim() != prompt.operands[*i].to_string() {
                return wrong(format!(
                    "position {t} should hold operand {}, but reads {found:?}",
                    prompt.operands[*i]
                ));
            }
        }
        if set.roles.last() != Some(&Role::Last) {
            return wrong("the last position is not where the answer is read".to_owned());
        }
    }
    Ok(())
}

/// Every mask that is used lets every query see itself and, unless it is there to hide it, position 0, and nothing after
/// itself.
fn masks(engine: &Engine, pos: usize, plans: &[Plan]) -> Result<(), String> {
    let mut used: Vec<Mask> = vec![Mask::Causal, Mask::SelfPeek(Technique::ABP)];
    for plan in plans {
        used.extend((plan.wait..engine.layers()).map(|layer| plan.mask(layer)));
    }
    let distinct: HashSet<Mask> = used.into_iter().collect();
    for mask in distinct {
        for ((_, head, q, k), bias) in mask.bias(engine.heads(), pos).indexed_iter() {
            let sees = *bias == 0.0;
            if (k == q || (k == 0 && mask.keeps_sink())) && !sees {
                return Err(format!(
                    "{mask:?}, head {head}: query {q} does not see key {k}"
                ));
            }
            if k > q && sees {
                return Err(format!(
                    "{mask:?}, head {head}: query {q} sees key {k}, which is later"
                ));
            }
        }
    }
    Ok(())
}

/// At every boundary position 0 is the same in all prompts, because it sees itself only; and position 1 depends on its own
/// token alone, so its CAMA value is its own residual.
fn first_positions(
    set: &PromptSet,
    captured: &Captured,
    tolerance: f32,
) -> Result<(), (&'static str, String)> {
    let cama = CAMA;
    let all: Vec<usize> = (0..set.len()).collect();
    for (wait, resid) in captured {
        let zero = resid.slice(s![.., 0, ..]);
        let first = zero.select(Axis(0), &vec![0; set.len()]);
        same(zero, first.view(), tolerance).map_err(|apart| {
            let reason = format!(
                "resid.{wait} differs by {apart} of its largest value between prompts: the model looks ahead"
            );
            ("position 0", reason)
        })?;
        let mut means = Means::new(set.positions(), resid.len_of(Axis(2)), 0);
        means.push(set, &all, resid.view());
        let source = Source {
            set,
            means: &means,
            operations: &[],
            estimator: Estimator::PlugIn,
            estimation: &vec![true; set.len()],
            seed: 0,
        };
        let view: ArrayView3<'_, f32> = resid.view();
        let replaced =
            replace(cama, &source, &all, view, view).map_err(|e| ("position 1", e.to_string()))?;
        let one = s![.., 1..2, ..];
        same(resid.slice(one), replaced.slice(one), tolerance).map_err(|apart| {
            let reason = format!("CAMA moves resid.{wait} by {apart} of its largest value, where nothing else is seen");
            ("position 1", reason)
        })?;
    }
    Ok(())
}

/// What a check finds: which one fails, and why.
type Found = Result<(), (&'static str, String)>;

/// Replacing a stream by itself gives the unmodified logits; every ablation, at every boundary that it is asked for,
/// changes the residual stream, and in one of them the logits; every kind of mask that is asked for changes the logits
/// without the help of an ablation. `noise` is by how much logits differ when nothing is changed.
fn interventions(
    engine: &mut Engine,
    sample: &PromptSet,
    request: &Request<'_>,
    (captured, logits): (&Captured, &Array2<f32>),
    noise: f32,
) -> Result<Found> {
    let nothing = IDENTITY;
    let (layers, heads) = (engine.layers(), engine.heads());
    let mut waits: Vec<usize> = request.plans.iter().map(|plan| plan.wait).collect();
    waits.push(0);
    waits.sort_unstable();
    waits.dedup();
    let request = Request {
        // The means of a handful of prompts are of use only with all of them.
        estimator: Estimator::PlugIn,
        limit: None,
        part: Part::All,
        draw: None,
        batch: sample.len(),
        ..*request
    };
    let mut evaluation = prepare(engine, sample.clone(), &request, &waits)?;
    let unmodified: Vec<Plan> = waits.iter().map(|&wait| Plan::waiting(wait)).collect();
    let identity = evaluation.logits(engine, &unmodified, nothing)?;
    // Of the sample some prompts may be contexts only.
    let logits = logits.select(Axis(0), &evaluation.evaluated);
    for (wait, found) in waits.iter().zip(&identity) {
        if let Err(apart) = same(logits.view(), found.view(), tolerance(engine)) {
            let reason = format!(
                "putting resid.{wait} back where it was moves logits by {apart} of the largest"
            );
            return Ok(Err(("identity", reason)));
        }
    }
    let changed = |a: &Array2<f32>, b: &Array2<f32>| apart(a.view(), b.view()) > noise;
    let failed = |reason: String| Ok(Err(("interventions", reason)));

    // One prompt alone is its own mean, and there is no other to take anything from.
    let ablations = match sample.len() {
        1 => &[],
        _ => request.ablations,
    };
    for &ablation in ablations.iter().filter(|ablation| ablation.replaces()) {
        let asked: Vec<usize> = (waits.iter().copied())
            .filter(|wait| request.plans.iter().any(|plan| plan.wait == *wait))
            .filter(|wait| *wait > 0 || !ablation.keeps_embedding())
            .collect();
        for &wait in &asked {
            let moved = evaluation.moves(engine, ablation, wait)?;
            if moved <= MOVED {
                return failed(format!(
                    "{} changes resid.{wait} by {moved:e} of its largest value",
                    ablation.name()
                ));
            }
        }
        // The middle first: most are found to change something there.
        let mut order = asked;
        order.sort_by_key(|wait| wait.abs_diff(layers / 2));
        // Whether a model's answer depends on what an ablation takes away is a result. But some change must reach it.
        let mut reaches = order.is_empty();
        for by in [ablation, ZERO] {
            for &wait in &order {
                if reaches {
                    break;
                }
                let at = waits.binary_search(&wait).expect("it is one of them");
                let found = evaluation.logits(engine, &unmodified[at..=at], by)?;
                reaches = changed(&found[0], &identity[at]);
            }
        }
        if !reaches {
            let reason = format!("{} changes no logit at any boundary", ablation.name());
            return failed(reason);
        }
    }

    // Whether a mask matters in the layers that were asked for is a result; that it can matter is not.
    let mut of = |plan: Plan| -> Result<Array2<f32>> {
        Ok(evaluation.logits(engine, &[plan], nothing)?.swap_remove(0))
    };
    let asked = |kind: fn(&Tail) -> bool| request.plans.iter().any(|plan| kind(&plan.tail));
    let unmasked = &identity[0];
    if asked(|tail| matches!(tail, Tail::Knockout { .. }))
        && !changed(&of(Plan::knockout(0, layers))?, unmasked)
    {
        return failed("the mask knockout in all layers changes no logit".to_owned());
    }
    let restricted = request
        .plans
        .iter()
        .filter(|plan| plan.tail.transfer().is_some());
    let techniques: HashSet<Technique> = restricted.map(|plan| plan.masking).collect();
    for by in techniques {
        let alone = of(Plan::af1(0, 0).with(by))?;
        let peeking = of(Plan::af1(0, layers).with(by))?;
        if !changed(&alone, unmasked) {
            return failed(format!("{by:?} in all layers changes no logit"));
        }
        // Of two tokens the last sees position 0 and itself either way; what a shorter view shows may be of no use.
        let pos = sample.positions();
        let sees_all = pos > 2 && (0..pos).all(|k| by.0.peek(k, pos));
        if sees_all && !changed(&peeking, &alone) {
            return failed(format!(
                "under {by:?} in all layers the last token says the same alone and seeing all others: masks do not reach the attention, or \
                 nothing that the others carry matters to it in these prompts (has the model learnt this operation?)"
            ));
        }
    }
    if asked(|tail| matches!(tail, Tail::Pruned { .. })) && heads > 1 && !by_head(engine, captured)?
    {
        return failed(
            "masks by head do not work: in every layer, taking attention from one head is like taking it from none or from \
             all"
                .to_owned(),
        );
    }
    Ok(Ok(()))
}

/// Whether in some layer some head's mask changes what the layer makes of a captured stream, and otherwise than the masks
/// of all heads together.
fn by_head(engine: &mut Engine, captured: &Captured) -> Result<bool> {
    let heads = engine.heads();
    for layer in 0..engine.layers() {
        let stream = captured[&layer].view();
        let pos = stream.len_of(Axis(1));
        let stream = Tensor::from_f32(stream.to_owned())?;
        let mut with = |alone: &dyn Fn(usize) -> bool| -> Result<Array3<f32>> {
            let [causal, masked] =
                [Mask::Causal, Mask::SelfPeek(Technique::ABP)].map(|mask| mask.bias(1, pos));
            let bias = Array4::from_shape_fn((1, heads, pos, pos), |(_, head, q, k)| {
                let mask = if alone(head) { &masked } else { &causal };
                mask[[0, 0, q, k]]
            });
            let out = engine.layer(layer, &stream, &Tensor::from_f32(bias)?)?;
            Ok(out.view::<Ix3>()?.to_owned())
        };
        let (none, again, all) = (with(&|_| false)?, with(&|_| false)?, with(&|_| true)?);
        let noise = apart(none.view(), again.view());
        for head in 0..heads {
            let one = with(&|other| other == head)?;
            let other_than = |out: &Array3<f32>| apart(one.view(), out.view()) > noise;
            if other_than(&none) && other_than(&all) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether two results are the same up to a tolerance; how far they are apart otherwise.
fn same<D: Dimension>(
    a: ArrayView<'_, f32, D>,
    b: ArrayView<'_, f32, D>,
    tolerance: f32,
) -> Result<(), f32> {
    match apart(a, b) {
        apart if apart <= tolerance => Ok(()),
        apart => Err(apart),
    }
}
