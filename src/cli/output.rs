//! Where results go: standard output, or a file that is written as a whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::file::{check_writable, write_atomically};
use crate::progress::say;
use crate::record::{Journal, Line, incomplete};
use crate::{Error, Result, printable};

/// Files that an option names.
pub type Named<'a> = (&'static str, Option<&'a Path>);

/// Checks that what is asked for can be written, and replaces neither what is read nor each other, before anything is fetched or loaded.
pub fn check_files(read: &[Named<'_>], written: &[Named<'_>]) -> Result<()> {
    let given = |files: &[Named<'_>]| -> Vec<(&'static str, PathBuf)> {
        let named = files.iter();
        named
            .filter_map(|(option, file)| Some((*option, file.as_ref()?.to_path_buf())))
            .collect()
    };
    let mut known = given(read);
    for (option, file) in given(written) {
        check_writable(&file)?;
        if option == "--record" {
            Journal::check(&file)?;
        }
        if let Some((other, _)) = known.iter().find(|(_, path)| *path == file) {
            let reason =
                format!("{option} and {other} name the same file, and one would replace the other");
            return Err(Error::Usage(reason));
        }
        known.push((option, file));
    }
    Ok(())
}

/// Shows what a renderer made, or writes it to a file.
pub fn deliver(out: Option<&Path>, text: &str) -> Result<()> {
    match out {
        Some(path) => write_atomically(path, text.as_bytes()),
        None => show(text),
    }
}

/// Says on standard error where parts of a sweep are missing, and of how many sweeps.
pub fn warn_of_missing(lines: &[Line]) -> usize {
    let missing = incomplete(lines);
    for sweep in &missing {
        say!("{sweep}");
    }
    if missing.len() > 1 {
        say!("shards of one sweep need the same options on every machine, --threads among them");
    }
    missing.len()
}

/// Prints text that may be of others: what is not printed stands as its number.
pub fn print(text: &str) -> Result<()> {
    show(&printable::lines(text))
}

/// Prints what a renderer made. A reader that has gone (`af1 ... | head`) is no error.
pub fn show(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::writing(Path::new("standard output"), e))
        }
        _ => Ok(()),
    }
}
