//! `af1 shell`: completions for a shell, and the pages of the manual.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell as Name;

use super::Cli;
use super::output::show;
use crate::{Error, Result};

#[derive(Args, Clone, Debug)]
pub struct Shell {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Completions of the command line, to be read by the shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Name,
    },
    /// A page of the manual for the program and for every verb
    Manual {
        /// The folder into which they are written
        #[arg(short, long, value_name = "DIR")]
        out: PathBuf,
    },
}

impl Shell {
    pub fn run(self) -> Result<()> {
        let mut program = Cli::program();
        match self.what {
            What::Completions { shell } => {
                let mut bytes = Vec::new();
                clap_complete::generate(shell, &mut program, "af1", &mut bytes);
                show(&String::from_utf8_lossy(&bytes))
            }
            What::Manual { out } => {
                std::fs::create_dir_all(&out).map_err(|e| Error::writing(&out, e))?;
                let written = clap_mangen::generate_to(program, &out);
                written.map_err(|e| Error::writing(&out, e))
            }
        }
    }
}
