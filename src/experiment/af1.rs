//! Is AF1 sufficient: how many of the right answers it keeps at chosen `(W, K)`; a row for every subgraph, a map of styles and operations
//! for each, and all styles together.

use clap::Args;

use super::necessity;
use super::parts::options::{AblationArgs, Layers, MaskingName, Subgraph};
use super::parts::{Ask, Entry, Experiment, Given, Plans, Unit, View, subgraphs};
use crate::intervene::{Ablation, Plan};
use crate::kit::words::about::{
    NOTHING_TO_KEEP, all_counts, distinct, faithfulness, heading, notes, outcome,
    template as named, verdict,
};
use crate::kit::words::columns::{
    ablation, accurate, against_base, against_empty, base, estimate, faithful, joined,
    masking_of_several, normalised, operation, shares, shown, style, subgraph, technique, template,
    transfer, verdicts, wait,
};
use crate::kit::words::{
    OUTCOMES, SEE_TABLE, about, beside, claimed, claimed_whole, pooled, strata,
};
use crate::kit::{Block, Drawing, Estimate, Figure, Map, Table};
use crate::model::Preset;
use crate::record::{Group, Kind, Measurement, Sweep, Tested};
use crate::{Error, Result};

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "run",
    "AF1 at chosen W and K",
    &Shown,
    [
        "run -s calculate --operation A+B",
        "run -m path/to/folder --wait 15 --transfer 2 --operands 1..=99",
    ],
);

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    ablations: AblationArgs,
    #[command(flatten)]
    subgraph: Subgraph,
    /// The (W, K) of another built-in model
    #[arg(long, value_name = "NAME", conflicts_with_all = ["wait", "transfer"])]
    subgraph_of: Option<String>,
    /// What keeps tokens from looking at each other
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME,...",
        default_value = "abp"
    )]
    masking: Vec<MaskingName>,
}

impl Ask for Options {
    fn experiment(&self, given: &Given<'_>) -> Result<Box<dyn Experiment>> {
        let (waits, transfers) = match &self.subgraph_of {
            None => self.subgraph.resolve(given.model)?,
            Some(name) => of_preset(name)?.resolve(given.model)?,
        };
        let plans = subgraphs(&waits, &transfers);
        let masked = plans.iter().flat_map(|plan| {
            let maskings = self.masking.iter();
            maskings.map(|masking| plan.clone().with(masking.0))
        });
        Ok(Box::new(Af1 {
            plans: masked.collect(),
            ablations: self.ablations.chosen(),
        }))
    }
}

/// The subgraph of a built-in model.
fn of_preset(name: &str) -> Result<Subgraph> {
    let preset = Preset::named(name).ok_or_else(|| {
        Error::Usage(format!(
            "--subgraph-of {name:?}: no built-in model has this name"
        ))
    })?;
    let (wait, transfer) = preset.own();
    Ok(Subgraph {
        wait: Some(Layers(vec![wait])),
        transfer: Some(Layers(vec![transfer])),
    })
}

/// AF1 at chosen `(W, K)`.
pub struct Af1 {
    /// The subgraphs.
    pub plans: Vec<Plan>,
    /// What replaces the residual stream of waiting tokens.
    pub ablations: Vec<&'static dyn Ablation>,
}

impl Experiment for Af1 {
    fn kind(&self) -> Kind {
        Kind::AF1
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        Plans::by_wait(&self.plans, &self.ablations)
    }
}

/// What is shown of its records.
pub struct Shown;

impl View for Shown {
    fn kind(&self) -> Kind {
        Kind::AF1
    }

    fn question(&self) -> &'static str {
        "Is AF1 sufficient?"
    }

    fn claims(&self) -> bool {
        true
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        // A gate's knock-out stands beside its AF1.
        let is_knockout = |m: &Measurement| m.experiment == Kind::NECESSITY;
        let knocked = sweep.only(is_knockout);
        let sweep = sweep.only(|m| !is_knockout(m));
        let mut blocks = vec![
            heading(&sweep),
            Block::Table(table(&sweep)),
            Block::Note(notes(&sweep)),
        ];
        blocks.extend(pooled::summary(&sweep.whole));
        blocks.extend(strata::summary(&sweep));
        blocks.extend(pooled::summary(&sweep.pools));
        blocks.extend(necessity::tables(&knocked));
        blocks
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        let cells: Vec<&Tested> = sweep.cells().collect();
        let columns = joined([
            template(),
            subgraph(),
            technique(),
            shares(),
            against_base(),
            against_empty(),
            verdicts(&cells),
        ]);
        let mut blocks = Vec::new();
        match &sweep.groups[..] {
            [group] => blocks.extend(bars(group).map(Block::Figure)),
            _ => blocks.extend(maps(sweep).into_iter().map(Block::Figure)),
        }
        let table = Table::of("AF1 subgraphs", &columns, sweep.cells());
        blocks.extend([Block::Table(table), Block::Note(all_counts(sweep))]);
        blocks.extend(pooled::detail(&sweep.whole));
        blocks.extend(strata::detail(sweep));
        blocks.extend(pooled::detail(&sweep.pools));
        blocks
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        let claims = claimed(sweep, |m| m.experiment == Kind::AF1);
        // The whole answers first: they are what the steps come to.
        let whole: Vec<&Measurement> = sweep.whole.iter().map(|cell| &cell.m).collect();
        let steps: Vec<&Measurement> = sweep.measurements().collect();
        let mut all = sentences(&claimed_whole(sweep, &claims), &whole);
        all.extend(sentences(&claims, &steps));
        all
    }
}

/// What is claimed, a sentence a claim where these are few; `all` are those among which the other ablations are.
fn sentences(claims: &[&Measurement], all: &[&Measurement]) -> Vec<String> {
    match claims.len() {
        0..=MOST_SENTENCES => claims.iter().map(|m| one(m, all)).collect(),
        _ => by_subgraph(claims).map(|of| several(&of)).collect(),
    }
}

/// More claims than this are concluded together.
const MOST_SENTENCES: usize = 4;

/// What is claimed of a template, and how other ablations do there.
fn one(m: &Measurement, all: &[&Measurement]) -> String {
    let template = named(m);
    if m.counts.base_correct == 0 {
        return format!("{template}: {NOTHING_TO_KEEP}");
    }
    let beside = beside(m, all.iter().copied()).map(|o| {
        format!(
            "{} {}/{}",
            o.subject.ablation, o.counts.correct_given_base, o.counts.base_correct
        )
    });
    let beside: Vec<String> = beside.collect();
    let beside = match beside.is_empty() {
        true => String::new(),
        false => format!("; beside it {}", beside.join(", ")),
    };
    format!(
        "{template}: {} with {} keeps {} of the right answers: {}{beside}",
        about::af1(m),
        m.subject.ablation,
        faithfulness(m),
        verdict(m)
    )
}

/// The claims by subgraph.
fn by_subgraph<'m>(claims: &[&'m Measurement]) -> impl Iterator<Item = Vec<&'m Measurement>> {
    let of = |m: &&Measurement| (m.subject.wait(), m.subject.transfer());
    let all = distinct(claims.iter().map(of));
    let claims = claims.to_vec();
    all.into_iter().map(move |subgraph| {
        let same = claims.iter().copied().filter(|m| of(m) == subgraph);
        same.collect()
    })
}

/// What is claimed of a subgraph on several templates.
fn several(claims: &[&Measurement]) -> String {
    let counts = OUTCOMES.iter().filter_map(|found| {
        let is = |m: &&&Measurement| m.test.verdict.as_ref().is_some_and(|v| v.outcome == *found);
        let count = claims.iter().filter(is).count();
        (count > 0).then(|| format!("{count} {}", outcome(*found)))
    });
    let counts: Vec<String> = counts.collect();
    let shared = |m: &&&Measurement| m.scores.faithfulness.value.is_some();
    let by = |a: &&&Measurement, b: &&&Measurement| {
        let of = |m: &&&Measurement| m.scores.faithfulness.value.unwrap_or(0.0);
        of(a).total_cmp(&of(b))
    };
    let least = claims.iter().filter(shared).min_by(by);
    let least = least.map_or(String::new(), |m| {
        format!(
            "; least on {}: {} of the right answers",
            named(m),
            faithfulness(m)
        )
    });
    let m = claims[0];
    format!(
        "{} with {} on {} templates: {}{least}",
        about::af1(m),
        m.subject.ablation,
        claims.len(),
        counts.join(", ")
    )
}

/// A row a subgraph.
fn table(sweep: &Sweep) -> Table {
    let cells: Vec<&Tested> = sweep.cells().collect();
    let mut columns = vec![style("style"), operation("op"), ablation()];
    columns.extend(masking_of_several(&cells));
    columns.extend([wait(), transfer("transfer", "as the model")]);
    columns.extend(base());
    columns.extend([accurate(), faithful()]);
    columns.extend(against_base());
    columns.push(normalised());
    columns.extend(verdicts(&cells));
    Table::of("", &columns, sweep.cells())
}

/// More bars than these cannot be told apart.
const MOST_BARS: usize = 16;

/// A bar for every subgraph and ablation of a template; nothing where there is only one, or too many.
fn bars(group: &Group) -> Option<Figure> {
    let several = distinct(group.cells.iter().map(|cell| cell.m.subject.plan.clone())).len() > 1;
    let name = |m: &Measurement| match several {
        true => format!("{} {}", about::af1(m), m.subject.ablation),
        false => m.subject.ablation.clone(),
    };
    let bar = |m: &Measurement| Some((name(m), estimate(m)?));
    let bars: Vec<(String, Estimate)> = (group.cells.iter())
        .filter_map(|cell| bar(&cell.m))
        .collect();
    let m = group.first();
    (2..=MOST_BARS).contains(&bars.len()).then(|| Figure {
        title: match several {
            true => format!(
                "{}: faithfulness by subgraph and by what replaces the residual stream",
                named(m)
            ),
            false => format!(
                "{}: faithfulness of {} by what replaces the residual stream",
                named(m),
                about::af1(m)
            ),
        },
        described: format!("A bar for each, with 95% intervals. {SEE_TABLE}"),
        drawing: Drawing::Bars {
            x: "what replaces the residual stream".to_owned(),
            y: "faithfulness".to_owned(),
            bars,
            claim: Some(m.test.claim),
        },
    })
}

/// A map of styles and operations for every subgraph.
fn maps(sweep: &Sweep) -> Vec<Figure> {
    let cells: Vec<&Measurement> = sweep.measurements().collect();
    let kind = |m: &&Measurement| {
        (
            m.subject.wait(),
            m.subject.transfer(),
            m.subject.ablation.clone(),
            m.subject.masking(),
        )
    };
    let map = |of| {
        let group = cells.iter().copied().filter(|m| kind(m) == of);
        map(&cells, &group.collect::<Vec<_>>())
    };
    distinct(cells.iter().map(kind))
        .into_iter()
        .map(map)
        .collect()
}

/// The map of a subgraph: `group` are its cells among all.
fn map(all: &[&Measurement], group: &[&Measurement]) -> Figure {
    let styles = distinct(all.iter().map(|m| m.subject.style.clone()));
    let operations = distinct(all.iter().map(|m| m.question()));
    let cell = |style: &String, operation: &String| {
        let here = |m: &&&Measurement| (&m.subject.style, &m.question()) == (style, operation);
        shown(group.iter().find(here)?)
    };
    let row = |style: &String| operations.iter().map(|op| cell(style, op)).collect();
    let m = group[0];
    Figure {
        title: format!(
            "Faithfulness of {} with {} and {}, by style and operation",
            about::af1(m),
            m.subject.ablation,
            m.subject.masked_by().as_deref().unwrap_or("no mask"),
        ),
        described: format!(
            "A map of styles and operations from 0 (dark) to 1 (bright). {}",
            SEE_TABLE
        ),
        drawing: Drawing::Map(Map {
            x: "operation".to_owned(),
            columns: operations.clone(),
            y: String::new(),
            // From below to above: the first style is on top.
            rows: styles.iter().rev().cloned().collect(),
            cells: styles.iter().rev().map(row).collect(),
            marked: None,
        }),
    }
}
