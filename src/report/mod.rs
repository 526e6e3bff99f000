//! Showing measurements: pure functions of them. Nothing here measures or writes files.

mod table;

pub use table::{counts, heading, notes, reproduction, subgraphs, transfer, waiting};
