//! The first screen: a verdict for every model and template, and how it came about.

use std::collections::BTreeMap;

use maud::{Markup, html as markup};

use super::block;
use crate::kit::words::OUTCOMES;
use crate::kit::words::about::{self, distinct, faithfulness};
use crate::kit::words::columns::kept;
use crate::kit::words::number::share;
use crate::measure::Part;
use crate::prompt::Step;
use crate::record::{Measurement, Outcome};
use crate::report::view::answers::{Card, CardClaim};

/// From so many cards on a table of all verdicts stands above them.
const SEVERAL: usize = 4;

/// So many claims of other experiments stand on a card.
const MOST_OTHERS: usize = 4;

/// The verdicts at a glance, then a card for every template.
pub fn answers(cards: &[Card<'_>]) -> Markup {
    markup! {
        section id="answers" {
            h2 { "Answers" }
            (counted(cards))
            @if cards.len() >= SEVERAL { (board(cards)) }
            div class=(if cards.len() < SEVERAL { "cards few" } else { "cards" }) {
                @for (i, card) in cards.iter().enumerate() { (self::card(i, card)) }
            }
        }
    }
}

/// A verdict with a sign, so that it is not told by its colour alone.
pub fn badge(outcome: Outcome) -> Markup {
    markup! {
        span class=(format!("verdict {outcome}")) {
            span aria-hidden="true" { (sign(outcome)) } " " (about::outcome(outcome))
        }
    }
}

fn sign(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "✓",
        Outcome::Fail => "✗",
        Outcome::Inconclusive => "?",
    }
}

/// Each outcome that there is with its number, where there are several.
pub fn tally(outcomes: &[Outcome]) -> Markup {
    let of = |outcome| outcomes.iter().filter(|found| **found == outcome).count();
    markup! {
        @for outcome in OUTCOMES {
            @if of(outcome) > 0 { span.count { (badge(outcome)) @if outcomes.len() > 1 { " " (of(outcome)) } } " " }
        }
    }
}

/// How many templates have which verdict.
fn counted(cards: &[Card<'_>]) -> Markup {
    let outcomes: Vec<Outcome> = cards.iter().filter_map(Card::outcome).collect();
    let judged = outcomes.len();
    let templates = if judged == 1 { "template" } else { "templates" };
    markup! {
        @if judged > 0 {
            p.counted { "AF1 on " (judged) " " (templates) ": " (tally(&outcomes)) }
        } @else if !cards.is_empty() {
            p.counted { "None of these experiments makes a claim." }
        }
    }
}

/// What stands in one direction of the table of all verdicts: a model with an operation and its tokens.
type Asked = (String, String);

/// All verdicts as a table of styles and operations.
struct Board<'c> {
    cards: &'c [Card<'c>],
    styles: Vec<&'c str>,
    asked: Vec<Asked>,
    /// Whether there are several models.
    several: bool,
    at: BTreeMap<(&'c str, Asked), usize>,
}

/// So many columns fit a narrow screen.
const NARROW: usize = 4;

/// All verdicts as a table, with the fewer columns where they are many.
fn board<'c>(cards: &'c [Card<'c>]) -> Markup {
    let asked = |card: &Card<'_>| {
        let shape = card.shape.as_deref().unwrap_or_default();
        let operation = format!("{} {shape}", card.operation);
        (card.model.to_owned(), operation.trim_end().to_owned())
    };
    let each = cards.iter().enumerate();
    let board = Board {
        cards,
        styles: distinct(cards.iter().map(|card| card.style)),
        asked: distinct(cards.iter().map(asked)),
        several: distinct(cards.iter().map(|card| card.model)).len() > 1,
        at: each
            .map(|(i, card)| ((card.style, asked(card)), i))
            .collect(),
    };
    let table = match board.asked.len() > NARROW.max(board.styles.len()) {
        true => board.of_operations(),
        false => board.of_styles(),
    };
    block::scrolling("Table: verdicts by style and operation", &table)
}

impl Board<'_> {
    fn name(&self, (model, operation): &Asked) -> Markup {
        markup! {
            (operation)
            @if self.several { " " span.model { (model) } }
        }
    }

    fn cell(&self, style: &str, asked: &Asked) -> Markup {
        let at = self.at.get(&(style, asked.clone()));
        markup! { td { @if let Some(i) = at { (short(*i, &self.cards[*i])) } } }
    }

    /// A row a style.
    fn of_styles(&self) -> Markup {
        markup! {
            table.board {
                caption.unseen { (CAPTION) }
                thead { tr { th scope="col" { "style" } @for asked in &self.asked { th scope="col" { (self.name(asked)) } } } }
                tbody {
                    @for style in &self.styles {
                        tr data-style=(style) {
                            th scope="row" { (style) }
                            @for asked in &self.asked { (self.cell(style, asked)) }
                        }
                    }
                }
            }
        }
    }

    /// A row an operation of a model.
    fn of_operations(&self) -> Markup {
        markup! {
            table.board {
                caption.unseen { (CAPTION) }
                thead { tr { th scope="col" { "operation" } @for style in &self.styles { th scope="col" { (style) } } } }
                tbody {
                    @for asked in &self.asked {
                        tr data-model=(asked.0) {
                            th scope="row" { (self.name(asked)) }
                            @for style in &self.styles { (self.cell(style, asked)) }
                        }
                    }
                }
            }
        }
    }
}

/// What the table of all verdicts is.
const CAPTION: &str = "Verdicts and faithfulness by style and operation";

/// A verdict in a cell, which leads to its card.
fn short(i: usize, card: &Card<'_>) -> Markup {
    let value = card.claims.first().and_then(|claim| {
        let m = claim.m;
        Some(share(m.scores.faithfulness.value?, m.counts.base_correct))
    });
    markup! {
        a href={ "#answer-" (i) } class=(classes("short", card.outcome())) {
            @match card.outcome() {
                Some(outcome) => {
                    span aria-hidden="true" { (sign(outcome)) } " "
                    span.unseen { (about::outcome(outcome)) ": " }
                    (value.unwrap_or_else(|| "none".to_owned()))
                },
                None => "no claim",
            }
        }
    }
}

fn classes(name: &str, outcome: Option<Outcome>) -> String {
    outcome.map_or(name.to_owned(), |outcome| format!("{name} {outcome}"))
}

/// What is known of a template.
fn card(i: usize, card: &Card<'_>) -> Markup {
    markup! {
        article id={ "answer-" (i) } class=(classes("card", card.outcome()))
            data-model=(card.model) data-style=(card.style) data-operation=(card.operation) {
            h3 { span.template { (card.template()) } " " span.model { (card.model) } }
            @if let Some(claim) = card.claims.first() { (headline(claim)) } @else { p.none { "Nothing is claimed of this template." } }
            @if !card.facts.is_empty() || card.claims.first().is_some_and(|claim| !claim.beside.is_empty()) {
                dl.facts {
                    @for fact in &card.facts { (term(fact.name, &fact.value, &fact.because)) }
                    @for other in card.claims.iter().take(1).flat_map(|claim| &claim.beside) { (bare(other)) }
                }
            }
            @if card.claims.len() > 1 { (others(card)) }
        }
    }
}

fn term(name: &str, value: &str, because: &str) -> Markup {
    markup! {
        div {
            dt { (name) }
            dd { (value) span.because { (because) } }
        }
    }
}

/// What is kept with an ablation that knows no token.
fn bare(m: &Measurement) -> Markup {
    let value = faithfulness(m);
    markup! {
        div {
            dt { (m.subject.ablation) " instead" }
            dd { (value) }
        }
    }
}

/// The verdict, on what, by how much, and why.
fn headline(claim: &CardClaim<'_>) -> Markup {
    let m = claim.m;
    markup! {
        p.headline {
            @if let Some(outcome) = claim.outcome() { (badge(outcome)) }
            strong { (about::af1(m)) }
            @if let Some(what) = what(m) { span.what { (what) } }
        }
        p.kept {
            "keeps " (number(m)) " of the right answers"
            @if m.test.guess { "; W and K are a guess" }
        }
        (strip(claim))
        @if let Some(verdict) = &m.test.verdict { p.reason { (verdict.reason) } }
    }
}

/// The faithfulness as a number of its record; whole answers are in none.
fn number(m: &Measurement) -> Markup {
    if m.place.step == Step::Whole {
        return markup! { span.number { (faithfulness(m)) } };
    }
    block::number(&kept(m))
}

/// Of which tokens or prompts a claim is, where it is not of all.
fn what(m: &Measurement) -> Option<String> {
    let part = match m.subject.part {
        Part::All => None,
        part => Some(format!("{} prompts", part.name())),
    };
    let several = m.place.shape.as_ref().is_some_and(|shape| shape.answer > 1);
    let step = several.then(|| match m.place.step {
        Step::Whole => "whole answers".to_owned(),
        step => format!("step {step}"),
    });
    let all: Vec<String> = step.into_iter().chain(part).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// The claims that do not stand first.
fn others(card: &Card<'_>) -> Markup {
    let rest = &card.claims[1..];
    markup! {
        ul.others {
            @for claim in rest.iter().take(MOST_OTHERS) {
                li {
                    @if let Some(outcome) = claim.outcome() { (badge(outcome)) " " }
                    (about::af1(claim.m)) " "
                    @if let Some(what) = what(claim.m) { (what) " " }
                    "by " (claim.m.experiment.name()) ": " (faithfulness(claim.m))
                }
            }
            @if rest.len() > MOST_OTHERS { li { "and " (rest.len() - MOST_OTHERS) " more below" } }
        }
    }
}

/// The left and the right end of a strip.
const ENDS: (f64, f64) = (8.0, 312.0);

/// The faithfulness with its interval between 0 and 1, beside the claim and what knows no token.
fn strip(claim: &CardClaim<'_>) -> Markup {
    let m = claim.m;
    let Some(value) = m.scores.faithfulness.value else {
        return markup! {};
    };
    let x = |share: f64| format!("{:.1}", ENDS.0 + (ENDS.1 - ENDS.0) * share.clamp(0.0, 1.0));
    let bare: Vec<(&str, f64)> = (claim.beside.iter())
        .filter_map(|o| Some((o.subject.ablation.as_str(), o.scores.faithfulness.value?)))
        .collect();
    let beside = bare
        .iter()
        .map(|(name, value)| format!(", {name} {value:.2}"));
    let label = format!(
        "From 0 to 1: faithfulness {}, claim {}{}",
        faithfulness(m),
        m.test.claim,
        beside.collect::<String>()
    );
    let end = |share: f64, text: &str| markup! { text x=(x(share)) y="38" text-anchor="middle" { (text) } };
    markup! {
        svg.strip role="img" aria-label=(label) viewBox="0 0 320 42" {
            title { (label) }
            line.axis x1=(x(0.0)) x2=(x(1.0)) y1="16" y2="16" {}
            line.claim x1=(x(m.test.claim)) x2=(x(m.test.claim)) y1="4" y2="28" {}
            @for (name, value) in &bare {
                circle.bare cx=(x(*value)) cy="16" r="3.5" { title { (name) " " (format!("{value:.2}")) } }
            }
            line.interval x1=(x(m.scores.faithfulness.low)) x2=(x(m.scores.faithfulness.high)) y1="16" y2="16" {}
            circle.value cx=(x(value)) cy="16" r="5" {}
            (end(0.0, "0"))
            (end(0.5, ".5"))
            @if m.test.claim < 0.9 { (end(1.0, "1")) }
            text.claimed x=(x(m.test.claim)) y="38" text-anchor="middle" { (share(m.test.claim, 0)) }
        }
    }
}
