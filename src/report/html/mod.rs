//! The page: one file with the answers, the pictures of the paper and every number, that asks for nothing from elsewhere. Its script, which
//! is hand-written and stands in `page.js`, filters, sorts and shows what stands behind a mark; without it everything is there. What stands
//! about one sweep is in the views.

mod answers;
mod block;
mod chart;
mod comparison;
mod frame;
mod guide;
mod navigation;

use maud::{Markup, html as markup};
use serde_json::json;

use super::view::{self, failures, gate, overview, provenance, selfcheck, verdicts};
use super::{Look, Renderer};
use crate::record::{Comparison, Findings, Sweep};

use answers::{badge, tally};
use block::Labels;
use frame::Page;
use navigation::{Choice, Part};

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
        page(findings).text()
    }

    fn shows_answers(&self) -> bool {
        true
    }

    fn comparison(&self, found: &Comparison<'_>, _: Look) -> Option<String> {
        Some(comparison::page(found).text())
    }
}

fn page(findings: &Findings<'_>) -> Page {
    let models = overview::all_models(findings);
    let title = match models.is_empty() {
        true => "af1: no measurements".to_owned(),
        false => format!("af1: {}", models.join(", ")),
    };
    let measured = |sweep: &&Sweep| !overview::is_empty(sweep);
    let sweeps: Vec<&Sweep> = findings.sweeps.iter().filter(measured).collect();
    let cards = view::answers::cards(findings);
    let labels = Labels::of(findings);
    let sections = [
        all_gates(findings, &labels),
        all_failures(findings, &labels),
    ];
    Page {
        title,
        lead: "Is the All-for-One subgraph sufficient for mental arithmetic? Measured after arXiv 2509.09650."
            .to_owned(),
        navigation: contents(&sweeps, &models, findings),
        content: markup! {
            (answers::answers(&cards))
            @if models.is_empty() { p { "There are no measurements in these records." } }
            @for section in &sections { (section) }
            (guide::guide())
            (all_verdicts(findings, &labels))
            @for sweep in &sweeps { (part(sweep, &labels)) }
            (all_selfchecks(findings, &labels))
            (all_provenance(findings, &labels))
            (guide::methods())
        },
        data: Some(prompts(findings)),
    }
}

/// The prompts behind the marks of pictures, as the script takes them.
fn prompts(findings: &Findings<'_>) -> String {
    let cells = view::broken::all(findings).into_iter().map(|of| {
        let cell = json!({ "says": of.says, "columns": of.columns, "rows": of.rows });
        (of.key, cell)
    });
    let cells: serde_json::Map<String, serde_json::Value> = cells.collect();
    json!({ "cells": cells }).to_string()
}

/// Where a sweep stands on the page.
fn id(sweep: &Sweep) -> String {
    format!("sweep-{}", sweep.name)
}

/// Everything about a sweep.
fn part(sweep: &Sweep, labels: &Labels<'_>) -> Markup {
    markup! {
        section.sweep id=(id(sweep)) data-model=(sweep.model) data-experiment=(view::questions(sweep)) {
            h2 { (view::questions(sweep)) " " span.model { (sweep.model) } }
            @for sentence in view::conclusions(sweep) { p.conclusion { (sentence) } }
            (block::blocks(&view::detail(sweep), labels))
            p.note { "Sweep " code { (sweep.name) } }
        }
    }
}

/// Where everything is, and what can be asked for.
fn contents(sweeps: &[&Sweep], models: &[&str], findings: &Findings<'_>) -> Markup {
    let of_page = |id: &str, name: &str| Part {
        id: id.to_owned(),
        name: name.to_owned(),
        model: None,
    };
    let of_sweep = |sweep: &&Sweep| Part {
        id: id(sweep),
        name: view::questions(sweep),
        model: (models.len() > 1).then(|| sweep.model.clone()),
    };
    let mut parts = vec![of_page("answers", "Answers")];
    if findings
        .sweeps
        .iter()
        .any(|sweep| !sweep.failures.is_empty())
    {
        parts.push(of_page("failures", "What could not be measured"));
    }
    parts.push(of_page("guide", "How to read this"));
    parts.push(of_page("verdicts", "Every verdict"));
    parts.extend(sweeps.iter().map(of_sweep));
    parts.push(of_page("provenance", "Provenance"));
    parts.push(of_page("methods", "Methods"));
    let cells = || sweeps.iter().flat_map(|sweep| sweep.measurements());
    let questions: Vec<String> = sweeps.iter().map(|sweep| view::questions(sweep)).collect();
    let choices = [
        Choice::of("model", "Model", models.iter().copied()),
        Choice::of("style", "Style", cells().map(|m| &*m.subject.style)),
        Choice::of(
            "operation",
            "Operation",
            cells().map(|m| &*m.subject.operation),
        ),
        Choice::of("experiment", "Experiment", questions.iter().map(|of| &**of)),
    ];
    navigation::navigation(&parts, &choices)
}

/// What gates answered.
fn all_gates(findings: &Findings<'_>, labels: &Labels<'_>) -> Markup {
    let answers = gate::answers(findings.lines);
    let table = gate::full_table(&answers);
    markup! {
        @if !table.rows.is_empty() {
            section {
                h2 { "Gate" }
                ul.gates { @for gated in &answers { li { (badge(gated.answer.outcome)) " " (gated.answer.claim) } } }
                (block::fold(&table, labels))
            }
        }
    }
}

/// The verdicts on what is claimed.
fn all_verdicts(findings: &Findings<'_>, labels: &Labels<'_>) -> Markup {
    let claimed = verdicts::claimed(findings);
    let over_draws = verdicts::over_draws(findings);
    markup! {
        section id="verdicts" {
            h2 { "Every verdict" }
            @if !over_draws.is_empty() {
                p {
                    "Over all draws of a number of contexts, with the reasons beside the draws: "
                    (tally(&over_draws))
                }
            }
            @if claimed.is_empty() && over_draws.is_empty() {
                p { "None of these experiments makes a claim." }
            } @else if !claimed.is_empty() {
                (block::fold(&verdicts::table(&claimed), labels))
            }
        }
    }
}

fn all_failures(findings: &Findings<'_>, labels: &Labels<'_>) -> Markup {
    let table = failures::table(findings);
    markup! {
        @if !table.rows.is_empty() {
            section id="failures" {
                h2 { "What could not be measured" }
                (block::fold(&table, labels))
            }
        }
    }
}

/// The planted models that were measured first: whether what was found is what was planted.
fn all_selfchecks(findings: &Findings<'_>, labels: &Labels<'_>) -> Markup {
    let table = selfcheck::recorded(findings.lines);
    markup! {
        @if !table.rows.is_empty() {
            section {
                h2 { "Self-check" }
                p { "Models whose answer is known by construction, under the same program and runtime." }
                (block::fold(&table, labels))
            }
        }
    }
}

fn all_provenance(findings: &Findings<'_>, labels: &Labels<'_>) -> Markup {
    let measured = overview::table(findings);
    let failed = findings
        .sweeps
        .iter()
        .any(|sweep| !sweep.failures.is_empty());
    markup! {
        section id="provenance" {
            h2 { "Provenance" }
            @if !failed && !measured.rows.is_empty() { p { "Everything that these records are about was measured." } }
            @if !measured.rows.is_empty() { (block::fold(&measured, labels)) }
            @for table in provenance::tables(findings) { (block::fold(&table, labels)) }
        }
    }
}
