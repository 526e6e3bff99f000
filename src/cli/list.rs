//! `af1 list`: what can be named on the command line.

use clap::{Args, ValueEnum};

use super::args::{Format, OutputArgs};
use super::output::deliver;
use crate::experiment::ALL;
use crate::intervene::{ablation, masking};
use crate::kit::{Block, Table};
use crate::model::{PRESETS, Supply};
use crate::prompt::Styles;
use crate::runtime::Device;
use crate::{Result, printable, report};

#[derive(Args, Clone, Debug)]
pub struct List {
    /// What is listed
    #[arg(value_enum)]
    what: What,
    #[command(flatten)]
    output: OutputArgs,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Built-in models, for --model
    Models,
    /// Built-in styles, for --style and --styles
    Styles,
    /// Operations of the built-in styles, for --operation
    Operations,
    /// What stands in for waiting tokens, for --ablation
    Ablations,
    /// What keeps tokens from looking at each other, for --masking
    Maskings,
    /// Experiments, which are verbs
    Experiments,
    /// Devices, for --device
    Devices,
}

impl List {
    pub fn run(self) -> Result<()> {
        let table = self.what.table();
        let text = match self.output.format {
            Format::Table => report::text(&[vec![Block::Table(table)]], self.output.look()),
            Format::Json => lines(&table),
        };
        deliver(self.output.out.as_deref(), &text)
    }
}

/// An object a row, with the names of the columns.
fn lines(table: &Table) -> String {
    let object = |row: &Vec<crate::kit::TableCell>| {
        let fields = table.columns.iter().zip(row);
        let fields = fields.map(|(name, cell)| (name.replace(' ', "_"), cell.text.clone().into()));
        let object = serde_json::Value::Object(fields.collect());
        printable::object(&object)
    };
    table.rows.iter().map(object).collect()
}

impl What {
    fn table(self) -> Table {
        match self {
            Self::Models => models(),
            Self::Styles => styles(),
            Self::Operations => operations(),
            Self::Ablations => named(
                ("ablation", "what stands in place of the residual stream"),
                ablation::ALL
                    .iter()
                    .map(|of| (of.name().to_owned(), of.help())),
            ),
            Self::Maskings => named(
                ("masking", "what is seen"),
                masking::ALL.iter().map(|of| (of.name(), of.help())),
            ),
            Self::Experiments => named(
                ("experiment", "what it asks"),
                ALL.iter().map(|of| (of.name.to_owned(), of.help)),
            ),
            Self::Devices => {
                let mut table = Table::headed(&["device"]);
                for device in Device::all() {
                    table.push([device.to_string()]);
                }
                table
                    .notes
                    .push("`af1 doctor` says which of them run here".to_owned());
                table
            }
        }
    }
}

/// Names, and what each of them is.
fn named<'h>(columns: (&str, &str), rows: impl Iterator<Item = (String, &'h str)>) -> Table {
    let mut table = Table::headed(&[columns.0, columns.1]);
    for (name, help) in rows {
        table.push([name, help.to_owned()]);
    }
    table
}

fn models() -> Table {
    let mut table = Table::headed(&["model", "default AF1", "styles", "what it is"]);
    for preset in &PRESETS {
        let what = match &preset.supply {
            Supply::File(file) => format!("{} MB, fetched once", file.bytes.div_ceil(1_000_000)),
            Supply::Hub(id) => format!("{id} on the Hugging Face hub"),
            Supply::Planted(_) => "planted: its answer is known by construction".to_owned(),
        };
        let (wait, transfer) = preset.af1;
        table.push([
            preset.name.to_owned(),
            format!("AF1({wait}, {transfer})"),
            preset.styles.join(" "),
            what,
        ]);
    }
    table
}

fn styles() -> Table {
    let mut table = Table::headed(&["set", "style", "operation", "example"]);
    for (name, styles) in Styles::all_built_in() {
        for style in styles.all() {
            for (operation, text) in style.examples() {
                table.push([
                    if name.is_empty() { "(default)" } else { name }.to_owned(),
                    style.id.clone(),
                    operation,
                    format!("{text:?}"),
                ]);
            }
        }
    }
    let note = "`--styles SET` takes the styles of a set, or those of a file of your own";
    table.notes.push(note.to_owned());
    table
}

fn operations() -> Table {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for (_, styles) in Styles::all_built_in() {
        for style in styles.all() {
            for (operation, _) in style.examples() {
                let known = all.iter_mut().find(|(known, _)| *known == operation);
                match known {
                    Some((_, styles)) if styles.contains(&style.id) => {}
                    Some((_, styles)) => styles.push(style.id.clone()),
                    None => all.push((operation, vec![style.id.clone()])),
                }
            }
        }
    }
    let mut table = Table::headed(&["operation", "in the styles"]);
    for (operation, styles) in all {
        table.push([operation, styles.join(" ")]);
    }
    table
        .notes
        .push("any: also an expression of your own, such as A+B*C or (A+B)%7".to_owned());
    table
}
