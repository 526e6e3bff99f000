//! `af1 doctor`: what is there, what is missing, what to do.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Args;

use super::output::print;
use crate::Result;
use crate::fetch::{Cache, VARIABLE, pip, python};
use crate::model::{PRESETS, Supply, entry_name};
use crate::runtime::{
    DYLIB_VARIABLE, Device, Library, PINNED, Placement, Runtime, default_threads, start,
};

#[derive(Args, Clone, Debug)]
pub struct Doctor {
    /// Try this device only [default: all]
    #[arg(long)]
    device: Option<Device>,
    /// The library of a provider that comes as a plugin
    #[arg(long, value_name = "FILE", requires = "device")]
    provider_library: Option<PathBuf>,
    /// Say nothing else, and end with an error if it does not run
    #[arg(long, hide = true)]
    probe: bool,
}

impl Doctor {
    pub fn run(self) -> Result<()> {
        if self.probe {
            let device = self.device.clone().unwrap_or(Device::Cpu);
            return start(self.on(device), default_threads(), false).map(drop);
        }
        let cache = Cache::of_user()?;
        let mut missing = Vec::new();
        let mut text = format!("af1 {}\n", env!("CARGO_PKG_VERSION"));
        text += &format!("cache: {} ({VARIABLE} moves it)\n", cache.root().display());
        match python() {
            Some(python) => match pip(&python) {
                Some(version) => text += &format!("python: {}, pip {version}\n", python.display()),
                None => {
                    text += &format!("python: {}, no pip\n", python.display());
                    missing.push(
                        "install pip (apt install python3-pip, or python3 -m ensurepip): it fetches what is not here yet"
                            .to_owned(),
                    );
                }
            },
            None => {
                text += "python: none\n";
                missing.push("install Python with pip: it fetches what is not here yet".to_owned());
            }
        }

        match Library::find(&cache, &Device::Cpu) {
            Ok(Some(library)) => match Runtime::start(&library, default_threads()) {
                Ok(runtime) => {
                    text += &format!(
                        "ONNX Runtime: {} at {} (found by: {})\n",
                        runtime.version(),
                        library.path.display(),
                        library.source
                    );
                    text += &self.devices();
                }
                Err(e) => {
                    text += "ONNX Runtime: unusable\n";
                    missing.push(e.to_string());
                }
            },
            Ok(None) => {
                text += "ONNX Runtime: none yet\n";
                missing.push(format!(
                    "ONNX Runtime {PINNED}: run `af1 fetch`, or set {DYLIB_VARIABLE} to a library"
                ));
            }
            Err(e) => {
                text += "ONNX Runtime: unusable\n";
                missing.push(e.to_string());
            }
        }

        text += "models:\n";
        for preset in &PRESETS {
            if let Supply::Hub(id) = preset.supply {
                text += &format!(
                    "  {}: {id} on the Hugging Face hub, fetched when it is asked for\n",
                    preset.name
                );
                continue;
            }
            let state = match cache.find(&entry_name(preset)) {
                Ok(Some(entry)) => format!("in the cache, {}", entry.folder().display()),
                Ok(None) if matches!(preset.supply, Supply::Planted(_)) => {
                    "made when it is asked for".to_owned()
                }
                Ok(None) => {
                    missing.push(format!("{0}: run `af1 fetch --model {0}`", preset.name));
                    "not fetched yet".to_owned()
                }
                Err(e) => {
                    missing.push(e.to_string());
                    "unusable".to_owned()
                }
            };
            text += &format!("  {}: {state}\n", preset.name);
        }
        if missing.is_empty() {
            text += "nothing is missing\n";
        } else {
            text += "missing:\n";
            for line in missing {
                text += &format!("  {line}\n");
            }
        }
        print(&text)
    }
}

impl Doctor {
    fn on(&self, device: Device) -> Placement {
        Placement {
            provider_library: self.provider_library.clone(),
            ..Placement::from(&device)
        }
    }

    /// A line a device.
    fn devices(&self) -> String {
        let mut text = "devices:\n".to_owned();
        let all = self
            .device
            .clone()
            .map_or_else(Device::all, |one| vec![one]);
        for device in all {
            let state = match can_run(&self.on(device.clone())) {
                Ok(()) => "runs".to_owned(),
                Err(reason) => format!("no: {reason}"),
            };
            text += &format!("  {device}: {state}\n");
        }
        text
    }
}

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
