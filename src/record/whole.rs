//! Whole answers of several tokens: right where every token of them is, which is exactly what greedy decoding gets right.

use std::collections::BTreeMap;

use super::about::About;
use super::measured::{finite, normalised};
use super::pooled::operands_of;
use super::strata::Classes;
use super::{Answers, Counts, Kind, Measurement, Paired, Scores, Test, judge, tests};
use crate::prompt::{Operation, Shape, Step};
use crate::stats::discordant;

/// A cell of whole answers for every cell that was measured at every step of the answers; none where an answer is one token. Only
/// prompts count that were evaluated at every step, and whose operands the records have. The cells are those of one sweep.
pub fn whole(cells: &[Measurement]) -> Vec<Measurement> {
    let first = |m: &&Measurement| m.place.step == Step::At(0) && several(m).is_some();
    let mut found: Vec<(&Measurement, Measurement)> = cells
        .iter()
        .filter(first)
        .filter_map(|m| Some((m, of(m, cells)?)))
        .collect();
    let pairs = found.iter().map(|(m, whole)| pair(m, whole, &found));
    let pairs: Vec<Option<Paired>> = pairs.collect();
    for ((_, whole), paired) in found.iter_mut().zip(pairs) {
        whole.paired = paired;
    }
    found.into_iter().map(|(_, whole)| whole).collect()
}

/// Whole answers against those of the cell to which the first step was compared, if they are of the same prompts.
fn pair(
    m: &Measurement,
    whole: &Measurement,
    all: &[(&Measurement, Measurement)],
) -> Option<Paired> {
    let reference = m.paired.as_ref()?;
    let is_reference = |other: &&Measurement| {
        let (here, there) = (&whole.subject, &other.subject);
        there.ablation == reference.ablation
            && there.masked_by() == reference.masking
            && (here.plan.wait, &here.plan.tail) == (there.plan.wait, &there.plan.tail)
            && (&here.style, &here.operation) == (&there.style, &there.operation)
            && whole.place.shape == other.place.shape
            && whole.answers.operands == other.answers.operands
    };
    let compared_with_none = all.iter().filter(|(first, _)| first.paired.is_none());
    let other = compared_with_none
        .map(|(_, other)| other)
        .find(is_reference)?;
    let (here, there) = (&whole.answers.right, &other.answers.right);
    let pairs = here.iter().copied().zip(there.iter().copied());
    let (only_here, only_there) = discordant(pairs);
    let by_operand = columns(whole.answers.operands.as_deref()?.iter());
    let about = About::of_operands(by_operand, whole.test.inference);
    let difference = about.difference(here, there);
    Some(Paired {
        ablation: reference.ablation.clone(),
        masking: reference.masking.clone(),
        only_here,
        only_there,
        p: about.different(here, there),
        accuracy_difference: difference.map_or(0.0, |mean| mean.value),
        accuracy_difference_low: difference.and_then(|mean| finite(mean.low)),
        accuracy_difference_high: difference.and_then(|mean| finite(mean.high)),
        ..Paired::default()
    })
}

/// The values of every operand, of prompts with as many each.
fn columns<'a>(prompts: impl Iterator<Item = &'a Vec<i64>> + Clone) -> Vec<Vec<i64>> {
    let operands = prompts.clone().next().map_or(0, Vec::len);
    let column = |i: usize| prompts.clone().map(|values| values[i]).collect();
    (0..operands).map(column).collect()
}

/// The shape of a measurement whose answers have several tokens.
fn several(m: &Measurement) -> Option<&Shape> {
    m.place.shape.as_ref().filter(|shape| shape.answer > 1)
}

/// The answers of a prompt at every step: of the model, under the intervention, of AF1(W, 0).
#[derive(Clone, Copy)]
struct Bits {
    base: bool,
    right: bool,
    empty: bool,
}

impl Bits {
    fn and(self, other: Self) -> Self {
        Self {
            base: self.base && other.base,
            right: self.right && other.right,
            empty: self.empty && other.empty,
        }
    }
}

/// What a cell says of its prompts, by their operands; `None` where the records do not have these.
fn bits<'m>(m: &'m Measurement, cells: &'m [Measurement]) -> Option<BTreeMap<&'m [i64], Bits>> {
    let operands = operands_of(m, cells)?;
    let operation: Operation = m.subject.operation.parse().ok()?;
    if operands
        .iter()
        .any(|values| values.len() != operation.operands())
    {
        return None;
    }
    let (base, right) = (&m.answers.base, &m.answers.right);
    let empty = m.answers.empty.as_deref();
    let length = |bits: &[bool]| bits.len() == operands.len();
    if !length(base) || !length(right) || !empty.is_none_or(length) {
        return None;
    }
    let of = |i: usize| Bits {
        base: base[i],
        right: right[i],
        empty: empty.is_some_and(|empty| empty[i]),
    };
    Some(
        (operands.iter().enumerate())
            .map(|(i, values)| (&**values, of(i)))
            .collect(),
    )
}

/// The whole answers of a cell of the first step.
fn of(m: &Measurement, cells: &[Measurement]) -> Option<Measurement> {
    let mut all = bits(m, cells)?;
    for step in 1..several(m)?.answer {
        let same = |other: &&Measurement| {
            other.place.step == Step::At(step)
                && other.place.shape == m.place.shape
                && other.place.cell.name == m.place.cell.name
                && (&other.subject.style, &other.subject.operation)
                    == (&m.subject.style, &m.subject.operation)
        };
        let next = bits(cells.iter().find(same)?, cells)?;
        all = (all.into_iter())
            .filter_map(|(operands, bits)| Some((operands, bits.and(*next.get(operands)?))))
            .collect();
    }
    let operation: Operation = m.subject.operation.parse().ok()?;
    let results: Vec<Option<i64>> = all
        .keys()
        .map(|values| operation.evaluate(values))
        .collect();
    let mut frequent: BTreeMap<i64, usize> = BTreeMap::new();
    for result in results.iter().flatten() {
        *frequent.entry(*result).or_insert(0) += 1;
    }
    // The smallest of equals.
    let constant = frequent
        .iter()
        .max_by_key(|&(&result, &n)| (n, std::cmp::Reverse(result)));
    let constant = constant.map(|(result, _)| *result);
    let is_constant: Vec<bool> = results.iter().map(|result| *result == constant).collect();
    let column = |i: usize| all.keys().map(|values| values[i]).collect();
    let by_operand = (0..operation.operands()).map(column).collect();
    let about = About::of_operands(by_operand, m.test.inference);
    let classes = Classes::of_whole(&operation, all.keys().copied(), &m.words);
    let mut whole = measured(m, &all, &about, constant, &is_constant);
    whole.strata = classes.strata(&whole.answers.base, &whole.answers.right);
    Some(whole)
}

fn measured(
    m: &Measurement,
    all: &BTreeMap<&[i64], Bits>,
    about: &About,
    constant: Option<i64>,
    is_constant: &[bool],
) -> Measurement {
    let column = |bit: fn(&Bits) -> bool| -> Vec<bool> { all.values().map(bit).collect() };
    let (base, right) = (column(|bits| bits.base), column(|bits| bits.right));
    let empty = m.answers.empty.as_ref().map(|_| column(|bits| bits.empty));
    let count = |bits: &[bool]| bits.iter().filter(|bit| **bit).count();
    let both = base
        .iter()
        .zip(&right)
        .filter(|(base, right)| **base && **right);
    let counts = Counts {
        prompts: all.len(),
        base_correct: count(&base),
        correct: count(&right),
        correct_given_base: both.count(),
        constant_correct: count(is_constant),
        constant_answer: constant,
        empty_correct: empty.as_deref().map(count),
        ..m.counts
    };
    let kept = about.share_of(&right, &base);
    let mut place = m.place.clone();
    place.step = Step::Whole;
    let mut whole = Measurement {
        place,
        experiment: Kind::WHOLE,
        subject: m.subject.clone(),
        counts,
        scores: Scores {
            base_accuracy: about.share(&base).interval(),
            accuracy: about.share(&right).interval(),
            faithfulness: kept.interval(),
            design: kept.design,
            normalised_faithfulness: counts.empty_correct.and_then(|empty| {
                let floor = empty.max(counts.constant_correct);
                normalised(counts.correct, counts.base_correct, floor)
            }),
            ..Scores::default()
        },
        test: Test {
            inference: m.test.inference,
            claim: m.test.claim,
            level: m.test.level,
            guess: m.test.guess,
            p_base_above_constant: about.greater(&base, is_constant),
            p_above_empty: empty.as_ref().map(|empty| about.greater(&right, empty)),
            ..Test::default()
        },
        answers: Answers {
            prompts_sha256: m.answers.prompts_sha256.clone(),
            base,
            right,
            empty,
            operands: Some(all.keys().map(|values| values.to_vec()).collect()),
            each: Vec::new(),
        },
        words: m.words.clone(),
        provenance: m.provenance.clone(),
        ..Measurement::default()
    };
    whole.test.verdict = judge(&whole);
    let tests = tests(&whole);
    whole.test.p_pass = tests.map(|tests| tests.pass);
    whole.test.p_fail = tests.map(|tests| tests.fail);
    whole
}

#[cfg(test)]
mod tests_of_whole_answers {
    use super::*;
    use crate::intervene::Plan;
    use crate::record::{CellName, Outcome, Place, Subject};

    /// A difference of two shares and a sum of probabilities round in the last places.
    const ROUNDING: f64 = 1e-12;

    /// A step at which the model is right on all of 100 prompts, and the intervention on all but these.
    fn step(step: usize, wrong: &[usize]) -> Measurement {
        let operands: Vec<Vec<i64>> = (10..20)
            .flat_map(|a| (10..20).map(move |b| vec![a, b]))
            .collect();
        Measurement {
            place: Place {
                shape: Some("2+2=2".parse().unwrap()),
                step: Step::At(step),
                cell: CellName::new([0], "a cell"),
                ..Place::default()
            },
            experiment: Kind::AF1,
            subject: Subject {
                operation: "A+B".into(),
                plan: Plan::af1(3, 2),
                ..Subject::default()
            },
            answers: Answers {
                prompts_sha256: step.to_string(),
                base: vec![true; 100],
                right: (0..100).map(|i| !wrong.contains(&i)).collect(),
                empty: Some((0..100).map(|i| i % 2 == step % 2).collect()),
                operands: Some(operands),
                each: Vec::new(),
            },
            test: Test {
                claim: 0.5,
                level: 0.05,
                ..Test::default()
            },
            ..Measurement::default()
        }
    }

    #[test]
    fn a_whole_answer_is_right_where_every_step_is() {
        let found = whole(&[step(0, &[1, 2]), step(1, &[2, 3, 4])]);
        let [m] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(m.place.step, Step::Whole);
        assert_eq!(
            (m.counts.prompts, m.counts.base_correct, m.counts.correct),
            (100, 100, 96)
        );
        // Without transfer one step is right where the other is not.
        assert_eq!(m.counts.empty_correct, Some(0));
        // Ten pairs have the sum 29.
        assert_eq!(
            (m.counts.constant_answer, m.counts.constant_correct),
            (Some(29), 10)
        );
        assert_eq!(m.test.verdict.as_ref().unwrap().outcome, Outcome::Pass);
    }

    /// A cell that is compared with another one at the first step is compared with it in whole answers.
    #[test]
    fn whole_answers_are_compared_as_their_steps_are() {
        let other = |m: Measurement| {
            let mut other = m;
            other.place.cell = CellName::new([1], "another cell");
            other.subject.ablation = "mean".into();
            other.paired = Some(Paired {
                ablation: "cama".into(),
                masking: other.subject.masked_by(),
                ..Paired::default()
            });
            other
        };
        let cama = |mut m: Measurement| {
            m.subject.ablation = "cama".into();
            m
        };
        let cells = [
            cama(step(0, &[1])),
            cama(step(1, &[2])),
            other(step(0, &[1, 3, 4])),
            other(step(1, &[5, 6, 7, 8])),
        ];
        let found = whole(&cells);
        assert_eq!(found[0].paired, None);
        let paired = found[1].paired.as_ref().unwrap();
        // Only the mean is right on 2, only CAMA on 3 to 8.
        assert_eq!((paired.only_here, paired.only_there), (1, 6));
        assert!((paired.accuracy_difference + 0.05).abs() < ROUNDING);
        assert!(
            (paired.p - 0.125).abs() < ROUNDING,
            "two-sided, of 7: {}",
            paired.p
        );
        let low = paired.accuracy_difference_low.unwrap();
        let high = paired.accuracy_difference_high.unwrap();
        assert!(
            -0.2 < low && low < -0.05 && -0.05 < high && high <= 0.0,
            "{low}, {high}"
        );
    }

    #[test]
    fn a_step_that_is_missing_makes_no_whole() {
        assert!(whole(&[step(0, &[])]).is_empty());
        let mut other = step(1, &[]);
        other.answers.operands = None;
        assert!(whole(&[step(0, &[]), other]).is_empty());
        // Nor does a record whose operands are not those of its operation.
        let mut wrong = step(1, &[]);
        wrong.answers.operands = Some(vec![vec![1]; 100]);
        assert!(whole(&[step(0, &[]), wrong]).is_empty());
    }
}
