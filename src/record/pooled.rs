//! Claims over several templates: the prompts of all styles of an operation together, and of all operations. The same operands
//! stand in every style, so a question that fails in one style may fail in all: what is asked in several styles counts as one
//! unit about these prompts; about other operands units are the values of operands, whatever the template.

use std::collections::BTreeSet;

use super::{Measurement, bits_of_hex, judge, tests};
use crate::prompt::Operation;
use crate::stats::{Clusters, Inference, numbered};

/// Pooled measurements of the subgraphs of `af1 run`: for every sweep, subgraph, ablation and masking with a verdict one for
/// every operation of several styles, and one for all operations; not of the main table of `af1 reproduce`. Computed from records alone; `experiment` is `pooled`, `cell`
/// counts on from the last cell of the sweep. Templates whose records do not have the operands of their prompts are left out,
/// and so is a pool of fewer than two styles.
pub fn pooled(cells: &[Measurement]) -> Vec<Measurement> {
    // A sweep that measures waiting, too, is the main table: a row for every template.
    let waiting = cells.iter().filter(|m| m.experiment == "waiting");
    let waiting: BTreeSet<&str> = waiting.map(|m| &*m.sweep).collect();
    let members: Vec<Member<'_>> = (cells.iter())
        .filter(|m| m.experiment == "af1" && m.part == "all" && judge(m).is_some())
        .filter(|m| !waiting.contains(&*m.sweep))
        .filter_map(|m| Member::of(m, cells))
        .collect();
    let kind = |m: &Measurement| {
        let technique = (m.ablation.clone(), m.masking.clone(), m.estimator.clone());
        (m.sweep.clone(), technique, m.wait, m.transfer)
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
            if !operations.contains(&&*member.m.operation) {
                operations.push(&member.m.operation);
            }
        }
        for operation in &operations {
            let of = same
                .iter()
                .filter(|member| member.m.operation == *operation);
            pools.extend(pool(&of.copied().collect::<Vec<_>>()));
        }
        if operations.len() > 1 {
            pools.extend(pool(&same));
        }
    }
    for i in 0..pools.len() {
        let before = pools[..i]
            .iter()
            .filter(|m| m.sweep == pools[i].sweep)
            .count();
        pools[i].cell = pools[i].cells.unwrap_or(0) + before;
    }
    pools
}

/// A measurement with the answers and operands of its prompts.
struct Member<'m> {
    m: &'m Measurement,
    operands: &'m [Vec<i64>],
    base: Vec<bool>,
    right: Vec<bool>,
    empty: Vec<bool>,
    constant: Vec<bool>,
}

impl<'m> Member<'m> {
    fn of(m: &'m Measurement, cells: &'m [Measurement]) -> Option<Self> {
        let same = |other: &&Measurement| {
            (&other.style, &other.operation, &other.prompts_sha256)
                == (&m.style, &m.operation, &m.prompts_sha256)
        };
        let known = cells.iter().filter(same);
        let operands = known
            .filter_map(|other| other.evaluated_operands.as_deref())
            .next()?;
        let operation: Operation = m.operation.parse().ok()?;
        let fits = |values: &Vec<i64>| values.len() == operation.operands();
        if operands.len() != m.prompts || !operands.iter().all(fits) {
            return None;
        }
        let bits = |text: &str| bits_of_hex(text, m.prompts);
        let constant = |values: &Vec<i64>| operation.evaluate(values) == Some(m.constant_answer);
        Some(Self {
            m,
            operands,
            base: bits(&m.base_answers)?,
            right: bits(&m.answers)?,
            empty: bits(m.empty_answers.as_deref()?)?,
            constant: operands.iter().map(constant).collect(),
        })
    }
}

/// How the prompts of several templates depend on each other.
fn clusters(members: &[&Member<'_>], inference: Inference) -> Clusters {
    let prompts = members.iter().flat_map(|member| {
        let operation = &member.m.operation;
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
    let (styles, operations) = (distinct(|m| &m.style), distinct(|m| &m.operation));
    if styles < 2 {
        return None;
    }
    let clusters = clusters(members, m.inference);
    let all = |bits: for<'a> fn(&'a Member<'_>) -> &'a Vec<bool>| -> Vec<bool> {
        members
            .iter()
            .flat_map(|member| bits(member).clone())
            .collect()
    };
    let (base, right) = (all(|m| &m.base), all(|m| &m.right));
    let (empty, constant) = (all(|m| &m.empty), all(|m| &m.constant));
    let count = |bits: &[bool]| bits.iter().filter(|bit| **bit).count();
    let kept: Vec<bool> = (right.iter().zip(&base))
        .filter(|(_, base)| **base)
        .map(|(right, _)| *right)
        .collect();
    let evidence = clusters.only(&base).share(&kept);
    let design = evidence.design;
    let (faithfulness, accuracy, base_accuracy) = (
        evidence.interval(),
        clusters.share(&right).interval(),
        clusters.share(&base).interval(),
    );
    let sum = |field: fn(&Measurement) -> usize| members.iter().map(|member| field(member.m)).sum();
    let floor = count(&empty).max(count(&constant));
    let mut pooled = Measurement {
        experiment: "pooled".to_owned(),
        style: format!("{styles} styles"),
        operation: match operations {
            1 => m.operation.clone(),
            _ => format!("{operations} operations"),
        },
        prompts: base.len(),
        excluded: sum(|m| m.excluded),
        undefined: sum(|m| m.undefined),
        degenerate: sum(|m| m.degenerate),
        base_correct: count(&base),
        correct: count(&right),
        correct_given_base: count(&kept),
        effective_prompts: design.map(|design| design.effective),
        effective_values: design.map(|design| design.units),
        lost: count(&base) - count(&kept),
        gained: count(&right) - count(&kept),
        constant_correct: count(&constant),
        empty_correct: Some(count(&empty)),
        base_accuracy: base_accuracy.value.unwrap_or(0.0),
        base_accuracy_low: base_accuracy.low,
        base_accuracy_high: base_accuracy.high,
        accuracy: accuracy.value.unwrap_or(0.0),
        accuracy_low: accuracy.low,
        accuracy_high: accuracy.high,
        faithfulness: faithfulness.value,
        faithfulness_low: faithfulness.low,
        faithfulness_high: faithfulness.high,
        normalised_faithfulness: super::measurement::normalised(count(&right), count(&base), floor),
        p_base_above_constant: clusters.greater(&base, &constant),
        p_above_empty: Some(clusters.greater(&right, &empty)),
        all_prompts: sum(|m| m.all_prompts),
        all_base_correct: sum(|m| m.all_base_correct),
        guess: m.guess,
        ..shared(m)
    };
    pooled.verdict = judge(&pooled);
    let tests = tests(&pooled);
    pooled.p_pass = tests.map(|tests| tests.pass);
    pooled.p_fail = tests.map(|tests| tests.fail);
    Some(pooled)
}

/// What all members of a pool have in common.
fn shared(m: &Measurement) -> Measurement {
    Measurement {
        schema: m.schema,
        sweep: m.sweep.clone(),
        cells: m.cells,
        model: m.model.clone(),
        ablation: m.ablation.clone(),
        masking: m.masking.clone(),
        estimator: m.estimator.clone(),
        part: m.part.clone(),
        inference: m.inference,
        wait: m.wait,
        transfer: m.transfer,
        transfer_layers: m.transfer_layers.clone(),
        layers: m.layers,
        claim: m.claim,
        level: m.level,
        provenance: m.provenance.clone(),
        ..Measurement::default()
    }
}

#[cfg(test)]
mod tests_of_pools {
    use super::super::hex_bits;
    use super::*;
    use crate::record::Outcome;

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
        let bits = |right: &dyn Fn(usize) -> bool| hex_bits((0..n).map(right));
        Measurement {
            sweep: "s".into(),
            cells: Some(4),
            experiment: "af1".into(),
            part: "all".into(),
            style: name.into(),
            operation: operation.into(),
            prompts_sha256: format!("{name}{operation}"),
            ablation: "cama".into(),
            estimator: "leave-one-out".into(),
            inference,
            wait: 3,
            transfer: Some(2),
            prompts: n,
            all_prompts: n,
            base_correct: n,
            correct: n - wrong.iter().count(),
            correct_given_base: n - wrong.iter().count(),
            constant_answer: 9,
            constant_correct: 10,
            p_base_above_constant: 0.0,
            p_above_empty: Some(0.0),
            empty_correct: Some(0),
            base_answers: bits(&|_| true),
            answers: bits(&|i| Some(i) != wrong),
            empty_answers: Some(bits(&|_| false)),
            evaluated_operands: Some(operands),
            claim: 0.9,
            level: 0.05,
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
        let harder = |m: &Measurement| Measurement {
            claim: 0.93,
            ..m.clone()
        };
        let cells: Vec<Measurement> = cells.iter().map(harder).collect();
        assert_eq!(judge(&cells[0]).unwrap().outcome, Outcome::Inconclusive);
        let pools = pooled(&cells);
        let named: Vec<(&str, &str, usize, usize)> = pools
            .iter()
            .map(|m| (&*m.style, &*m.operation, m.correct_given_base, m.cell))
            .collect();
        assert_eq!(
            named,
            [
                ("6 styles", "A+B", 324, 4),
                ("6 styles", "A-B", 330, 5),
                ("6 styles", "2 operations", 654, 6)
            ]
        );
        // 55 questions at most, however many styles; but 110 in both operations.
        let units: Vec<f64> = pools
            .iter()
            .map(|m| m.effective_values.unwrap().round())
            .collect();
        assert_eq!(units, [55.0, 55.0, 110.0]);
        for pool in &pools {
            let verdict = pool.verdict.as_ref().unwrap();
            assert_eq!(verdict.outcome, Outcome::Pass, "{}", verdict.reason);
        }
        // Nothing was seen to depend on anything: the bound is that of 55 questions all the same.
        let most = 0.025f64.powf(1.0 / 55.0);
        assert!((pools[0].faithfulness_low - most).abs() < 1e-9);
        assert!(pools[2].faithfulness_low > 0.95);
    }

    #[test]
    fn a_question_that_fails_everywhere_counts_once() {
        let of = |wrong: fn(usize) -> usize| {
            let cells: Vec<Measurement> = (0..6)
                .map(|i| style(&i.to_string(), "A+B", Inference::Prompts, Some(wrong(i))))
                .collect();
            pooled(&cells).remove(0)
        };
        let (same, other) = (of(|_| 7), of(|i| 9 * i));
        assert_eq!(same.correct_given_base, other.correct_given_base);
        assert!(same.faithfulness_low < other.faithfulness_low - 0.02);
        assert!(same.effective_prompts.unwrap() < 60.0);
    }

    #[test]
    fn about_other_operands_values_are_units() {
        let cells: Vec<Measurement> = (0..6)
            .map(|i| style(&i.to_string(), "A+B", Inference::Operands, None))
            .collect();
        let pool = pooled(&cells).remove(0);
        // Ten values of each, of one to ten prompts.
        assert!((pool.effective_values.unwrap() - 3025.0 / 385.0).abs() < 1e-9);
        let verdict = pool.verdict.unwrap();
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
        assert_eq!(pooled(&cells), []);
        // Without operands nothing is known of what depends on what.
        let mut cells = [0, 1].map(|i| style(&i.to_string(), "A+B", Inference::Prompts, None));
        cells[0].evaluated_operands = None;
        assert_eq!(pooled(&cells), []);
    }
}
