//! AF1 with CAMA is more often right than with other ablations.

use std::cmp::Ordering;

use super::{Condition, Measured, answers, discord, judged, missing};
use crate::gate::Judgement;
use crate::record::{Measurement, Outcome};
use crate::stats::{Inference, mcnemar_greater};

/// One comparison for each ablation that the claim names.
pub struct BetterThan;

impl Condition for BetterThan {
    fn judge(&self, measured: &Measured<'_>) -> Vec<Judgement> {
        let of = |name: &str| {
            let compared = measured.cama().zip(measured.af1(name));
            let said = compared.map(|(m, o)| better(m, o, measured.claim.level));
            let why = || match measured.undefined.iter().find(|of| of.ablation == name) {
                Some(undefined) => (Outcome::Inconclusive, undefined.reason.clone()),
                None => missing(),
            };
            judged(
                format!("more often right with cama than with {name}"),
                said.unwrap_or_else(why),
            )
        };
        let others = measured.claim.better_than.iter();
        others.map(|other| of(other.name())).collect()
    }
}

fn better(m: &Measurement, o: &Measurement, level: f64) -> (Outcome, String) {
    let (wins, losses) = discord(m, o, answers);
    let (p, q) = match (m.test.inference, &o.paired) {
        // Two-sided, against this one: where a side has more it is twice the one-sided p.
        (Inference::Operands, Some(paired)) => match wins.cmp(&losses) {
            Ordering::Greater => (paired.p / 2.0, 1.0),
            Ordering::Less => (1.0, paired.p / 2.0),
            Ordering::Equal => (1.0, 1.0),
        },
        _ => (mcnemar_greater(wins, losses), mcnemar_greater(losses, wins)),
    };
    let reason = format!(
        "{} and {} of {} right, {wins} only with cama, {losses} only with {} ({})",
        m.counts.correct,
        o.counts.correct,
        m.counts.prompts,
        o.subject.ablation,
        in_words(p)
    );
    match () {
        () if p <= level => (Outcome::Pass, reason),
        () if q <= level => (Outcome::Fail, reason),
        () => (Outcome::Inconclusive, reason),
    }
}

fn in_words(p: f64) -> String {
    match p {
        p if p < 0.001 => "p < 0.001".to_owned(),
        p => format!("p = {p:.3}"),
    }
}
