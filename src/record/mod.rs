//! Measurements: what is written down about an experiment, and with what provenance. Nothing here runs a model; how
//! measurements are shown is [`crate::report`]'s business.
#![doc = include_str!("schema.md")]

mod about;
mod comparison;
mod draws;
mod findings;
mod journal;
mod key;
mod kind;
mod measurement;
mod over_draws;
mod pooled;
mod row;
mod said;
mod verdict;

pub use comparison::{Change, Comparison, Pair};
pub use draws::{FEWEST_DRAWS, OverDraws};
pub use findings::{
    Controls, Corrected, Draws, Findings, Group, Sweep, Tested, is_random_set, measured,
};
pub use journal::Journal;
pub use key::{Key, key};
pub use kind::Kind;

pub use measurement::{
    Measurement, Paired, Provenance, Run, SCHEMA, attended, bits_of_hex, hex_bits, measure,
};
pub use over_draws::over_draws;
pub use pooled::pooled;
pub use row::{Failure, HeadAttention, Line, Row, Weight, incomplete, merge, read};
pub use said::{Hint, MOST_SAID, Said, Wrong};
pub use verdict::{Outcome, Tests, Verdict, after_holm, judge, tests};
