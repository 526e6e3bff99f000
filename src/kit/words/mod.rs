//! What several views say of measurements: words, columns and sections. An experiment's view is made of these.

pub mod about;
pub mod columns;
pub mod number;
pub mod pooled;
mod said;
pub mod strata;

pub use said::said;

use super::Block;
use crate::intervene::MaskedBy;
use crate::prompt::KeyedBy;
use crate::record::{Group, Measurement, Outcome, Sweep};

/// The outcomes, the best first.
pub const OUTCOMES: [Outcome; 3] = [Outcome::Pass, Outcome::Fail, Outcome::Inconclusive];

/// What every picture says of itself.
pub const SEE_TABLE: &str = "All numbers are in the table below the picture.";

/// The verdicts on what is claimed: of a sweep those of its first ablation, masking and key; the others are there to compare with. Whether a
/// measurement makes a claim at all is for `is_claim` to say.
pub fn claimed(sweep: &Sweep, is_claim: impl Fn(&Measurement) -> bool) -> Vec<&Measurement> {
    let judged = sweep.measurements().filter(|m| m.test.verdict.is_some());
    let judged: Vec<&Measurement> = judged.filter(|m| is_claim(m)).collect();
    let first = judged.first().map(|m| technique(m));
    let of_first = judged.iter().filter(|m| Some(technique(m)) == first);
    of_first.copied().collect()
}

/// How a measurement was made, as far as claims are told apart from what they are compared with.
fn technique(m: &Measurement) -> (&str, Option<MaskedBy>, KeyedBy) {
    (&m.subject.ablation, m.subject.masking(), m.provenance.key)
}

/// The verdicts on whole answers of what these claims are of: of the same cells in the same templates.
pub fn claimed_whole<'s>(sweep: &'s Sweep, claims: &[&Measurement]) -> Vec<&'s Measurement> {
    let cell = |m: &Measurement| {
        (
            m.place.cell.name.clone(),
            m.subject.style.clone(),
            m.subject.operation.clone(),
            m.place.shape.clone(),
        )
    };
    let whole = sweep.whole.iter().map(|cell| &cell.m);
    let of_claim = |m: &&Measurement| {
        let same =
            |claim: &&Measurement| technique(claim) == technique(m) && cell(claim) == cell(m);
        m.test.verdict.is_some() && claims.iter().any(same)
    };
    whole.filter(of_claim).collect()
}

/// The same subgraph on the same prompts with another ablation, among `all`.
pub fn beside<'m>(
    m: &Measurement,
    all: impl IntoIterator<Item = &'m Measurement>,
) -> impl Iterator<Item = &'m Measurement> {
    all.into_iter().filter(move |other| {
        other.subject.plan == m.subject.plan
            && other.address().template() == m.address().template()
            && other.subject.ablation != m.subject.ablation
    })
}

/// A sentence for every template.
pub fn each_group(sweep: &Sweep, sentence: impl Fn(&Group) -> String) -> Vec<String> {
    let named = |group: &Group| format!("{}: {}", about::template(group.first()), sentence(group));
    sweep.groups.iter().map(named).collect()
}

/// The first of some names, at most so many, and how many more there are.
pub fn listed(names: &[String], most: usize) -> String {
    let shown = names[..names.len().min(most)].join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Ranges of layers as they are read: `7..=7` is 7, and `3..=4, 7..=7` is 3–4, 7.
pub fn layers(ranges: &str) -> String {
    let of = |range: &str| match range.split_once("..=") {
        Some((first, last)) if first == last => first.to_owned(),
        Some((first, last)) => format!("{first}–{last}"),
        None => range.to_owned(),
    };
    let ranges: Vec<String> = ranges.split(", ").map(of).collect();
    ranges.join(", ")
}

/// A section for every template: what it is measured against, its pictures and tables, and its counts.
pub fn each_template(sweep: &Sweep, blocks: impl Fn(&Group) -> Vec<Block>) -> Vec<Block> {
    let section = |group: &Group| {
        let mut all = vec![Block::Text(about::baseline(group.first()))];
        all.extend(blocks(group));
        all.push(Block::Note(about::counts(group)));
        Block::Section(about::template(group.first()), all)
    };
    sweep.groups.iter().map(section).collect()
}
