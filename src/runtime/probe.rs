//! Whether a device really runs: a small graph, its result checked.

use std::path::Path;

use ndarray::{Array2, Ix2};

use super::{Part, Placement, Runtime, Tensor};
use crate::graph::{Attribute, Builder, Dim, Dtype};
use crate::{Error, Result};

/// The largest difference to what the result is; NaN is none that is allowed.
const TOLERANCE: f32 = 1e-5;

/// Runs a product of matrices and a softmax on the device.
///
/// # Errors
/// What keeps the device from running; a wrong result.
pub fn probe(runtime: &Runtime, placement: &Placement) -> Result<()> {
    let mut b = Builder::new();
    let x = b.input("x", Dtype::F32, vec![Dim::Symbol("n"), Dim::Fixed(2)]);
    let product = b.op("MatMul", &[&x, &x]);
    let softmax = b.op_with("Softmax", &[&product], vec![("axis", Attribute::Int(-1))]);
    b.output(
        &softmax,
        "y",
        Dtype::F32,
        vec![Dim::Symbol("n"), Dim::Fixed(2)],
    );
    let graph = b.finish("probe");
    let mut part = Part::new(runtime, placement, &graph, Path::new("."))?;
    let x = ndarray::array![[1.0f32, 0.5], [-0.5, 2.0]];
    let [y] = part.run(&[("x", &Tensor::from_f32(x.clone())?)], ["y"])?;
    let y = y.view::<Ix2>()?;
    let product = x.dot(&x);
    let expected = Array2::from_shape_fn((2, 2), |(i, j)| {
        let sum: f32 = product.row(i).iter().map(|x| x.exp()).sum();
        product[[i, j]].exp() / sum
    });
    if !(&y - &expected).iter().all(|apart| apart.abs() < TOLERANCE) {
        return Err(Error::Device {
            device: placement.device.to_string(),
            reason: format!("it computes wrongly: expected {expected}, found {y}"),
            remedy: "update its driver, or use --device cpu".to_owned(),
        });
    }
    Ok(())
}
