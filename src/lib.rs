#![doc = "af1: is the All-for-One subgraph sufficient for mental arithmetic?"]
#![deny(missing_docs)]

pub mod cli;
pub mod error;
pub mod experiment;
pub mod fetch;
pub mod graph;
pub mod intervene;
pub mod model;
pub mod progress;
pub mod prompt;
pub mod record;
pub mod report;
pub mod runtime;
pub mod stats;

pub use error::{Error, Result};
