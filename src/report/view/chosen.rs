//! By what a subgraph was chosen, in words.

use crate::record::{Measurement, Tested};
use crate::stats::Criterion;

/// How W and K of every template came to be chosen: a line for each that says it. Records of earlier programs do not.
pub fn chosen<'c>(cells: impl IntoIterator<Item = &'c Tested>) -> String {
    let cells = cells.into_iter();
    let of_choice = cells.filter(|cell| cell.m.part == "development");
    of_choice.filter_map(line).collect()
}

fn line(cell: &Tested) -> Option<String> {
    let m = &cell.m;
    let (by, holds) = (m.chosen_by?, m.chosen_holds?);
    let rule = match by {
        Criterion::PointEstimate => "the share itself reaches the claim".to_owned(),
        Criterion::LowerBound => {
            "the lower end of the 95% Wilson interval reaches the claim".to_owned()
        }
        Criterion::StandardError => format!(
            "the share less one standard error reaches the claim, because the claim {} is out of the interval's reach with so few \
             right answers: even {right}/{right} begins at {:.3}",
            m.claim,
            cell.best_low,
            right = m.base_correct,
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
        m.style, m.operation, m.base_correct
    ))
}

/// What the comparison of a pruned set of heads with random sets is worth: what was tuned must not meet what was not on the
/// prompts on which it was tuned.
pub fn fairness(chosen: &Measurement) -> &'static str {
    match (&*chosen.part, chosen.pruning.as_deref()) {
        ("held-out", Some("random-order")) => {
            "; the number of heads was chosen on other prompts, which share no operand with these"
        }
        ("held-out", _) => {
            "; the heads and their number were chosen on other prompts, which share no operand with these"
        }
        (_, Some("random-order")) => {
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

    #[test]
    fn tuned_sets_do_not_meet_random_ones_unsaid() {
        let of = |part: &str, pruning: &str| {
            fairness(&Measurement {
                part: part.into(),
                pruning: Some(pruning.into()),
                ..Measurement::default()
            })
        };
        assert!(of("held-out", "greedy").contains("heads and their number were chosen on other"));
        assert!(of("held-out", "random-order").contains("number of heads was chosen on other"));
        assert!(of("all", "greedy").contains("p is too small: --held-out"));
        assert!(of("all", "random-order").contains("flatters this order: --held-out"));
    }

    #[test]
    fn the_rule_is_said() {
        let m = |by, holds| Measurement {
            style: "s".into(),
            operation: "A+B".into(),
            part: "development".into(),
            base_correct: 12,
            claim: 0.95,
            chosen_by: Some(by),
            chosen_holds: Some(holds),
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
            part: "held-out".into(),
            ..m(Criterion::LowerBound, true)
        };
        assert_eq!(chosen(vec![held_out, Measurement::default()]), "");
    }
}
