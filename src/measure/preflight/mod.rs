//! Preflight: what must hold before any experiment on a template is believed, checked on a handful of its prompts.

mod given;
mod interventions;
mod sample;

use std::collections::HashSet;
use std::ops::Range;

use ndarray::{ArrayView3, Axis, s};

use self::sample::Sample;
use super::Request;
use super::attention::check_weights;
use super::forward::{failed, last_attention};
use crate::Result;
use crate::intervene::ablation::{CAMA, Source, replace};
use crate::intervene::{Estimator, Mask, MaskedBy, Means, Plan};
use crate::model::Model;
use crate::prompt::{Frame, PromptSet, Role};
use crate::runtime::Engine;

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

/// Checks a template with the plans and ablations of a request; the estimator and the limit of the request do not matter.
/// What each check demands is said where it is made. Returns how many prompts were run.
///
/// # Errors
/// [`crate::Error::Preflight`] names the first check that fails, [`crate::Error::NotFinite`] the first boundary with NaN or infinity.
pub fn preflight(
    engine: &mut Engine,
    model: &Model,
    set: &PromptSet,
    request: &Request<'_>,
) -> Result<usize> {
    let fail = |check: &'static str, reason: String| failed(set, check, reason);
    roles(model, set).map_err(|reason| fail("roles", reason))?;
    let (layers, heads) = (engine.layers(), engine.heads());
    masks(layers, heads, set.positions(), request.plans).map_err(|reason| fail("masks", reason))?;
    // A segment without its mask would run, and no mask would ever do anything.
    if let Some(layer) = (0..engine.layers()).find(|&layer| !engine.takes_mask(layer)) {
        let name = crate::graph::attn_bias(layer);
        return Err(fail(
            "mask inputs",
            format!("layer {layer} has no input {name:?}"),
        ));
    }

    let sample = Sample::run(engine, set)?;
    sample.one_by_one(engine)?;
    // Another program wrote it.
    let given = !engine.takes_keys_values();
    if given {
        given::check(engine, &sample)?;
    }
    if (request.plans.iter()).any(|plan| plan.masking.cuts_attention()) {
        let layers = last_attention(engine, sample.ids.clone(), &sample.biases)?;
        check_weights(&layers).map_err(|reason| fail("attention", reason))?;
        if given {
            given::check_heads(engine, &sample)?;
        }
    }
    first_positions(&sample)?;
    interventions::check(engine, &sample, request)?;
    Ok(sample.set.len())
}

/// The beginning-of-sequence token stands first, once, the operands where their roles say, the tokens are those
/// of the text.
fn roles(model: &Model, set: &PromptSet) -> Result<(), String> {
    let bos = model.bos();
    // A chat template may leave the token out; where it writes it, it is a part of the text.
    let chat = set.template.frame == Frame::Chat;
    let start = usize::from(bos.is_some() && !chat);
    for prompt in &set.prompts {
        let wrong = |what: String| Err(format!("{:?}: {what}", prompt.text));
        if prompt.ids.first().copied() != bos && start == 1 {
            return wrong(format!(
                "begins with token {:?}, not with the beginning-of-sequence token {bos:?}",
                prompt.ids.first()
            ));
        }
        // Farther on, a template may have it on purpose, between worked examples.
        if let Some(bos) = bos
            && prompt.ids.starts_with(&[bos, bos])
        {
            return wrong("begins with the beginning-of-sequence token twice".to_owned());
        }
        let text = start..prompt.ids.len() - set.numbers.given();
        let tokens = model.tokenizer.encode(&prompt.text)?;
        let ids = tokens.iter().map(|token| token.id);
        if !ids.eq(prompt.ids[text.clone()].iter().copied()) {
            return wrong("its tokens are not those of its text".to_owned());
        }
        for (operand, positions) in operands(&set.roles) {
            let found = model.tokenizer.decode_all(&prompt.ids[positions.clone()]);
            let expected = set.template.operands[operand].text(prompt.operands[operand]);
            if letters(&found) != letters(&expected) {
                return wrong(format!(
                    "positions {positions:?} should hold operand {expected}, but read {found:?}"
                ));
            }
        }
        let given = model.tokenizer.decode_all(&prompt.ids[text.end..]);
        let result = set.template.answer.text(prompt.result.unwrap_or_default());
        // A token may end inside a character.
        let whole = given.trim_end_matches(char::REPLACEMENT_CHARACTER);
        if !letters(&result).starts_with(&letters(whole)) {
            return wrong(format!(
                "behind it stands {given:?}, which {result} does not begin with"
            ));
        }
        if set.roles.last() != Some(&Role::Last) {
            return wrong("the last position is not where the answer is read".to_owned());
        }
    }
    Ok(())
}

/// A text without its white space, which decoders add and take away.
fn letters(text: &str) -> String {
    text.split_whitespace().collect()
}

/// The operands and the positions that each of them stands at, in order.
fn operands(roles: &[Role]) -> Vec<(usize, Range<usize>)> {
    let mut found: Vec<(usize, Range<usize>)> = Vec::new();
    for (t, role) in roles.iter().enumerate() {
        let Role::Operand(operand) = *role else {
            continue;
        };
        match found.last_mut() {
            Some((known, positions)) if *known == operand && positions.end == t => {
                positions.end += 1
            }
            _ => found.push((operand, t..t + 1)),
        }
    }
    found
}

/// Every mask that is used lets every query see itself and, unless it is there to hide it, position 0, and nothing after
/// itself.
fn masks(layers: usize, heads: usize, pos: usize, plans: &[Plan]) -> Result<(), String> {
    let mut used: Vec<Mask> = vec![Mask::Causal, Mask::SelfPeek(MaskedBy::ABP)];
    for plan in plans {
        used.extend((plan.wait..layers).map(|layer| plan.mask(layer)));
    }
    let distinct: HashSet<Mask> = used.into_iter().collect();
    for mask in distinct {
        for ((_, head, q, k), bias) in mask.bias(heads, pos).indexed_iter() {
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
fn first_positions(sample: &Sample) -> Result<()> {
    let set = &sample.set;
    let all: Vec<usize> = (0..set.len()).collect();
    for (wait, resid) in &sample.captured {
        let zero = resid.slice(s![.., 0, ..]);
        let first = zero.select(Axis(0), &vec![0; set.len()]);
        sample.same(zero, first.view()).map_err(|apart| {
            let reason = format!(
                "resid.{wait} differs by {apart} of its largest value between prompts: the model looks ahead"
            );
            sample.fails("position 0", reason)
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
        let replaced = replace(CAMA, &source, &all, view, view)
            .map_err(|e| sample.fails("position 1", e.to_string()))?;
        let one = s![.., 1..2, ..];
        sample.same(resid.slice(one), replaced.slice(one)).map_err(|apart| {
            let reason = format!("CAMA moves resid.{wait} by {apart} of its largest value, where nothing else is seen");
            sample.fails("position 1", reason)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervene::masking::Masking;

    #[test]
    fn operands_stand_where_their_roles_say() {
        let (a, b) = (Role::Operand(0), Role::Operand(1));
        let roles = [Role::Bos, a, a, b, Role::Text, b, Role::Last];
        assert_eq!(operands(&roles), [(0, 1..3), (1, 3..4), (1, 5..6)]);
    }

    /// A masking that hides more than it says.
    struct Hides {
        own: bool,
        sink: bool,
    }

    impl Masking for Hides {
        fn name(&self) -> String {
            "hides".to_owned()
        }

        fn help(&self) -> &'static str {
            "A mistake"
        }

        fn alone(&self, q: usize, k: usize) -> bool {
            (k == q && !(self.own && q > 0)) || (k == 0 && !self.sink)
        }
    }

    #[test]
    fn masks_that_hide_too_much_are_found() {
        let found = |by: &'static Hides| {
            let plans = [Plan::af1(1, 1).with(MaskedBy(by))];
            masks(3, 2, 4, &plans)
        };
        assert_eq!(
            found(&Hides {
                own: false,
                sink: false
            }),
            Ok(())
        );
        for (by, words) in [
            (
                &Hides {
                    own: true,
                    sink: false,
                },
                "query 1 does not see key 1",
            ),
            (
                &Hides {
                    own: false,
                    sink: true,
                },
                "query 1 does not see key 0",
            ),
        ] {
            let reason = found(by).unwrap_err();
            assert!(reason.contains(words), "{reason}");
        }
    }
}
