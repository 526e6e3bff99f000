//! What a gate says about a claim: what its conditions say, in their order.

use super::Claim;
use super::condition::{self, Measured, Undefined};
use crate::record::{Answer, Judgement, Measurement, Outcome};

/// The outcome of several: fail if one fails, pass if there are some and all pass.
pub fn all(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    let outcomes: Vec<Outcome> = outcomes.into_iter().collect();
    if outcomes.contains(&Outcome::Fail) {
        Outcome::Fail
    } else if outcomes.is_empty() || outcomes.contains(&Outcome::Inconclusive) {
        Outcome::Inconclusive
    } else {
        Outcome::Pass
    }
}

/// What measurements say about a claim: `cells` are those of its template, AF1 with CAMA and with what it is to be better than,
/// and the knock-out; `undefined` are ablations that could not be measured; `baseline` are the cells of an earlier run.
///
/// All conditions must pass, each at the level, so a claim of which one condition is false passes with at most that
/// probability, however many there are (an intersection-union test).
pub fn answer(
    claim: &Claim,
    cells: &[Measurement],
    undefined: &[Undefined],
    baseline: Option<&[Measurement]>,
) -> Answer {
    let measured = Measured {
        claim,
        cells,
        undefined,
        baseline,
    };
    let mut conditions = Vec::new();
    for condition in condition::ALL {
        let judged = condition.judge(&measured).into_iter();
        // What AF1 keeps or loses of a model that cannot do the task says nothing, whichever way it points.
        match measured.able() || condition.judges_the_task() {
            true => conditions.extend(judged),
            false => conditions.extend(judged.map(|judged| Judgement {
                outcome: Outcome::Inconclusive,
                reason: format!(
                    "nothing shows that the model can do the task; else: {}",
                    judged.reason
                ),
                ..judged
            })),
        }
    }
    Answer {
        claim: claim.to_string(),
        sweep: measured
            .cama()
            .map_or(String::new(), |m| m.place.sweep.clone()),
        level: claim.level,
        inference: claim.inference,
        outcome: all(conditions.iter().map(|judged| judged.outcome)),
        conditions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervene::ablation;
    use crate::prompt::KeyedBy;
    use crate::stats::Inference;
    use Outcome::{Fail, Inconclusive, Pass};

    #[test]
    fn one_failure_fails_and_nothing_is_no_pass() {
        assert_eq!(all([Pass, Pass]), Pass);
        assert_eq!(all([Pass, Inconclusive]), Inconclusive);
        assert_eq!(all([Inconclusive, Fail, Pass]), Fail);
        assert_eq!(all([]), Inconclusive);
    }

    #[test]
    fn an_answer_that_was_not_measured_is_inconclusive() {
        let claim = Claim {
            style: "symbolic".into(),
            operation: "A+B".parse().unwrap(),
            wait: 3,
            transfer: 2,
            faithful: 0.9,
            margin: 0.0,
            better_than: vec![ablation::named("mean").unwrap()],
            necessity_drop: Some(0.5),
            right_answers: 10,
            baseline_margin: 0.05,
            coverage: 0.5,
            level: 0.05,
            inference: Inference::Prompts,
            limit: 1000,
            operands: None,
            results: None,
            shape: None,
            step: None,
            key: KeyedBy::Span,
        };
        let answer = answer(&claim, &[], &[], Some(&[]));
        assert_eq!(answer.outcome, Inconclusive);
        assert_eq!(answer.conditions.len(), 7);
    }
}
