//! Where results go: standard output, or a file that is written as a whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::file::write_atomically;
use crate::{Error, Result};

/// Prints text, or writes it to a file.
pub fn deliver(out: Option<&Path>, text: &str) -> Result<()> {
    match out {
        Some(path) => write_atomically(path, text.as_bytes()),
        None => print(text),
    }
}

/// Prints text. A reader that has gone (`af1 ... | head`) is no error.
pub fn print(text: &str) -> Result<()> {
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
