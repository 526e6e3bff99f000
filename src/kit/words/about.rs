//! What the numbers of a table are about, in words, and shares with the intervals that their records have.

use super::number::{proportion, share};
use super::said::said;
use crate::file::Sha256;
use crate::intervene::MaskedBy;
use crate::kit::Block;
use crate::measure::Part;
use crate::printable;
use crate::prompt::Operation;
use crate::record::{Group, Kind, Measurement, Outcome, Provenance, Sweep, Tested};
use crate::stats::{Inference, Proportion};

/// The values in order of appearance, each once.
pub fn distinct<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut values = Vec::new();
    for value in all {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// What every sweep begins with: the model, the runtime, the prompts.
pub fn heading(sweep: &Sweep) -> Block {
    let Some(m) = sweep.measurements().next() else {
        return Block::Text("no measurements".to_owned());
    };
    let about = format!(
        "means: {} over {} contexts; {}",
        m.subject.estimator.name(),
        m.provenance.contexts_from,
        intervals(sweep.measurements())
    );
    let all = || sweep.measurements().map(|m| &m.provenance);
    before(
        &ranges(all()),
        &fronts(all()),
        &m.subject.model,
        m.subject.layers,
        &m.provenance,
        &about,
    )
}

/// What stands in front of prompts, where chats and plain texts are asked together each of it.
pub fn fronts<'p>(all: impl IntoIterator<Item = &'p Provenance>) -> String {
    distinct(all.into_iter().map(front)).join(" or ")
}

/// The model, the runtime, the prompts, and what else is to be said of all numbers.
pub fn under(model: &str, layers: usize, p: &Provenance, about: &str) -> Block {
    before(&ranges([p]), &front(p), model, layers, p, about)
}

/// The operands and results of prompts; where tables of words have other sizes each of them.
fn ranges<'p>(all: impl IntoIterator<Item = &'p Provenance>) -> String {
    let of = |p: &Provenance| {
        let ([first, last], [least, most]) = (p.operands, p.results);
        format!("operands {first}..={last}, results {least}..={most}")
    };
    distinct(all.into_iter().map(of)).join(" or ")
}

/// What [`under`] says, with these `ranges` and `fronts` of the prompts.
fn before(
    ranges: &str,
    fronts: &str,
    model: &str,
    layers: usize,
    p: &Provenance,
    about: &str,
) -> Block {
    // What others wrote ends no line.
    let where_run = format!(
        "{model}, {layers} layers, {} on ONNX Runtime {} ({})",
        p.dtype,
        p.runtime_version,
        p.ran_on()
    );
    let asked = format!(
        "{}{ranges}, {fronts} before every prompt; {about}",
        drawn(p)
    );
    Block::Text(format!(
        "{}\n{}",
        printable::line(&where_run),
        printable::line(&asked)
    ))
}

/// Which prompts they are, where they are not all of the ranges.
fn drawn(p: &Provenance) -> String {
    let mut words = String::new();
    if let Some(hash) = &p.list_sha256 {
        words += &format!(
            "prompts of a list (SHA-256 {}), ",
            Sha256::known(hash).short()
        );
    }
    if let Some(right) = p.right_answers {
        words += &format!("prompts drawn until {right} were answered correctly, ");
    }
    words
}

/// What stands in front of every prompt, and what decided that.
pub fn front(p: &Provenance) -> String {
    in_front(p.bos.as_deref(), p.bos_rule.as_deref())
}

/// What [`front`] says, of a token and a rule.
pub fn in_front(bos: Option<&str>, rule: Option<&str>) -> String {
    let token = printable::line(bos.unwrap_or("no token"));
    match rule {
        Some(rule) => format!("{token} ({rule})"),
        None => token.into_owned(),
    }
}

/// The name of a template.
pub fn template(m: &Measurement) -> String {
    m.address().template()
}

/// The name of a subgraph.
pub fn af1(m: &Measurement) -> String {
    let by = match m.subject.masking() {
        Some(by) if by != MaskedBy::ABP => format!(" under {}", by.name()),
        _ => String::new(),
    };
    format!(
        "AF1({}, {}){by}",
        m.subject.wait(),
        m.subject.transfer().unwrap_or(0)
    )
}

/// What a template is measured against: the unmodified model, and the best constant answer.
pub fn baseline(m: &Measurement) -> String {
    format!(
        "{} {}: base accuracy {}, best constant answer {}",
        m.subject.style,
        m.question(),
        base_accuracy(m),
        constant(m)
    )
}

/// The right answers of the best constant.
pub fn constant(m: &Measurement) -> String {
    format!("{}/{}", m.counts.constant_correct, m.counts.prompts)
}

/// The share of the right answers that stay right.
pub fn faithfulness(m: &Measurement) -> String {
    let interval = (m.scores.faithfulness.low, m.scores.faithfulness.high);
    proportion(m.counts.correct_given_base, m.counts.base_correct, interval)
}

/// Whether the share that stays right reaches the claim, by the share itself.
pub fn holds(m: &Measurement) -> bool {
    m.scores
        .faithfulness
        .value
        .is_some_and(|share| share >= m.test.claim)
}

/// What stands after a share that is compared with the claim where its interval has the claim within it, and empty elsewhere: then the
/// prompts leave open on which side the share is.
pub fn left_open(m: &Measurement) -> &'static str {
    let kept = m.scores.faithfulness;
    match kept.value {
        Some(_) if kept.low < m.test.claim && m.test.claim <= kept.high => {
            ", whose interval has the claim within it, so that more prompts may decide otherwise"
        }
        _ => "",
    }
}

/// The sentence of a template on which there is nothing to keep.
pub const NOTHING_TO_KEEP: &str =
    "the unmodified model answers nothing correctly, so there is nothing to keep";

/// The cells of the first ablation of a template, which is the one that is claimed.
pub fn of_first_ablation(group: &Group) -> Vec<&Measurement> {
    let ablation = &group.first().subject.ablation;
    let cells = group.cells.iter().map(|cell| &cell.m);
    cells.filter(|m| m.subject.ablation == *ablation).collect()
}

/// The verdict in a word, and whether it is about a guess.
pub fn verdict(m: &Measurement) -> String {
    let Some(verdict) = &m.test.verdict else {
        return String::new();
    };
    let word = outcome(verdict.outcome);
    match m.test.guess {
        true => format!("{word} (guess)"),
        false => word.to_owned(),
    }
}

/// An outcome in a word.
pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "FAIL",
        Outcome::Inconclusive => "inconclusive",
    }
}

/// What intervals are about, for a heading.
pub fn intervals<'m>(measurements: impl IntoIterator<Item = &'m Measurement>) -> String {
    let all: Vec<&Measurement> = measurements.into_iter().collect();
    let targets = distinct(all.iter().map(|m| m.test.inference));
    let each = targets.iter().map(|target| match target {
        Inference::Prompts => "95% Wilson intervals about these prompts",
        Inference::Operands => {
            "95% intervals about other operands (clusters by the value of each operand)"
        }
    });
    let text = each.collect::<Vec<_>>().join(", ");
    let listed = all.iter().any(|m| m.provenance.list_sha256.is_some());
    let whole = if listed { "the list" } else { "these ranges" };
    match !all.is_empty() && all.iter().all(|m| is_census(m)) {
        true => format!("{text}; every prompt of {whole} was evaluated (a census)"),
        false => text,
    }
}

/// Whether every prompt of the ranges or the list was evaluated: none was left out, and of ranges of three operands or more they are only
/// drawn.
fn is_census(m: &Measurement) -> bool {
    let operands = m.subject.operation.parse().map(|o: Operation| o.operands());
    m.provenance.right_answers.is_none()
        && (m.provenance.list_sha256.is_some() || operands.is_ok_and(|count| count <= 2))
        && m.counts.prompts == m.counts.all_prompts
        && m.counts.excluded == 0
}

/// A share with its interval.
pub fn proportion_of(share: Proportion) -> String {
    proportion(share.successes, share.trials, (share.low, share.high))
}

/// The accuracy under the intervention.
pub fn accuracy(m: &Measurement) -> String {
    proportion(
        m.counts.correct,
        m.counts.prompts,
        (m.scores.accuracy.low, m.scores.accuracy.high),
    )
}

/// The accuracy of the unmodified model.
pub fn base_accuracy(m: &Measurement) -> String {
    let interval = (m.scores.base_accuracy.low, m.scores.base_accuracy.high);
    proportion(m.counts.base_correct, m.counts.prompts, interval)
}

/// The accuracy of the subgraph without transfer, of which records have no interval.
pub fn empty_accuracy(cell: &Tested) -> String {
    let m = &cell.m;
    match (m.counts.empty_correct, cell.empty) {
        (None, _) => String::new(),
        (Some(empty), Some(interval)) => proportion(empty, m.counts.prompts, interval),
        (Some(empty), None) => {
            let value = empty as f64 / m.counts.prompts.max(1) as f64;
            format!(
                "{empty}/{} {}",
                m.counts.prompts,
                share(value, m.counts.prompts)
            )
        }
    }
}

/// Right answers of the unmodified model that the subgraph does not have.
pub fn lost(m: &Measurement) -> String {
    (m.counts.base_correct - m.counts.correct_given_base).to_string()
}

/// Right answers of the subgraph that the unmodified model does not have.
pub fn gained(m: &Measurement) -> String {
    (m.counts.correct - m.counts.correct_given_base).to_string()
}

/// What stands below a table: [`counts`] of every template, and the reasons of the verdicts.
pub fn notes(sweep: &Sweep) -> String {
    let of = |group| counts(group) + &reasons(group);
    sweep.groups.iter().map(of).collect()
}

/// The reasons of the verdicts on what is claimed.
fn reasons(group: &Group) -> String {
    let cells = || group.cells.iter().map(|cell| &cell.m);
    // The claim is about the first ablation, CAMA by default, masking and key; the others are there for comparison.
    let first = (
        &group.first().subject.ablation,
        cells().find_map(|m| m.subject.masking()),
        group.first().provenance.key,
    );
    let technique = |m: &'_ Measurement| (m.subject.masking(), m.provenance.key);
    let is_first =
        |m: &&Measurement| m.subject.ablation == *first.0 && technique(m) == (first.1, first.2);
    let mut text = String::new();
    for m in cells().filter(is_first) {
        let (Some(verdict), Some(_)) = (&m.test.verdict, m.subject.transfer()) else {
            continue;
        };
        text += &format!(
            "    {} {}: {}: {}\n",
            m.subject.ablation,
            af1(m),
            outcome(verdict.outcome),
            printable::line(&verdict.reason)
        );
    }
    text
}

/// What one operand says of another in the contexts.
fn dependence(m: &Measurement) -> String {
    match (m.contexts.fewest_of_operands, m.contexts.mutual_information) {
        (Some(fewest), Some(bits)) => format!(
            ", {fewest} at least for an operand, and one operand says {bits:.2} bits of another"
        ),
        _ => String::new(),
    }
}

/// Why not all prompts were evaluated.
fn left_out(m: &Measurement) -> String {
    let reasons = [
        (m.counts.excluded, "excluded"),
        (m.counts.undefined, "undefined"),
        (m.counts.degenerate, "degenerate"),
        (m.counts.mixed.unwrap_or(0), "with operands of both halves"),
    ];
    let some = reasons.iter().filter(|(count, _)| *count > 0);
    let some: Vec<String> = some.map(|(count, why)| format!("{count} {why}")).collect();
    match some.is_empty() {
        true => String::new(),
        false => format!(" ({})", some.join(", ")),
    }
}

/// The half of the prompts, where it is not all of them.
fn part(m: &Measurement) -> String {
    match m.subject.part {
        Part::All => String::new(),
        part => format!(" ({})", part.name()),
    }
}

/// The counts of every template: see [`counts`].
pub fn all_counts(sweep: &Sweep) -> String {
    sweep.groups.iter().map(counts).collect()
}

/// How many prompts were evaluated and why not all, and how well the means are known: a line for every half of the prompts.
pub fn counts(group: &Group) -> String {
    let mut text = String::new();
    for cells in group
        .cells
        .chunk_by(|a, b| a.m.subject.part == b.m.subject.part)
    {
        let m = &cells[0].m;
        if m.experiment == Kind::WHOLE {
            // The means are those of the steps.
            text += &format!(
                "{} {}: {} prompts were evaluated at every step\n",
                m.subject.style,
                m.question(),
                m.counts.prompts
            );
            continue;
        }
        let errors = cells
            .iter()
            .map(|cell| cell.m.contexts.largest_relative_error);
        text += &format!(
            "{} {}{}: {} of {} prompts were evaluated{}; contexts a token: {} at least, {} in the median{}; the standard error of a mean \
             is at most {:.0}% of it\n",
            m.subject.style,
            m.question(),
            part(m),
            m.counts.prompts,
            m.counts.all_prompts,
            left_out(m),
            m.contexts.fewest,
            m.contexts.median,
            dependence(m),
            100.0 * errors.fold(0.0, f64::max)
        );
        text += &said(m);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A share is left open exactly where the claim is within its interval.
    #[test]
    fn what_is_left_open_is_said() {
        let of = |successes, trials| {
            let mut m = Measurement::default();
            m.test.claim = 0.95;
            m.scores.faithfulness = Proportion::wilson(successes, trials);
            m
        };
        for (successes, trials, open) in [
            (400, 400, false),
            (40, 40, true),
            (36, 40, true),
            (300, 400, false),
            (0, 0, false),
        ] {
            let said = left_open(&of(successes, trials));
            assert_eq!(said.is_empty(), !open, "{successes} of {trials}");
        }
    }
}
