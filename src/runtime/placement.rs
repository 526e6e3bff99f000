//! Where a model runs and how: a device with its options, as it was asked for, and how a session is put there.

use std::fmt;
use std::path::{Path, PathBuf};

use ort::ep::{self, ArenaExtendStrategy, ExecutionProvider, ExecutionProviderDispatch};
use ort::memory::{AllocationDevice, AllocatorType, DeviceType, MemoryInfo, MemoryType};
use ort::session::builder::SessionBuilder;

use super::package::Package;
use super::said::first_line;
use super::{Device, Library, Runtime};
use crate::fetch::Cache;
use crate::file::{Sha256, sha256_file};
use crate::graph::{Dtype, Graph, Weight};
use crate::{Error, Result};

/// What to do where no plugin can be fetched.
const NO_PLUGIN: &str = "give the provider's library with --provider-library";

/// A device and its options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The device, or the first of several.
    pub device: Device,
    /// Further devices: the layers are spread evenly over all of them, in this order.
    pub also: Vec<Device>,
    /// Whether nodes that the device's provider does not implement may run on the processor.
    pub allow_cpu_fallback: bool,
    /// The provider's library, where it comes as a plugin and not in the runtime's library.
    pub provider_library: Option<PathBuf>,
    /// At most so many bytes of the device's memory for the runtime's arena (processor, CUDA, ROCm, MIGraphX) or workspace (TensorRT).
    pub memory: Option<u64>,
    /// The folder in which compiled engines are kept from run to run (TensorRT, OpenVINO, Core ML).
    pub engine_cache: Option<PathBuf>,
    /// Whether products of f32 matrices may be rounded to TF32 (CUDA).
    pub tf32: bool,
    /// Whether weights stay as they are in their files, and are widened in every run instead of once; where it is not given, those of
    /// large models do ([`Self::decide`]).
    pub mapped: Option<bool>,
}

impl From<&Device> for Placement {
    fn from(device: &Device) -> Self {
        Self {
            device: device.clone(),
            ..Self::default()
        }
    }
}

impl From<&Placement> for Placement {
    fn from(placement: &Placement) -> Self {
        placement.clone()
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.device)?;
        self.also
            .iter()
            .try_for_each(|device| write!(f, ",{device}"))
    }
}

/// The size in f32 from which weights of 16 bits stay mapped: two of them would not fit into the memory of a usual machine.
const LARGE: u64 = 8 << 30;

impl Placement {
    /// The same with the choice made how weights are kept: by the model alone, so that equal runs give equal numbers on every machine.
    pub fn decide(self, graph: &Graph) -> Self {
        let size = |weight: &Weight| weight.shape.iter().product::<usize>() as u64 * 4;
        let in_f32: u64 = graph.weights.iter().map(size).sum();
        let narrow = graph
            .weights
            .iter()
            .any(|weight| weight.dtype != Dtype::F32);
        Self {
            mapped: self.mapped.or(Some(narrow && in_f32 > LARGE)),
            ..self
        }
    }

    /// The device of a layer of a model with so many of them: the embedding is with the first, the head with the last.
    pub fn of_layer(&self, layer: usize, layers: usize) -> Self {
        let devices: Vec<&Device> = self.devices().collect();
        let at = layer * devices.len() / layers.max(1);
        Self {
            device: devices[at.min(devices.len() - 1)].clone(),
            also: Vec::new(),
            ..self.clone()
        }
    }

    /// How many threads make sessions at once: as many as there are cores, at most four; only one for accelerators, whose drivers are
    /// not all made for that.
    pub(super) fn makers(&self) -> usize {
        match self.devices().all(|device| *device == Device::Cpu) {
            true => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4)),
            false => 1,
        }
    }

    /// All devices.
    fn devices(&self) -> impl Iterator<Item = &Device> {
        std::iter::once(&self.device).chain(&self.also)
    }

    /// Each device by itself, once.
    pub fn each(&self) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for device in self.devices() {
            let one = Self {
                device: device.clone(),
                also: Vec::new(),
                ..self.clone()
            };
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    }

    /// The first device that is not the processor, whose library has to be loaded; the processor where there is no other.
    pub fn accelerator(&self) -> &Device {
        let mut devices = self.devices();
        devices
            .find(|device| **device != Device::Cpu)
            .unwrap_or(&self.device)
    }

    /// Checks that the devices are of one kind, the processor apart, whose library has them all; and that they have the options that are asked for.
    ///
    /// # Errors
    /// Devices of two kinds; an option that a device does not have.
    pub fn check_options(&self) -> Result<()> {
        let device = self.accelerator();
        for other in self.devices().filter(|other| **other != Device::Cpu) {
            if other.provider() != device.provider() {
                return Err(Error::Usage(format!(
                    "--device {self}: {device} and {other} have different providers; give several of one kind, with or without cpu"
                )));
            }
        }
        let limited = matches!(
            device,
            Device::Cpu
                | Device::Cuda(_)
                | Device::TensorRt(_)
                | Device::Rocm(_)
                | Device::MiGraphX(_)
        );
        let cached = matches!(
            device,
            Device::TensorRt(_) | Device::OpenVino(_) | Device::CoreMl
        );
        for (given, has, option, who) in [
            (
                self.memory.is_some(),
                limited,
                "--device-memory",
                "cpu, cuda, tensorrt, rocm and migraphx",
            ),
            (
                self.engine_cache.is_some(),
                cached,
                "--engine-cache",
                "tensorrt, openvino and coreml",
            ),
            (
                self.tf32,
                matches!(device, Device::Cuda(_)),
                "--tf32",
                "cuda",
            ),
        ] {
            if given && !has {
                return Err(Error::Usage(format!(
                    "{option}: device {device} has no such option; {who} have"
                )));
            }
        }
        Ok(())
    }

    /// The provider as it is built into the library, and whether it is; `None` for the processor.
    fn built_in(&self) -> Option<(ort::Result<bool>, ExecutionProviderDispatch)> {
        fn of<P: ExecutionProvider>(
            provider: ExecutionProviderDispatch,
        ) -> (ort::Result<bool>, ExecutionProviderDispatch) {
            (P::is_available(), provider.error_on_failure())
        }
        let limit = self.memory.map(|bytes| bytes as usize);
        let cache = self
            .engine_cache
            .as_ref()
            .map(|folder| folder.display().to_string());
        Some(match &self.device {
            Device::Cpu => return None,
            Device::Cuda(id) => {
                let mut provider = ep::CUDA::default()
                    .with_device_id((*id).into())
                    .with_tf32(self.tf32)
                    .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested);
                if let Some(limit) = limit {
                    provider = provider.with_memory_limit(limit);
                }
                of::<ep::CUDA>(provider.build())
            }
            Device::TensorRt(id) => {
                let mut provider = ep::TensorRT::default().with_device_id((*id).into());
                if let Some(limit) = limit {
                    provider = provider.with_max_workspace_size(limit);
                }
                if let Some(folder) = cache {
                    provider = provider
                        .with_engine_cache(true)
                        .with_engine_cache_path(folder);
                }
                of::<ep::TensorRT>(provider.build())
            }
            Device::Rocm(id) => {
                let mut provider = ep::ROCm::default().with_device_id((*id).into());
                if let Some(limit) = limit {
                    provider = provider.with_mem_limit(limit);
                }
                of::<ep::ROCm>(provider.build())
            }
            Device::MiGraphX(id) => {
                let mut provider = ep::MIGraphX::default().with_device_id((*id).into());
                if let Some(limit) = limit {
                    provider = provider.with_mem_limit(limit);
                }
                of::<ep::MIGraphX>(provider.build())
            }
            Device::DirectMl(id) => {
                let provider = ep::DirectML::default().with_device_id((*id).into());
                of::<ep::DirectML>(provider.build())
            }
            Device::CoreMl => {
                let mut provider = ep::CoreML::default();
                if let Some(folder) = cache {
                    provider = provider.with_model_cache_dir(folder);
                }
                of::<ep::CoreML>(provider.build())
            }
            Device::OpenVino(kind) => {
                let mut provider = ep::OpenVINO::default().with_device_type(kind);
                if let Some(folder) = cache {
                    provider = provider.with_cache_dir(folder);
                }
                of::<ep::OpenVINO>(provider.build())
            }
            Device::WebGpu(id) => {
                let provider = ep::WebGPU::default().with_device_id((*id).into());
                of::<ep::WebGPU>(provider.build())
            }
        })
    }

    /// Whether the provider has to come as a plugin: one is given, or the library has none built in and there is a plugin.
    fn by_plugin(&self) -> bool {
        self.device != Device::Cpu && self.provider_library.is_some()
            || self.device.plugin().is_some()
                && self
                    .built_in()
                    .is_some_and(|(there, _)| !matches!(there, Ok(true)))
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
        let Some((there, provider)) = self.built_in() else {
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
        let (device, id) = match &self.device {
            Device::Cuda(id) | Device::TensorRt(id) => (AllocationDevice::CUDA, *id),
            Device::Rocm(id) | Device::MiGraphX(id) => (AllocationDevice::HIP, *id),
            Device::DirectMl(id) => (AllocationDevice::DIRECTML, *id),
            _ => return None,
        };
        MemoryInfo::new(
            device,
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
        let mut others = std::collections::BTreeSet::new();
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
        let chosen = match &self.device {
            Device::OpenVino(kind) => {
                let kind = match &**kind {
                    "GPU" => DeviceType::GPU,
                    "NPU" => DeviceType::NPU,
                    _ => DeviceType::CPU,
                };
                found
                    .into_iter()
                    .find(|device| device.hardware_device().ty() == kind)
            }
            Device::Cuda(id)
            | Device::TensorRt(id)
            | Device::Rocm(id)
            | Device::MiGraphX(id)
            | Device::DirectMl(id)
            | Device::WebGpu(id) => found.into_iter().nth(usize::from(*id)),
            Device::CoreMl | Device::Cpu => found.into_iter().next(),
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
            Device::OpenVino(kind) if kind == "CPU" => None,
            _ => Some(device.memory_info(false).to_owned()),
        };
        let mut options = Vec::new();
        if let Device::WebGpu(_) = &self.device {
            // Positions are 64-bit integers: casting them is left to the processor otherwise.
            options.push((format!("{name}.enableInt64"), "1".to_owned()));
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
        let remedy = match (&self.device, self.device.plugin()) {
            (Device::WebGpu(_), _) => "install a Vulkan driver (Linux: a Debian package such as mesa-vulkan-drivers; without a GPU \
                 a software driver, which is taken only where ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER=1), or use --device cpu"
                .to_owned(),
            (_, Some(package)) => format!(
                "give its library with --provider-library (it comes in {}), or use --device cpu",
                package.name()
            ),
            (device, None) => format!(
                "install {} and set {} to its library, or use --device cpu",
                device.comes_from(),
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
    pub(super) fn failure(&self, error: &dyn fmt::Display) -> Error {
        Error::Device {
            device: self.device.to_string(),
            reason: format!("{} failed: {}", self.device.provider(), first_line(error)),
            remedy: match self.device {
                Device::Cuda(_) | Device::TensorRt(_) => {
                    "install NVIDIA's driver, CUDA and cuDNN (TensorRT too for tensorrt) where the system's loader finds them \
                     (`pip install 'onnxruntime-gpu[cuda,cudnn]'` has the latter two: put their lib folders on LD_LIBRARY_PATH), \
                     or use --device cpu"
                }
                _ => "install the driver and the libraries that the message names, or use --device cpu",
            }
            .to_owned(),
        }
    }

    /// Names the plugin that the device needs and nobody has named, from the cache, or fetched where `fetch` says so. Only once the
    /// runtime is started: its library may have the provider built in.
    ///
    /// # Errors
    /// A plugin that is not there and is not to be fetched; a platform without a wheel; a fetch that fails.
    pub fn find_plugin(&mut self, _started: &Runtime, cache: &Cache, fetch: bool) -> Result<()> {
        let device = self.accelerator().clone();
        let alone = Self {
            device: device.clone(),
            ..self.clone()
        };
        let needed = self.provider_library.is_none() && alone.by_plugin();
        if let Some(package) = device.plugin().filter(|_| needed) {
            let path = match package.find(cache)? {
                Some(path) => path,
                None if fetch => package.fetch(cache, false, NO_PLUGIN)?,
                None => return Err(alone.not_here(package)),
            };
            self.provider_library = Some(path);
        }
        Ok(())
    }

    /// The runtime's library for the device, from where it is, or fetched where `fetch` says so.
    ///
    /// # Errors
    /// As [`Library::find_or_fetch`]; a library that is not there and is not to be fetched.
    pub fn library(&self, cache: &Cache, fetch: bool) -> Result<Library> {
        let device = self.accelerator();
        match Library::find(cache, device)? {
            Some(library) => Ok(library),
            None if fetch => Library::fetch(cache, device, false),
            None => Err(self.not_here(device.package())),
        }
    }

    fn not_here(&self, package: &Package) -> Error {
        Error::Device {
            device: self.to_string(),
            reason: format!("its library is not here: {}", package.name()),
            remedy: format!("run `af1 fetch --device {}`", self.accelerator()),
        }
    }

    /// Fetches the plugin that the device needs anew.
    ///
    /// # Errors
    /// A platform without a wheel; a fetch that fails.
    pub fn fetch_plugin(&self, cache: &Cache) -> Result<()> {
        if let Some(package) = self.device.plugin() {
            package.fetch(cache, true, NO_PLUGIN)?;
        }
        Ok(())
    }
}

impl Runtime {
    /// The SHA-256 of a provider's library that was loaded.
    pub fn provider_hash(&self, library: &Path) -> Option<Sha256> {
        let real = library.canonicalize().ok()?;
        let plugged = self.plugged.lock().unwrap_or_else(|e| e.into_inner());
        let found = plugged.iter().find(|(known, _)| *known == real);
        found.map(|(_, hash)| hash.clone())
    }

    /// Loads a provider's library, once: the runtime crashes when it is given one again.
    fn plug_in(&self, path: &Path) -> Result<(), String> {
        let real = path
            .canonicalize()
            .map_err(|e| format!("{}: {e}", path.display()))?;
        let name = real.file_name().unwrap_or_default().to_owned();
        let mut plugged = self.plugged.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((known, _)) =
            (plugged.iter()).find(|(known, _)| known.file_name() == Some(&name))
        {
            return match *known == real {
                true => Ok(()),
                false => Err(format!(
                    "this process already uses {}; a provider's library cannot be exchanged for {}",
                    known.display(),
                    real.display()
                )),
            };
        }
        self.environment
            .register_ep_library(name.to_string_lossy(), &real)
            .map_err(|e| format!("{} cannot be loaded: {}", real.display(), first_line(&e)))?;
        let hash = sha256_file(&real).map_err(|e| e.to_string())?;
        plugged.push((real, hash));
        Ok(())
    }
}
