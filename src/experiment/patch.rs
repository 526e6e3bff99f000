//! Where is what a prompt asks about: residuals of a prompt with other operands, or with another operation, are swapped in at one position, in
//! one layer or several; maps of layers and positions of the answers that follow them, and of those that stay.

use clap::Args;

use super::parts::options::{Layers, check_layers};
use super::parts::{
    Ask, Drawn, Emit, Entry, Experiment, Given, Sizes, Todo, Unit, View, Workbench,
};
use crate::intervene::{Ablation, Plan};
use crate::kit::words::SEE_TABLE;
use crate::kit::words::about::{distinct, under};
use crate::kit::words::number::{proportion, share};
use crate::kit::words::strata::UNCARRIED;
use crate::kit::{Block, Column, Drawing, Figure, Map, Table, TableCell, Tile, Value, column};
use crate::measure::{Change, Interchange, Swap};
use crate::prompt::{Carry, Operation};
use crate::record::{CellName, Kind, Patched, PatchedPosition, Share, Sweep, patched};
use crate::stats::Proportion;
use crate::{Error, Result};

/// The kind of its records.
const KIND: Kind = Kind::new("patch");

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "patch",
    "Where is what a prompt asks about: residuals of a prompt with other operands, swapped in",
    &Shown,
    [
        "patch -s calculate --operation A+B --change A,B",
        "patch -m planted-relay -s symbolic --operands 0..=9",
    ],
)
.inside();

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What the other prompt of a pair changes: one operand, all of them, or the operation and no operand
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "A|B|...|all|operator,...",
        default_value = "A,B,all"
    )]
    change: Vec<Change>,
    /// In which layers the residual is swapped: `once` before one layer, from which all else follows; for one `layer`, which alone reads it;
    /// `cumulative`, in that layer and all above it
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "once|layer|cumulative,...",
        default_value = "once"
    )]
    swap: Vec<Swap>,
    /// Pairs of prompts at most for every change, drawn by --seed: the model answers both rightly and not alike, and as much is carried in
    /// both
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// Layers before which a residual is swapped; the number of layers stands for the end of the last one [default: all]
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
        let nowhere = |swap: &&Swap| !boundaries.iter().any(|&b| swap.begins(b, layers));
        if let Some(swap) = self.swap.iter().find(nowhere) {
            return Err(Error::Usage(format!(
                "--swap {swap} --layer {layers}: behind the last layer nothing reads what is swapped; expected a layer below {layers}"
            )));
        }
        let (mut changes, mut swaps) = (self.change.clone(), self.swap.clone());
        changes.sort_unstable();
        changes.dedup();
        swaps.sort_unstable();
        swaps.dedup();
        Ok(Box::new(Patch {
            changes,
            swaps,
            pairs: self.pairs as usize,
            boundaries,
            seed: given.seed,
        }))
    }
}

/// Residuals of counterfactual prompts at every position and some boundaries: a unit for every change and every swap, a cell for every
/// boundary.
pub struct Patch {
    /// What the counterfactual prompts change.
    pub changes: Vec<Change>,
    /// In which layers residuals are swapped.
    pub swaps: Vec<Swap>,
    /// Pairs of prompts at most.
    pub pairs: usize,
    /// The boundaries.
    pub boundaries: Vec<usize>,
    /// The seed of the draw of pairs.
    pub seed: u64,
}

impl Experiment for Patch {
    fn kind(&self) -> Kind {
        KIND
    }

    fn has_answers(&self) -> bool {
        false
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        let unit = |swap: Swap, change: Change| -> Box<dyn Unit + '_> {
            Box::new(Changed {
                change,
                swap,
                patch: self,
            })
        };
        let each = |&swap: &Swap| self.changes.iter().map(move |&change| unit(swap, change));
        self.swaps.iter().flat_map(each).collect()
    }
}

/// The pairs that differ in one change, with one swap of their residuals.
struct Changed<'a> {
    change: Change,
    swap: Swap,
    patch: &'a Patch,
}

impl Changed<'_> {
    /// The boundaries at which residuals are swapped first.
    fn boundaries(&self, layers: usize) -> Vec<usize> {
        let boundaries = self.patch.boundaries.iter().copied();
        let begins = |&boundary: &usize| self.swap.begins(boundary, layers);
        boundaries.filter(begins).collect()
    }
}

impl Unit for Changed<'_> {
    fn words(&self) -> String {
        format!("residuals of {} other prompts at most", self.patch.pairs)
    }

    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        Vec::new()
    }

    fn needs_operations(&self) -> bool {
        self.change == Change::Operator
    }

    fn cells(&self, sizes: Sizes) -> Vec<CellName> {
        // Those that are swapped once stand where they stood when there were no others.
        let order = self.swap as usize * Change::COUNT + self.change.order();
        let cell = |boundary: usize| {
            let layers = match self.swap {
                Swap::Once => format!("at resid.{boundary}"),
                Swap::Layer => format!("in layer {boundary} alone"),
                Swap::Cumulative => format!("from layer {boundary} up"),
            };
            CellName::new(
                [order, boundary],
                format!("{} of another prompt {layers}", self.change),
            )
        };
        self.boundaries(sizes.layers)
            .into_iter()
            .map(cell)
            .collect()
    }

    fn plans(&self, _: Sizes) -> Vec<Plan> {
        vec![Plan::waiting(0)]
    }

    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()> {
        let drawn = Drawn::of(bench, self.change, self.patch.pairs, self.patch.seed)?;
        let run = bench.run;
        let (engine, evaluation) = bench.prepared()?;
        let asked = Interchange {
            evaluation,
            others: drawn.others.as_ref().unwrap_or(evaluation),
            pairs: &drawn.pairs,
            swap: self.swap,
            boundaries: &self.boundaries(engine.layers()),
        };
        let patches = asked.run(engine)?;
        let rows = patched(&asked, self.change, &patches, run);
        let named = rows.into_iter().zip(&todo.cells);
        let lines = named.map(|(row, cell)| bench.patched_line(row, cell));
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
        "Where is what a prompt asks about?"
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let heading = sweep.patches.first().map(|p| {
            let about = format!(
                "the unmodified model; 95% intervals about {}",
                p.inference.words()
            );
            under(&p.model, p.layers, &p.provenance, &about)
        });
        let tables = changes(sweep).map(|of| Block::Table(grid(of)));
        let unmatched = unmatched(sweep).map(Block::Text);
        heading.into_iter().chain(tables).chain(unmatched).collect()
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        let section = |of: &[Patched]| {
            let maps = [Fate::Moved, Fate::Stayed].map(|fate| Block::Figure(map(of, fate)));
            let table = Block::Table(everything(of));
            Block::Section(name(of), maps.into_iter().chain([table]).collect())
        };
        changes(sweep).map(section).collect()
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        changes(sweep)
            .map(|of| format!("{}: {}", name(of), carriers(of)))
            .collect()
    }
}

/// What becomes of an answer.
#[derive(Clone, Copy)]
enum Fate {
    /// The answer becomes the counterfactual's.
    Moved,
    /// The answer stays.
    Stayed,
}

impl Fate {
    fn of(self, position: &PatchedPosition) -> Share {
        match self {
            Self::Moved => position.moved,
            Self::Stayed => position.stayed,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Moved => "answers that become the other prompt's",
            Self::Stayed => "answers that stay",
        }
    }
}

/// The records of every template, swap and change.
fn changes(sweep: &Sweep) -> impl Iterator<Item = &[Patched]> {
    let same = |a: &Patched, b: &Patched| {
        let same = a.swap == b.swap && a.change == b.change;
        same && a.address().template() == b.address().template()
    };
    sweep.patches.chunk_by(same)
}

/// Of which operations pairs are not matched by what is carried.
fn unmatched(sweep: &Sweep) -> Option<String> {
    let operations = distinct(sweep.patches.iter().map(|p| p.operation.clone()));
    let unmatched = operations.into_iter().filter(|text| {
        let operation: Result<Operation, String> = text.parse();
        operation.is_ok_and(|operation| !Carry::is_defined(&operation))
    });
    let unmatched: Vec<String> = unmatched.collect();
    (!unmatched.is_empty()).then(|| {
        let operations = unmatched.join(", ");
        format!("{operations}: pairs are not matched by what is carried: {UNCARRIED}")
    })
}

/// The template, the change, and in which layers what is swapped stands.
fn name(of: &[Patched]) -> String {
    let first = &of[0];
    let change = match (first.change, &first.other) {
        (Change::All, _) => "all operands changed".to_owned(),
        (Change::Operator, Some(other)) => format!("against {other}"),
        (Change::Operator, None) => "against another operation".to_owned(),
        (operand @ Change::Operand(_), _) => format!("another {operand}"),
    };
    let layers = match first.swap {
        Swap::Once => "",
        Swap::Layer => ", in one layer alone",
        Swap::Cumulative => ", from a layer up",
    };
    format!("{}, {change}{layers}", first.address().template())
}

/// What the boundaries of a swap are.
fn boundaries_are(swap: Swap) -> &'static str {
    match swap {
        Swap::Once => "layer before which the residual is swapped",
        Swap::Layer => "layer that alone reads the swapped residual",
        Swap::Cumulative => "first layer that reads the swapped residuals",
    }
}

/// A position and what stands there.
fn place(position: usize, found: &PatchedPosition) -> String {
    format!("{position} {}", found.token)
}

/// What a map says of itself.
fn title(of: &[Patched], fate: Fate) -> String {
    format!(
        "{}: share of {} pairs, {}, by the {} and the position",
        name(of),
        of[0].pairs,
        fate.words(),
        boundaries_are(of[0].swap)
    )
}

/// A share without its interval.
fn shown(of: Share, pairs: usize) -> String {
    of.value
        .map_or_else(String::new, |value| share(value, pairs))
}

/// A row a boundary, a column a position: the answers that move.
fn grid(of: &[Patched]) -> Table {
    let mut columns: Vec<Column<'_, Patched>> =
        vec![column("layer", |p: &Patched| p.boundary.to_string())];
    columns.extend(of[0].positions.iter().map(|(&position, found)| {
        column(place(position, found), move |p: &Patched| {
            let Some(found) = p.positions.get(&position) else {
                return TableCell::words("");
            };
            let field = format!("patched.{position}.moved.value");
            let value = found.moved.value.map(Value::Real);
            let text = shown(found.moved, p.pairs);
            TableCell::number(text, p.address(), &field, value)
                .within(Some(found.moved.low), Some(found.moved.high))
        })
    }));
    Table::of(title(of, Fate::Moved), &columns, of)
}

/// A record and one of its positions.
struct At<'a> {
    patched: &'a Patched,
    position: usize,
    found: &'a PatchedPosition,
}

fn each_position(patched: &Patched) -> impl Iterator<Item = At<'_>> {
    let positions = patched.positions.iter();
    positions.map(move |(&position, found)| At {
        patched,
        position,
        found,
    })
}

/// Every number with its interval.
fn everything(of: &[Patched]) -> Table {
    let rows: Vec<At<'_>> = of.iter().flat_map(each_position).collect();
    let number = |fate: Fate, field: &'static str| {
        column(fate.words(), move |at: &At<'_>| {
            let share = fate.of(at.found);
            let field = format!("patched.{}.{field}.value", at.position);
            let value = share.value.map(Value::Real);
            TableCell::number(
                counted(share, at.patched),
                at.patched.address(),
                &field,
                value,
            )
            .within(Some(share.low), Some(share.high))
        })
    };
    let columns = [
        column("layer", |at: &At<'_>| at.patched.boundary.to_string()),
        column("position", |at: &At<'_>| place(at.position, at.found)),
        number(Fate::Moved, "moved"),
        number(Fate::Stayed, "stayed"),
    ];
    let title = format!("{}: {} pairs, with 95% intervals", name(of), of[0].pairs);
    Table::of(title, &columns, &rows)
}

/// A share with its counts and its interval.
fn counted(share: Share, patched: &Patched) -> String {
    match patched.pairs {
        0 => "no pairs".to_owned(),
        pairs => proportion(share.count, pairs, (share.low, share.high)),
    }
}

/// Positions from left to right, boundaries from below to above.
fn map(of: &[Patched], fate: Fate) -> Figure {
    let cell = |p: &Patched, position: &usize| {
        let found = fate.of(p.positions.get(position)?);
        Some(Tile::of(found.value?, shown(found, p.pairs)))
    };
    let positions = &of[0].positions;
    let row = |p: &Patched| positions.keys().map(|position| cell(p, position)).collect();
    Figure {
        title: title(of, fate),
        described: format!(
            "A map of layers and positions from 0 (dark) to 1 (bright). {SEE_TABLE}"
        ),
        drawing: Drawing::Map(Map {
            x: "position and what stands there".to_owned(),
            columns: positions
                .iter()
                .map(|(&at, found)| place(at, found))
                .collect(),
            y: boundaries_are(of[0].swap).to_owned(),
            rows: of.iter().map(|p| p.boundary.to_string()).collect(),
            cells: of.iter().map(row).collect(),
            marked: None,
        }),
    }
}

/// Most answers: the lower end of the interval is above it.
const MOST: f64 = 0.5;

/// The positions that decide most answers, and from which layer to which.
fn carriers(of: &[Patched]) -> String {
    if of[0].pairs == 0 {
        return "there are no two prompts that the model answers rightly, whose answers differ here, and in which as much is carried"
            .to_owned();
    }
    if Proportion::wilson(of[0].pairs, of[0].pairs).low <= MOST {
        return format!(
            "there are too few pairs of prompts ({}) to say what decides most answers",
            of[0].pairs
        );
    }
    let of_position = |(&position, first): (&usize, &PatchedPosition)| {
        let moved = |p: &Patched| p.positions.get(&position).map(|found| found.moved);
        let decides = |p: &Patched| moved(p).is_some_and(|moved| moved.low > MOST);
        let last = of.iter().rposition(&decides)?;
        // Without a gap: what stands below one is another stretch.
        let gap = of[..last].iter().rposition(|p| !decides(p));
        let begin = &of[gap.map_or(0, |gap| gap + 1)];
        let share = |p: &Patched| counted(moved(p).unwrap_or_default(), p);
        let (last, next) = (&of[last], of.get(last + 1));
        let after = next.map_or(String::new(), |p| {
            format!(", and {} at layer {}", share(p), p.boundary)
        });
        let layers = match begin.boundary == last.boundary {
            true => format!("at layer {}", begin.boundary),
            false => format!("from layer {} to layer {}", begin.boundary, last.boundary),
        };
        Some(format!(
            "position {} decides most answers {layers} ({} there{after})",
            place(position, first),
            share(last)
        ))
    };
    let found: Vec<String> = of[0].positions.iter().filter_map(of_position).collect();
    match found.is_empty() {
        true => "no position decides most answers by itself".to_owned(),
        false => found.join("; "),
    }
}
