//! How text for people looks: as wide as the terminal, in its colours.

use std::io::IsTerminal;
use std::path::Path;

use clap::{Args, ValueEnum};
use terminal_size::{Width, terminal_size_of};

use crate::report::Look;

/// The columns where no terminal says how many there are.
const COLUMNS: usize = 100;

/// How text looks.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub struct Screen {
    /// Show every column of every table, however wide [default: what fits the terminal; elsewhere COLUMNS, or 100]
    #[arg(long)]
    wide: bool,
    /// Show outcomes in colours; NO_COLOR is heeded
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: When,
}

/// When there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum When {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Screen {
    /// How text looks on standard output, or in a file.
    pub fn look(&self, file: Option<&Path>) -> Look {
        let stdout = std::io::stdout();
        let is_terminal = file.is_none() && stdout.is_terminal();
        let measured = is_terminal.then(|| terminal_size_of(stdout)).flatten();
        let measured = measured.map(|(Width(columns), _)| usize::from(columns));
        // As other programs have it that write for a terminal that they cannot measure.
        let said = || {
            std::env::var("COLUMNS")
                .ok()?
                .parse()
                .ok()
                .filter(|&columns| columns > 0)
        };
        let columns = measured.or_else(said).unwrap_or(COLUMNS);
        // As https://no-color.org has it: of any value but an empty one.
        let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Look {
            room: (!self.wide).then_some(columns),
            colour: match self.color {
                When::Auto => is_terminal && !declined,
                When::Always => true,
                When::Never => false,
            },
        }
    }
}
