//! `af1 report`: records shown again, without a model or a runtime, and beside those of another run.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::output::{deliver, warn_of_missing};
use crate::file::check_writable;
use crate::record::Line;
use crate::{Error, Result, record, report};

#[derive(Args, Clone, Debug)]
pub struct Report {
    /// Files of records
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How they are shown
    #[arg(long, value_enum, default_value_t)]
    format: Shape,
    /// Records of an earlier run: what got better, what got worse, and whether that could be chance
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
    /// Write to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// As the experiments print them
    #[default]
    Table,
    /// For pull requests and summaries
    Markdown,
    /// A line a cell, a column a field
    Csv,
    /// The records as they are, merged
    Json,
    /// A test a claim: JUnit XML
    Junit,
    /// One page with pictures that needs nothing else
    Html,
}

impl Report {
    pub fn run(self) -> Result<()> {
        if let Some(out) = &self.out {
            check_writable(out)?;
        }
        let lines = record::merge(&self.files)?;
        warn_of_missing(&lines);
        let text = match self.against.is_empty() {
            true => shown(&lines, self.format)?,
            false => {
                let earlier = record::merge(&self.against)?;
                let text = |json| report::comparison(&lines, &earlier, json);
                match self.format {
                    Shape::Table => text(false),
                    Shape::Markdown => report::markdown(&text(false)),
                    Shape::Json => text(true),
                    Shape::Csv | Shape::Junit | Shape::Html => {
                        let reason = "--against is shown as table, markdown or json";
                        return Err(Error::Usage(reason.to_owned()));
                    }
                }
            }
        };
        deliver(self.out.as_deref(), &text)
    }
}

fn shown(lines: &[Line], format: Shape) -> Result<String> {
    Ok(match format {
        Shape::Table => report::terminal(lines),
        Shape::Markdown => report::markdown(&report::terminal(lines)),
        Shape::Csv => report::csv(lines),
        Shape::Json => {
            let text = lines.iter().map(|line| format!("{}\n", line.text));
            text.collect::<String>() + &report::pooled_lines(lines)
        }
        Shape::Junit => report::junit(lines),
        Shape::Html => report::html(lines),
    })
}
