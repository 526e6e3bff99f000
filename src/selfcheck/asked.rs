//! What planted models are asked in the self-check.

use std::ops::RangeInclusive;

use crate::model::planted::{Digits, Plant, Route};
use crate::model::{Preset, Supply};
use crate::prompt::{KeyedBy, Numbers, Operation, Shape, Step};

/// The values of the operands; few, so that the check is quick and every token still has many contexts.
const OPERANDS: RangeInclusive<i64> = 0..=29;
/// The same of two digits, for sums and for differences, of which few have two digits.
const SUMMANDS: RangeInclusive<i64> = 10..=25;
const DIFFERING: RangeInclusive<i64> = 10..=33;
/// Differences where many are wrong.
const DIFFERING_WRONGLY: RangeInclusive<i64> = 10..=49;

/// The styles in which a planted model is checked: those of which its preset says something of its own.
pub fn styles(preset: &Preset) -> &'static [&'static str] {
    match &preset.supply {
        // The only one in which the route depends on the style.
        Supply::Planted(plant) if plant.route == Route::Style => &["symbolic", "python"],
        // No style whose first operand is the first token can be asked.
        _ if preset.bos.is_none() => &["calculate"],
        _ => &["symbolic"],
    }
}

/// The operations, of those that are asked for, in which a planted model is checked: the models of digits without a token in front differ
/// from those with one in how a text begins, which one operation shows.
pub fn operations_of<'o>(plant: &Plant, all: &'o [&'o str]) -> &'o [&'o str] {
    match plant.route {
        Route::Digits { bos: false, .. } => &all[..all.len().min(1)],
        _ => all,
    }
}

/// Of which prompts of a template a row is.
pub struct Ask {
    /// The values of the operands.
    pub operands: RangeInclusive<i64>,
    /// How many tokens the numbers have, the step, and the key of means.
    pub numbers: Numbers,
}

/// The prompts of a template of which there are rows: where digits are tokens those of every step, and, where that makes a difference that
/// was planted, those of the first step with means of the token alone.
pub fn asked(plant: &Plant, operation: &Operation) -> Vec<Ask> {
    let Route::Digits { by, bos } = plant.route else {
        return vec![Ask {
            operands: OPERANDS,
            numbers: Numbers::single(operation.operands()),
        }];
    };
    let operands = match (operation.evaluate(&[1, 1]), by) {
        (Some(0), Digits::Copy) => DIFFERING_WRONGLY,
        (Some(0), _) => DIFFERING,
        _ => SUMMANDS,
    };
    let of_step = |(step, keyed_by): (Step, KeyedBy)| Ask {
        operands: operands.clone(),
        numbers: Numbers {
            shape: Shape {
                operands: vec![2; operation.operands()],
                answer: 2,
            },
            step,
            keyed_by,
        },
    };
    let mut all = [Step::At(0), Step::At(1), Step::Stop]
        .map(|step| (step, KeyedBy::Span))
        .to_vec();
    if bos && matches!(by, Digits::Together | Digits::Apart) {
        all.push((Step::At(0), KeyedBy::Token));
    }
    all.into_iter().map(of_step).collect()
}
