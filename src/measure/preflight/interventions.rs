//! What preflight demands of what a request asks for: putting a stream back changes nothing, every ablation and every kind of mask
//! changes something.

use std::collections::HashSet;

use ndarray::{Array2, Array3, Array4, Axis, Ix3};

use super::sample::Sample;
use crate::intervene::ablation::{IDENTITY, ZERO};
use crate::intervene::{Ablation, Estimator, Mask, MaskedBy, Plan, Tail};
use crate::measure::captured::Captured;
use crate::measure::{Evaluation, Part, Request, apart, boundaries, prepare};
use crate::runtime::{Engine, Tensor};
use crate::{Error, Result};

/// An ablation must change a residual stream by more than this, relative to its largest value: more than rounding a mean
/// of equal vectors does, less than what any other context does to a token.
const MOVED: f32 = 1e-5;

/// Replacing a stream by itself gives the unmodified logits; every ablation, at every boundary that it is asked for,
/// changes the residual stream, and in one of them the logits; every kind of mask that is asked for changes the logits
/// without the help of an ablation.
///
/// # Errors
/// The check `identity` or `interventions`; the runtime's reason; an interrupt.
pub fn check(engine: &mut Engine, sample: &Sample, request: &Request<'_>) -> Result<()> {
    let embedding = Plan::waiting(0);
    let waits = boundaries(request.plans.iter().chain([&embedding]));
    let request = Request {
        // The means of a handful of prompts are of use only with all of them.
        estimator: Estimator::PlugIn,
        limit: None,
        part: Part::All,
        draw: None,
        batch: sample.set.len(),
        ..*request
    };
    let mut evaluation = prepare(engine, sample.set.clone(), &request, &waits)?;
    let unmodified: Vec<Plan> = waits.iter().map(|&wait| Plan::waiting(wait)).collect();
    let identity = evaluation.logits(engine, &unmodified, IDENTITY)?;
    let mut trial = Trial {
        engine,
        sample,
        request,
        evaluation,
        waits,
        unmodified,
        identity,
    };
    trial.put_back()?;
    // One prompt alone is its own mean, and there is no other to take anything from.
    let ablations = match sample.set.len() {
        1 => &[],
        _ => request.ablations,
    };
    for &ablation in ablations.iter().filter(|ablation| ablation.replaces()) {
        trial.replace(ablation)?;
    }
    trial.knock_out()?;
    trial.restrict()?;
    trial.mask_heads()
}

/// What is asked for, tried on the sample.
struct Trial<'a> {
    engine: &'a mut Engine,
    sample: &'a Sample,
    request: Request<'a>,
    evaluation: Evaluation,
    /// The boundaries that are asked for, and 0; ascending.
    waits: Vec<usize>,
    /// The plans that replace the stream at each boundary, and mask nothing.
    unmodified: Vec<Plan>,
    /// The logits for each boundary when the stream is put back where it was, `[evaluated, vocab]`.
    identity: Vec<Array2<f32>>,
}

impl Trial<'_> {
    /// A stream that is put back changes nothing.
    fn put_back(&self) -> Result<()> {
        // Of the sample some prompts may be contexts only.
        let logits = self
            .sample
            .logits
            .select(Axis(0), &self.evaluation.evaluated);
        for (wait, found) in self.waits.iter().zip(&self.identity) {
            self.sample.same(logits.view(), found.view()).map_err(|apart| {
                let reason = format!(
                    "putting resid.{wait} back where it was moves logits by {apart} of the largest"
                );
                self.sample.fails("identity", reason)
            })?;
        }
        Ok(())
    }

    /// An ablation changes the stream wherever it is asked for, and somewhere the logits.
    fn replace(&mut self, ablation: &'static dyn Ablation) -> Result<()> {
        let plans = self.request.plans;
        let asked: Vec<usize> = (self.waits.iter().copied())
            .filter(|wait| plans.iter().any(|plan| plan.wait == *wait))
            .filter(|wait| *wait > 0 || !ablation.keeps_embedding())
            .collect();
        for &wait in &asked {
            let moved = self.evaluation.moves(self.engine, ablation, wait)?;
            if moved <= MOVED {
                return Err(self.fails(format!(
                    "{} changes resid.{wait} by {moved:e} of its largest value",
                    ablation.name()
                )));
            }
        }
        // The middle first: most are found to change something there.
        let (mut order, middle) = (asked, self.engine.layers() / 2);
        order.sort_by_key(|wait| wait.abs_diff(middle));
        // Whether a model's answer depends on what an ablation takes away is a result. But some change must reach it.
        if order.is_empty() || self.reaches(ablation, &order)? || self.reaches(ZERO, &order)? {
            return Ok(());
        }
        let reason = format!("{} changes no logit at any boundary", ablation.name());
        Err(self.fails(reason))
    }

    /// Whether an ablation changes the logits at one of some boundaries.
    fn reaches(&mut self, by: &'static dyn Ablation, waits: &[usize]) -> Result<bool> {
        for wait in waits {
            let at = self.waits.binary_search(wait).expect("it is one of them");
            let plans = &self.unmodified[at..=at];
            let found = self.evaluation.logits(self.engine, plans, by)?;
            if self.changed(&found[0], &self.identity[at]) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The mask of knock-outs changes the logits. Whether a mask matters in the layers that were asked for is a result; that it can
    /// matter is not.
    fn knock_out(&mut self) -> Result<()> {
        if !self.asked(|tail| matches!(tail, Tail::Knockout { .. })) {
            return Ok(());
        }
        let knocked_out = self.logits(Plan::knockout(0, self.engine.layers()))?;
        match self.changed(&knocked_out, &self.identity[0]) {
            true => Ok(()),
            false => Err(self.fails("the mask knockout in all layers changes no logit".to_owned())),
        }
    }

    /// The masks of every technique change the logits, those of transfer layers otherwise than the others.
    fn restrict(&mut self) -> Result<()> {
        let restricted = (self.request.plans.iter()).filter(|plan| plan.tail.transfer().is_some());
        let techniques: HashSet<MaskedBy> = restricted.map(|plan| plan.masking).collect();
        for by in techniques {
            let alone = self.logits(Plan::af1(0, 0).with(by))?;
            let peeking = self.logits(Plan::af1(0, self.engine.layers()).with(by))?;
            if !self.changed(&alone, &self.identity[0]) {
                return Err(self.fails(format!("{by:?} in all layers changes no logit")));
            }
            // What a shorter view shows may be of no use.
            let pos = self.sample.set.positions();
            let sees_all = (0..pos).all(|k| by.0.peek(k, pos));
            if sees_all && !self.changed(&peeking, &alone) {
                return Err(self.fails(format!(
                    "under {by:?} in all layers the last token says the same alone and seeing all others: masks do not reach the \
                     attention, or nothing that the others carry matters to it in these prompts (has the model learnt this operation?)"
                )));
            }
        }
        Ok(())
    }

    /// Where heads are pruned, a mask of one head is one of that head.
    fn mask_heads(&mut self) -> Result<()> {
        let asked = self.asked(|tail| matches!(tail, Tail::Pruned { .. }));
        if asked && self.engine.heads() > 1 && !by_head(self.engine, &self.sample.captured)? {
            return Err(self.fails(
                "masks by head do not work: in every layer, taking attention from one head is like taking it from none or from \
                 all"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Whether a plan with such a tail is asked for.
    fn asked(&self, kind: fn(&Tail) -> bool) -> bool {
        self.request.plans.iter().any(|plan| kind(&plan.tail))
    }

    /// The logits under a plan without the help of an ablation, `[evaluated, vocab]`.
    fn logits(&mut self, plan: Plan) -> Result<Array2<f32>> {
        let mut found = self.evaluation.logits(self.engine, &[plan], IDENTITY)?;
        Ok(found.swap_remove(0))
    }

    /// Whether logits are farther apart than where nothing is changed.
    fn changed(&self, a: &Array2<f32>, b: &Array2<f32>) -> bool {
        apart(a.view(), b.view()) > self.sample.noise
    }

    fn fails(&self, reason: String) -> Error {
        self.sample.fails("interventions", reason)
    }
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
                [Mask::Causal, Mask::SelfPeek(MaskedBy::ABP)].map(|mask| mask.bias(1, pos));
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
