//! The page: one file with the pictures of the paper and every number, that asks for nothing from elsewhere and runs
//! nothing. What stands about one sweep is in the views.

mod block;
mod chart;

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::view::{self, failures, gate, overview, provenance, selfcheck, verdicts};
use super::{Look, Renderer};
use crate::kit::words::{OUTCOMES, about};
use crate::record::{Findings, Outcome, Sweep, Tested};

/// How the page looks.
const STYLE: &str = include_str!("page.css");

/// A page.
pub struct Html;

impl Renderer for Html {
    fn name(&self) -> &'static str {
        "html"
    }

    fn help(&self) -> &'static str {
        "One page with pictures that needs nothing else"
    }

    fn records(&self, findings: &Findings<'_>, _: Look) -> String {
        page(findings).into_string()
    }
}

fn page(findings: &Findings<'_>) -> Markup {
    let models = overview::all_models(findings);
    let title = match models.is_empty() {
        true => "af1: no measurements".to_owned(),
        false => format!("af1: {}", models.join(", ")),
    };
    let measured = |sweep: &&Sweep| !overview::is_empty(sweep);
    let sweeps: Vec<&Sweep> = findings.sweeps.iter().filter(measured).collect();
    markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing is loaded and nothing runs, whatever the records say.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                // A browser asks for a picture of the site unless it is given one.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p { "Is the All-for-One subgraph sufficient for mental arithmetic? Measurements after arXiv 2509.09650." }
                }
                main {
                    (measured_on(findings))
                    (contents(&sweeps))
                    (guide())
                    (all_gates(findings))
                    (all_verdicts(findings))
                    (all_failures(findings))
                    (all_selfchecks(findings))
                    @for sweep in &sweeps { (part(sweep)) }
                    (all_provenance(findings))
                    (methods())
                }
            }
        }
    }
}

/// Where a sweep stands on the page.
fn id(sweep: &Sweep) -> String {
    format!("sweep-{}", sweep.name)
}

/// Everything about a sweep.
fn part(sweep: &Sweep) -> Markup {
    markup! {
        section id=(id(sweep)) {
            h2 { (overview::title(sweep)) }
            p.note { "Sweep " code { (sweep.name) } }
            @for sentence in view::conclusions(sweep) { p.conclusion { (sentence) } }
            (block::blocks(&view::detail(sweep)))
        }
    }
}

fn measured_on(findings: &Findings<'_>) -> Markup {
    let table = overview::table(findings);
    markup! {
        section {
            h2 { "What was measured" }
            @if table.rows.is_empty() {
                p { "There are no measurements in these records." }
            } @else {
                (block::table(&table))
            }
        }
    }
}

fn contents(sweeps: &[&Sweep]) -> Markup {
    markup! {
        nav aria-label="Sweeps" {
            ol {
                @for sweep in sweeps {
                    li { a href={ "#" (id(sweep)) } { (overview::title(sweep)) } }
                }
            }
        }
    }
}

fn guide() -> Markup {
    markup! {
        section {
            h2 { "How to read this" }
            p {
                "AF1(W, K): in the layers below W tokens wait (what they carry is replaced by what does not depend on the other \
                 tokens), in the K layers from W on the last token may look at all others, above that only at itself and at \
                 position 0. Faithfulness is the share of the model's right answers that stay right; accuracy the share of all \
                 prompts that are answered rightly. A number reads "
                code { "41/49 .84 [.71, .91]" }
                ": 41 of 49, which is .84, with its 95% interval."
            }
            dl {
                dt { (badge(Outcome::Pass)) }
                dd { "The interval begins at the claim or above it, the model can do the task, and transfer matters." }
                dt { (badge(Outcome::Fail)) }
                dd { "The interval ends below the claim: the subgraph is not sufficient." }
                dt { (badge(Outcome::Inconclusive)) }
                dd {
                    "These prompts cannot tell: the model cannot do the task, the subgraph does as well without transfer, or \
                     there are too few prompts. It says nothing for the claim and nothing against it."
                }
            }
            p { "Verdicts are not corrected for the number of cells in a table; where a table has several, they stand beside it after \
                 Holm's correction." }
        }
    }
}

/// A verdict with a sign, so that it is not told by its colour alone.
fn badge(outcome: Outcome) -> Markup {
    let sign = match outcome {
        Outcome::Pass => "✓",
        Outcome::Fail => "✗",
        Outcome::Inconclusive => "?",
    };
    markup! {
        span class=(format!("verdict {outcome}")) {
            span aria-hidden="true" { (sign) } " " (about::outcome(outcome))
        }
    }
}

/// What gates answered.
fn all_gates(findings: &Findings<'_>) -> Markup {
    let answers = gate::answers(findings.lines);
    let table = gate::full_table(&answers);
    markup! {
        @if !table.rows.is_empty() {
            section {
                h2 { "Gate" }
                p { @for gated in &answers { (gated.answer.claim) ": " (badge(gated.answer.outcome)) " " } }
                (block::table(&table))
            }
        }
    }
}

/// The number of each outcome.
fn counted(all: &[Outcome]) -> Markup {
    let of = |outcome: Outcome| all.iter().filter(|found| **found == outcome).count();
    markup! {
        @for outcome in OUTCOMES { (badge(outcome)) ": " (of(outcome)) " " }
    }
}

/// The verdicts on what is claimed.
fn all_verdicts(findings: &Findings<'_>) -> Markup {
    let claimed = verdicts::claimed(findings);
    let outcome = |cell: &Tested| Some(cell.m.test.verdict.as_ref()?.outcome);
    let outcomes: Vec<Outcome> = claimed.iter().filter_map(outcome).collect();
    let over_draws = verdicts::over_draws(findings);
    markup! {
        section {
            h2 { "Verdicts" }
            @if !over_draws.is_empty() {
                p {
                    "Over all draws of a number of contexts: "
                    (counted(&over_draws))
                    "The reasons stand beside the draws."
                }
            }
            @if outcomes.is_empty() && over_draws.is_empty() {
                p { "None of these experiments makes a claim." }
            } @else if !outcomes.is_empty() {
                p { (counted(&outcomes)) }
                (block::table(&verdicts::table(&claimed)))
            }
        }
    }
}

fn all_failures(findings: &Findings<'_>) -> Markup {
    let table = failures::table(findings);
    markup! {
        section {
            h2 { "What could not be measured" }
            @if table.rows.is_empty() {
                p { "Everything that these records are about was measured." }
            } @else {
                (block::table(&table))
            }
        }
    }
}

/// The planted models that were measured first: whether what was found is what was planted.
fn all_selfchecks(findings: &Findings<'_>) -> Markup {
    let table = selfcheck::recorded(findings.lines);
    markup! {
        @if !table.rows.is_empty() {
            section {
                h2 { "Self-check" }
                p { "Models whose answer is known by construction, under the same program and runtime." }
                (block::table(&table))
            }
        }
    }
}

fn all_provenance(findings: &Findings<'_>) -> Markup {
    markup! {
        section {
            h2 { "Provenance" }
            @for table in provenance::tables(findings) { (block::table(&table)) }
        }
    }
}

fn methods() -> Markup {
    markup! {
        section {
            h2 { "Methods" }
            ul {
                li { "About these prompts (the default) every prompt is a draw for itself: shares have Wilson 95% intervals." }
                li { "About other operands prompts that share the value of an operand succeed or fail together: shares have exact 95% \
                      intervals at the effective number of prompts, by multi-way cluster variances, and means t intervals by the \
                      same variances." }
                li { "A subgraph against the one without transfer, and the model against the best constant answer: exact \
                      one-sided McNemar tests." }
                li { "Alternatives against their reference on the same prompts: exact two-sided McNemar tests; p after Holm's \
                      correction over the alternatives of a template." }
                li { "Means over these prompts (logit differences, divergences, accuracy differences, attention): 95% intervals of a \
                      bootstrap that resamples all prompts with the same value of one operand, 1000 resamples, seed 42; the \
                      widest over the operands." }
                li { "Verdicts over drawn contexts: from 5 draws on; the interval over draws and prompts (pigeonhole bootstrap), the \
                      rule for one table of means, and a lower bound over contexts by the largest spread of the draws must \
                      all reach the claim." }
                li { "Means that replace residual streams: see the estimator above; under leave-one-out the evaluated prompt is \
                      taken out of its mean." }
            }
        }
    }
}
