//! By what a subgraph was chosen, in words.

use crate::measure::Part;
use crate::record::{Chosen, Measurement, PruningOrder, Tested};
use crate::stats::Criterion;

/// How W and K of every template came to be chosen: a line for each that says it. Records of earlier programs do not.
pub fn chosen<'c>(cells: impl IntoIterator<Item = &'c Tested>) -> String {
    let cells = cells.into_iter();
    let of_choice = cells.filter(|cell| cell.m.subject.part == Part::Development);
    of_choice.filter_map(line).collect()
}

fn line(cell: &Tested) -> Option<String> {
    let m = &cell.m;
    let Chosen { by, holds } = m.choice?;
    let rule = match by {
        Criterion::PointEstimate => "the share itself reaches the claim".to_owned(),
        Criterion::LowerBound => {
            "the lower end of the 95% Wilson interval reaches the claim".to_owned()
        }
        Criterion::StandardError => format!(
            "the share less one standard error reaches the claim, because the claim {} is out of the interval's reach with so few \
             right answers: even {right}/{right} begins at {:.3}",
            m.test.claim,
            cell.best_low,
            right = m.counts.base_correct,
        ),
    };
    let found = match holds {
        true => format!("the chosen AF1 holds: {rule}"),
        false => format!(
            "no AF1 holds at a boundary up to which waiting holds, and the one that keeps most was chosen; to hold means that {rule}"
        ),
    };
    Some(format!(
        "{} {}: on the {} right answers of the development prompts {found}\n",
        m.subject.style, m.subject.operation, m.counts.base_correct
    ))
}

/// What the comparison of a pruned set of heads with random sets is worth: what was tuned must not meet what was not on the
/// prompts on which it was tuned.
pub fn fairness(chosen: &Measurement) -> &'static str {
    match (chosen.subject.part, chosen.subject.pruning) {
        (Part::HeldOut, Some(PruningOrder::RandomOrder)) => {
            "; the number of heads was chosen on other prompts, which share no operand with these"
        }
        (Part::HeldOut, _) => {
            "; the heads and their number were chosen on other prompts, which share no operand with these"
        }
        (_, Some(PruningOrder::RandomOrder)) => {
            "; the number of heads was chosen on these very prompts, which flatters this order: --held-out chooses it on others"
        }
        _ => {
            "; the heads were chosen on these very prompts and the random sets were not, so p is too small: --held-out \
             chooses them on others"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Counts;
    use crate::record::Subject;
    use crate::record::Test;

    #[test]
    fn tuned_sets_do_not_meet_random_ones_unsaid() {
        let of = |part: Part, pruning: PruningOrder| {
            fairness(&Measurement {
                subject: Subject {
                    part,
                    pruning: Some(pruning),
                    ..Subject::default()
                },
                ..Measurement::default()
            })
        };
        assert!(
            of(Part::HeldOut, PruningOrder::Greedy)
                .contains("heads and their number were chosen on other")
        );
        assert!(
            of(Part::HeldOut, PruningOrder::RandomOrder)
                .contains("number of heads was chosen on other")
        );
        assert!(of(Part::All, PruningOrder::Greedy).contains("p is too small: --held-out"));
        assert!(
            of(Part::All, PruningOrder::RandomOrder).contains("flatters this order: --held-out")
        );
    }

    #[test]
    fn the_rule_is_said() {
        let m = |by, holds| Measurement {
            choice: Some(Chosen { by, holds }),
            subject: Subject {
                style: "s".into(),
                operation: "A+B".into(),
                part: Part::Development,
                ..Subject::default()
            },
            counts: Counts {
                base_correct: 12,
                ..Counts::default()
            },
            test: Test {
                claim: 0.95,
                ..Test::default()
            },
            ..Measurement::default()
        };
        let chosen = |cells: Vec<Measurement>| {
            let cells: Vec<Tested> = cells.into_iter().map(Tested::from).collect();
            chosen(&cells)
        };
        let text = chosen(vec![m(Criterion::StandardError, true)]);
        assert!(
            text.contains("even 12/12 begins at 0.758") && text.contains("AF1 holds"),
            "{text}"
        );
        let text = chosen(vec![m(Criterion::LowerBound, false)]);
        assert!(
            text.contains("lower end") && text.contains("keeps most"),
            "{text}"
        );
        let held_out = Measurement {
            subject: Subject {
                part: Part::HeldOut,
                ..Subject::default()
            },
            ..m(Criterion::LowerBound, true)
        };
        assert_eq!(chosen(vec![held_out, Measurement::default()]), "");
    }
}
