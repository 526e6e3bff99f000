//! Weights that are made for a session, not read from a file.

use std::cell::RefCell;
use std::ffi::CString;

use ort::session::builder::SessionBuilder;
use ort::value::TensorRef;
use ort::{AsPointer, ortsys};

use super::said::first_line;
use crate::graph::{Graph, Weight};
use crate::model::{Layout, Widened};
use crate::{Error, Result};

thread_local! {
    /// Where weights are widened. It is kept from session to session, because the system takes longer for new memory than the widening does.
    static ROOM: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// The most weights for which it is kept.
const KEPT: usize = 1 << 25;

/// Makes a session by `make` of the bytes of a graph, whose weights are widened and lent to it: the runtime takes over what it keeps of
/// them meanwhile.
///
/// # Errors
/// A weight that cannot be read; what the runtime says.
pub fn with_weights<T>(
    builder: &mut SessionBuilder,
    graph: &Graph,
    widened: &Widened,
    make: impl FnOnce(&mut SessionBuilder, &[u8]) -> T,
) -> Result<T> {
    let (graph, turned) = graph.without_transposes();
    let bytes = graph.to_bytes();
    let length = |weight: &Weight| weight.shape.iter().product::<usize>();
    let all: usize = graph.weights.iter().map(length).sum();
    let mut room = ROOM.take();
    if room.len() < all {
        // New memory is zero already: to write it here would take this thread as long as the widening.
        room = vec![0.0; all];
    }
    let mut rest = &mut room[..all];
    let mut parts = Vec::with_capacity(graph.weights.len());
    for weight in &graph.weights {
        let (part, others) = rest.split_at_mut(length(weight));
        let layout = match turned.contains(&weight.name) {
            true => Layout::ColumnMajor,
            false => Layout::RowMajor,
        };
        widened.fill(&weight.name, layout, part)?;
        parts.push((weight, &*part));
        rest = others;
    }
    let made = lend(builder, &graph, &parts, |builder| make(builder, &bytes));
    drop(parts);
    if room.len() <= KEPT {
        ROOM.set(room);
    }
    made
}

/// Lends weights as they are.
fn lend<T>(
    builder: &mut SessionBuilder,
    graph: &Graph,
    weights: &[(&Weight, &[f32])],
    make: impl FnOnce(&mut SessionBuilder) -> T,
) -> Result<T> {
    let fail = |e: &dyn std::fmt::Display| Error::Run {
        part: graph.name.clone(),
        reason: first_line(e),
    };
    let mut names = Vec::with_capacity(weights.len());
    let mut tensors = Vec::with_capacity(weights.len());
    for (weight, values) in weights {
        let tensor = TensorRef::from_array_view((weight.shape.clone(), *values));
        tensors.push(tensor.map_err(|e| fail(&e))?);
        names.push(CString::new(weight.name.as_str()).map_err(|e| fail(&e))?);
    }
    let pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let values: Vec<_> = tensors.iter().map(|tensor| tensor.ptr()).collect();
    if !values.is_empty() {
        let given = || -> ort::Result<()> {
            // SAFETY: the builder is alive and nobody else uses it; both arrays have as many entries as is said. The runtime copies the
            // names before it returns; the values and their memory live until the session is made, below, and the builder makes no
            // other one.
            ortsys![unsafe AddExternalInitializers(
                builder.ptr().cast_mut(),
                pointers.as_ptr(),
                values.as_ptr(),
                values.len()
            )?];
            Ok(())
        };
        given().map_err(|e| fail(&e))?;
    }
    Ok(make(builder))
}
