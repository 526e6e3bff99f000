//! `af1 report`: records shown again, without a model or a runtime, and beside those of another run.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::output::{deliver, warn_of_missing};
use super::screen::Screen;
use crate::file::check_writable;
use crate::record::{Comparison, Findings, Line, Sheet, Sweep};
use crate::report::{Look, Renderer};
use crate::{Error, Result, record, report};

#[derive(Args, Clone, Debug)]
pub struct Report {
    /// Files of records
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How they are shown
    #[arg(short, long, help_heading = "Output", value_parser = renderers(), default_value = report::ALL[0].name())]
    format: &'static dyn Renderer,
    /// Records of an earlier run: what got better, what got worse, and whether that could be chance
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
    /// Files that runs wrote with their --answers: the prompts behind the marks of a page's pictures, and what was said to them
    #[arg(long, value_name = "FILE", conflicts_with = "against")]
    answers: Vec<PathBuf>,
    /// Say the verdict first, then a line a claim, and fold the rest
    #[arg(long, help_heading = "Output", conflicts_with = "against")]
    short: bool,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    out: Option<PathBuf>,
    #[command(flatten)]
    screen: Screen,
}

/// The renderers by their names.
fn renderers() -> impl TypedValueParser<Value = &'static dyn Renderer> {
    let value =
        |renderer: &&dyn Renderer| PossibleValue::new(renderer.name()).help(renderer.help());
    let names = PossibleValuesParser::new(report::ALL.iter().map(value));
    names.map(|name| report::named(&name).expect("clap takes the names of renderers only"))
}

impl Report {
    pub fn run(self) -> Result<()> {
        if let Some(out) = &self.out {
            check_writable(out)?;
        }
        let lines = record::merge(&self.files)?;
        warn_of_missing(&lines);
        let look = self.screen.look(self.out.as_deref());
        let text = match self.against.is_empty() {
            true => {
                let findings = self.findings(&lines)?;
                match self.short {
                    true => self.format.short(&findings).ok_or_else(no_short)?,
                    false => self.format.records(&findings, look),
                }
            }
            false => {
                let earlier = record::merge(&self.against)?;
                let found = Comparison::of(&lines, &earlier);
                self.format
                    .comparison(&found, look)
                    .ok_or_else(no_comparison)?
            }
        };
        deliver(self.out.as_deref(), &text)
    }

    /// What the records say, with what was said to single prompts.
    fn findings<'l>(&self, lines: &'l [Line]) -> Result<Findings<'l>> {
        let mut findings = Findings::of(lines);
        if !self.answers.is_empty() && !self.format.shows_answers() {
            let shows = |renderer: &&dyn Renderer| renderer.shows_answers();
            let names = names_of(report::ALL.iter().copied().filter(shows));
            return Err(Error::Usage(format!("--answers is shown as {names}")));
        }
        findings.said = Sheet::read(
            &self.answers,
            findings.sweeps.iter().flat_map(Sweep::measurements),
        )?;
        Ok(findings)
    }
}

/// The error that a renderer says nothing shortly, and which of them do.
fn no_short() -> Error {
    let nothing = Findings::of(&[]);
    let shows = |renderer: &&dyn Renderer| renderer.short(&nothing).is_some();
    let names = names_of(report::ALL.iter().copied().filter(shows));
    Error::Usage(format!("--short is shown as {names}"))
}

/// The error that a renderer shows no comparison, and which of them do.
fn no_comparison() -> Error {
    let nothing = Comparison::of(&[], &[]);
    let shows = |renderer: &&dyn Renderer| renderer.comparison(&nothing, Look::default()).is_some();
    let names = names_of(report::ALL.iter().copied().filter(shows));
    Error::Usage(format!("--against is shown as {names}"))
}

/// The names of renderers, as a choice.
fn names_of(all: impl Iterator<Item = &'static dyn Renderer>) -> String {
    let names: Vec<&str> = all.map(|renderer| renderer.name()).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}
