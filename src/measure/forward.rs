//! Running a batch of prompts through the segments of a model.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, Array4, ArrayView2, Axis, Ix2, Ix3};

use super::biases::Biases;
use super::captured::Captured;
use super::scores::{Logits, Seen};
use crate::interrupt::interrupted;
use crate::intervene::{Cut, Mask, Plan, Tail};
use crate::prompt::PromptSet;
use crate::runtime::{Attention, Engine, Tensor};
use crate::{Error, Result};

/// The unmodified model: residual streams at the boundaries `capture`, and the logits, `[batch, vocab]`.
///
/// # Errors
/// The runtime's reason; an interrupt.
pub fn base_forward(
    engine: &mut Engine,
    ids: Array2<i64>,
    biases: &Biases,
    capture: &[usize],
) -> Result<(Captured, Array2<f32>)> {
    let (captured, logits) = captured_forward(engine, ids, biases, capture)?;
    Ok((captured, logits.view::<Ix2>()?.to_owned()))
}

/// What [`base_forward`] computes; the logits stay where they are.
pub(super) fn captured_forward(
    engine: &mut Engine,
    ids: Array2<i64>,
    biases: &Biases,
    capture: &[usize],
) -> Result<(Captured, Tensor)> {
    let end = engine.layers();
    let (captured, stream) = run_to(engine, ids, &Mask::Causal, biases, capture, end)?;
    Ok((captured, engine.logits(&stream)?))
}

/// The whole residual streams of some prompts at the boundaries `capture` when every layer has the same mask.
///
/// # Errors
/// The runtime's reason; NaN or infinity, with the first residual stream that has it; an interrupt.
pub fn streams(
    engine: &mut Engine,
    set: &PromptSet,
    prompts: &[usize],
    mask: &Mask,
    biases: &Biases,
    capture: &[usize],
) -> Result<Captured> {
    let end = capture.iter().copied().max().unwrap_or(0);
    let captured = run_to(engine, set.ids(prompts), mask, biases, capture, end)?.0;
    if broken(&captured).is_some() {
        let every: Vec<usize> = (0..=end).collect();
        let all = run_to(engine, set.ids(prompts), mask, biases, &every, end)?.0;
        if let Some((at, found)) = broken(&all) {
            return Err(not_finite(set, format!("{at} under {mask:?}"), found));
        }
    }
    let whole = |(boundary, resid): (usize, Array3<f32>)| {
        let whole = biases.whole(boundary, resid.view()).into_owned();
        (boundary, whole)
    };
    Ok(captured.into_iter().map(whole).collect())
}

/// The first residual stream with NaN or infinity, and which of the two.
fn broken(captured: &Captured) -> Option<(String, f32)> {
    captured.iter().find_map(|(layer, resid)| {
        let found = resid.iter().find(|x| !x.is_finite())?;
        Some((crate::graph::resid(*layer), *found))
    })
}

/// Runs a plan from the replaced stream again, layer by layer; the first value with NaN or infinity, and which of the two.
///
/// # Errors
/// The runtime's reason; an interrupt.
pub fn first_broken(
    engine: &mut Engine,
    plan: &Plan,
    replaced: Array3<f32>,
    biases: &Biases,
) -> Result<(String, f32)> {
    let mut stream = Tensor::from_f32(replaced)?;
    for layer in plan.wait..=engine.layers() {
        if let Some(bad) = stream.view::<Ix3>()?.iter().find(|x| !x.is_finite()) {
            return Ok((crate::graph::resid(layer), *bad));
        }
        if layer < engine.layers() {
            interrupted()?;
            stream = step(engine, layer, &stream, &plan.mask(layer), biases)?;
        }
    }
    let logits = engine.logits(&stream)?;
    let logits = logits.view::<Ix2>()?;
    let bad = logits.iter().find(|x| !x.is_finite());
    Ok((
        crate::graph::LOGITS.to_owned(),
        bad.copied().unwrap_or(f32::NAN),
    ))
}

/// Residual streams, `[batch, d_model]`, by boundary and position.
pub type Trace = BTreeMap<(usize, usize), Array2<f32>>;

/// The streams of every position at every boundary of a plan from the replaced one on.
///
/// # Errors
/// The runtime's reason; an interrupt.
pub fn trace(
    engine: &mut Engine,
    replaced: Array3<f32>,
    plan: &Plan,
    biases: &Biases,
) -> Result<Trace> {
    let mut trace = Trace::new();
    let mut stream = Tensor::from_f32(replaced)?;
    for layer in plan.wait..=engine.layers() {
        for (t, streams) in stream.view::<Ix3>()?.axis_iter(Axis(1)).enumerate() {
            trace.insert((layer, t), streams.to_owned());
        }
        if layer < engine.layers() {
            interrupted()?;
            stream = step(engine, layer, &stream, &plan.mask(layer), biases)?;
        }
    }
    Ok(trace)
}

/// `resid[layer + 1]` from `resid[layer]` under a mask.
pub(super) fn step(
    engine: &mut Engine,
    layer: usize,
    stream: &Tensor,
    mask: &Mask,
    biases: &Biases,
) -> Result<Tensor> {
    let (heads, pos) = (engine.heads(), biases.positions());
    let causal = biases.of(&Mask::Causal);
    match mask.cut() {
        Cut::Scores => engine.layer(layer, stream, biases.of(mask)),
        Cut::Values => {
            let factor = mask.factor(heads, pos);
            engine.layer_changed(layer, stream, causal, |attention| match attention {
                Attention::Weights(weights) => Ok(Some(&weights * &factor)),
                Attention::Outputs(_) => Ok(None),
            })
        }
        Cut::Outputs => engine.layer_changed(layer, stream, causal, |attention| match attention {
            Attention::Weights(_) => Ok(None),
            Attention::Outputs(outputs) => {
                let means = &biases.outputs[&layer];
                let mut outputs = outputs.to_owned();
                for head in 0..heads {
                    for q in (0..pos).filter(|&q| !mask.sees_all(head, q, pos)) {
                        let at = ndarray::s![.., head, q, ..];
                        outputs.slice_mut(at).assign(&means.slice(at));
                    }
                }
                Ok(Some(outputs))
            }
        }),
    }
}

/// What the heads of every layer read in the unmodified model, `[batch, head, pos, d_head]`.
///
/// # Errors
/// The runtime's reason; a graph that cannot be cut at its attention; an interrupt.
pub fn head_outputs(
    engine: &mut Engine,
    ids: Array2<i64>,
    biases: &Biases,
) -> Result<Vec<Array4<f32>>> {
    let mut all = Vec::new();
    let mut stream = engine.embed(ids, 0)?;
    for layer in 0..engine.layers() {
        interrupted()?;
        let causal = biases.of(&Mask::Causal);
        stream = engine.layer_changed(layer, &stream, causal, |attention| {
            if let Attention::Outputs(outputs) = attention {
                all.push(outputs.to_owned());
            }
            Ok(None)
        })?;
    }
    Ok(all)
}

/// The attention weights of the last query in every layer of the unmodified model, `[batch, head, k_pos]`.
///
/// # Errors
/// The runtime's reason; a graph that cannot be cut at its attention; an interrupt.
pub fn last_attention(
    engine: &mut Engine,
    ids: Array2<i64>,
    biases: &Biases,
) -> Result<Vec<Array3<f32>>> {
    let mut all = Vec::new();
    let mut stream = engine.embed(ids, 0)?;
    for layer in 0..engine.layers() {
        interrupted()?;
        let causal = biases.of(&Mask::Causal);
        stream = engine.layer_changed(layer, &stream, causal, |attention| {
            if let Attention::Weights(weights) = attention {
                all.push(weights.slice(ndarray::s![.., .., -1, ..]).to_owned());
            }
            Ok(None)
        })?;
    }
    Ok(all)
}

/// Runs layers `0 .. end`; returns the streams at the boundaries `capture`, and `resid[end]`, of the unmodified model those of the
/// tokens after a shared prefix if there is one.
fn run_to(
    engine: &mut Engine,
    ids: Array2<i64>,
    mask: &Mask,
    biases: &Biases,
    capture: &[usize],
    end: usize,
) -> Result<(Captured, Tensor)> {
    if let (Some(prefix), Mask::Causal) = (biases.prefix(), mask) {
        return prefix.run_to(engine, &ids, capture, end);
    }
    let mut captured = Captured::new();
    let mut stream = engine.embed(ids, 0)?;
    for layer in 0..=end {
        if capture.contains(&layer) {
            captured.insert(layer, stream.view::<Ix3>()?.to_owned());
        }
        if layer < end {
            interrupted()?;
            stream = step(engine, layer, &stream, mask, biases)?;
        }
    }
    Ok((captured, stream))
}

/// Runs layers `from ..` as the plan says and returns the logits, `[batch, vocab]`.
fn finish(
    engine: &mut Engine,
    plan: &Plan,
    from: usize,
    stream: &Tensor,
    biases: &Biases,
) -> Result<Tensor> {
    let mut next: Option<Tensor> = None;
    for layer in from..engine.layers() {
        interrupted()?;
        let here = next.as_ref().unwrap_or(stream);
        next = Some(step(engine, layer, here, &plan.mask(layer), biases)?);
    }
    engine.logits(next.as_ref().unwrap_or(stream))
}

/// Runs several plans that share the replaced stream `resid[wait]`; calls `done` with the index of each plan and its
/// logits. AF1 with more transfer layers goes on where AF1 with fewer forked off: they agree up to there. Returns the first plan whose
/// logits are not finite; with it the run ends.
///
/// # Errors
/// The runtime's reason; what `done` fails with.
pub fn run_plans(
    engine: &mut Engine,
    stream: Tensor,
    plans: &[&Plan],
    biases: &Biases,
    mut done: impl FnMut(&mut Engine, usize, &Logits<'_>) -> Result<Seen>,
) -> Result<Option<usize>> {
    // Those of one masking: another one's transfer layers are others.
    let forking = plans
        .iter()
        .find(|plan| matches!(plan.tail, Tail::Af1 { .. }));
    let masking = forking.map(|plan| plan.masking);
    let forks = |plan: &Plan| match plan.tail {
        Tail::Af1 { transfer } if Some(plan.masking) == masking => Some(transfer),
        _ => None,
    };
    // Those that run alone, then AF1 by the number of transfer layers.
    let mut order: Vec<usize> = (0..plans.len()).collect();
    order.sort_by_key(|&i| forks(plans[i]));
    let mut peeked = stream;
    let mut reached = plans.first().map_or(0, |plan| plan.wait);
    for i in order {
        let plan = plans[i];
        if let Some(transfer) = forks(plan) {
            while reached < plan.wait + transfer {
                peeked = step(engine, reached, &peeked, &plan.mask(reached), biases)?;
                reached += 1;
            }
        }
        let logits = finish(engine, plan, reached, &peeked, biases)?;
        if done(engine, i, &Logits::all(&logits))? == Seen::NotFinite {
            return Ok(Some(i));
        }
    }
    Ok(None)
}

/// Checks the unmodified model's logits, if they are not known to be finite, and captured streams; where one is broken, names the
/// first residual stream that is.
///
/// # Errors
/// [`Error::NotFinite`].
pub fn check_finite(
    engine: &mut Engine,
    set: &PromptSet,
    ids: Array2<i64>,
    biases: &Biases,
    (captured, logits): (&Captured, Option<ArrayView2<'_, f32>>),
) -> Result<()> {
    let bad = (logits.as_ref()).and_then(|logits| logits.iter().find(|x| !x.is_finite()));
    if bad.is_none() && broken(captured).is_none() {
        return Ok(());
    }
    let every: Vec<usize> = (0..=engine.layers()).collect();
    let (captured, _) = base_forward(engine, ids, biases, &every)?;
    let of_logits = || {
        (
            crate::graph::LOGITS.to_owned(),
            bad.copied().unwrap_or(f32::NAN),
        )
    };
    let (at, found) = broken(&captured).unwrap_or_else(of_logits);
    Err(not_finite(set, at, found))
}

/// The error for a value that is NaN or infinite.
pub fn not_finite(set: &PromptSet, at: String, found: f32) -> Error {
    Error::NotFinite {
        at,
        found: found.to_string(),
        of: format!(
            "style {:?}, operation {}",
            set.template.style, set.template.operation
        ),
    }
}

/// A check that failed on prompts of a set.
pub fn failed(set: &PromptSet, check: &'static str, reason: String) -> Error {
    Error::Preflight {
        check,
        reason,
        style: set.template.style.clone(),
        operation: set.template.operation.to_string(),
    }
}
