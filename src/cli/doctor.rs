//! `af1 doctor`: what is there, what is missing, what to do.

use clap::Args;

use super::output::print;
use crate::fetch::{Cache, VARIABLE, pip, python};
use crate::model::{Origin, PRESETS, entry_name};
use crate::runtime::{DYLIB_VARIABLE, Device, Library, PINNED, Runtime, default_threads};
use crate::{Error, Result};

#[derive(Args, Clone, Debug)]
pub struct Doctor {}

impl Doctor {
    pub fn run(self) -> Result<()> {
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

        match Library::find(&cache) {
            Ok(Some(library)) => match Runtime::start(&library, default_threads()) {
                Ok(runtime) => {
                    text += &format!(
                        "ONNX Runtime: {} at {} (found by: {})\n",
                        runtime.version(),
                        library.path.display(),
                        library.source
                    );
                    text += &devices(runtime);
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
            let state = match cache.find(&entry_name(preset)) {
                Ok(Some(entry)) => format!("in the cache, {}", entry.folder().display()),
                Ok(None) if matches!(preset.origin, Origin::Planted(_)) => {
                    "made when it is asked for".to_owned()
                }
                Ok(None) => {
                    missing.push(format!("{}: run `af1 fetch`", preset.name));
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

/// A line a device.
fn devices(runtime: &Runtime) -> String {
    let mut text = "devices:\n".to_owned();
    for device in Device::all() {
        let state = match device.check(runtime) {
            Ok(()) => "can run".to_owned(),
            Err(Error::Device { reason, .. }) => format!("no: {reason}"),
            Err(e) => format!("no: {e}"),
        };
        text += &format!("  {device}: {state}\n");
    }
    text
}
