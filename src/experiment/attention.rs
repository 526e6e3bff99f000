//! Where the last token's attention rests, head by head, in the unmodified model: the heads that attend most to an operand, and maps of
//! all heads.

use std::collections::BTreeSet;

use clap::Args;

use super::parts::{Ask, Emit, Entry, Experiment, Given, Sizes, Todo, Unit, View, Workbench};
use crate::Result;
use crate::intervene::{Ablation, Head, Plan};
use crate::kit::words::SEE_TABLE;
use crate::kit::words::about::under;
use crate::kit::words::number::{interval, share};
use crate::kit::{Block, Column, Drawing, Figure, Map, Table, TableCell, Tile, Value, column};
use crate::measure::attention;
use crate::record::{CellName, HeadAttention, Kind, Sweep, Weight, attended};

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "attention",
    "Where the last token's attention rests, head by head",
    &Shown,
    [
        "attention -s calculate --operation A+B",
        "attention -m planted-heads -s symbolic --operands 0..=9",
    ],
)
.inside();

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {}

impl Ask for Options {
    fn experiment(&self, _: &Given<'_>) -> Result<Box<dyn Experiment>> {
        Ok(Box::new(Attention))
    }
}

/// The last token's attention, a cell a head.
pub struct Attention;

impl Experiment for Attention {
    fn kind(&self) -> Kind {
        Kind::ATTENTION
    }

    fn has_answers(&self) -> bool {
        false
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        vec![Box::new(Self)]
    }
}

impl Unit for Attention {
    fn words(&self) -> String {
        "attention".to_owned()
    }

    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        Vec::new()
    }

    fn cells(&self, sizes: Sizes) -> Vec<CellName> {
        let heads = Head::all(0..sizes.layers, sizes.heads);
        heads
            .map(|head| CellName::new([head.layer, head.head], head.to_string()))
            .collect()
    }

    fn plans(&self, _: Sizes) -> Vec<Plan> {
        vec![Plan::waiting(0)]
    }

    fn cuts_attention(&self) -> bool {
        true
    }

    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()> {
        let (heads, evaluated) = attention(bench.engine, bench.set, &bench.request)?;
        let rows = attended(&heads, bench.set, &evaluated, bench.run);
        let named = rows.into_iter().zip(&todo.cells);
        let lines = named.map(|(row, cell)| bench.head_line(row, cell));
        emit.whole(lines.collect(), todo)
    }
}

/// The number of heads in the table of a summary.
const MOST_IN_TABLE: usize = 12;

/// The number of heads in the picture of heads and tokens.
const MOST_IN_PICTURE: usize = 24;

/// What is shown of its records.
pub struct Shown;

impl View for Shown {
    fn kind(&self) -> Kind {
        Kind::ATTENTION
    }

    fn question(&self) -> &'static str {
        "Where does the last token look?"
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let heading = sweep.heads.first().map(|a| {
            let about = format!(
                "the unmodified model; 95% intervals about {}",
                a.inference.words()
            );
            under(&a.model, a.layers, &a.provenance, &about)
        });
        let tables = templates(&sweep.heads).map(|heads| Block::Table(most_table(heads)));
        heading.into_iter().chain(tables).collect()
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        let section = |heads| Block::Section(template(heads), everything(heads));
        templates(&sweep.heads).map(section).collect()
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        let sentence = |heads: &[HeadAttention]| {
            let operands = heads[0].weights.keys().filter(|token| is_operand(token));
            let first = operands.filter_map(|token| {
                let of = |head: &HeadAttention| head.weights.get(token).map_or(0.0, |of| of.mean);
                let most = heads.iter().max_by(|a, b| of(a).total_cmp(&of(b)))?;
                let share = weight(most.weights.get(token)?);
                Some(format!(
                    "at {token} most in {}, with {share} of its attention",
                    name(most)
                ))
            });
            let first: Vec<String> = first.collect();
            let of = template(heads);
            format!("{of}: the last token looks {}", first.join(", "))
        };
        templates(&sweep.heads).map(sentence).collect()
    }
}

/// The heads of every template.
fn templates(heads: &[HeadAttention]) -> impl Iterator<Item = &[HeadAttention]> {
    heads.chunk_by(|a, b| a.address().template() == b.address().template())
}

/// The name of a template.
fn template(heads: &[HeadAttention]) -> String {
    heads[0].address().template()
}

/// The name of a head.
fn name(head: &HeadAttention) -> String {
    head.head.to_string()
}

/// Whether a token is an operand: their names are letters.
fn is_operand(token: &str) -> bool {
    token.len() == 1
}

/// The first `count` of the heads, those that attend most to an operand first.
fn most(heads: &[HeadAttention], count: usize) -> Vec<&HeadAttention> {
    let to_operand = |head: &HeadAttention| {
        let operands = head.weights.iter().filter(|(token, _)| is_operand(token));
        operands.fold(0.0, |most, (_, weight)| f64::max(most, weight.mean))
    };
    let mut first: Vec<&HeadAttention> = heads.iter().collect();
    first.sort_by(|a, b| to_operand(b).total_cmp(&to_operand(a)));
    first.truncate(count);
    first
}

/// A weight with its interval.
fn weight(weight: &Weight) -> String {
    let two = |x: f64| format!("{x:.2}");
    interval(two, weight.mean, weight.low, weight.high)
}

/// The head, and its attention to every token.
fn columns(heads: &[HeadAttention]) -> Vec<Column<'_, HeadAttention>> {
    let mut columns = vec![column("head", name)];
    columns.extend(heads[0].weights.keys().map(|token| {
        column(token, move |head: &HeadAttention| {
            let Some(found) = head.weights.get(token) else {
                return TableCell::words("");
            };
            let (field, value) = (format!("weights.{token}"), Some(Value::Real(found.mean)));
            TableCell::number(weight(found), head.address(), &field, value)
                .within(found.low, found.high)
        })
    }));
    columns
}

/// The heads that attend most to an operand.
fn most_table(heads: &[HeadAttention]) -> Table {
    let shown = most(heads, MOST_IN_TABLE);
    let title = format!(
        "{}: attention of the last token, mean over {} prompts; the {} of {} heads that attend most to an operand",
        template(heads),
        heads[0].prompts,
        shown.len(),
        heads.len(),
    );
    Table::of(title, &columns(heads), shown)
}

/// Maps of heads and tokens, and all numbers.
fn everything(heads: &[HeadAttention]) -> Vec<Block> {
    let operands = heads[0].weights.keys().filter(|token| is_operand(token));
    let mut blocks = vec![Block::Figure(most_map(heads))];
    blocks.extend(operands.map(|token| Block::Figure(map_of(heads, token))));
    let title = format!(
        "{}: attention of the last token, mean over {} prompts with 95% intervals",
        template(heads),
        heads[0].prompts
    );
    blocks.push(Block::Table(Table::of(title, &columns(heads), heads)));
    blocks
}

/// A cell of a map.
fn shown(weight: Option<&Weight>) -> Option<Tile> {
    weight.map(|weight| Tile::of(weight.mean, share(weight.mean, 0)))
}

/// The heads that attend most to an operand, and the tokens that they look at.
fn most_map(heads: &[HeadAttention]) -> Figure {
    let first = most(heads, MOST_IN_PICTURE);
    let tokens: Vec<String> = heads[0].weights.keys().cloned().collect();
    let row = |head: &&HeadAttention| {
        let weights = tokens.iter().map(|token| shown(head.weights.get(token)));
        weights.collect()
    };
    Figure {
        title: format!(
            "{}: mean attention of the last token, heads that attend most to an operand",
            template(heads)
        ),
        described: format!(
            "A map of heads and what they look at from 0 (dark) to 1 (bright). {}",
            SEE_TABLE
        ),
        drawing: Drawing::Map(Map {
            x: "what stands there".to_owned(),
            columns: tokens.clone(),
            y: "head".to_owned(),
            rows: first.iter().rev().map(|head| name(head)).collect(),
            cells: first.iter().rev().map(row).collect(),
            marked: None,
        }),
    }
}

/// The attention of all heads to a token, by layer and head.
fn map_of(heads: &[HeadAttention], token: &str) -> Figure {
    let layers: BTreeSet<usize> = heads.iter().map(|head| head.head.layer).collect();
    let numbers: BTreeSet<usize> = heads.iter().map(|head| head.head.head).collect();
    let at = |layer: usize, number: usize| {
        let mut heads = heads.iter();
        let found = heads.find(|head| (head.head.layer, head.head.head) == (layer, number));
        shown(found?.weights.get(token))
    };
    let row = |&layer: &usize| numbers.iter().map(|&number| at(layer, number)).collect();
    Figure {
        title: format!(
            "{}: mean attention of the last token to {token}, by layer and head",
            template(heads)
        ),
        described: format!(
            "A map of layers and heads from 0 (dark) to 1 (bright). {}",
            SEE_TABLE
        ),
        drawing: Drawing::Map(Map {
            x: "head".to_owned(),
            columns: numbers.iter().map(ToString::to_string).collect(),
            y: "layer".to_owned(),
            rows: layers.iter().map(ToString::to_string).collect(),
            cells: layers.iter().map(row).collect(),
            marked: None,
        }),
    }
}
