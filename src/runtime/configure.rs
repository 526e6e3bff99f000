//! How a session is put on a device: by the provider that is built into the runtime's library, or by one that comes as a plugin.

use std::collections::BTreeSet;
use std::fmt;

use ort::memory::{AllocatorType, DeviceType, MemoryInfo, MemoryType};
use ort::session::builder::SessionBuilder;

use super::provider::{BuiltIn, Choice, Settings};
use super::said::first_line;
use super::{Device, Placement, Runtime};
use crate::{Error, Result};

impl Placement {
    /// The provider as it is built into the library, and whether it is; `None` for the processor.
    fn built_in(&self) -> Option<BuiltIn> {
        let Device::Of(provider, choice) = &self.device else {
            return None;
        };
        let folder = self.engine_cache.as_ref();
        let settings = Settings {
            choice,
            memory: self.memory.map(|bytes| bytes as usize),
            engine_cache: folder.map(|folder| folder.display().to_string()),
            tf32: self.tf32,
        };
        provider.built_in.map(|make| make(&settings))
    }

    /// Whether the provider has to come as a plugin: one is given, or the library has none built in and there is a plugin.
    pub(super) fn by_plugin(&self) -> bool {
        self.device != Device::Cpu && self.provider_library.is_some()
            || self.device.plugin().is_some()
                && self
                    .built_in()
                    .is_some_and(|of| !matches!(of.there, Ok(true)))
    }

    /// Makes the builder's session one of this device, and says where its outputs can stay.
    ///
    /// # Errors
    /// A library without the provider; a provider that fails, because its driver or libraries are missing.
    pub(super) fn configure(
        &self,
        runtime: &Runtime,
        builder: SessionBuilder,
    ) -> Result<(SessionBuilder, Option<MemoryInfo<'static>>)> {
        let Some(BuiltIn { there, provider }) = self.built_in() else {
            return Ok((builder, None));
        };
        let (builder, memory) = if self.by_plugin() {
            self.plug_in(runtime, builder)?
        } else {
            let library = &runtime.library().path;
            match there {
                Ok(true) => {
                    let builder = builder
                        .with_execution_providers([provider])
                        .map_err(|e| self.failure(&e))?;
                    (builder, self.memory_of_built_in())
                }
                Ok(false) => {
                    return Err(self.cannot(format!(
                        "{} was built without {}",
                        library.display(),
                        self.device.provider()
                    )));
                }
                Err(e) => return Err(self.failure(&e)),
            }
        };
        if self.allow_cpu_fallback {
            return Ok((builder, memory));
        }
        let builder = builder
            .with_disable_cpu_fallback()
            .map_err(|e| self.failure(&e))?;
        Ok((builder, memory))
    }

    /// The memory in which outputs of a provider that is built in stay.
    fn memory_of_built_in(&self) -> Option<MemoryInfo<'static>> {
        let id = match &self.device {
            Device::Of(_, Choice::Id(id)) => *id,
            Device::Of(..) | Device::Cpu => 0,
        };
        MemoryInfo::new(
            self.device.row().memory.clone()?,
            id.into(),
            AllocatorType::Device,
            MemoryType::Default,
        )
        .ok()
    }

    fn plug_in(
        &self,
        runtime: &Runtime,
        builder: SessionBuilder,
    ) -> Result<(SessionBuilder, Option<MemoryInfo<'static>>)> {
        if let Some(path) = &self.provider_library {
            runtime
                .plug_in(path)
                .map_err(|reason| self.cannot(reason))?;
        }
        let (name, mut found) = (self.device.provider(), Vec::new());
        let mut others = BTreeSet::new();
        for device in runtime.environment.devices() {
            match device.ep() {
                Ok(provider) if provider == name => found.push(device),
                Ok(provider) => {
                    others.insert(provider.to_owned());
                }
                Err(_) => {}
            }
        }
        let count = found.len();
        let mut found = found.into_iter();
        let chosen = match &self.device {
            Device::Of(_, Choice::Id(id)) => found.nth(usize::from(*id)),
            Device::Of(_, Choice::Type(hardware)) => {
                let hardware = match &**hardware {
                    "GPU" => DeviceType::GPU,
                    "NPU" => DeviceType::NPU,
                    _ => DeviceType::CPU,
                };
                found.find(|device| device.hardware_device().ty() == hardware)
            }
            Device::Of(_, Choice::Only) | Device::Cpu => found.next(),
        };
        let Some(device) = chosen else {
            let others: Vec<String> = others.into_iter().collect();
            return Err(self.cannot(format!(
                "{name} finds {count} devices, and not this one (other providers: {})",
                others.join(", ")
            )));
        };
        // Not by the kind of hardware: a software driver of a GPU's provider is a processor, with memory of its own all the same.
        let memory = match &self.device {
            Device::Of(_, Choice::Type(hardware)) if hardware == "CPU" => None,
            _ => Some(device.memory_info(false).to_owned()),
        };
        let mut options: Vec<(String, String)> = Vec::new();
        for (key, value) in self.device.row().plugin_settings {
            options.push((format!("{name}.{key}"), (*value).to_owned()));
        }
        if let Some(folder) = &self.engine_cache {
            options.push((format!("{name}.cache_dir"), folder.display().to_string()));
        }
        let builder = builder
            .with_devices([device], Some(&options))
            .map_err(|e| self.failure(&e))?;
        Ok((builder, memory))
    }

    /// The error of a device that is not there.
    fn cannot(&self, reason: String) -> Error {
        let row = self.device.row();
        let remedy = match (row.absent, row.plugin) {
            (Some(remedy), _) => remedy.to_owned(),
            (None, Some(package)) => format!(
                "give its library with --provider-library (it comes in {}), or use --device cpu",
                package.name()
            ),
            (None, None) => format!(
                "install {} and set {} to its library, or use --device cpu",
                row.comes_from,
                super::DYLIB_VARIABLE
            ),
        };
        Error::Device {
            device: self.device.to_string(),
            reason,
            remedy,
        }
    }

    /// The error of a provider that fails.
    fn failure(&self, error: &dyn fmt::Display) -> Error {
        Error::Device {
            device: self.device.to_string(),
            reason: format!("{} failed: {}", self.device.provider(), first_line(error)),
            remedy: self.device.row().failing.to_owned(),
        }
    }
}
