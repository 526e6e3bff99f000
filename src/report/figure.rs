//! The parts of the page about one sweep: a picture for every template, and below it a table with the same numbers. What
//! stands around them is the page's business.

use std::collections::BTreeSet;

use maud::{Markup, PreEscaped, html};

use super::about::{Holm, accuracy, empty_accuracy, gained, lost};
use super::chart::{Estimate, Heat, Series, bars, curves, curves_over, forest, heat};
use super::chosen::chosen;
use super::pooled::{Pools, caption};
use super::table::{
    adjusted, all_draws, baseline, by_contexts, by_template, counts, distinct, faithfulness,
    interval, of_draws, outcome, p_value, share, signed,
};
use crate::record::{HeadAttention, Measurement, Weight, pooled};

/// A cell of a table: what is read, and the number of the record that it shows.
#[derive(Default)]
pub struct Cell {
    text: String,
    field: Option<String>,
    value: Option<String>,
    low: Option<String>,
    high: Option<String>,
}

/// A number as the records have it.
fn exact(value: f64) -> String {
    serde_json::to_string(&value).expect("a number is plain data")
}

impl Cell {
    fn words(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    fn number(field: &str, text: String, value: Option<f64>) -> Self {
        Self {
            text,
            field: Some(field.to_owned()),
            value: value.map(exact),
            ..Self::default()
        }
    }

    fn within(self, low: Option<f64>, high: Option<f64>) -> Self {
        Self {
            low: low.map(exact),
            high: high.map(exact),
            ..self
        }
    }
}

/// A column: what it is, and what stands in it.
pub struct Column<'a, T> {
    head: String,
    cell: Box<dyn Fn(&T) -> Cell + 'a>,
}

fn column<'a, T>(head: &str, cell: impl Fn(&T) -> Cell + 'a) -> Column<'a, T> {
    Column {
        head: head.to_owned(),
        cell: Box::new(cell),
    }
}

/// A box that scrolls by itself where the page is too narrow, with the keyboard, too.
pub fn scrolling(label: &str, content: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) { (content) }
    }
}

/// A picture with its caption.
fn picture(caption: &str, svg: String) -> Markup {
    html! {
        figure {
            (scrolling(&format!("Picture: {caption}"), &PreEscaped(svg)))
            figcaption { (caption) }
        }
    }
}

/// A table of records, a row each; the first column names the row.
pub fn rows<'r, T: 'r>(
    caption: &str,
    columns: &[Column<'_, T>],
    records: impl IntoIterator<Item = &'r T>,
    key: impl Fn(&T) -> (&str, usize),
) -> Markup {
    let data = |cell: &Cell, record: &T| {
        let (sweep, number) = key(record);
        let known = cell.field.is_some();
        (known.then(|| sweep.to_owned()), known.then_some(number))
    };
    let table = html! {
        table {
            caption { (caption) }
            thead { tr { @for column in columns { th scope="col" { (column.head) } } } }
            tbody {
                @for record in records {
                    tr {
                        @for (i, column) in columns.iter().enumerate() {
                            @let cell = (column.cell)(record);
                            @let (sweep, number) = data(&cell, record);
                            @if i == 0 {
                                th scope="row" { (cell.text) }
                            } @else {
                                td data-sweep=[sweep] data-cell=[number] data-field=[&cell.field]
                                    data-value=[cell.field.as_ref().map(|_| cell.value.as_deref().unwrap_or("null"))]
                                    data-low=[&cell.low] data-high=[&cell.high] { (cell.text) }
                            }
                        }
                    }
                }
            }
        }
    };
    scrolling(&format!("Table: {caption}"), &table)
}

/// The same of measurements.
pub fn measurements<'r>(
    caption: &str,
    columns: &[Column<'_, Measurement>],
    records: impl IntoIterator<Item = &'r Measurement>,
) -> Markup {
    rows(caption, columns, records, |m| (&m.sweep, m.cell))
}

/// A group of columns.
type Columns<'a> = Vec<Column<'a, Measurement>>;

/// What every table of measurements has.
fn shares<'a>() -> Columns<'a> {
    vec![
        column("faithfulness", |m: &Measurement| {
            Cell::number("faithfulness", faithfulness(m), m.faithfulness)
                .within(Some(m.faithfulness_low), Some(m.faithfulness_high))
        }),
        column("accuracy", |m: &Measurement| {
            Cell::number("accuracy", accuracy(m), Some(m.accuracy))
                .within(Some(m.accuracy_low), Some(m.accuracy_high))
        }),
    ]
}

/// What the numbers of the logits are.
fn logits<'a>() -> Columns<'a> {
    let optional = |value: Option<f64>, text: fn(f64) -> String| value.map_or(String::new(), text);
    vec![
        column("logit difference", |m: &Measurement| {
            let (low, high) = (m.logit_difference_low, m.logit_difference_high);
            let text = m.logit_difference.map_or(String::new(), |value| {
                interval(|x| format!("{x:.1}"), value, low, high)
            });
            Cell::number("logit_difference", text, m.logit_difference).within(low, high)
        }),
        column("KL divergence", move |m: &Measurement| {
            let (low, high) = (m.kl_divergence_low, m.kl_divergence_high);
            let text = optional(m.kl_divergence, |kl| format!("{kl:.2}"));
            Cell::number("kl_divergence", text, m.kl_divergence).within(low, high)
        }),
        column("median rank", |m: &Measurement| {
            let text = m.median_rank.map_or(String::new(), |rank| rank.to_string());
            Cell {
                value: m.median_rank.map(|rank| rank.to_string()),
                ..Cell::number("median_rank", text, None)
            }
        }),
    ]
}

/// Against the subgraph without transfer.
fn against_empty<'a>() -> Columns<'a> {
    vec![
        column("normalised", |m: &Measurement| {
            let value = m.normalised_faithfulness;
            let text = value.map_or(String::new(), |value| format!("{value:.2}"));
            Cell::number("normalised_faithfulness", text, value)
        }),
        column("without transfer", |m: &Measurement| {
            let empty = m.empty_correct;
            let text = empty_accuracy(m);
            Cell {
                value: empty.map(|empty| empty.to_string()),
                ..Cell::number("empty_correct", text, None)
            }
        }),
        column("p above it", |m: &Measurement| {
            let text = m.p_above_empty.map_or(String::new(), p_value);
            Cell::number("p_above_empty", text, m.p_above_empty)
        }),
    ]
}

/// What is lost and gained against the unmodified model.
fn against_base<'a>() -> Columns<'a> {
    vec![
        column("lost", |m: &Measurement| Cell::words(lost(m))),
        column("gained", |m: &Measurement| Cell::words(gained(m))),
    ]
}

/// The verdict in a word, and after Holm's correction where there are several.
fn verdicts_of(all: &[Measurement]) -> Columns<'_> {
    let mut columns = verdict();
    let holm = Holm::of(all);
    if let Some(head) = holm.head() {
        let outcome_of = move |m: &Measurement| {
            // Tables that show copies know them by their cell.
            let at = all
                .iter()
                .find(|o| (&o.sweep, o.cell) == (&m.sweep, m.cell));
            let found = at.and_then(|m| holm.outcome(m));
            Cell::words(found.map_or("", outcome))
        };
        columns.push(column(head, outcome_of));
    }
    columns
}

/// The verdict in a word.
fn verdict<'a>() -> Columns<'a> {
    let cell = |m: &Measurement| Cell {
        value: m.verdict.as_ref().map(|v| v.outcome.to_string()),
        ..Cell::number("verdict", super::table::verdict(m), None)
    };
    vec![column("verdict", cell)]
}

/// What stood in for waiting tokens, and what kept tokens from looking.
fn technique<'a>() -> Columns<'a> {
    vec![
        column("replaced by", |m: &Measurement| Cell::words(&*m.ablation)),
        column("masked by", |m: &Measurement| {
            Cell::words(m.masking.as_deref().unwrap_or("nothing"))
        }),
    ]
}

/// The subgraph.
fn subgraph<'a>() -> Columns<'a> {
    vec![
        column("W", |m: &Measurement| Cell::words(m.wait.to_string())),
        column("K", |m: &Measurement| {
            Cell::words(
                m.transfer
                    .map_or("as the model".to_owned(), |k| k.to_string()),
            )
        }),
        column("transfer layers", |m: &Measurement| {
            Cell::words(m.transfer_layers.as_deref().unwrap_or(""))
        }),
    ]
}

/// The template.
fn template<'a>() -> Columns<'a> {
    vec![
        column("style", |m: &Measurement| Cell::words(&*m.style)),
        column("operation", |m: &Measurement| Cell::words(&*m.operation)),
    ]
}

fn joined<'a>(groups: impl IntoIterator<Item = Columns<'a>>) -> Columns<'a> {
    groups.into_iter().flatten().collect()
}

/// The verdicts with their reasons.
pub fn verdicts(all: &[Measurement]) -> Markup {
    let judged = all.iter().filter(|m| m.verdict.is_some());
    let reason = column("reason", |m: &Measurement| {
        Cell::words(m.verdict.as_ref().map_or("", |v| &v.reason))
    });
    let model = column("model", |m: &Measurement| Cell::words(&*m.model));
    let mut columns = joined([vec![model], template(), subgraph(), technique()]);
    columns.extend(shares().into_iter().take(1).chain(verdict()));
    columns.push(reason);
    measurements("Every verdict with its reason", &columns, judged)
}

fn faithful(m: &Measurement) -> Option<Estimate> {
    Some(Estimate {
        value: m.faithfulness?,
        low: Some(m.faithfulness_low),
        high: Some(m.faithfulness_high),
    })
}

/// Everything about the measurements of a sweep.
pub fn sweep(all: &[Measurement]) -> Markup {
    let experiments = distinct(all, |m| m.experiment.as_str());
    let of = |experiment: &str| -> Vec<Measurement> {
        let cells = all.iter().filter(|m| m.experiment == experiment);
        cells.cloned().collect()
    };
    html! {
        @for experiment in experiments {
            @let cells = of(experiment);
            @match experiment {
                "waiting" => (each(&cells, waiting)),
                "transfer" => (each(&cells, transfer)),
                "necessity" => (each(&cells, necessity)),
                "heads" => (each(&cells, heads)),
                "alternatives" => (each(&cells, alternatives)),
                "contexts" => (each(&cells, contexts)),
                "discover" => (discovered(&cells)),
                _ => {
                    (subgraphs(&cells))
                    (pools(all))
                }
            }
        }
    }
}

/// A part for every template.
fn each(cells: &[Measurement], part: fn(&[Measurement], &str) -> Markup) -> Markup {
    html! {
        @for group in by_template(cells) {
            @let name = format!("{} {}", group[0].style, group[0].operation);
            section {
                h3 { (name) }
                p { (baseline(&group[0])) }
                (part(group, &name))
                p.note { (counts(group)) }
            }
        }
    }
}

const SEE_TABLE: &str = "All numbers are in the table below the picture.";

fn waiting(group: &[Measurement], name: &str) -> Markup {
    let ablations = distinct(group, |m| m.ablation.as_str());
    let curve = |ablation: &&str| {
        let cells = group.iter().filter(|m| m.ablation == *ablation);
        Series {
            name: (*ablation).to_owned(),
            points: cells.filter_map(|m| Some((m.wait, faithful(m)?))).collect(),
            joined: true,
        }
    };
    let series: Vec<Series> = ablations.iter().map(curve).collect();
    let what = format!(
        "{name}: faithfulness when every token waits to W, by what replaces the residual stream"
    );
    let described = format!(
        "Curves over W, one for each of {}, with 95% intervals. {SEE_TABLE}",
        ablations.join(", ")
    );
    let columns = joined([
        subgraph().into_iter().take(1).collect(),
        technique().into_iter().take(1).collect(),
        shares(),
        logits(),
    ]);
    html! {
        @if distinct(group, |m| m.wait).len() > 1 {
            (picture(&what, curves(&what, &described, "W: layers that wait", "faithfulness", &series)))
        }
        (measurements(&format!("{name}: waiting"), &columns, group))
    }
}

/// AF1 by the number of contexts of its means: one point a number, over all draws.
fn contexts(group: &[Measurement], name: &str) -> Markup {
    let numbers = by_contexts(group);
    // Numbers far apart stand side by side: the axis counts them.
    let estimate = |(place, (_, cells)): (usize, &(usize, Vec<&Measurement>))| {
        let mean = all_draws(cells)?;
        let ends = Estimate {
            value: mean.faithfulness,
            low: Some(mean.low),
            high: Some(mean.high),
        };
        Some((place, ends))
    };
    let series = Series {
        name: group[0].ablation.clone(),
        points: numbers.iter().enumerate().filter_map(estimate).collect(),
        joined: true,
    };
    let listed: Vec<String> = numbers
        .iter()
        .map(|(number, _)| number.to_string())
        .collect();
    let what = format!(
        "{name}: faithfulness of AF1({}, {}) with means over {} contexts of a token",
        group[0].wait,
        group[0].transfer.unwrap_or(0),
        listed.join(", ")
    );
    let described = format!(
        "A curve over numbers of contexts, with 95% intervals over draws and prompts. {SEE_TABLE}"
    );
    let drawn: Columns<'_> = vec![
        column("contexts", |m: &Measurement| {
            Cell::words(m.contexts_drawn.unwrap_or(0).to_string())
        }),
        column("seed", |m: &Measurement| {
            Cell::words(m.contexts_seed.unwrap_or(0).to_string())
        }),
    ];
    let columns = joined([
        drawn,
        technique().into_iter().take(1).collect(),
        shares(),
        logits(),
    ]);
    let averaged = |(_, cells): &(usize, Vec<&Measurement>)| {
        let two = |x: f64| share(x, group[0].base_correct);
        let mean = all_draws(cells);
        Cell::words(mean.map_or("none to keep".to_owned(), |mean| {
            interval(two, mean.faithfulness, Some(mean.low), Some(mean.high))
        }))
    };
    let over_all: Vec<Column<'_, (usize, Vec<&Measurement>)>> = vec![
        column("contexts", |(number, _): &(usize, Vec<&Measurement>)| {
            Cell::words(number.to_string())
        }),
        column("draws", |(_, cells): &(usize, Vec<&Measurement>)| {
            Cell::words(cells.len().to_string())
        }),
        column("faithfulness over draws and prompts", averaged),
        column("verdict", |(_, cells): &(usize, Vec<&Measurement>)| {
            Cell::words(all_draws(cells).map_or(String::new(), |all| of_draws(&all)))
        }),
        column("reason", |(_, cells): &(usize, Vec<&Measurement>)| {
            let verdict = all_draws(cells).and_then(|all| all.verdict);
            Cell::words(verdict.map_or(String::new(), |verdict| verdict.reason))
        }),
    ];
    html! {
        (picture(&what, curves_over(&listed, &what, &described, ("contexts of a token", "faithfulness"), &[series])))
        (rows(&format!("{name}: contexts, all draws together"), &over_all, &numbers, |_| ("", 0)))
        (measurements(&format!("{name}: contexts, draw by draw"), &columns, group))
    }
}

fn transfer(group: &[Measurement], name: &str) -> Markup {
    let sorted = |values: Vec<usize>| -> Vec<usize> {
        let set: BTreeSet<usize> = values.into_iter().collect();
        set.into_iter().collect()
    };
    let waits = sorted(group.iter().map(|m| m.wait).collect());
    let transfers = sorted(group.iter().filter_map(|m| m.transfer).collect());
    let texts = |values: &[usize]| values.iter().map(ToString::to_string).collect();
    let map = |ablation: &str| {
        let cell = |k: usize, wait: usize| {
            let here =
                |m: &&Measurement| (&*m.ablation, m.wait, m.transfer) == (ablation, wait, Some(k));
            shown(group.iter().find(here)?)
        };
        let row = |&k: &usize| waits.iter().map(|&wait| cell(k, wait)).collect();
        Heat {
            columns: texts(&waits),
            x: "W: layers that wait".to_owned(),
            rows: texts(&transfers),
            y: "K: layers that transfer".to_owned(),
            cells: transfers.iter().map(row).collect(),
        }
    };
    let columns = joined([
        subgraph(),
        technique(),
        shares(),
        against_empty(),
        verdict(),
    ]);
    html! {
        @for ablation in distinct(group, |m| m.ablation.as_str()) {
            @let what = format!("{name}: faithfulness of AF1(W, K) with {ablation}");
            @let described = format!("A map over W and K from 0 (dark) to 1 (bright). {SEE_TABLE}");
            (picture(&what, heat(&what, &described, &map(ablation))))
        }
        (measurements(&format!("{name}: transfer"), &columns, group))
    }
}

/// A cell of a map; `None` where nothing is to be kept.
fn shown(m: &Measurement) -> Option<(f64, String)> {
    let value = m.faithfulness?;
    // Two decimals for any number of prompts: it is the table that is exact.
    Some((value, share(value, 0)))
}

/// `7..=7` is layer 7.
fn layers(range: &str) -> String {
    match range.split_once("..=") {
        Some((first, last)) if first == last => first.to_owned(),
        Some((first, last)) => format!("{first}–{last}"),
        None => range.to_owned(),
    }
}

fn necessity(group: &[Measurement], name: &str) -> Markup {
    let layer = |m: &Measurement| layers(m.knockout_layers.as_deref().unwrap_or(""));
    let shown: Vec<(String, Estimate)> = group
        .iter()
        .filter_map(|m| Some((layer(m), faithful(m)?)))
        .collect();
    let what = format!(
        "{name}: faithfulness when the last token sees itself and position 0 only in these layers"
    );
    let described = format!("A bar for every knock-out, with 95% intervals. {SEE_TABLE}");
    let x = "layers in which it sees no other token";
    let mut columns = vec![column("layers", move |m: &Measurement| {
        Cell::words(layer(m))
    })];
    columns.extend(joined([shares(), logits()]));
    html! {
        (picture(&what, bars(&what, &described, x, "faithfulness", &shown)))
        (measurements(&format!("{name}: necessity"), &columns, group))
    }
}

fn heads(group: &[Measurement], name: &str) -> Markup {
    let pruned = |m: &Measurement| m.pruned_heads.as_ref().map_or(0, Vec::len);
    let kinds = distinct(group, |m| m.pruning.as_deref().unwrap_or("none"));
    let curve = |kind: &&str| {
        let cells = group
            .iter()
            .filter(|m| m.pruning.as_deref().unwrap_or("none") == *kind);
        Series {
            name: match *kind {
                "greedy" => "cheapest first",
                "random-order" => "a drawn order",
                "random-set" => "random sets",
                other => other,
            }
            .to_owned(),
            points: cells
                .filter_map(|m| Some((pruned(m), faithful(m)?)))
                .collect(),
            joined: *kind != "random-set",
        }
    };
    let series: Vec<Series> = kinds.iter().map(curve).collect();
    let m = &group[0];
    let subgraph = format!(
        "AF1({}, {}) with {}",
        m.wait,
        m.transfer.unwrap_or(0),
        m.ablation
    );
    let what =
        format!("{name}: faithfulness of {subgraph} by the number of heads that no longer peek");
    let described = format!(
        "Curves with 95% intervals; sets of heads that were drawn stand for themselves. {SEE_TABLE}"
    );
    let mut columns = vec![
        column("heads pruned", move |m: &Measurement| {
            Cell::words(pruned(m).to_string())
        }),
        column("how", |m: &Measurement| {
            Cell::words(m.pruning.as_deref().unwrap_or(""))
        }),
        column("part", |m: &Measurement| Cell::words(&*m.part)),
    ];
    columns.extend(joined([shares(), logits()]));
    columns.push(column("which", |m: &Measurement| {
        Cell::words(
            m.pruned_heads
                .as_ref()
                .map_or(String::new(), |heads| heads.join(" ")),
        )
    }));
    html! {
        (picture(&what, curves(&what, &described, "heads pruned", "faithfulness", &series)))
        (measurements(&format!("{name}: {subgraph} without heads"), &columns, group))
    }
}

fn alternatives(group: &[Measurement], name: &str) -> Markup {
    let adjusted = adjusted(group);
    let both = |m: &Measurement| {
        format!(
            "{}, {}",
            m.ablation,
            m.masking.as_deref().unwrap_or("no mask")
        )
    };
    let shown: Vec<(String, Estimate)> = group
        .iter()
        .filter_map(|m| {
            let paired = m.paired.as_ref()?;
            let difference = Estimate {
                value: paired.accuracy_difference,
                low: paired.accuracy_difference_low,
                high: paired.accuracy_difference_high,
            };
            Some((both(m), difference))
        })
        .collect();
    let reference = group.iter().find_map(|m| m.paired.as_ref());
    let reference = reference.map_or(String::new(), |paired| {
        format!(
            "{}, {}",
            paired.ablation,
            paired.masking.as_deref().unwrap_or("no mask")
        )
    });
    let m = &group[0];
    let subgraph = format!("AF1({}, {})", m.wait, m.transfer.unwrap_or(0));
    let what =
        format!("{name}: accuracy of {subgraph} with an alternative less that with {reference}");
    let described = format!(
        "A row for every alternative: the difference on the same prompts with its 95% interval; left of 0 the alternative is \
         worse. {SEE_TABLE}"
    );
    let known = |field: &str, p: Option<f64>| match p {
        Some(p) => Cell::number(field, p_value(p), Some(p)),
        None => Cell::words(""),
    };
    let mut columns = joined([technique(), shares(), against_base()]);
    columns.extend([
        column("accuracy difference", |m: &Measurement| {
            let Some(paired) = &m.paired else {
                return Cell::words("the reference");
            };
            let value = paired.accuracy_difference;
            let (low, high) = (
                paired.accuracy_difference_low,
                paired.accuracy_difference_high,
            );
            let text = interval(signed, value, low, high);
            Cell::number("paired.accuracy_difference", text, Some(value)).within(low, high)
        }),
        column("p", |m: &Measurement| {
            known("paired.p", m.paired.as_ref().map(|paired| paired.p))
        }),
        column("p after Holm", |m: &Measurement| {
            let at = group.iter().position(|other| other.cell == m.cell);
            known("p_holm", at.and_then(|at| adjusted[at]))
        }),
    ]);
    columns.extend(joined([logits(), verdicts_of(group)]));
    html! {
        @if !shown.is_empty() {
            (picture(&what, forest(&what, &described, "accuracy difference", &shown)))
        }
        (measurements(&format!("{name}: {subgraph} with alternatives to CAMA and ABP"), &columns, group))
    }
}

/// W and K chosen on the development prompts, and what they are worth on the others: numbers to read, not to compare in a
/// picture, because every template has its own subgraph.
fn discovered(cells: &[Measurement]) -> Markup {
    let part: Columns<'_> = vec![column("prompts", |m: &Measurement| {
        Cell::words(m.part.clone())
    })];
    let columns = joined([
        template(),
        part,
        subgraph(),
        technique(),
        shares(),
        against_empty(),
        verdicts_of(cells),
    ]);
    html! {
        (measurements("AF1 chosen on the development prompts", &columns, cells))
        p.note { (chosen(cells)) }
        p.note { (counts(cells)) }
    }
}

/// AF1 subgraphs of all templates: a map of styles and operations for each subgraph, and one table.
fn subgraphs(cells: &[Measurement]) -> Markup {
    let kind = |m: &Measurement| (m.wait, m.transfer, m.ablation.clone(), m.masking.clone());
    let styles = distinct(cells, |m| m.style.clone());
    let operations = distinct(cells, |m| m.operation.clone());
    let map = |group: &[&Measurement]| {
        let cell = |style: &String, operation: &String| {
            let here = |m: &&&Measurement| (&m.style, &m.operation) == (style, operation);
            shown(group.iter().find(here)?)
        };
        let row = |style: &String| operations.iter().map(|op| cell(style, op)).collect();
        Heat {
            columns: operations.clone(),
            x: "operation".to_owned(),
            // From below to above: the first style is on top.
            rows: styles.iter().rev().cloned().collect(),
            y: String::new(),
            cells: styles.iter().rev().map(row).collect(),
        }
    };
    let columns = joined([
        template(),
        subgraph(),
        technique(),
        shares(),
        against_base(),
        against_empty(),
        verdicts_of(cells),
    ]);
    html! {
        @if by_template(cells).len() > 1 {
            @for kind_of in distinct(cells, kind) {
                @let (wait, transfer, ablation, masking) = &kind_of;
                @let group: Vec<&Measurement> = cells.iter().filter(|m| kind(m) == kind_of).collect();
                @let what = format!(
                    "Faithfulness of AF1({wait}, {}) with {ablation} and {}, by style and operation",
                    transfer.unwrap_or(0),
                    masking.as_deref().unwrap_or("no mask"),
                );
                @let described = format!("A map of styles and operations from 0 (dark) to 1 (bright). {SEE_TABLE}");
                (picture(&what, heat(&what, &described, &map(&group))))
            }
        }
        (measurements("AF1 subgraphs", &columns, cells))
        p.note { (counts(cells)) }
    }
}

/// All styles together, where there are several: words, because no record has these numbers.
fn pools(cells: &[Measurement]) -> Markup {
    let pools = pooled(cells);
    let shown = Pools::of(&pools);
    html! {
        @if !pools.is_empty() {
            (super::html::words(&caption(&pools), &shown.head, &shown.rows))
            @for m in &pools {
                p.note {
                    (m.style) ", " (m.operation) ", " (m.ablation) ": "
                    (m.verdict.as_ref().map_or("", |v| &v.reason))
                }
            }
        }
    }
}

/// So many heads are in the picture of heads and tokens: those that attend most to an operand.
const MOST_HEADS: usize = 24;

/// Where the last token's attention rests.
pub fn attention(all: &[HeadAttention]) -> Markup {
    let groups = all.chunk_by(|a, b| a.style == b.style && a.operation == b.operation);
    html! {
        @for group in groups {
            @let name = format!("{} {}", group[0].style, group[0].operation);
            section {
                h3 { (name) }
                (attention_of(group, &name))
            }
        }
    }
}

fn attention_of(group: &[HeadAttention], name: &str) -> Markup {
    let tokens: Vec<String> = group[0].weights.keys().cloned().collect();
    let operands: Vec<&String> = tokens.iter().filter(|name| name.len() == 1).collect();
    let two = |x: f64| share(x, 0);
    let cell = |weight: Option<&Weight>| weight.map(|weight| (weight.mean, two(weight.mean)));
    let most = |head: &HeadAttention| {
        let weights = operands.iter().filter_map(|name| head.weights.get(*name));
        weights.fold(0.0, |most, weight| f64::max(most, weight.mean))
    };
    let mut first: Vec<&HeadAttention> = group.iter().collect();
    first.sort_by(|a, b| most(b).total_cmp(&most(a)));
    first.truncate(MOST_HEADS);
    let title = |head: &HeadAttention| format!("L{}H{}", head.layer, head.head);
    let by_token = |head: &&HeadAttention| {
        let weights = tokens.iter().map(|name| cell(head.weights.get(name)));
        weights.collect()
    };
    let most_attending = Heat {
        columns: tokens.clone(),
        x: "what stands there".to_owned(),
        rows: first.iter().rev().map(|head| title(head)).collect(),
        y: "head".to_owned(),
        cells: first.iter().rev().map(by_token).collect(),
    };
    let layers: BTreeSet<usize> = group.iter().map(|head| head.layer).collect();
    let numbers: BTreeSet<usize> = group.iter().map(|head| head.head).collect();
    let by_head = |token: &str| {
        let at = |layer: usize, number: usize| {
            let found = group
                .iter()
                .find(|head| (head.layer, head.head) == (layer, number));
            cell(found?.weights.get(token))
        };
        let row = |&layer: &usize| numbers.iter().map(|&number| at(layer, number)).collect();
        Heat {
            columns: numbers.iter().map(ToString::to_string).collect(),
            x: "head".to_owned(),
            rows: layers.iter().map(ToString::to_string).collect(),
            y: "layer".to_owned(),
            cells: layers.iter().map(row).collect(),
        }
    };
    let what =
        format!("{name}: mean attention of the last token, heads that attend most to an operand");
    let described =
        format!("A map of heads and what they look at from 0 (dark) to 1 (bright). {SEE_TABLE}");
    let mut columns = vec![column("head", move |head: &HeadAttention| {
        Cell::words(title(head))
    })];
    let caption = format!(
        "{name}: attention of the last token, mean over {} prompts with 95% intervals",
        group[0].prompts
    );
    columns.extend(tokens.iter().map(|token| {
        column(token, move |head: &HeadAttention| {
            let Some(weight) = head.weights.get(token) else {
                return Cell::words("");
            };
            let text = interval(|x| format!("{x:.2}"), weight.mean, weight.low, weight.high);
            Cell::number(&format!("weights.{token}"), text, Some(weight.mean))
                .within(weight.low, weight.high)
        })
    }));
    html! {
        (picture(&what, heat(&what, &described, &most_attending)))
        @for operand in &operands {
            @let what = format!("{name}: mean attention of the last token to {operand}, by layer and head");
            @let described = format!("A map of layers and heads from 0 (dark) to 1 (bright). {SEE_TABLE}");
            (picture(&what, heat(&what, &described, &by_head(operand))))
        }
        (rows(&caption, &columns, group, |head| (&head.sweep, head.cell)))
    }
}
