//! The `af1` program.
fn main() {}
