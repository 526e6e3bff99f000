//! Tensors where the runtime keeps them.

use ndarray::{Array, ArrayView, Dimension};
use ort::value::DynValue;

use super::part::first_line;
use crate::{Error, Result};

/// A tensor that a segment takes or returns. It stays where the runtime put it until it is viewed.
pub struct Tensor(pub(super) DynValue);

impl Tensor {
    /// Hands a tensor of floats to the runtime.
    ///
    /// # Errors
    /// The runtime cannot allocate it.
    pub fn from_f32<D: Dimension + 'static>(array: Array<f32, D>) -> Result<Self> {
        let array = array.as_standard_layout().into_owned();
        let tensor = ort::value::Tensor::from_array(array).map_err(|e| fail(&e))?;
        Ok(Self(tensor.into_dyn()))
    }

    /// Hands a tensor of integers to the runtime.
    ///
    /// # Errors
    /// The runtime cannot allocate it.
    pub fn from_i64<D: Dimension + 'static>(array: Array<i64, D>) -> Result<Self> {
        let array = array.as_standard_layout().into_owned();
        let tensor = ort::value::Tensor::from_array(array).map_err(|e| fail(&e))?;
        Ok(Self(tensor.into_dyn()))
    }

    /// The floats of the tensor.
    ///
    /// # Errors
    /// It holds no floats, or has another number of axes.
    pub fn view<D: Dimension>(&self) -> Result<ArrayView<'_, f32, D>> {
        let array = self.0.try_extract_array::<f32>().map_err(|e| fail(&e))?;
        array.into_dimensionality::<D>().map_err(|e| fail(&e))
    }
}

fn fail(error: &dyn std::fmt::Display) -> Error {
    Error::Run {
        part: "tensor".to_owned(),
        reason: first_line(error),
    }
}
