//! `af1 selfcheck`: does this program find on this device what was planted?

use clap::Args;

use super::args::{Format, OutputArgs, RuntimeArgs};
use super::output::deliver;
use crate::fetch::Cache;
use crate::file::check_writable;
use crate::model::{PRESETS, Preset, Supply};
use crate::runtime::{Placement, Runtime};
use crate::selfcheck::{OPERATIONS, Row, check, judge};
use crate::{Result, report};

#[derive(Args, Clone, Debug)]
pub struct Selfcheck {
    /// The planted models to check [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...", value_parser = planted_named)]
    model: Vec<&'static Preset>,
    /// The operations to ask them for
    #[arg(long, value_delimiter = ',', value_name = "OP,...", default_values = OPERATIONS, value_parser = OPERATIONS)]
    operation: Vec<String>,
    #[command(flatten)]
    runtime: RuntimeArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The planted models.
fn planted() -> impl Iterator<Item = &'static Preset> {
    PRESETS
        .iter()
        .filter(|preset| matches!(preset.supply, Supply::Planted(_)))
}

/// The planted model of a name.
fn planted_named(name: &str) -> Result<&'static Preset, String> {
    let names: Vec<&str> = planted().map(|preset| preset.name).collect();
    let found = planted().find(|preset| preset.name == name);
    found.ok_or_else(|| format!("no planted model {name:?}; there are {}", names.join(", ")))
}

impl Selfcheck {
    pub fn run(self) -> Result<()> {
        if let Some(out) = &self.output.out {
            check_writable(out)?;
        }
        let (runtime, placement) = self.runtime.start()?;
        let chosen: Vec<&'static Preset> = match self.model.is_empty() {
            true => planted().collect(),
            false => self.model,
        };
        let operations: Vec<&str> = self.operation.iter().map(String::as_str).collect();
        let rows = rows(chosen.into_iter(), runtime, &placement, &operations)?;
        let text = match self.output.format {
            Format::Json => report::selfcheck_lines(&rows),
            Format::Table => {
                let document = report::selfcheck(runtime.version(), &placement, &rows);
                report::text(&document, self.output.look())
            }
        };
        deliver(self.output.out.as_deref(), &text)?;
        judge(&rows)
    }
}

/// The control of the default run: a model in which the claim is true, one in which it is not, and one that cannot tell.
pub fn control(runtime: &'static Runtime, placement: &Placement) -> Result<Vec<Row>> {
    let control = ["planted-af1", "planted-late", "planted-weak"];
    let presets = control.iter().filter_map(|name| Preset::named(name));
    let rows = rows(presets, runtime, placement, &OPERATIONS[..1])?;
    judge(&rows)?;
    Ok(rows)
}

fn rows(
    presets: impl Iterator<Item = &'static Preset>,
    runtime: &'static Runtime,
    placement: &Placement,
    operations: &[&str],
) -> Result<Vec<Row>> {
    let cache = Cache::of_user()?;
    let mut rows = Vec::new();
    for preset in presets {
        rows.extend(check(preset, runtime, placement, &cache, operations)?);
    }
    Ok(rows)
}
