//! Where a model runs and how: a device with its options, as it was asked for.

use std::fmt;
use std::path::PathBuf;

use super::Device;
use super::provider::who_has;
use crate::graph::{Dtype, Graph, Weight};
use crate::{Error, Result};

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
    /// The limit of the device's memory, in bytes, for the runtime's arena (processor, CUDA, ROCm, MIGraphX) or workspace (TensorRT).
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
        let has = &device.row().options;
        for (given, has, option, who) in [
            (
                self.memory.is_some(),
                has.memory.is_some(),
                "--device-memory",
                who_has(|of| of.memory.is_some()),
            ),
            (
                self.engine_cache.is_some(),
                has.engine_cache,
                "--engine-cache",
                who_has(|of| of.engine_cache),
            ),
            (self.tf32, has.tf32, "--tf32", who_has(|of| of.tf32)),
        ] {
            if given && !has {
                return Err(Error::Usage(format!(
                    "{option}: device {device} has no such option; {who} have"
                )));
            }
        }
        Ok(())
    }
}
