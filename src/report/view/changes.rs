//! What changed from one run to the next, for the first screen of a page.

use super::is_claim;
use crate::kit::words::number::signed;
use crate::kit::{Drawing, Estimate, Figure};
use crate::record::{Comparison, Pair};

/// The most differences in a picture.
const MOST: usize = 40;

/// The pairs of claims: verdicts of the ablation that stands first in the later run.
pub fn claimed<'p>(found: &'p Comparison<'_>) -> Vec<&'p Pair<'p>> {
    let judged =
        |pair: &&Pair<'_>| !pair.base && pair.now.test.verdict.is_some() && is_claim(pair.now);
    let judged: Vec<&Pair<'_>> = found.pairs.iter().filter(judged).collect();
    let first = judged.first().map(|pair| pair.now.subject.ablation.clone());
    let of_first = |pair: &&Pair<'_>| Some(&pair.now.subject.ablation) == first.as_ref();
    judged.into_iter().filter(of_first).collect()
}

/// The difference of the accuracies, with its bounds.
pub fn difference(pair: &Pair<'_>) -> String {
    let of = pair.difference;
    format!(
        "{} [{}, {}]",
        signed(of.value),
        signed(of.low),
        signed(of.high)
    )
}

/// The differences, a row each; `None` where nothing is compared.
pub fn figure(found: &Comparison<'_>) -> Option<Figure> {
    let row = |pair: &Pair<'_>| {
        let estimate = Estimate {
            value: pair.difference.value,
            low: Some(pair.difference.low),
            high: Some(pair.difference.high),
            of: None,
        };
        (pair.name.clone(), estimate)
    };
    let rows: Vec<(String, Estimate)> = found.pairs.iter().take(MOST).map(row).collect();
    let more = match found.pairs.len() > MOST {
        true => format!(", the first {MOST} of {} cells", found.pairs.len()),
        false => String::new(),
    };
    (!rows.is_empty()).then(|| Figure {
        title: format!("Accuracy now less accuracy before, on the same prompts{more}"),
        described: "A row for every cell, with exact bounds; left of 0 the later run is worse. All numbers are in the table below \
                    the picture."
            .to_owned(),
        drawing: Drawing::Differences {
            x: "difference of the accuracies".to_owned(),
            rows,
        },
    })
}
