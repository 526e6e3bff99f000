//! Tensors where the runtime keeps them: in the host's memory or in a device's.

use std::cell::OnceCell;
use std::ptr;
use std::sync::Arc;

use ndarray::{Array, ArrayView, Dimension};
use ort::memory::{AllocationDevice, Allocator};
use ort::value::{DynTensor, DynTensorValueType, DynValue, ValueType};
use ort::{AsPointer, ortsys};

use super::environment;
use super::said::first_line;
use crate::{Error, Result};

/// A tensor that a segment takes or returns. It stays where the runtime put it until it is viewed, or until a segment on another
/// side takes it; it is copied there once.
pub struct Tensor {
    value: DynValue,
    /// The device that has it; `None` where it is in the host's memory.
    place: Option<Arc<str>>,
    /// The copy on the other side: in the host's memory, or on the first device that took it.
    copy: OnceCell<(Option<Arc<str>>, DynValue)>,
}

impl Tensor {
    pub(super) fn of(value: DynValue, place: Option<Arc<str>>) -> Self {
        Self {
            value,
            place,
            copy: OnceCell::new(),
        }
    }

    /// Hands a tensor of floats to the runtime.
    ///
    /// # Errors
    /// The runtime cannot allocate it.
    pub fn from_f32<D: Dimension + 'static>(array: Array<f32, D>) -> Result<Self> {
        let array = array.as_standard_layout().into_owned();
        let tensor = ort::value::Tensor::from_array(array).map_err(|e| fail(&e))?;
        Ok(Self::of(tensor.into_dyn(), None))
    }

    /// Hands a tensor of integers to the runtime.
    ///
    /// # Errors
    /// The runtime cannot allocate it.
    pub fn from_i64<D: Dimension + 'static>(array: Array<i64, D>) -> Result<Self> {
        let array = array.as_standard_layout().into_owned();
        let tensor = ort::value::Tensor::from_array(array).map_err(|e| fail(&e))?;
        Ok(Self::of(tensor.into_dyn(), None))
    }

    /// The lengths of its axes.
    pub fn shape(&self) -> Vec<usize> {
        match self.value.dtype() {
            ValueType::Tensor { shape, .. } => shape.iter().map(|&n| n as usize).collect(),
            _ => Vec::new(),
        }
    }

    /// The floats of the tensor.
    ///
    /// # Errors
    /// A tensor that holds no floats, or has another number of axes; the runtime cannot copy it from the device.
    pub fn view<D: Dimension>(&self) -> Result<ArrayView<'_, f32, D>> {
        let host = self.on_host()?;
        let array = host.try_extract_array::<f32>().map_err(|e| fail(&e))?;
        array.into_dimensionality::<D>().map_err(|e| fail(&e))
    }

    /// Whether a device has it.
    pub fn on_a_device(&self) -> bool {
        self.place.is_some()
    }

    /// The value in the host's memory.
    pub(super) fn on_host(&self) -> Result<&DynValue> {
        if self.place.is_none() {
            return Ok(&self.value);
        }
        self.other(None, |value| match like(value, &Allocator::default()) {
            Ok(host) if copy(value, &host).is_ok() => Ok(host),
            // A provider that is built in copies by a session of its own.
            _ => (value.view().downcast::<DynTensorValueType>()?)
                .to(AllocationDevice::CPU, 0)
                .map(|host| host.into_dyn()),
        })
    }

    /// The device that has it; `None` where it is in the host's memory.
    pub(super) fn place(&self) -> Option<&Arc<str>> {
        self.place.as_ref()
    }

    /// The value in the memory of a device, or in the host's where the runtime has to copy it with every run. A model that is spread
    /// over several devices hands its streams on through the host.
    pub(super) fn on_device(&self, place: &Arc<str>, device: &Allocator) -> Result<&DynValue> {
        match &self.place {
            Some(here) if here == place => Ok(&self.value),
            Some(_) => self.on_host(),
            None => {
                let made = self.other(Some(place), |value| match like(value, device) {
                    Ok(there) if copy(value, &there).is_ok() => Ok(there),
                    // A provider that is built in copies by a session of its own.
                    _ => {
                        let memory = device.memory_info();
                        (value.view().downcast::<DynTensorValueType>()?)
                            .to(memory.allocation_device(), memory.device_id())
                            .map(|there| there.into_dyn())
                    }
                });
                Ok(made.unwrap_or(&self.value))
            }
        }
    }

    fn other(
        &self,
        place: Option<&Arc<str>>,
        make: impl FnOnce(&DynValue) -> ort::Result<DynValue>,
    ) -> Result<&DynValue> {
        if self.copy.get().is_none() {
            let made = make(&self.value).map_err(|e| fail(&e))?;
            let _ = self.copy.set((place.cloned(), made));
        }
        match self.copy.get() {
            Some((there, copy)) if there.as_ref() == place => Ok(copy),
            _ => Err(fail(&"its copy is on another device")),
        }
    }
}

/// A tensor of the same type and shape elsewhere.
fn like(value: &DynValue, allocator: &Allocator) -> ort::Result<DynValue> {
    match value.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            DynTensor::new(allocator, *ty, shape.clone()).map(|tensor| tensor.into_dyn())
        }
        other => Err(ort::Error::new(format!("{other} is no tensor"))),
    }
}

/// Copies a tensor into one of the same type and shape, from device to device.
fn copy(from: &DynValue, to: &DynValue) -> ort::Result<()> {
    let Some(environment) = environment::current() else {
        return Err(ort::Error::new("there is no environment"));
    };
    let sources = [from.ptr()];
    let mut targets = [to.ptr()];
    // SAFETY: the environment and both values are alive, the arrays have one entry each, and without a stream the runtime has
    // copied when it returns.
    ortsys![unsafe CopyTensors(
        environment.ptr().cast_mut(),
        sources.as_ptr(),
        targets.as_mut_ptr(),
        ptr::null_mut(),
        1
    )?];
    Ok(())
}

fn fail(error: &dyn std::fmt::Display) -> Error {
    Error::Run {
        part: "tensor".to_owned(),
        reason: first_line(error),
    }
}
