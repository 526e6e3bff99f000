//! ONNX Runtime: finding its library, devices, and running a model piece by piece. `ort` and the names of execution
//! providers occur here only; what is run, with which masks, is decided in [`crate::intervene`].
#![doc = ""]
#![doc = include_str!("devices.md")]

mod allocator;
mod assignment;
mod device;
mod engine;
mod environment;
mod library;
mod package;
mod part;
mod placement;
mod probe;
mod said;
mod tensor;
mod threads;
mod widen;

pub use device::Device;
pub use engine::{Attention, Engine, KeysValues};
pub use environment::{Runtime, default_threads};
pub use library::{DYLIB_VARIABLE, Library, Source};
pub use package::{PINNED, Packaged, packaged};
pub use part::Part;
pub use placement::Placement;
pub use probe::probe;
pub use tensor::Tensor;
