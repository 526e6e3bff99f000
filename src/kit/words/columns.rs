//! Columns that several experiments have, and estimates for pictures.

use super::about::{
    accuracy, base_accuracy, constant, distinct, empty_accuracy, faithfulness, gained, lost,
    outcome, verdict as word,
};
use super::number::{interval, p_value, share};
use crate::intervene::MaskedBy;
use crate::kit::{Column, Estimate, Origin, TableCell, Tile, Value, column};
use crate::record::{Corrected, Measurement, Tested};
use crate::stats::Mean;

/// Columns of a table of measurements.
pub type Columns<'a> = Vec<Column<'a, Tested>>;

/// A column of words about a measurement.
pub fn said<'a>(
    name: impl Into<String>,
    text: impl Fn(&Measurement) -> String + 'a,
) -> Column<'a, Tested> {
    column(name, move |cell: &Tested| text(&cell.m))
}

/// A cell that shows a field of a measurement.
pub fn field(m: &Measurement, name: &str, text: String, value: Option<Value>) -> TableCell {
    TableCell::number(text, m.address(), name, value)
}

/// Groups of columns, one behind the other.
pub fn joined<'a>(groups: impl IntoIterator<Item = Columns<'a>>) -> Columns<'a> {
    groups.into_iter().flatten().collect()
}

/// The style.
pub fn style<'a>(name: &str) -> Column<'a, Tested> {
    said(name, |m| m.subject.style.clone())
}

/// The operation.
pub fn operation<'a>(name: &str) -> Column<'a, Tested> {
    said(name, Measurement::question)
}

/// The template.
pub fn template<'a>() -> Columns<'a> {
    vec![style("style"), operation("operation")]
}

/// The half of the prompts.
pub fn part<'a>(name: &str) -> Column<'a, Tested> {
    said(name, |m| m.subject.part.name().to_owned())
}

/// What stood in for waiting tokens.
pub fn ablation<'a>() -> Column<'a, Tested> {
    said("replaced by", |m| m.subject.ablation.clone())
}

/// What stood in for waiting tokens, and what kept tokens from looking.
pub fn technique<'a>() -> Columns<'a> {
    let masking = |m: &Measurement| {
        m.subject
            .masked_by()
            .unwrap_or_else(|| "nothing".to_owned())
    };
    vec![ablation(), said("masked by", masking)]
}

/// What kept tokens from looking, where there are several: rows could not be told apart without it.
pub fn masking_of_several<'a>(cells: &[&Tested]) -> Option<Column<'a, Tested>> {
    let all = distinct(cells.iter().map(|cell| cell.m.subject.masking()));
    let several = all.len() > 1 || all.iter().flatten().any(|by| *by != MaskedBy::ABP);
    let masking = |m: &Measurement| m.subject.masked_by().unwrap_or_default();
    several.then(|| said("masked by", masking))
}

/// How long tokens wait.
pub fn wait<'a>() -> Column<'a, Tested> {
    said("W", |m| m.subject.wait().to_string())
}

/// The layers that transfer; `all` where there is no restriction.
pub fn transfer<'a>(name: &str, all: &'a str) -> Column<'a, Tested> {
    said(name, move |m| {
        m.subject
            .transfer_layers()
            .clone()
            .unwrap_or_else(|| all.to_owned())
    })
}

/// The subgraph.
pub fn subgraph<'a>() -> Columns<'a> {
    let transfers = |m: &Measurement| {
        m.subject
            .transfer()
            .map_or("as the model".to_owned(), |k| k.to_string())
    };
    vec![
        wait(),
        said("K", transfers),
        transfer("transfer layers", ""),
    ]
}

/// What the unmodified model and the best constant do.
pub fn base<'a>() -> Columns<'a> {
    vec![
        said("base accuracy", base_accuracy).useful(),
        said("constant", constant).detail(),
    ]
}

/// The column of faithfulness.
pub fn faithful<'a>() -> Column<'a, Tested> {
    column("faithfulness", |Tested { m, .. }: &Tested| kept(m))
}

/// The faithfulness with its counts and its interval.
pub fn kept(m: &Measurement) -> TableCell {
    let kept = m.scores.faithfulness;
    let value = kept.value.map(Value::Real);
    field(m, "faithfulness", faithfulness(m), value).within(Some(kept.low), Some(kept.high))
}

/// The column of accuracy.
pub fn accurate<'a>() -> Column<'a, Tested> {
    column("accuracy", |Tested { m, .. }: &Tested| {
        let value = m.scores.accuracy.value.map(Value::Real);
        field(m, "accuracy", accuracy(m), value)
            .within(Some(m.scores.accuracy.low), Some(m.scores.accuracy.high))
    })
    .useful()
}

/// What every table of measurements has.
pub fn shares<'a>() -> Columns<'a> {
    vec![faithful(), accurate()]
}

/// What is lost and gained against the unmodified model.
pub fn against_base<'a>() -> Columns<'a> {
    vec![said("lost", lost).detail(), said("gained", gained).detail()]
}

/// Faithfulness between that without transfer and that of the model.
pub fn normalised<'a>() -> Column<'a, Tested> {
    column("normalised", |Tested { m, .. }: &Tested| {
        let value = m.scores.normalised_faithfulness;
        let text = value.map_or(String::new(), |value| format!("{value:.2}"));
        field(m, "normalised_faithfulness", text, value.map(Value::Real))
    })
    .detail()
}

/// The columns that compare with the subgraph without transfer.
pub fn against_empty<'a>() -> Columns<'a> {
    vec![
        normalised(),
        column("without transfer", |cell: &Tested| {
            let value = cell
                .m
                .counts
                .empty_correct
                .map(|empty| Value::Whole(empty as u64));
            field(&cell.m, "empty_correct", empty_accuracy(cell), value)
        })
        .detail(),
        column("p above it", |Tested { m, .. }: &Tested| {
            let text = m.test.p_above_empty.map_or(String::new(), p_value);
            field(
                m,
                "p_above_empty",
                text,
                m.test.p_above_empty.map(Value::Real),
            )
        })
        .detail(),
    ]
}

/// The difference of the logits.
pub fn logit_difference<'a>() -> Column<'a, Tested> {
    column("logit difference", |Tested { m, .. }: &Tested| {
        let (value, low, high) = ends(m.scores.logit_difference);
        let text = value.map_or(String::new(), |value| {
            interval(|x| format!("{x:.1}"), value, low, high)
        });
        let value = value.map(Value::Real);
        field(m, "logit_difference", text, value).within(low, high)
    })
    .detail()
}

/// A mean and the ends of its interval that are known.
fn ends(mean: Option<Mean>) -> (Option<f64>, Option<f64>, Option<f64>) {
    let known = |end: f64| end.is_finite().then_some(end);
    match mean {
        Some(mean) => (Some(mean.value), known(mean.low), known(mean.high)),
        None => (None, None, None),
    }
}

/// The divergence from the unmodified model.
pub fn divergence<'a>(name: &str) -> Column<'a, Tested> {
    column(name, |Tested { m, .. }: &Tested| {
        let (value, low, high) = ends(m.scores.kl_divergence);
        let text = value.map_or(String::new(), |kl| format!("{kl:.2}"));
        let value = value.map(Value::Real);
        field(m, "kl_divergence", text, value).within(low, high)
    })
    .detail()
}

/// The rank of the right answer.
pub fn rank<'a>(name: &str) -> Column<'a, Tested> {
    column(name, |Tested { m, .. }: &Tested| {
        let text = m
            .scores
            .median_rank
            .map_or(String::new(), |rank| rank.to_string());
        let value = m
            .scores
            .median_rank
            .map(|rank| Value::Whole(u64::from(rank)));
        field(m, "median_rank", text, value)
    })
    .detail()
}

/// What the numbers of the logits are.
pub fn logits<'a>() -> Columns<'a> {
    vec![
        logit_difference(),
        divergence("KL divergence"),
        rank("median rank"),
    ]
}

/// The verdict in a word.
pub fn verdict<'a>() -> Column<'a, Tested> {
    column("verdict", |Tested { m, .. }: &Tested| {
        let value = m.test.verdict.as_ref().map(|v| Value::Verdict(v.outcome));
        field(m, "verdict", word(m), value)
    })
}

/// The verdict after Holm's correction, where several were corrected together.
pub fn after_holm<'a>(
    cells: &[&Tested],
    of: fn(&Tested) -> Option<Corrected>,
) -> Option<Column<'a, Tested>> {
    let several = |cell: &&Tested| of(cell).is_some_and(|corrected| corrected.among > 1);
    cells.iter().any(several).then(|| {
        column("after Holm", move |cell: &Tested| {
            of(cell).map_or("", |corrected| outcome(corrected.outcome))
        })
        .useful()
    })
}

/// The verdict, and what it is after a correction over the sweep.
pub fn verdicts<'a>(cells: &[&Tested]) -> Columns<'a> {
    let corrected = after_holm(cells, |cell| cell.in_sweep);
    std::iter::once(verdict()).chain(corrected).collect()
}

/// Faithfulness with its interval.
pub fn estimate(m: &Measurement) -> Option<Estimate> {
    Some(Estimate {
        value: m.scores.faithfulness.value?,
        low: Some(m.scores.faithfulness.low),
        high: Some(m.scores.faithfulness.high),
        of: Some(Box::new(origin(m))),
    })
}

/// Which cell the faithfulness in a picture is of.
fn origin(m: &Measurement) -> Origin {
    Origin {
        text: faithfulness(m),
        key: key(m),
    }
}

/// What tells a cell from all others, for pictures and what stands behind their marks.
pub fn key(m: &Measurement) -> String {
    let at = m.address();
    format!("{} {}: {}", at.sweep, at.template(), at.cell)
}

/// A cell of a map; `None` where nothing is to be kept.
pub fn shown(m: &Measurement) -> Option<Tile> {
    let value = m.scores.faithfulness.value?;
    Some(Tile {
        share: value,
        // Two decimals for any number of prompts: it is the table that is exact.
        text: share(value, 0),
        of: Some(Box::new(origin(m))),
    })
}
