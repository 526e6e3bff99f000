//! Progress on standard error: a bar on a terminal, and elsewhere a line every ten seconds.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::printable;

/// What is done sooner is not drawn.
const AFTER: Duration = Duration::from_secs(2);

/// How often a line is written where no bar can be drawn.
const EVERY: Duration = Duration::from_secs(10);

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loudness {
    /// Nothing is said of progress.
    Quiet,
    /// How far a step is that takes long.
    Normal,
    /// Every step as it begins, too.
    Verbose,
}

static LOUDNESS: AtomicU8 = AtomicU8::new(Loudness::Normal as u8);

/// As `eprintln!`, of text that may be of others.
macro_rules! say {
    ($($words:tt)*) => { $crate::progress::on_stderr(&format!($($words)*)) };
}
pub(crate) use say;

/// Says something on standard error; nothing else in this program writes there. What is not printed stands as its number.
#[allow(clippy::print_stderr)]
pub fn on_stderr(text: &str) {
    let text = printable::lines(text);
    let lines: Vec<_> = text.lines().map(printable::no_command).collect();
    eprintln!("{}", lines.join("\n"));
}

/// From now on so much is said.
pub fn set(loudness: Loudness) {
    LOUDNESS.store(loudness as u8, Ordering::Relaxed);
}

fn is(loudness: Loudness) -> bool {
    LOUDNESS.load(Ordering::Relaxed) == loudness as u8
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Batches of prompts.
    Batches,
    /// Runs of a batch under an intervention.
    Runs,
    /// Pieces of a model.
    Pieces,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Batches => "batches",
            Self::Runs => "runs",
            Self::Pieces => "pieces",
        })
    }
}

/// A bar that counts bytes.
pub fn bytes(message: &str, length: u64) -> ProgressBar {
    if !io::stderr().is_terminal() && !is(Loudness::Quiet) {
        say!("{message} ({} MB)", length.div_ceil(1_000_000));
    }
    bar(message, length, "{bytes}", "{total_bytes}")
}

/// A bar that counts steps.
pub fn steps(message: &str, length: u64, unit: Unit) -> ProgressBar {
    if is(Loudness::Verbose) {
        say!("{message}: {length} {unit}");
    }
    bar(message, length, "{pos}", &format!("{{len}} {unit}"))
}

fn bar(message: &str, length: u64, done: &str, all: &str) -> ProgressBar {
    let is_terminal = io::stderr().is_terminal();
    let (target, template, tick) = match is_terminal {
        true => (
            ProgressDrawTarget::term_like(Box::new(Late {
                terminal: Term::stderr(),
                begin: Instant::now(),
            })),
            format!("{{msg}} {{wide_bar}} {done}/{all}, {{elapsed}} so far, {{eta}} left"),
            Duration::from_secs(1),
        ),
        false => (
            ProgressDrawTarget::term_like(Box::new(Lines::default())),
            format!("{{msg}}: {done} of {all}, {{elapsed}} so far, about {{eta}} left"),
            EVERY,
        ),
    };
    if is(Loudness::Quiet) {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(length), target);
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.set_message(printable::line(message).into_owned());
    // Time goes by where a step takes long, too.
    bar.enable_steady_tick(tick);
    bar
}

/// A terminal on which nothing is drawn at first.
#[derive(Debug)]
struct Late {
    terminal: Term,
    begin: Instant,
}

impl Late {
    fn draw(&self, how: impl FnOnce(&Term) -> io::Result<()>) -> io::Result<()> {
        match self.begin.elapsed() >= AFTER {
            true => how(&self.terminal),
            false => Ok(()),
        }
    }
}

impl TermLike for Late {
    fn width(&self) -> u16 {
        TermLike::width(&self.terminal)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.terminal)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.draw(|terminal| terminal.move_cursor_up(n))
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.draw(|terminal| terminal.move_cursor_down(n))
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.draw(|terminal| terminal.move_cursor_right(n))
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.draw(|terminal| terminal.move_cursor_left(n))
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.draw(|terminal| terminal.write_line(text))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.draw(|terminal| terminal.write_str(text))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw(Term::clear_line)
    }

    fn flush(&self) -> io::Result<()> {
        self.draw(Term::flush)
    }
}

/// What is drawn, as lines of text that stay: one every ten seconds.
#[derive(Debug)]
struct Lines(Mutex<Written>);

#[derive(Debug)]
struct Written {
    last: Instant,
    line: String,
}

impl Default for Lines {
    fn default() -> Self {
        Self(Mutex::new(Written {
            last: Instant::now(),
            line: String::new(),
        }))
    }
}

impl Lines {
    fn add(&self, text: &str) {
        if let Ok(mut written) = self.0.lock() {
            written.line += text;
        }
    }

    /// The line that is due, if one is.
    fn due(&self) -> Option<String> {
        let mut written = self.0.lock().ok()?;
        let line = std::mem::take(&mut written.line);
        let is_due = !line.trim().is_empty() && written.last.elapsed() >= EVERY;
        is_due.then(|| {
            written.last = Instant::now();
            line.trim().to_owned()
        })
    }
}

impl TermLike for Lines {
    fn width(&self) -> u16 {
        u16::MAX
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(text);
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        if let Some(line) = self.due() {
            on_stderr(&line);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_every_ten_seconds() {
        let lines = Lines::default();
        lines.add("first");
        assert_eq!(lines.due(), None);
        if let Ok(mut written) = lines.0.lock() {
            written.last = Instant::now().checked_sub(EVERY).unwrap();
        }
        assert_eq!(lines.due(), None, "nothing was drawn since");
        lines.add("  12 of 90 runs ");
        assert_eq!(lines.due().as_deref(), Some("12 of 90 runs"));
        lines.add("13 of 90 runs");
        assert_eq!(lines.due(), None);
    }
}
