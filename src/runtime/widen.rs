//! Weights that are made for a session, not read from a file.

use std::ffi::CString;

use ort::session::builder::SessionBuilder;
use ort::value::{DynValue, Tensor};
use ort::{AsPointer, ortsys};

use super::part::first_line;
use crate::graph::Graph;
use crate::model::Widened;
use crate::{Error, Result};

/// Widens the weights of a graph and lends them to the session that is made next: the runtime takes over what it keeps of them while it
/// makes the session, and they can be dropped afterwards.
///
/// # Errors
/// A weight that cannot be read; no memory.
pub fn lend(builder: &SessionBuilder, graph: &Graph, widened: &Widened) -> Result<Vec<DynValue>> {
    let fail = |reason: String| Error::Run {
        part: graph.name.clone(),
        reason,
    };
    let mut names = Vec::with_capacity(graph.weights.len());
    let mut tensors = Vec::with_capacity(graph.weights.len());
    for weight in &graph.weights {
        let mut weights = vec![0.0f32; weight.shape.iter().product()];
        widened.fill(&weight.name, &mut weights)?;
        let tensor = Tensor::from_array((weight.shape.clone(), weights));
        tensors.push(tensor.map_err(|e| fail(first_line(&e)))?.into_dyn());
        let name = CString::new(weight.name.as_str());
        names.push(name.map_err(|e| fail(format!("{:?}: {e}", weight.name)))?);
    }
    if tensors.is_empty() {
        return Ok(tensors);
    }
    let pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let values: Vec<_> = tensors.iter().map(AsPointer::ptr).collect();
    let given = || -> ort::Result<()> {
        // SAFETY: the builder is alive and nobody else uses it; both arrays have as many entries as is said, and the runtime copies
        // names and references to the values before it returns.
        ortsys![unsafe AddExternalInitializers(
            builder.ptr().cast_mut(),
            pointers.as_ptr(),
            values.as_ptr(),
            values.len()
        )?];
        Ok(())
    };
    given().map_err(|e| fail(first_line(&e)))?;
    Ok(tensors)
}
