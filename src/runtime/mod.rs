//! ONNX Runtime: finding its library, devices, and running a model piece by piece. `ort` and the names of execution
//! providers occur here only; what is run, with which masks, is decided in [`crate::intervene`].
#![doc = ""]
#![doc = include_str!("../../docs/devices.md")]

mod allocator;
mod assembly;
mod assignment;
mod configure;
mod device;
mod engine;
mod environment;
mod installed;
mod library;
#[cfg(target_os = "linux")]
mod memory;
mod package;
mod packaged;
mod part;
mod placement;
mod plugin;
mod probe;
mod provider;
mod room;
mod said;
mod segments;
mod start;
mod tensor;
mod threads;
mod widen;
mod work;

pub use assembly::{KeysValues, TableRows};
pub use device::Device;
pub use engine::{Attention, Engine};
pub use environment::{Runtime, default_threads};
pub use library::{DYLIB_VARIABLE, Library, Source};
pub use package::PINNED;
pub use packaged::{Packaged, packaged};
pub use part::Part;
pub use placement::Placement;
pub use probe::probe;
pub use provider::{Choice, Provider, with_option};
pub use start::start;
pub use tensor::Tensor;
pub use work::Work;
