//! `af1 doctor`: what is there, what is missing, what to do.

use std::path::PathBuf;

use clap::Args;

use super::output::print;
use super::probe::can_run;
use crate::Result;
use crate::fetch::{Cache, VARIABLE, pip, python};
use crate::model::{PRESETS, Preset, Supply, entry_name};
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
        let mut report = Report::default();
        report.say(&format!("af1 {}", env!("CARGO_PKG_VERSION")));
        report.say(&format!(
            "cache: {} ({VARIABLE} moves it)",
            cache.root().display()
        ));
        report.python();
        self.runtime(&cache, &mut report);
        report.models(&cache);
        print(&report.whole())
    }
}

/// What is there, line by line, and what is missing, with what to do.
#[derive(Default)]
struct Report {
    text: String,
    missing: Vec<String>,
}

impl Report {
    /// A line about what is there.
    fn say(&mut self, line: &str) {
        self.text += line;
        self.text.push('\n');
    }

    fn python(&mut self) {
        let Some(python) = python() else {
            self.say("python: none");
            let remedy = "install Python with pip: it fetches what is not here yet";
            return self.missing.push(remedy.to_owned());
        };
        let path = python.display();
        match pip(&python) {
            Some(version) => self.say(&format!("python: {path}, pip {version}")),
            None => {
                self.say(&format!("python: {path}, no pip"));
                let remedy = "install pip (apt install python3-pip, or python3 -m ensurepip): it fetches what is not here yet";
                self.missing.push(remedy.to_owned());
            }
        }
    }

    fn models(&mut self, cache: &Cache) {
        self.say("models:");
        for preset in &PRESETS {
            let state = match preset.supply {
                Supply::Hub(id) => {
                    format!("{id} on the Hugging Face hub, fetched when it is asked for")
                }
                _ => self.of_cache(cache, preset),
            };
            self.say(&format!("  {}: {state}", preset.name));
        }
    }

    /// The state of a model that belongs in the cache.
    fn of_cache(&mut self, cache: &Cache, preset: &Preset) -> String {
        match cache.find(&entry_name(preset)) {
            Ok(Some(entry)) => format!("in the cache, {}", entry.folder().display()),
            Ok(None) if matches!(preset.supply, Supply::Planted(_)) => {
                "made when it is asked for".to_owned()
            }
            Ok(None) => {
                let name = preset.name;
                self.missing
                    .push(format!("{name}: run `af1 fetch --model {name}`"));
                "not fetched yet".to_owned()
            }
            Err(e) => {
                self.missing.push(e.to_string());
                "unusable".to_owned()
            }
        }
    }

    fn whole(mut self) -> String {
        match self.missing.is_empty() {
            true => self.say("nothing is missing"),
            false => self.say("missing:"),
        }
        for line in std::mem::take(&mut self.missing) {
            self.say(&format!("  {line}"));
        }
        self.text
    }
}

impl Doctor {
    /// ONNX Runtime, and the devices if it can be used.
    fn runtime(&self, cache: &Cache, report: &mut Report) {
        let found = Library::find(cache, &Device::Cpu).and_then(|library| {
            let start = |library: Library| {
                let runtime = Runtime::start(&library, default_threads())?;
                Ok((runtime, library))
            };
            library.map(start).transpose()
        });
        match found {
            Ok(Some((runtime, library))) => {
                report.say(&format!(
                    "ONNX Runtime: {} at {} (found by: {})",
                    runtime.version(),
                    library.path.display(),
                    library.source
                ));
                report.text += &self.devices();
            }
            Ok(None) => {
                report.say("ONNX Runtime: none yet");
                report.missing.push(format!(
                    "ONNX Runtime {PINNED}: run `af1 fetch`, or set {DYLIB_VARIABLE} to a library"
                ));
            }
            Err(e) => {
                report.say("ONNX Runtime: unusable");
                report.missing.push(e.to_string());
            }
        }
    }

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
