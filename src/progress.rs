//! Progress bars on standard error, drawn only on a terminal; elsewhere a download is one plain line.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts bytes.
pub fn bytes(message: &str, length: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        eprintln!("{message} ({} MB)", length.div_ceil(1_000_000));
    }
    bar(
        message,
        length,
        "{msg} {wide_bar} {bytes}/{total_bytes} {eta}",
    )
}

/// A bar that counts steps.
pub fn steps(message: &str, length: u64) -> ProgressBar {
    bar(message, length, "{msg} {wide_bar} {pos}/{len} {eta}")
}

fn bar(message: &str, length: u64, template: &str) -> ProgressBar {
    // indicatif draws to standard error, and nothing at all where that is no terminal.
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(message.to_owned());
    bar
}
