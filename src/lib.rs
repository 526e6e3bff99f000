#![doc = "af1: is the All-for-One subgraph sufficient for mental arithmetic?"]
#![deny(missing_docs)]

pub mod error;
pub mod fetch;
pub mod graph;
pub mod model;
pub mod progress;
pub mod prompt;
pub mod runtime;

pub use error::{Error, Result};
