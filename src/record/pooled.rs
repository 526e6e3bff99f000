//! Claims over several templates: the prompts of all styles of an operation together, and of all operations. The same operands
//! stand in every style, so a question that fails in one style may fail in all: what is asked in several styles counts as one
//! unit about these prompts; about other operands units are the values of operands, whatever the template.

use std::collections::BTreeSet;

use super::measured::normalised;
use super::{Answers, CellName, Counts, Kind, Measurement, Scores, Subject, Test, judge, tests};
use crate::measure::Part;
use crate::prompt::{Operation, Step};
use crate::stats::{Clusters, Inference, numbered};

/// Pooled measurements of the subgraphs of `af1 run`: for every sweep, subgraph, ablation and masking with a verdict one for
/// every operation of several styles, and one for all operations; the main table has none. Where an answer has several tokens the
/// `whole` one is pooled, not its steps. Computed from records alone; the experiment is `pooled`. Templates whose records do not have the operands of their
/// prompts are left out, and so is a pool of fewer than two styles.
pub fn pooled(cells: &[Measurement], whole: &[Measurement]) -> Vec<Measurement> {
    // Of several tokens the best constant token of a step is no answer that the operands tell.
    let is_answer = |m: &Measurement| {
        let of_one = m.place.shape.as_ref().is_none_or(|shape| shape.answer == 1);
        of_one && m.place.step == Step::At(0)
    };
    let of_af1 =
        |m: &&Measurement| m.place.kind == Kind::AF1 && m.experiment == Kind::AF1 && is_answer(m);
    let of_whole = |m: &&Measurement| m.place.kind == Kind::AF1;
    let members: Vec<Member<'_>> = (cells.iter().filter(of_af1))
        .chain(whole.iter().filter(of_whole))
        .filter(|m| m.subject.part == Part::All && judge(m).is_some())
        .filter_map(|m| Member::of(m, cells))
        .collect();
    let kind = |m: &Measurement| {
        let subject = &m.subject;
        let what = (
            subject.plan.clone(),
            subject.ablation.clone(),
            subject.estimator,
        );
        (m.place.sweep.clone(), what)
    };
    let mut pools: Vec<Measurement> = Vec::new();
    let mut seen = Vec::new();
    for member in &members {
        let of = kind(member.m);
        if seen.contains(&of) {
            continue;
        }
        let same = members.iter().filter(|other| kind(other.m) == of);
        let same: Vec<&Member<'_>> = same.collect();
        seen.push(of);
        let mut operations: Vec<&str> = Vec::new();
        for member in &same {
            if !operations.contains(&&*member.m.subject.operation) {
                operations.push(&member.m.subject.operation);
            }
        }
        for operation in &operations {
            let of = same
                .iter()
                .filter(|member| member.m.subject.operation == *operation);
            pools.extend(pool(&of.copied().collect::<Vec<_>>()));
        }
        if operations.len() > 1 {
            pools.extend(pool(&same));
        }
    }
    pools
}

/// The operands of a measurement's prompts, which one of the cells on the same prompts has.
pub(super) fn operands_of<'m>(
    m: &'m Measurement,
    cells: &'m [Measurement],
) -> Option<&'m [Vec<i64>]> {
    let same = |other: &&Measurement| {
        other.answers.prompts_sha256 == m.answers.prompts_sha256
            && other.address().set() == m.address().set()
    };
    let mut known = cells.iter().filter(same);
    known.find_map(|other| other.answers.operands.as_deref())
}

/// A measurement with the answers and operands of its prompts.
struct Member<'m> {
    m: &'m Measurement,
    operands: &'m [Vec<i64>],
    base: &'m [bool],
    right: &'m [bool],
    empty: &'m [bool],
    constant: Vec<bool>,
}

impl<'m> Member<'m> {
    fn of(m: &'m Measurement, cells: &'m [Measurement]) -> Option<Self> {
        let own = m.answers.operands.as_deref();
        let operands = own.or_else(|| operands_of(m, cells))?;
        let operation: Operation = m.subject.operation.parse().ok()?;
        let fits = |values: &Vec<i64>| values.len() == operation.operands();
        let answers = &m.answers;
        let empty = answers.empty.as_deref()?;
        let n = m.counts.prompts;
        let lengths = [
            operands.len(),
            answers.base.len(),
            answers.right.len(),
            empty.len(),
        ];
        if lengths != [n; 4] || !operands.iter().all(fits) {
            return None;
        }
        let constant = m.counts.constant_answer?;
        let is_constant = |values: &Vec<i64>| operation.evaluate(values) == Some(constant);
        Some(Self {
            m,
            operands,
            base: &answers.base,
            right: &answers.right,
            empty,
            constant: operands.iter().map(is_constant).collect(),
        })
    }
}

/// How the prompts of several templates depend on each other.
fn clusters(members: &[&Member<'_>], inference: Inference) -> Clusters {
    let prompts = members.iter().flat_map(|member| {
        let operation = &member.m.subject.operation;
        member
            .operands
            .iter()
            .map(move |values| (operation, values))
    });
    let prompts: Vec<(&String, &Vec<i64>)> = prompts.collect();
    match inference {
        Inference::Prompts => Clusters::of_questions(numbered(&prompts)),
        Inference::Operands => {
            let most = prompts.iter().map(|(_, values)| values.len()).max();
            let way = |operand: usize| {
                // A prompt without that operand shares it with no other.
                let unit = |(i, (_, values)): (usize, &(&String, &Vec<i64>))| {
                    let value = values.get(operand).copied();
                    (value, value.map_or(i, |_| 0))
                };
                numbered(&prompts.iter().enumerate().map(unit).collect::<Vec<_>>())
            };
            Clusters::of_operands((0..most.unwrap_or(0)).map(way).collect())
        }
    }
}

/// All prompts of these templates together; `None` where they are of one style.
fn pool(members: &[&Member<'_>]) -> Option<Measurement> {
    let m = members.first()?.m;
    let distinct = |name: fn(&Measurement) -> &str| {
        let names: BTreeSet<&str> = members.iter().map(|member| name(member.m)).collect();
        names.len()
    };
    let (styles, operations) = (
        distinct(|m| &m.subject.style),
        distinct(|m| &m.subject.operation),
    );
    if styles < 2 {
        return None;
    }
    let clusters = clusters(members, m.test.inference);
    let all = |bits: for<'a> fn(&'a Member<'_>) -> &'a [bool]| -> Vec<bool> {
        members
            .iter()
            .flat_map(|member| bits(member).to_vec())
            .collect()
    };
    let (base, right) = (all(|m| m.base), all(|m| m.right));
    let (empty, constant) = (all(|m| m.empty), all(|m| &m.constant));
    let count = |bits: &[bool]| bits.iter().filter(|bit| **bit).count();
    let kept: Vec<bool> = (right.iter().zip(&base))
        .filter(|(_, base)| **base)
        .map(|(right, _)| *right)
        .collect();
    let evidence = clusters.only(&base).share(&kept);
    let sum = |field: fn(&Counts) -> usize| {
        let counts = members.iter().map(|member| field(&member.m.counts));
        counts.sum()
    };
    let floor = count(&empty).max(count(&constant));
    let mut pooled = shared(m);
    pooled.subject.style = format!("{styles} styles");
    pooled.subject.operation = match operations {
        1 => m.subject.operation.clone(),
        _ => format!("{operations} operations"),
    };
    // Of several operations no shape can be written.
    pooled.place.shape = None;
    if members
        .iter()
        .any(|member| member.m.place.step == Step::Whole)
    {
        pooled.place.step = Step::Whole;
    }
    pooled.place.cell = CellName::new([], name(&pooled.subject));
    pooled.counts = Counts {
        prompts: base.len(),
        excluded: sum(|counts| counts.excluded),
        undefined: sum(|counts| counts.undefined),
        degenerate: sum(|counts| counts.degenerate),
        base_correct: count(&base),
        correct: count(&right),
        correct_given_base: count(&kept),
        constant_correct: count(&constant),
        empty_correct: Some(count(&empty)),
        all_prompts: sum(|counts| counts.all_prompts),
        all_base_correct: sum(|counts| counts.all_base_correct),
        ..Counts::default()
    };
    pooled.scores = Scores {
        base_accuracy: clusters.share(&base).interval(),
        accuracy: clusters.share(&right).interval(),
        faithfulness: evidence.interval(),
        design: evidence.design,
        normalised_faithfulness: normalised(count(&right), count(&base), floor),
        ..Scores::default()
    };
    pooled.test.p_base_above_constant = clusters.greater(&base, &constant);
    pooled.test.p_above_empty = Some(clusters.greater(&right, &empty));
    pooled.test.verdict = judge(&pooled);
    let tests = tests(&pooled);
    pooled.test.p_pass = tests.map(|tests| tests.pass);
    pooled.test.p_fail = tests.map(|tests| tests.fail);
    Some(pooled)
}

/// What the cell of a pool is called.
fn name(subject: &Subject) -> String {
    let (plan, ablation) = (subject.plan.words(), &subject.ablation);
    format!(
        "{} {} {plan} by {ablation}",
        subject.style, subject.operation
    )
}

/// What all members of a pool have in common.
fn shared(m: &Measurement) -> Measurement {
    let test = &m.test;
    Measurement {
        place: m.place.clone(),
        experiment: Kind::POOLED,
        subject: m.subject.clone(),
        test: Test {
            inference: test.inference,
            claim: test.claim,
            level: test.level,
            guess: test.guess,
            ..Test::default()
        },
        answers: Answers::default(),
        provenance: m.provenance.clone(),
        ..Measurement::default()
    }
}

#[cfg(test)]
mod tests_of_pools {
    use super::*;
    use crate::intervene::Plan;
    use crate::record::{Outcome, Place};

    /// A power and a quotient round in the last places.
    const ROUNDING: f64 = 1e-9;

    /// A style in which the model answers every sum of single digits, AF1 all but the `wrong`-th, and AF1 without transfer none.
    fn style(
        name: &str,
        operation: &str,
        inference: Inference,
        wrong: Option<usize>,
    ) -> Measurement {
        let operands: Vec<Vec<i64>> = (0..=9)
            .flat_map(|a| (0..=9 - a).map(move |b| vec![a, b]))
            .collect();
        let n = operands.len();
        let bits = |right: &dyn Fn(usize) -> bool| (0..n).map(right).collect();
        let right = n - wrong.iter().count();
        Measurement {
            place: Place {
                sweep: "s".into(),
                kind: Kind::AF1,
                ..Place::default()
            },
            experiment: Kind::AF1,
            subject: Subject {
                style: name.into(),
                operation: operation.into(),
                ablation: "cama".into(),
                plan: Plan::af1(3, 2),
                ..Subject::default()
            },
            counts: Counts {
                prompts: n,
                all_prompts: n,
                base_correct: n,
                correct: right,
                correct_given_base: right,
                constant_answer: Some(9),
                constant_correct: 10,
                empty_correct: Some(0),
                ..Counts::default()
            },
            answers: Answers {
                prompts_sha256: format!("{name}{operation}"),
                base: bits(&|_| true),
                right: bits(&|i| Some(i) != wrong),
                empty: Some(bits(&|_| false)),
                operands: Some(operands),
                each: Vec::new(),
            },
            test: Test {
                inference,
                p_base_above_constant: 0.0,
                p_above_empty: Some(0.0),
                claim: 0.9,
                level: 0.05,
                ..Test::default()
            },
            ..Measurement::default()
        }
    }

    /// Six styles of 55 sums: which of them fails is another in each, so what one style cannot say all of them can.
    #[test]
    fn six_styles_decide_what_one_cannot() {
        let cells: Vec<Measurement> = (0..6)
            .map(|i| style(&i.to_string(), "A+B", Inference::Prompts, Some(9 * i)))
            .chain((0..6).map(|i| style(&i.to_string(), "A-B", Inference::Prompts, None)))
            .collect();
        let harder = |mut m: Measurement| {
            m.test.claim = 0.93;
            m
        };
        let cells: Vec<Measurement> = cells.into_iter().map(harder).collect();
        assert_eq!(judge(&cells[0]).unwrap().outcome, Outcome::Inconclusive);
        let pools = pooled(&cells, &[]);
        let named: Vec<(&str, usize)> = pools
            .iter()
            .map(|m| (&*m.place.cell.name, m.counts.correct_given_base))
            .collect();
        assert_eq!(
            named,
            [
                ("6 styles A+B af1 3 2 abp by cama", 324),
                ("6 styles A-B af1 3 2 abp by cama", 330),
                ("6 styles 2 operations af1 3 2 abp by cama", 654)
            ]
        );
        // 55 questions at most, however many styles; but 110 in both operations.
        let units: Vec<f64> = pools
            .iter()
            .map(|m| m.scores.design.unwrap().units.round())
            .collect();
        assert_eq!(units, [55.0, 55.0, 110.0]);
        for pool in &pools {
            let verdict = pool.test.verdict.as_ref().unwrap();
            assert_eq!(verdict.outcome, Outcome::Pass, "{}", verdict.reason);
        }
        // Nothing was seen to depend on anything: the bound is that of 55 questions all the same.
        let most = 0.025f64.powf(1.0 / 55.0);
        assert!((pools[0].scores.faithfulness.low - most).abs() < ROUNDING);
        assert!(pools[2].scores.faithfulness.low > 0.95);
    }

    #[test]
    fn a_question_that_fails_everywhere_counts_once() {
        let of = |wrong: fn(usize) -> usize| {
            let cells: Vec<Measurement> = (0..6)
                .map(|i| style(&i.to_string(), "A+B", Inference::Prompts, Some(wrong(i))))
                .collect();
            pooled(&cells, &[]).remove(0)
        };
        let (same, other) = (of(|_| 7), of(|i| 9 * i));
        assert_eq!(
            same.counts.correct_given_base,
            other.counts.correct_given_base
        );
        assert!(same.scores.faithfulness.low < other.scores.faithfulness.low - 0.02);
        assert!(same.scores.design.unwrap().effective < 60.0);
    }

    #[test]
    fn about_other_operands_values_are_units() {
        let cells: Vec<Measurement> = (0..6)
            .map(|i| style(&i.to_string(), "A+B", Inference::Operands, None))
            .collect();
        let pool = pooled(&cells, &[]).remove(0);
        // Ten values of each, of one to ten prompts.
        assert!((pool.scores.design.unwrap().units - 3025.0 / 385.0).abs() < ROUNDING);
        let verdict = pool.test.verdict.unwrap();
        assert_eq!(verdict.outcome, Outcome::Inconclusive);
        assert!(
            verdict.reason.contains("about other operands"),
            "{}",
            verdict.reason
        );
    }

    #[test]
    fn one_style_is_no_pool() {
        let cells = [
            style("0", "A+B", Inference::Prompts, None),
            style("0", "A-B", Inference::Prompts, None),
        ];
        assert_eq!(pooled(&cells, &[]), []);
        // Without operands nothing is known of what depends on what.
        let mut cells = [0, 1].map(|i| style(&i.to_string(), "A+B", Inference::Prompts, None));
        cells[0].answers.operands = None;
        assert_eq!(pooled(&cells, &[]), []);
    }
}
