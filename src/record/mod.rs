//! Measurements: what is written down about an experiment, and with what provenance. Nothing here runs a model; how
//! measurements are shown is [`crate::report`]'s business.
#![doc = include_str!("schema.md")]

mod measurement;
mod verdict;

pub use measurement::{Measurement, Provenance, Run, SCHEMA, measure};
pub use verdict::{Outcome, Verdict, judge};
