//! How fast ONNX Runtime multiplies matrices of f32: a product with a constant matrix, as layers have it, by the library and with the
//! threads of all other tasks.

use std::path::Path;
use std::time::Instant;

use af1::graph::{Builder, Constant, Dim, Dtype, Graph};
use af1::runtime::{Part, Placement, Runtime, Tensor};
use ndarray::Array2;

/// A product is repeated for as many seconds as this.
const LONG_ENOUGH: f64 = 1.0;

/// The rate of every product that `shapes` names, rows, inner and outer length: `"320x896x4864 ..."`.
pub fn rates(runtime: &'static Runtime, placement: &Placement, shapes: &str) -> serde_json::Value {
    let rates = shapes.split(' ').map(|shape| {
        let lengths = shape.split('x').map(|n| n.parse().expect("a length"));
        let lengths: Vec<usize> = lengths.collect();
        let [rows, inner, outer] = lengths[..] else {
            panic!("{shape:?} is no shape of a product; expected rows x inner x outer")
        };
        (
            shape.to_owned(),
            rate(runtime, placement, rows, inner, outer).into(),
        )
    });
    let rates: serde_json::Map<String, serde_json::Value> = rates.collect();
    serde_json::json!({ "task": "rates", "tool": "af1", "library": runtime.version(), "threads": runtime.threads(), "rates": rates })
}

/// Billions of floating-point operations a second of a product, by the median time.
fn rate(
    runtime: &'static Runtime,
    placement: &Placement,
    rows: usize,
    inner: usize,
    outer: usize,
) -> f64 {
    let graph = product(inner, outer);
    let mut part = Part::new(runtime, placement, &graph, Path::new(".")).expect("a session");
    let x = Array2::from_shape_fn((rows, inner), |(i, j)| small(i * inner + j));
    let x = Tensor::from_f32(x).expect("a tensor");
    let (begin, mut times) = (Instant::now(), Vec::new());
    while times.len() < 5 || begin.elapsed().as_secs_f64() < LONG_ENOUGH {
        let start = Instant::now();
        let [sum] = part.run(&[("x", &x)], ["sum"]).expect("a product");
        // A device may still be at work until its result is read.
        sum.view::<ndarray::Ix2>().expect("a number");
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    2e-9 * (rows * inner * outer) as f64 / times[times.len() / 2]
}

/// `x`, `[rows, inner]`, times a constant matrix, `[inner, outer]`, and all of that added up.
fn product(inner: usize, outer: usize) -> Graph {
    let mut b = Builder::new();
    let rows = Dim::Symbol("rows");
    let shape = |length: usize| vec![rows.clone(), Dim::Fixed(length)];
    let x = b.input("x", Dtype::F32, shape(inner));
    let y = b.op("MatMul", &[&x, "w"]);
    let every = b.ints(&[0, 1]);
    let sum = b.op("ReduceSum", &[&y, &every]);
    let one = vec![Dim::Fixed(1), Dim::Fixed(1)];
    b.output(&sum, "sum", Dtype::F32, one);
    let mut graph = b.finish("product");
    graph.constants.push(Constant {
        name: "w".to_owned(),
        shape: vec![inner, outer],
        dtype: Dtype::F32,
        bytes: (0..inner * outer)
            .flat_map(|i| small(i).to_le_bytes())
            .collect(),
    });
    graph
}

/// A number between -0.5 and 0.5 that differs from its neighbours.
fn small(i: usize) -> f32 {
    (i * 7919 % 1000) as f32 / 1000.0 - 0.5
}
