//! `af1 merge`: one file of records out of several, such as the shards of a sweep.

use std::path::PathBuf;

use clap::Args;

use super::output::{deliver, warn_of_missing};
use crate::file::check_writable;
use crate::{Error, Result, record};

#[derive(Args, Clone, Debug)]
pub struct Merge {
    /// Files of records
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    out: Option<PathBuf>,
}

impl Merge {
    pub fn run(self) -> Result<()> {
        if let Some(out) = &self.out {
            check_writable(out)?;
        }
        let lines = record::merge(&self.files)?;
        let missing = warn_of_missing(&lines);
        let text: String = lines
            .iter()
            .map(|line| format!("{}\n", line.text))
            .collect();
        deliver(self.out.as_deref(), &text)?;
        match missing {
            0 => Ok(()),
            sweeps => Err(Error::Incomplete { sweeps }),
        }
    }
}
