//! When does the answer appear: the rank and the probability of the right answer and of every operand in what the model's own final norm and
//! unembedding read from the residual streams at every boundary, in the model and under AF1; curves over the boundaries.
//!
//! It is read at the last token and at the last token of every operand. An operand is looked for by its first token as it stands in the
//! prompt. Under AF1(W, K) nothing is read before `W`: up to there it is the model itself.

use std::collections::BTreeMap;

use clap::Args;

use super::parts::options::{AblationName, Layers, OneSubgraph, check_layers};
use super::parts::{
    Ask, Emit, Entry, Experiment, Given, Number, Sizes, Todo, Unit, View, Workbench, counted,
    median, stands,
};
use crate::Result;
use crate::intervene::{Ablation, Plan};
use crate::kit::words::SEE_TABLE;
use crate::kit::words::about::{distinct, under};
use crate::kit::{Block, Column, Curves, Drawing, Figure, Series, Table, TableCell, column};
use crate::record::{CellName, Kind, Reading, Sweep, Under, readings};
use crate::stats::Proportion;

/// The kind of its records.
const KIND: Kind = Kind::new("lens");

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "lens",
    "When does the answer appear? The unembedding at every layer, in the model and under AF1",
    &Shown,
    [
        "lens -s calculate --operation A+B --layer 16..=24",
        "lens -m planted-relay -s symbolic --operands 0..=9",
    ],
)
.inside();

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    subgraph: OneSubgraph,
    /// What replaces the residual stream of waiting tokens
    #[arg(long, value_name = "NAME", default_value = "cama")]
    ablation: AblationName,
    /// Layers before which residual streams are read; the number of layers stands for the end of the last one [default: all]
    #[arg(long, value_name = "LAYER,...")]
    layer: Option<Layers>,
}

impl Ask for Options {
    fn experiment(&self, given: &Given<'_>) -> Result<Box<dyn Experiment>> {
        let layers = given.model.sizes.layers;
        let boundaries = match &self.layer {
            Some(Layers(chosen)) => chosen.clone(),
            None => (0..=layers).collect(),
        };
        for &boundary in &boundaries {
            check_layers("--layer", boundary, layers)?;
        }
        // Of a model of which no AF1 is claimed the model alone is read.
        let none = (self.subgraph.wait, self.subgraph.transfer) == (None, None);
        let af1 = match none && given.model.preset.is_none() {
            true => None,
            false => Some(self.subgraph.resolve(given.model)?),
        };
        Ok(Box::new(Lens {
            af1: af1.map(|(wait, transfer)| Plan::af1(wait, transfer)),
            ablation: self.ablation.0,
            boundaries,
        }))
    }
}

/// What is read at some boundaries: a unit for the model and one for an AF1, a cell for every boundary.
pub struct Lens {
    /// The AF1, if there is one.
    pub af1: Option<Plan>,
    /// What replaces the residual stream of waiting tokens in it.
    pub ablation: &'static dyn Ablation,
    /// The boundaries.
    pub boundaries: Vec<usize>,
}

impl Experiment for Lens {
    fn kind(&self) -> Kind {
        KIND
    }

    fn has_answers(&self) -> bool {
        false
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        let of = |run: Option<&Plan>| -> Box<dyn Unit + '_> {
            let first = run.map_or(0, |plan| plan.wait);
            let boundaries = self.boundaries.iter().copied();
            Box::new(Read {
                af1: run.cloned().map(|plan| (plan, self.ablation)),
                boundaries: boundaries.filter(|boundary| *boundary >= first).collect(),
            })
        };
        let af1 = self.af1.as_ref().map(|plan| of(Some(plan)));
        std::iter::once(of(None)).chain(af1).collect()
    }
}

/// What is read in the model, or under a plan with an ablation.
struct Read {
    af1: Option<(Plan, &'static dyn Ablation)>,
    boundaries: Vec<usize>,
}

impl Unit for Read {
    fn words(&self) -> String {
        "what the lens reads".to_owned()
    }

    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        self.af1.iter().map(|(_, ablation)| *ablation).collect()
    }

    fn cells(&self, _: Sizes) -> Vec<CellName> {
        let of = match &self.af1 {
            None => "the model".to_owned(),
            Some((plan, ablation)) => format!("{} by {}", plan.words(), ablation.name()),
        };
        let run = usize::from(self.af1.is_some());
        let cell =
            |&boundary: &usize| CellName::new([run, boundary], format!("resid.{boundary} of {of}"));
        self.boundaries.iter().map(cell).collect()
    }

    fn plans(&self, _: Sizes) -> Vec<Plan> {
        match &self.af1 {
            None => vec![Plan::waiting(0)],
            Some((plan, _)) => vec![plan.clone()],
        }
    }

    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()> {
        if let Some((_, ablation)) = self.af1.as_ref().filter(|(_, by)| !bench.defines(*by)) {
            let undefined = todo
                .cells
                .iter()
                .map(|cell| bench.undefined(*ablation, cell));
            return emit.whole(undefined.collect(), todo);
        }
        let (engine, evaluation) = bench.prepared()?;
        let run = self.af1.as_ref().map(|(plan, ablation)| (plan, *ablation));
        let glimpses = evaluation.read(engine, &self.boundaries, run)?;
        let evaluation = bench.evaluation.as_ref().expect("it was just prepared");
        let under = self.af1.as_ref().map(|(plan, ablation)| Under {
            wait: plan.wait,
            transfer: plan.tail.transfer().unwrap_or(0),
            ablation: ablation.name().to_owned(),
        });
        let rows = readings(evaluation, &glimpses, under.as_ref(), bench.run);
        let named = rows.into_iter().zip(&todo.cells);
        let lines = named.map(|(row, cell)| bench.reading_line(row, cell));
        emit.whole(lines.collect(), todo)
    }
}

/// What is shown of its records.
pub struct Shown;

impl View for Shown {
    fn kind(&self) -> Kind {
        KIND
    }

    fn question(&self) -> &'static str {
        "When does the answer appear?"
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let heading = sweep.readings.first().map(|r| {
            let about = format!(
                "read by its own final norm and unembedding; 95% intervals about {}",
                r.inference.words()
            );
            under(&r.model, r.layers, &r.provenance, &about)
        });
        let tables = templates(sweep).map(|of| Block::Table(grid(of)));
        heading.into_iter().chain(tables).collect()
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        let section = |of: &[Reading]| {
            let of_spots = spots(of)
                .into_iter()
                .map(|spot| figure(of, spot, Number::First));
            let likely = figure(of, LAST, Number::Probability);
            let figures = of_spots.chain([likely]).map(Block::Figure);
            let table = Block::Table(everything(of));
            Block::Section(name(&of[0]), figures.chain([table]).collect())
        };
        templates(sweep).map(section).collect()
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        let sentence = |of: &[Reading]| {
            let of_runs = runs(of).into_iter().map(|run| appears(&run));
            let of_runs: Vec<String> = of_runs.collect();
            format!("{}: {}", name(&of[0]), of_runs.join("; "))
        };
        templates(sweep).map(sentence).collect()
    }
}

/// Where the answer is read, as records name it.
const LAST: &str = "last";
/// What is right, as records name it.
const ANSWER: &str = "answer";

/// The records of every template.
fn templates(sweep: &Sweep) -> impl Iterator<Item = &[Reading]> {
    let same = |a: &Reading, b: &Reading| a.address().template() == b.address().template();
    sweep.readings.chunk_by(same)
}

/// The records of a template by the run that they are of.
fn runs(of: &[Reading]) -> Vec<Vec<&Reading>> {
    let each = distinct(of.iter().map(|r| &r.under)).into_iter();
    each.map(|under| of.iter().filter(|r| r.under == *under).collect())
        .collect()
}

/// The template.
fn name(r: &Reading) -> String {
    r.address().template()
}

/// The run that is read.
fn run(r: &Reading) -> String {
    match &r.under {
        None => "the model".to_owned(),
        Some(af1) => format!("AF1({}, {}) with {}", af1.wait, af1.transfer, af1.ablation),
    }
}

/// Where it is read: the last token first.
fn spots<'r>(of: impl IntoIterator<Item = &'r Reading>) -> Vec<&'r str> {
    let named = of
        .into_iter()
        .flat_map(|r| r.lens.keys().map(String::as_str));
    distinct(std::iter::once(LAST).chain(named))
}

/// What is looked for: the answer first.
fn sought<'r>(of: &[&'r Reading], spot: &str) -> Vec<&'r str> {
    let at = of.iter().filter_map(|r| r.lens.get(spot));
    let mut all = distinct(at.flat_map(|at| at.keys().map(String::as_str)));
    all.sort_by_key(|name| *name != ANSWER);
    all
}

/// A spot in words.
fn at(spot: &str) -> String {
    match spot {
        LAST => "the last token".to_owned(),
        operand => format!("the last token of {operand}"),
    }
}

/// The records of a boundary, by run.
type Row<'r> = Vec<Option<&'r Reading>>;

/// A row a boundary: the answer at the last token in every run, and the operands in the model.
fn grid(of: &[Reading]) -> Table {
    let all = runs(of);
    let mut rows: BTreeMap<usize, Row<'_>> = BTreeMap::new();
    for (i, of_run) in all.iter().enumerate() {
        for &r in of_run {
            rows.entry(r.boundary)
                .or_insert_with(|| vec![None; all.len()])[i] = Some(r);
        }
    }
    let rows: Vec<(usize, Row<'_>)> = rows.into_iter().collect();
    let mut columns: Vec<Column<'_, (usize, Row<'_>)>> =
        vec![column("layer", |row: &(usize, Row<'_>)| row.0.to_string())];
    for (i, of_run) in all.iter().enumerate() {
        let run = run(of_run[0]);
        let number = |title: String, sought: &str, number: Number| {
            let sought = sought.to_owned();
            column(format!("{run}: {title}"), move |row: &(usize, Row<'_>)| {
                row.1[i].map_or(TableCell::words(""), |r| number.cell(r, LAST, &sought))
            })
        };
        let first = |sought: &str| format!("{sought} is the first choice");
        columns.push(number(first(ANSWER), ANSWER, Number::First));
        columns.push(number("its probability".to_owned(), ANSWER, Number::Probability).useful());
        let rank = column(
            format!("{run}: its median rank"),
            move |row: &(usize, Row<'_>)| {
                row.1[i].map_or(TableCell::words(""), |r| median(r, LAST, ANSWER))
            },
        );
        columns.push(rank.detail());
        // The operands in the model alone: a table has a width.
        let operands = sought(of_run, LAST)
            .into_iter()
            .filter(|name| *name != ANSWER);
        for operand in operands.filter(|_| of_run[0].under.is_none()) {
            columns.push(number(first(operand), operand, Number::First).useful());
        }
    }
    let title = format!(
        "{}: {} prompts, what is read at the last token from the residual stream that enters a layer",
        name(&of[0]),
        of[0].prompts
    );
    Table::of(title, &columns, &rows)
}

/// A record, a spot and what is looked for there.
struct At<'a> {
    r: &'a Reading,
    spot: &'a str,
    sought: &'a str,
}

impl<'a> At<'a> {
    /// All of a record.
    fn all(r: &'a Reading) -> impl Iterator<Item = Self> {
        let each = r.lens.iter();
        each.flat_map(move |(spot, found)| found.keys().map(move |sought| Self { r, spot, sought }))
    }
}

/// Every number with its interval.
fn everything(of: &[Reading]) -> Table {
    let rows: Vec<At<'_>> = of.iter().flat_map(At::all).collect();
    let number = |number: Number| {
        column(number.words(), move |at: &At<'_>| {
            number.cell(at.r, at.spot, at.sought)
        })
    };
    let columns = [
        column("run", |at: &At<'_>| run(at.r)),
        column("layer", |at: &At<'_>| at.r.boundary.to_string()),
        column("read at", |of: &At<'_>| at(of.spot)),
        column("looked for", |at: &At<'_>| at.sought.to_owned()),
        number(Number::First),
        number(Number::Probability),
        number(Number::Rank),
        column("median rank", |at: &At<'_>| {
            median(at.r, at.spot, at.sought)
        }),
    ];
    let title = format!(
        "{}: {} prompts, with 95% intervals",
        name(&of[0]),
        of[0].prompts
    );
    Table::of(title, &columns, &rows)
}

/// A curve over the boundaries for each of what is looked for, in every run.
fn figure(of: &[Reading], spot: &str, number: Number) -> Figure {
    let curve = |of_run: &Vec<&Reading>, sought: &str| Series {
        name: format!("{sought}, {}", run(of_run[0])),
        points: (of_run.iter())
            .filter_map(|r| Some((r.boundary, number.of(stands(r, spot, sought)?)?)))
            .collect(),
        joined: true,
    };
    let all = runs(of);
    let of_run = |of_run: &Vec<&Reading>| {
        let each = sought(of_run, spot).into_iter();
        each.map(|sought| curve(of_run, sought)).collect::<Vec<_>>()
    };
    let series = all.iter().flat_map(of_run).collect();
    Figure {
        title: format!("{}: {}, read at {}", name(&of[0]), number.words(), at(spot)),
        described: format!(
            "Curves over the layers before which it is read, with 95% intervals. {SEE_TABLE}"
        ),
        drawing: Drawing::Curves(Curves::over_numbers(
            "layer before which the residual stream is read",
            number.words(),
            series,
        )),
    }
}

/// Most prompts: the lower end of the interval is above it.
const MOST: f64 = 0.5;

/// Where the answer is the first choice of most prompts in a run, and from which layer on.
fn appears(of_run: &[&Reading]) -> String {
    let first = of_run[0];
    if first.prompts == 0 {
        return format!("in {} there are no prompts", run(first));
    }
    if Proportion::wilson(first.prompts, first.prompts).low <= MOST {
        let (run, prompts) = (run(first), first.prompts);
        return format!(
            "in {run} there are too few prompts ({prompts}) to say what holds for most"
        );
    }
    let spots = spots(of_run.iter().copied());
    let places = spots.iter().filter_map(|spot| stretch(of_run, spot));
    let places: Vec<String> = places.collect();
    let elsewhere = match places.len() == spots.len() {
        true => "",
        false => ", and nowhere else where it is read",
    };
    match places.is_empty() {
        true => format!(
            "in {} the answer is nowhere the first choice of the lens in most prompts",
            run(first)
        ),
        false => format!(
            "in {} the answer is the first choice of the lens in most prompts {}{elsewhere}",
            run(first),
            places.join(", ")
        ),
    }
}

/// From which layer to which the answer is the first choice of most prompts at a spot, and how often it is just before.
fn stretch(of_run: &[&Reading], spot: &str) -> Option<String> {
    let of = |r: &Reading| stands(r, spot, ANSWER).copied().unwrap_or_default();
    let is_first = |r: &&Reading| of(r).first.low > MOST;
    let last = of_run.iter().rposition(is_first)?;
    // Without a gap: what stands below one is another stretch.
    let gap = of_run[..last].iter().rposition(|r| !is_first(r));
    let begin = of_run[gap.map_or(0, |gap| gap + 1)];
    let share = |r: &Reading| counted(&of(r), r.prompts);
    let before = gap.map_or(String::new(), |gap| {
        format!(", {} at layer {}", share(of_run[gap]), of_run[gap].boundary)
    });
    let until = match of_run.get(last + 1) {
        None => "on".to_owned(),
        Some(_) => format!("to layer {}", of_run[last].boundary),
    };
    Some(format!(
        "at {} from layer {} {until} ({} there{before})",
        at(spot),
        begin.boundary,
        share(begin)
    ))
}
