//! What planted models are asked in the self-check.

use std::ops::RangeInclusive;

use crate::model::Preset;
use crate::model::planted::{Digits, Plant, Route};
use crate::prompt::{KeyedBy, Numbers, Operation, Shape, Step};

/// The values of the operands; few, so that the check is quick and every token still has many contexts.
const OPERANDS: RangeInclusive<i64> = 0..=29;
/// The same of two digits, for sums and for differences, of which few have two digits.
const SUMMANDS: RangeInclusive<i64> = 10..=29;
const DIFFERING: RangeInclusive<i64> = 10..=33;
/// Differences where many are wrong.
const DIFFERING_WRONGLY: RangeInclusive<i64> = 10..=49;

/// The styles in which a planted model is checked: those of which its preset says something of its own.
pub fn styles(preset: &Preset) -> &'static [&'static str] {
    match preset.name {
        // The only one in which the route depends on the style.
        "planted-style" => &["symbolic", "python"],
        // No style whose first operand is the first token can be asked.
        _ if preset.bos.is_none() => &["calculate"],
        _ => &["symbolic"],
    }
}

/// Of which prompts of a template a row is.
pub struct Asked {
    /// The values of the operands.
    pub operands: RangeInclusive<i64>,
    /// How many tokens the numbers have, the step, and the key of means.
    pub numbers: Numbers,
}

/// The prompts of a template of which there are rows: where digits are tokens those of every step, and, where that makes a difference that
/// was planted, with means of the token alone.
pub fn asked(plant: &Plant, operation: &Operation) -> Vec<Asked> {
    let Route::Digits { by, .. } = plant.route else {
        return vec![Asked {
            operands: OPERANDS,
            numbers: Numbers::single(operation.operands()),
        }];
    };
    let operands = match (operation.evaluate(&[1, 1]), by) {
        (Some(0), Digits::Copy) => DIFFERING_WRONGLY,
        (Some(0), _) => DIFFERING,
        _ => SUMMANDS,
    };
    let keys: &[KeyedBy] = match by {
        Digits::Together | Digits::Apart => &KeyedBy::ALL,
        Digits::Relay | Digits::Copy => &[KeyedBy::Span],
    };
    let steps = [Step::At(0), Step::At(1), Step::Stop];
    let of_step = |keyed_by: KeyedBy, step: Step| Asked {
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
    let of_key = |&key: &KeyedBy| steps.map(|step| of_step(key, step));
    keys.iter().flat_map(of_key).collect()
}
