//! Records in which one number contradicts another: such a line comes from elsewhere than a run, and what is computed from one is
//! worthless.

use super::super::{HeadAttention, Measurement, Patched, Reading};
use crate::prompt::Operation;

/// No model has more layers; as many columns has a map of them at most.
const MOST_LAYERS: usize = 10_000;

/// Numbers are added up and become floats, which count so far.
const MOST: usize = 1 << 53;

/// Effective numbers may be rounded so much above the number of prompts.
const ROUNDED: f64 = 1.001;

/// A number with its field.
type Named = (&'static str, usize);

/// What is wrong with a line of a cell, in words.
///
/// # Errors
/// A number that contradicts another one.
pub fn cell(m: &Measurement) -> Result<(), String> {
    let counts = &m.counts;
    let (base, right) = (counts.base_correct, counts.correct);
    let prompts = ("prompts", counts.prompts);
    let whole = ("all_prompts", counts.all_prompts);
    for number in [prompts, whole, ("excluded", counts.excluded)] {
        within(number, ("the largest number of prompts", MOST))?;
    }
    within(
        ("layers", m.subject.layers),
        ("the most layers", MOST_LAYERS),
    )?;
    within(("base_correct", base), prompts)?;
    within(("correct", right), prompts)?;
    within(
        ("correct_given_base", counts.correct_given_base),
        ("base_correct", base),
    )?;
    within(
        ("correct_given_base", counts.correct_given_base),
        ("correct", right),
    )?;
    within(("constant_correct", counts.constant_correct), prompts)?;
    within(
        ("empty_correct", counts.empty_correct.unwrap_or(0)),
        prompts,
    )?;
    within(("all_base_correct", counts.all_base_correct), whole)?;
    for stratum in &m.strata {
        let prompts = ("prompts of a stratum", stratum.prompts);
        let base = ("base_correct of a stratum", stratum.base_correct);
        within(prompts, ("the largest number of prompts", MOST))?;
        within(base, prompts)?;
        within(("correct of a stratum", stratum.correct), prompts)?;
        within(
            (
                "correct_given_base of a stratum",
                stratum.correct_given_base,
            ),
            base,
        )?;
    }
    let scores = &m.scores;
    for (field, of) in [
        ("base_accuracy", &scores.base_accuracy),
        ("accuracy", &scores.accuracy),
        ("faithfulness", &scores.faithfulness),
    ] {
        share(field, of.value.unwrap_or(0.0))?;
        share(&format!("{field}_low"), of.low)?;
        share(&format!("{field}_high"), of.high)?;
    }
    if let Some(design) = &scores.design {
        let most = counts.prompts as f64 * ROUNDED;
        for (field, value) in [
            ("effective_prompts", design.effective),
            ("effective_values", design.units),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(format!(
                    "{field} is {value}, and there are {} prompts: the line contradicts itself",
                    counts.prompts
                ));
            }
        }
    }
    share("claim", m.test.claim)?;
    share("level", m.test.level)?;
    operands(m)?;
    answers(m)
}

/// Whether there are the operands of every prompt, where there are any, and as many of each as its operation has.
fn operands(m: &Measurement) -> Result<(), String> {
    let Some(operands) = &m.answers.operands else {
        return Ok(());
    };
    let (found, prompts) = (operands.len(), m.counts.prompts);
    if found != prompts {
        return Err(format!(
            "evaluated_operands has {found} entries, and there are {prompts} prompts: the line contradicts itself"
        ));
    }
    let operation = m.subject.operation.parse::<Operation>().ok();
    let each = operation.map_or_else(|| operands.first().map_or(0, Vec::len), |of| of.operands());
    match operands.iter().find(|of| of.len() != each) {
        None => Ok(()),
        Some(other) => Err(format!(
            "evaluated_operands has {} numbers for a prompt of {}, which has {each}: the line contradicts itself",
            other.len(),
            m.subject.operation
        )),
    }
}

/// Whether as many answers are right as the counts say, where the answers are told.
fn answers(m: &Measurement) -> Result<(), String> {
    let (base, right) = (&m.answers.base, &m.answers.right);
    let told = |field: &str, found: usize, count: Named| match found == count.1 {
        true => Ok(()),
        false => Err(format!(
            "{field} has {found} right answers, and {} is {}: the line contradicts itself",
            count.0, count.1
        )),
    };
    let ones = |bits: &[bool]| bits.iter().filter(|bit| **bit).count();
    if !base.is_empty() {
        told(
            "base_answers",
            ones(base),
            ("base_correct", m.counts.base_correct),
        )?;
    }
    if !right.is_empty() {
        told("answers", ones(right), ("correct", m.counts.correct))?;
    }
    if base.len() != right.len() {
        return Err(
            "it has only one of base_answers and answers; expected both or neither".to_owned(),
        );
    }
    if !base.is_empty() {
        let both = base
            .iter()
            .zip(right)
            .filter(|(base, right)| **base && **right);
        let count = ("correct_given_base", m.counts.correct_given_base);
        told("answers with base_answers", both.count(), count)?;
    }
    Ok(())
}

/// What is wrong with a line of swapped residuals, in words.
///
/// # Errors
/// A number that contradicts another one.
pub fn patched(p: &Patched) -> Result<(), String> {
    within(("layers", p.layers), ("the most layers", MOST_LAYERS))?;
    within(("boundary", p.boundary), ("layers", p.layers))?;
    within(("pairs", p.pairs), ("the largest number of pairs", MOST))?;
    let counts = p
        .positions
        .values()
        .flat_map(|at| [at.moved.count, at.stayed.count]);
    let mut counts = counts.map(|count| ("a count of pairs", count));
    counts.try_for_each(|count| within(count, ("pairs", p.pairs)))
}

/// What is wrong with a line of the lens, in words.
///
/// # Errors
/// A number that contradicts another one.
pub fn reading(r: &Reading) -> Result<(), String> {
    within(("layers", r.layers), ("the most layers", MOST_LAYERS))?;
    within(("boundary", r.boundary), ("layers", r.layers))?;
    within(
        ("prompts", r.prompts),
        ("the largest number of prompts", MOST),
    )
}

/// What is wrong with a line of a head, in words.
///
/// # Errors
/// A number that contradicts another one.
pub fn head(a: &HeadAttention) -> Result<(), String> {
    within(("layers", a.layers), ("the most layers", MOST_LAYERS))?;
    within(("layer", a.head.layer), ("layers", a.layers))?;
    within(
        ("prompts", a.prompts),
        ("the largest number of prompts", MOST),
    )
}

/// Refuses a part that is more than the whole.
fn within((part, found): Named, (whole, most): Named) -> Result<(), String> {
    match found <= most {
        true => Ok(()),
        false => Err(format!(
            "{part} is {found}, more than {whole}, {most}: the line contradicts itself"
        )),
    }
}

/// Refuses a share that is none.
fn share(field: &str, value: f64) -> Result<(), String> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => Err(format!("{field} is {value}; expected a share from 0 to 1")),
    }
}
