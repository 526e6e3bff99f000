//! Tables for the terminal.

use comfy_table::{ContentArrangement, Table, presets};

use super::about::{Holm, accuracy, base_accuracy, empty_accuracy, gained, intervals, lost};
use super::chosen::{chosen, fairness};
use super::said::said;
use crate::record::{FEWEST_DRAWS, HeadAttention, Measurement, OverDraws, Provenance, over_draws};
use crate::stats::{Proportion, holm};

/// What every table begins with: the model, the runtime, the prompts.
pub fn heading(measurements: &[Measurement]) -> String {
    let Some(m) = measurements.first() else {
        return "no measurements\n".to_owned();
    };
    let p = &m.provenance;
    format!(
        "{}, {} layers, {} on ONNX Runtime {} ({})\n\
         operands {}..={}, results {}..={}, {} before every prompt; means: {} over {} contexts; {}\n",
        m.model,
        m.layers,
        p.dtype,
        p.runtime_version,
        p.ran_on(),
        p.operands[0],
        p.operands[1],
        p.results[0],
        p.results[1],
        front(p),
        m.estimator,
        p.contexts_from,
        intervals(measurements),
    )
}

/// What stands in front of every prompt, and what decided that.
pub(super) fn front(p: &Provenance) -> String {
    in_front(p.bos.as_deref(), p.bos_rule.as_deref())
}

/// As [`front`], of a token and a rule.
pub(super) fn in_front(bos: Option<&str>, rule: Option<&str>) -> String {
    let token = bos.unwrap_or("no token");
    match rule {
        Some(rule) => format!("{token} ({rule})"),
        None => token.to_owned(),
    }
}

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    table
}

/// The share that is told of so many trials, with the interval that the record has.
pub(super) fn proportion(successes: usize, trials: usize, (low, high): (f64, f64)) -> String {
    let p = Proportion {
        low,
        high,
        ..Proportion::wilson(successes, trials)
    };
    match p.value {
        None => "none to keep".to_owned(),
        Some(value) => {
            format!(
                "{successes}/{trials} {} [{}, {}]",
                share(value, trials),
                share(p.low, trials),
                share(p.high, trials)
            )
        }
    }
}

/// A share of so many trials without its zero, which says nothing: `.84`, `1.00`. From 200 trials on it has a third
/// decimal, because an interval is then too narrow for two.
pub(super) fn share(value: f64, trials: usize) -> String {
    let decimals = if trials < 200 { 2 } else { 3 };
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('0') {
        Some(decimals) => decimals.to_owned(),
        None => text,
    }
}

/// What a template is measured against: the unmodified model, and the best constant answer.
pub(super) fn baseline(m: &Measurement) -> String {
    format!(
        "{} {}: base accuracy {}, best constant answer {}/{}",
        m.style,
        m.operation,
        base_accuracy(m),
        m.constant_correct,
        m.prompts
    )
}

pub(super) fn faithfulness(m: &Measurement) -> String {
    let interval = (m.faithfulness_low, m.faithfulness_high);
    proportion(m.correct_given_base, m.base_correct, interval)
}

/// The verdict in a word, and whether it is about a guess.
pub(super) fn verdict(m: &Measurement) -> String {
    let Some(verdict) = &m.verdict else {
        return String::new();
    };
    let word = outcome(verdict.outcome);
    match m.guess {
        true => format!("{word} (guess)"),
        false => word.to_owned(),
    }
}

pub(super) fn outcome(outcome: crate::record::Outcome) -> &'static str {
    use crate::record::Outcome;
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "FAIL",
        Outcome::Inconclusive => "inconclusive",
    }
}

/// Groups neighbours of one template, in order.
pub(super) fn by_template(measurements: &[Measurement]) -> Vec<&[Measurement]> {
    measurements
        .chunk_by(|a, b| a.style == b.style && a.operation == b.operation)
        .collect()
}

/// The values of a field in order of appearance, each once.
pub(super) fn distinct<'m, T: PartialEq>(
    measurements: &'m [Measurement],
    field: impl Fn(&'m Measurement) -> T,
) -> Vec<T> {
    let mut values = Vec::new();
    for value in measurements.iter().map(field) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// The main table: for every template and ablation the ablation alone beside AF1 with it.
pub fn reproduction(measurements: &[Measurement]) -> String {
    let Some(af1) = measurements.iter().find(|m| m.transfer.is_some()) else {
        return String::new();
    };
    let wait = format!("waiting to {}", af1.wait);
    let subgraph = format!("AF1({}, {})", af1.wait, af1.transfer.unwrap_or(0));
    let empty = format!("AF1({}, 0) accuracy", af1.wait);
    let holm = Holm::of(measurements);
    let mut header = vec![
        "style",
        "op",
        "base accuracy",
        "constant",
        "replaced by",
        &wait,
        &subgraph,
        "lost",
        "gained",
        "accuracy",
        &empty,
        "verdict",
    ];
    header.extend(holm.head());
    let mut table = table(&header);
    for group in by_template(measurements) {
        let alone = |ablation: &str| {
            let found = group
                .iter()
                .find(|m| m.transfer.is_none() && m.ablation == ablation);
            found.map_or(String::new(), faithfulness)
        };
        for (i, m) in group.iter().filter(|m| m.transfer.is_some()).enumerate() {
            let first = |text: String| if i == 0 { text } else { String::new() };
            let mut row = vec![
                first(m.style.clone()),
                first(m.operation.clone()),
                first(base_accuracy(m)),
                first(format!("{}/{}", m.constant_correct, m.prompts)),
                m.ablation.clone(),
                alone(&m.ablation),
                faithfulness(m),
                lost(m),
                gained(m),
                accuracy(m),
                empty_accuracy(m),
                verdict(m),
            ];
            row.extend(holm.cell(m));
            table.add_row(row);
        }
    }
    format!("{table}\n")
}

/// AF1 subgraphs, a row each.
pub fn subgraphs(measurements: &[Measurement]) -> String {
    let holm = Holm::of(measurements);
    // Rows under several maskings could not be told apart without it.
    let several = distinct(measurements, |m| &m.masking).len() > 1;
    let mut header = vec!["style", "op", "replaced by"];
    header.extend(several.then_some("masked by"));
    header.extend([
        "W",
        "transfer",
        "base accuracy",
        "constant",
        "accuracy",
        "faithfulness",
        "lost",
        "gained",
        "normalised",
        "verdict",
    ]);
    header.extend(holm.head());
    let mut table = table(&header);
    for m in measurements {
        let mut row = vec![m.style.clone(), m.operation.clone(), m.ablation.clone()];
        row.extend(several.then(|| m.masking.clone().unwrap_or_default()));
        row.extend([
            m.wait.to_string(),
            m.transfer_layers
                .clone()
                .unwrap_or("as the model".to_owned()),
            base_accuracy(m),
            format!("{}/{}", m.constant_correct, m.prompts),
            accuracy(m),
            faithfulness(m),
            lost(m),
            gained(m),
            m.normalised_faithfulness
                .map_or(String::new(), |f| format!("{f:.2}")),
            verdict(m),
        ]);
        row.extend(holm.cell(m));
        table.add_row(row);
    }
    format!("{table}\n")
}

/// W and K that were chosen on the development prompts, and what they are worth on the held-out ones: a row each.
pub fn discovered(measurements: &[Measurement]) -> String {
    let holm = Holm::of(measurements);
    let mut header = vec![
        "style",
        "op",
        "prompts",
        "W",
        "transfer",
        "base accuracy",
        "accuracy",
        "faithfulness",
        "verdict",
    ];
    header.extend(holm.head());
    let mut table = table(&header);
    for m in measurements {
        let mut row = vec![
            m.style.clone(),
            m.operation.clone(),
            m.part.clone(),
            m.wait.to_string(),
            m.transfer_layers.clone().unwrap_or_default(),
            base_accuracy(m),
            accuracy(m),
            faithfulness(m),
            verdict(m),
        ];
        row.extend(holm.cell(m));
        table.add_row(row);
    }
    format!(
        "W and K chosen on the development prompts, which share no operand with those held out: the longest wait, and then the \
         fewest transfer layers, with which AF1 holds; where none does, those that keep most\n{table}\n{}",
        chosen(measurements)
    )
}

/// AF1 with means over fewer contexts: a table a template, a row a number of contexts.
pub fn contexts(measurements: &[Measurement]) -> String {
    let mut text = String::new();
    for group in by_template(measurements) {
        let m = &group[0];
        text += &format!(
            "\n{}\nAF1({}, {}) with {}, means over so many other contexts of every operand's token; intervals over draws and \
             prompts (pigeonhole bootstrap)\n",
            baseline(m),
            m.wait,
            m.transfer.unwrap_or(0),
            m.ablation,
        );
        let mut table = table(&[
            "contexts",
            "draws",
            "faithfulness",
            "least",
            "most",
            "verdict",
        ]);
        let mut reasons = String::new();
        for (number, cells) in by_contexts(group) {
            let shares = || cells.iter().filter_map(|m| m.faithfulness);
            let two = |x: f64| share(x, m.base_correct);
            let all = all_draws(&cells);
            if let Some(verdict) = all.as_ref().and_then(|all| all.verdict.as_ref()) {
                let (outcome, reason) = (outcome(verdict.outcome), &verdict.reason);
                let plural = if number == 1 { "" } else { "s" };
                reasons += &format!("    {number} context{plural}: {outcome}: {reason}\n");
            }
            table.add_row([
                number.to_string(),
                cells.len().to_string(),
                all.as_ref().map_or("none to keep".to_owned(), |all| {
                    interval(two, all.faithfulness, Some(all.low), Some(all.high))
                }),
                shares().reduce(f64::min).map_or(String::new(), two),
                shares().reduce(f64::max).map_or(String::new(), two),
                all.as_ref().map_or(String::new(), of_draws),
            ]);
        }
        text += &format!("{table}\n{reasons}");
        text += &said(m);
    }
    text
}

/// The cells of every number of contexts.
pub(super) fn by_contexts(group: &[Measurement]) -> Vec<(usize, Vec<&Measurement>)> {
    let numbers = distinct(group, |m| m.contexts_drawn.unwrap_or(0));
    let of = |&number: &usize| {
        let cells = group.iter().filter(|m| m.contexts_drawn == Some(number));
        (number, cells.collect())
    };
    numbers.iter().map(of).collect()
}

/// All draws of a number of contexts together, as the record of the last one has it; earlier programs' records do not have it.
pub(super) fn all_draws(cells: &[&Measurement]) -> Option<OverDraws> {
    let recorded = cells.iter().find_map(|m| m.over_draws.clone());
    recorded.or_else(|| over_draws(cells))
}

/// The verdict on them in a word or two.
pub(super) fn of_draws(all: &OverDraws) -> String {
    match &all.verdict {
        Some(verdict) => outcome(verdict.outcome).to_owned(),
        None => format!("needs {FEWEST_DRAWS} draws"),
    }
}

/// The waiting sweep: a table a template, a row a boundary, a column an ablation.
pub fn waiting(measurements: &[Measurement]) -> String {
    let mut text = String::new();
    for group in by_template(measurements) {
        let m = &group[0];
        text += &format!(
            "\n{}\nfaithfulness (and accuracy) when every token waits to W\n",
            baseline(m)
        );
        let ablations = distinct(group, |m| m.ablation.as_str());
        let header: Vec<&str> = std::iter::once("W")
            .chain(ablations.iter().copied())
            .collect();
        let mut table = table(&header);
        for wait in distinct(group, |m| m.wait) {
            let mut row = vec![wait.to_string()];
            for ablation in &ablations {
                let found = group
                    .iter()
                    .find(|m| m.wait == wait && m.ablation == *ablation);
                row.push(found.map_or(String::new(), |m| {
                    format!("{} ({})", faithfulness(m), share(m.accuracy, m.prompts))
                }));
            }
            table.add_row(row);
        }
        text += &format!("{table}\n");
    }
    text
}

/// The grid: a table a template and ablation, a row a boundary, a column a number of transfer layers.
pub fn transfer(measurements: &[Measurement]) -> String {
    let mut text = String::new();
    for group in by_template(measurements) {
        for ablation in distinct(group, |m| m.ablation.as_str()) {
            let m = &group[0];
            text += &format!(
                "\n{}\nfaithfulness of AF1(W, K) with {ablation}\n",
                baseline(m)
            );
            let cells: Vec<&Measurement> =
                group.iter().filter(|m| m.ablation == ablation).collect();
            let mut transfers: Vec<usize> = cells.iter().filter_map(|m| m.transfer).collect();
            transfers.sort_unstable();
            transfers.dedup();
            let mut header = vec!["W".to_owned()];
            header.extend(transfers.iter().map(|k| format!("K={k}")));
            let mut table = table(&header.iter().map(String::as_str).collect::<Vec<_>>());
            for wait in distinct(group, |m| m.wait) {
                let mut row = vec![wait.to_string()];
                for &k in &transfers {
                    let found = cells
                        .iter()
                        .find(|m| m.wait == wait && m.transfer == Some(k));
                    row.push(found.map_or(String::new(), |m| cell(m)));
                }
                table.add_row(row);
            }
            text += &format!("{table}\n");
        }
    }
    text
}

/// The knock-outs: a table a template, a row a knock-out.
pub fn necessity(measurements: &[Measurement]) -> String {
    let mut text = String::new();
    for group in by_template(measurements) {
        text += &format!(
            "\n{}\nwhen the last token sees itself and position 0 only in these layers\n",
            baseline(&group[0])
        );
        let mut table = table(&["layers", "faithfulness", "accuracy"]);
        for m in group {
            let layers = m.knockout_layers.clone().unwrap_or_default();
            table.add_row([layers, faithfulness(m), accuracy(m)]);
        }
        text += &format!("{table}\n");
    }
    text
}

/// Head pruning: a table a template, a row a step.
pub fn heads(measurements: &[Measurement]) -> String {
    let mut text = String::new();
    for group in by_template(measurements) {
        let m = &group[0];
        text += &format!(
            "\n{}\nAF1({}, {}) with {}, transfer layers {}: {}\n",
            baseline(m),
            m.wait,
            m.transfer.unwrap_or(0),
            m.ablation,
            m.transfer_layers.as_deref().unwrap_or("none"),
            match (m.pruning.as_deref(), &*m.part) {
                (Some("random-order"), _) => "heads go in an order that was drawn",
                (_, "held-out") =>
                    "the head whose loss costs least goes first, chosen on other prompts",
                _ => "the head whose loss costs least goes first",
            },
        );
        let mut table = table(&["heads pruned", "the last", "faithfulness", "accuracy"]);
        let mut before: &[String] = &[];
        let (sets, steps): (Vec<&Measurement>, Vec<&Measurement>) = group
            .iter()
            .partition(|m| m.pruning.as_deref() == Some("random-set"));
        for m in &steps {
            let pruned = m.pruned_heads.as_deref().unwrap_or_default();
            let last = pruned.iter().find(|head| !before.contains(head));
            table.add_row([
                pruned.len().to_string(),
                last.cloned().unwrap_or_default(),
                faithfulness(m),
                accuracy(m),
            ]);
            before = pruned;
        }
        text += &format!("{table}\n");
        text += &controls(&steps, &sets);
    }
    text
}

/// How random sets of heads do beside the pruned set of their size.
fn controls(steps: &[&Measurement], sets: &[&Measurement]) -> String {
    let size = |m: &Measurement| m.pruned_heads.as_ref().map_or(0, Vec::len);
    let chosen = sets.first().and_then(|set| {
        let same = |m: &&&Measurement| size(m) == size(set);
        steps.iter().find(same)
    });
    let Some(chosen) = chosen else {
        return String::new();
    };
    let kept = |m: &Measurement| m.correct_given_base;
    let as_good = sets.iter().filter(|set| kept(set) >= kept(chosen)).count();
    let mut all: Vec<usize> = sets.iter().map(|set| kept(set)).collect();
    all.sort_unstable();
    let p = (1 + as_good) as f64 / (1 + sets.len()) as f64;
    format!(
        "without {} heads: {} kept in this order; {} random sets of as many keep {} in the median, {} at most; {as_good} of \
         them keep as much (p = {p:.3}){}\n",
        size(chosen),
        kept(chosen),
        sets.len(),
        all[all.len() / 2],
        all[all.len() - 1],
        fairness(chosen),
    )
}

/// What stands in for CAMA and for ABP: a table a template, a row an alternative.
pub fn alternatives(measurements: &[Measurement]) -> String {
    let mut text = String::new();
    for group in by_template(measurements) {
        let m = &group[0];
        let names = |m: &Measurement| (m.ablation.clone(), m.masking.clone().unwrap_or_default());
        text += &format!(
            "\n{}\nAF1({}, {}) with something else in place of CAMA or of ABP, against the first row on the same prompts (exact \
             McNemar tests, p after Holm)\n",
            baseline(m),
            m.wait,
            m.transfer.unwrap_or(0),
        );
        let mut table = table(&[
            "replaced by",
            "masked by",
            "faithfulness",
            "lost",
            "gained",
            "accuracy",
            "accuracy difference",
            "p",
            "logit difference",
            "KL",
            "rank",
        ]);
        let adjusted = adjusted(group);
        for (m, p) in group.iter().zip(adjusted) {
            let (ablation, masking) = names(m);
            let paired = m.paired.as_ref();
            table.add_row([
                ablation,
                masking,
                faithfulness(m),
                lost(m),
                gained(m),
                accuracy(m),
                paired.map_or(String::new(), |paired| {
                    interval(
                        signed,
                        paired.accuracy_difference,
                        paired.accuracy_difference_low,
                        paired.accuracy_difference_high,
                    )
                }),
                p.map_or(String::new(), p_value),
                m.logit_difference.map_or(String::new(), |value| {
                    let fixed = |x: f64| format!("{x:.1}");
                    interval(
                        fixed,
                        value,
                        m.logit_difference_low,
                        m.logit_difference_high,
                    )
                }),
                m.kl_divergence
                    .map_or(String::new(), |kl| format!("{kl:.2}")),
                m.median_rank.map_or(String::new(), |rank| rank.to_string()),
            ]);
        }
        text += &format!("{table}\n");
    }
    text
}

/// The p of every comparison after Holm's correction over a group of cells.
pub(super) fn adjusted(group: &[Measurement]) -> Vec<Option<f64>> {
    let paired = group.iter().filter_map(|m| m.paired.as_ref());
    let raw: Vec<f64> = paired.map(|paired| paired.p).collect();
    let mut corrected = holm(&raw).into_iter();
    let next = |m: &Measurement| m.paired.as_ref().and_then(|_| corrected.next());
    group.iter().map(next).collect()
}

/// A difference with its sign, but for none.
pub(super) fn signed(x: f64) -> String {
    let text = format!("{x:+.2}");
    match text.as_str() {
        "+0.00" | "-0.00" => "0.00".to_owned(),
        _ => text,
    }
}

/// A p value: two digits, or a bound.
pub(super) fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => "<.001".to_owned(),
        p => format!("{p:.3}"),
    }
}

/// A value with its interval, where that is known.
pub(super) fn interval(
    text: impl Fn(f64) -> String,
    value: f64,
    low: Option<f64>,
    high: Option<f64>,
) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{} [{}, {}]", text(value), text(low), text(high)),
        _ => text(value),
    }
}

/// What a table of attention begins with.
pub fn attention_heading(heads: &[HeadAttention]) -> String {
    let Some(a) = heads.first() else {
        return String::new();
    };
    let p = &a.provenance;
    format!(
        "{}, {} layers, {} on ONNX Runtime {} ({})\n\
         operands {}..={}, results {}..={}, {} before every prompt; the unmodified model; 95% intervals about {}\n",
        a.model,
        a.layers,
        p.dtype,
        p.runtime_version,
        p.ran_on(),
        p.operands[0],
        p.operands[1],
        p.results[0],
        p.results[1],
        front(p),
        a.inference.words(),
    )
}

/// So many heads are in the table, those that attend most to an operand.
const MOST_HEADS: usize = 12;

/// Where the last token's attention rests: a table a template, a row a head, those that attend most to an operand first.
pub fn attention(heads: &[HeadAttention]) -> String {
    let mut text = String::new();
    let groups = heads.chunk_by(|a, b| a.style == b.style && a.operation == b.operation);
    for group in groups {
        let to_operand = |head: &HeadAttention| {
            let operands = head.weights.iter().filter(|(name, _)| name.len() == 1);
            operands.fold(0.0, |most, (_, weight)| f64::max(most, weight.mean))
        };
        let mut shown: Vec<&HeadAttention> = group.iter().collect();
        shown.sort_by(|a, b| to_operand(b).total_cmp(&to_operand(a)));
        shown.truncate(MOST_HEADS);
        text += &format!(
            "\n{} {}: attention of the last token, mean over {} prompts; the {} of {} heads that attend most to an operand\n",
            group[0].style,
            group[0].operation,
            group[0].prompts,
            shown.len(),
            group.len(),
        );
        let names: Vec<&String> = group[0].weights.keys().collect();
        let mut header = vec!["head"];
        header.extend(names.iter().map(|name| name.as_str()));
        let mut table = table(&header);
        for head in shown {
            let mut row = vec![format!("L{}H{}", head.layer, head.head)];
            row.extend(head.weights.values().map(|weight| {
                let two = |x: f64| format!("{x:.2}");
                interval(two, weight.mean, weight.low, weight.high)
            }));
            table.add_row(row);
        }
        text += &format!("{table}\n");
    }
    text
}

/// A cell of the grid: the share and its interval, without counts, which are those of the line above.
fn cell(m: &Measurement) -> String {
    m.faithfulness.map_or("none to keep".to_owned(), |f| {
        format!(
            "{} [{}, {}]",
            share(f, m.base_correct),
            share(m.faithfulness_low, m.base_correct),
            share(m.faithfulness_high, m.base_correct)
        )
    })
}

/// What stands below a table: [`counts`] for every template, and the reasons of the verdicts.
pub fn notes(measurements: &[Measurement]) -> String {
    let mut text = String::new();
    for group in by_template(measurements) {
        text += &counts(group);
        let m = &group[0];
        // The claim is about the first ablation, CAMA by default, and masking; the others are there for comparison.
        let first = (&m.ablation, group.iter().find_map(|m| m.masking.as_ref()));
        let claimed = |m: &&Measurement| (&m.ablation, m.masking.as_ref()) == first;
        for m in group.iter().filter(claimed) {
            let (Some(verdict), Some(transfer)) = (&m.verdict, m.transfer) else {
                continue;
            };
            let subgraph = format!("{} AF1({}, {transfer})", m.ablation, m.wait);
            text += &format!(
                "    {subgraph}: {}: {}\n",
                outcome(verdict.outcome),
                verdict.reason
            );
        }
    }
    text
}

/// What one operand says of another in the contexts.
fn dependence(m: &Measurement) -> String {
    match (m.operand_contexts_fewest, m.mutual_information) {
        (Some(fewest), Some(bits)) => format!(
            ", {fewest} at least for an operand, and one operand says {bits:.2} bits of another"
        ),
        _ => String::new(),
    }
}

/// The half of the prompts, where it is not all of them.
fn part(m: &Measurement) -> String {
    match &*m.part {
        "all" => String::new(),
        part => format!(" ({part})"),
    }
}

/// How many prompts were evaluated and why not all, and how well the means are known: a line a template.
pub fn counts(measurements: &[Measurement]) -> String {
    let mut text = String::new();
    let parts = by_template(measurements)
        .into_iter()
        .flat_map(|group| group.chunk_by(|a, b| a.part == b.part));
    for group in parts {
        let m = &group[0];
        let error = group.iter().fold(0.0, |most, m| {
            f64::max(most, m.largest_relative_standard_error)
        });
        text += &format!(
            "{} {}{}: {} of {} prompts evaluated ({} excluded, {} undefined, {} degenerate{}); contexts a token: {} at \
             least, {} in the median{}; standard error of a mean: at most {:.0}% of it\n",
            m.style,
            m.operation,
            part(m),
            m.prompts,
            m.all_prompts,
            m.excluded,
            m.undefined,
            m.degenerate,
            m.mixed.map_or(String::new(), |mixed| format!(
                ", {mixed} with operands of both halves"
            )),
            m.contexts_fewest,
            m.contexts_median,
            dependence(m),
            100.0 * error
        );
        text += &said(m);
    }
    text
}
