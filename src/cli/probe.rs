//! Whether a device runs on this machine.

use std::process::{Command, Stdio};

use crate::runtime::Placement;

/// Whether a device runs, without fetching anything; the reason where it does not. Tried in a process of its own: a library that is
/// loaded cannot be exchanged for another device's, and a broken driver may end the process.
pub fn can_run(placement: &Placement) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = Command::new(program);
    command.args(["doctor", "--probe", "--device"]);
    command.arg(placement.device.to_string());
    if let Some(library) = &placement.provider_library {
        command.arg("--provider-library").arg(library);
    }
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let line = (text.lines().rev()).find_map(|line| line.strip_prefix("error: "));
    match (line, output.status.code()) {
        (Some(line), _) => {
            let device = format!("device {}: ", placement.device);
            Err(line.strip_prefix(&*device).unwrap_or(line).to_owned())
        }
        (None, Some(code)) => Err(format!("trying it ended with exit code {code}")),
        (None, None) => Err(format!("trying it ended the process ({})", output.status)),
    }
}
