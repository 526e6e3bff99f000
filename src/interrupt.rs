//! Ctrl-C: work stops at the next safe point, so that nothing half-written stays.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Result};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Installs the handler: the first interrupt asks for a stop at the next safe point, a second one stops at once (what
/// stays then is removed by the next command that fetches).
pub fn on_interrupt() {
    // A second installation (several runs in one test process) is harmless: the flag is the same.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(crate::error::exit::INTERRUPTED));
        }
    });
}

/// Whether the user has asked for a stop.
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// A safe point.
///
/// # Errors
/// [`Error::Interrupted`] once the user has asked for a stop.
pub fn interrupted() -> Result<()> {
    if is_interrupted() {
        return Err(Error::Interrupted);
    }
    Ok(())
}
