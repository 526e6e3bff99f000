//! What the records answer about every model and template, as it stands on the cards of a page.

use std::collections::BTreeMap;

use super::{claimed, named};
use crate::experiment::kinds;
use crate::kit::Fact;
use crate::kit::words::{beside, claimed_whole};
use crate::measure::Part;
use crate::prompt::Step;
use crate::record::{Findings, Kind, Measurement, Outcome, Sweep};

/// What is known of a template of a model.
#[derive(Default)]
pub struct Card<'f> {
    /// The model.
    pub model: &'f str,
    /// The style.
    pub style: &'f str,
    /// The operation.
    pub operation: &'f str,
    /// The tokens of the numbers, where these are several.
    pub shape: Option<String>,
    /// What is claimed: the whole answers and AF1 as it was asked for first, then what other experiments claim.
    pub claims: Vec<CardClaim<'f>>,
    /// What experiments without a claim answer, each once.
    pub facts: Vec<Fact>,
}

/// A verdict with what stands beside it.
pub struct CardClaim<'f> {
    /// The measurement.
    pub m: &'f Measurement,
    /// The same subgraph with the mean and with zeros in place of the first ablation.
    pub beside: Vec<&'f Measurement>,
}

/// By what cards are told apart.
type Key<'f> = (&'f str, &'f str, &'f str, Option<String>);

/// The ablations that carry no information of single tokens: what a score is to be held against.
const BARE: [&str; 2] = ["mean", "zero"];

impl CardClaim<'_> {
    /// The outcome.
    pub fn outcome(&self) -> Option<Outcome> {
        Some(self.m.test.verdict.as_ref()?.outcome)
    }

    /// In which order claims of a template stand: those of AF1 itself first, whole answers before their steps.
    fn order(&self) -> (bool, bool, bool) {
        let of_af1 = [Kind::AF1, Kind::WHOLE].contains(&self.m.experiment);
        let is_whole = self.m.place.step == Step::Whole;
        (!of_af1, !is_whole, self.m.place.step == Step::Stop)
    }
}

impl Card<'_> {
    /// The template, in words.
    pub fn template(&self) -> String {
        match &self.shape {
            Some(shape) => format!("{} {} {shape}", self.style, self.operation),
            None => format!("{} {}", self.style, self.operation),
        }
    }

    /// The verdict that stands first.
    pub fn outcome(&self) -> Option<Outcome> {
        self.claims.first()?.outcome()
    }
}

/// A card for every model and template, in the order of the records.
pub fn cards<'f>(findings: &'f Findings<'_>) -> Vec<Card<'f>> {
    let mut cards = Cards::default();
    for sweep in &findings.sweeps {
        cards.claims(sweep);
        cards.facts(sweep);
    }
    for card in &mut cards.all {
        card.claims.sort_by_key(CardClaim::order);
    }
    cards.all
}

/// Cards that are being filled.
#[derive(Default)]
struct Cards<'f> {
    all: Vec<Card<'f>>,
    by_key: BTreeMap<Key<'f>, usize>,
}

impl<'f> Cards<'f> {
    fn card(&mut self, m: &'f Measurement) -> &mut Card<'f> {
        let (model, style, operation) = (&m.subject.model, &m.subject.style, &m.subject.operation);
        let shape = m.place.shape.as_ref().filter(|shape| !shape.is_single());
        let shape = shape.map(|shape| shape.words(operation));
        let key = (&**model, &**style, &**operation, shape.clone());
        let at = *self.by_key.entry(key).or_insert(self.all.len());
        if at == self.all.len() {
            self.all.push(Card {
                model,
                style,
                operation,
                shape,
                ..Card::default()
            });
        }
        &mut self.all[at]
    }

    fn claims(&mut self, sweep: &'f Sweep) {
        let steps = claimed(sweep);
        let whole = claimed_whole(sweep, &steps);
        // On the half on which something was chosen it is bound to do well.
        let reported = |m: &&&Measurement| m.subject.part != Part::Development;
        for &m in whole.iter().chain(&steps).filter(reported) {
            let of_steps = sweep.measurements();
            let all = sweep.whole.iter().map(|cell| &cell.m).chain(of_steps);
            let is_bare = |o: &&Measurement| {
                BARE.contains(&&*o.subject.ablation) && o.subject.masking() == m.subject.masking()
            };
            let mut beside: Vec<&Measurement> = beside(m, all).filter(is_bare).collect();
            beside.dedup_by_key(|o| &o.subject.ablation);
            self.card(m).claims.push(CardClaim { m, beside });
        }
    }

    fn facts(&mut self, sweep: &'f Sweep) {
        for kind in kinds(sweep) {
            let Some(view) = named(kind) else {
                continue;
            };
            let of_kind = sweep.only(|m| m.experiment.name() == kind).with_whole();
            for group in &of_kind.groups {
                // The card borrows from the sweep, of which this is a part.
                let m = sweep.measurements().find(|m| {
                    let (here, there) = (&m.subject, &group.first().subject);
                    (&here.style, &here.operation, &m.place.shape)
                        == (&there.style, &there.operation, &group.first().place.shape)
                });
                let Some(m) = m else {
                    continue;
                };
                let is_whole = group.first().place.step == Step::Whole;
                let card = self.card(m);
                for fact in view.facts(group) {
                    match card.facts.iter_mut().find(|known| known.name == fact.name) {
                        // What whole answers say is what the steps come to.
                        Some(known) if is_whole => *known = fact,
                        Some(_) => {}
                        None => card.facts.push(fact),
                    }
                }
            }
        }
    }
}
