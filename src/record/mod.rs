//! Measurements: what is written down about an experiment, and with what provenance. Nothing here runs a model; how
//! measurements are shown is [`crate::report`]'s business.
#![doc = include_str!("schema.md")]

mod about;
mod checked;
mod comparison;
mod draws;
mod failure;
mod findings;
mod head;
mod journal;
mod key;
mod kind;
mod line;
mod measured;
mod measurement;
mod merge;
mod order;
mod outcome;
mod over_draws;
mod patched;
mod place;
mod pooled;
mod provenance;
mod reading;
mod row;
mod said;
mod shards;
mod sheet;
mod strata;
mod subject;
mod verdict;
mod whole;
mod wire;

pub use comparison::{Change, Comparison, Pair};
pub use draws::{FEWEST_DRAWS, OverDraws};
pub use findings::{
    Controls, Corrected, Draws, Findings, Group, Sweep, Tested, is_random_set, measured,
};
pub use journal::Journal;
pub use key::{Key, key};
pub use kind::Kind;
pub(crate) use line::read_text;
pub use line::{Line, file_text, read};

pub use checked::{Answer, Checked, Conclusion, Gated, Judgement, Planted, Recovered};
pub use failure::Failure;
pub use head::{HeadAttention, Weight};
pub use measured::{Run, attended, measure};
pub use measurement::{
    Answers, Chosen, ContextCounts, Counts, Measurement, Paired, PromptAnswer, Scores, Test,
};
pub use merge::{incomplete, merge};
pub use outcome::{Outcome, Verdict};
pub use over_draws::over_draws;
pub use patched::{Patched, PatchedPosition, Share, patched};
pub(crate) use place::OwnedAddress;
pub use place::{Address, CellName, Place};
pub use pooled::pooled;
pub use provenance::Provenance;
pub use reading::{Reading, Stands, Under, readings};
pub use row::Row;
pub use said::{Hint, MOST_SAID, Said, Wrong};
pub use shards::Ended;
pub(crate) use sheet::{Answered, each_answer};
pub use sheet::{Sheet, Shown, Told, broken};
pub use strata::{Class, Stratum};
pub use subject::{PruningOrder, Subject};
pub use verdict::{Tests, after_holm, judge, tests};
pub use whole::whole;
pub use wire::SCHEMA;
