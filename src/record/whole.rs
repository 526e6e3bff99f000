//! Whole answers of several tokens: right where every token of them is, which is exactly what greedy decoding gets right.

use std::collections::BTreeMap;

use super::about::About;
use super::measured::normalised;
use super::pooled::operands_of;
use super::{Answers, Counts, Kind, Measurement, Scores, Test, judge, tests};
use crate::prompt::{Operation, Shape, Step};

/// For every cell that was measured at every step of the answers, one for the whole answers; none where an answer is one token. Only
/// prompts count that were evaluated at every step, and whose operands the records have.
pub fn whole(cells: &[Measurement]) -> Vec<Measurement> {
    let first = |m: &&Measurement| m.place.step == Step::At(0) && several(m).is_some();
    cells
        .iter()
        .filter(first)
        .filter_map(|m| of(m, cells))
        .collect()
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
    Some(measured(m, &all, &about, constant, &is_constant))
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
        },
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
