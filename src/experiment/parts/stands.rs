//! How tokens stand in what the lens reads, as numbers that are shown.

use crate::kit::words::number::{interval, proportion, share};
use crate::kit::{Estimate, TableCell, Value};
use crate::record::{Reading, Stands};

/// How something stands in a record.
pub fn stands<'r>(r: &'r Reading, spot: &str, sought: &str) -> Option<&'r Stands> {
    r.lens.get(spot)?.get(sought)
}

/// Which of its numbers.
#[derive(Clone, Copy)]
pub enum Number {
    /// The share of prompts in which it is the first choice.
    First,
    /// The mean of its probability.
    Probability,
    /// The mean of its rank.
    Rank,
}

impl Number {
    /// The name of the number, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::First => "share of prompts in which it is the first choice",
            Self::Probability => "mean probability",
            Self::Rank => "mean rank",
        }
    }

    fn field(self) -> &'static str {
        match self {
            Self::First => "first.value",
            Self::Probability => "probability.mean",
            Self::Rank => "rank.mean",
        }
    }

    /// The number with its interval; `None` without prompts.
    pub fn of(self, stands: &Stands) -> Option<Estimate> {
        let value = stands.first.value?;
        Some(match self {
            Self::First => Estimate {
                value,
                low: Some(stands.first.low),
                high: Some(stands.first.high),
                of: None,
            },
            Self::Probability => stands.probability.into(),
            Self::Rank => stands.rank.into(),
        })
    }

    /// The number as it is read.
    fn text(self, stands: &Stands, prompts: usize) -> String {
        let Some(of) = self.of(stands) else {
            return "no prompts".to_owned();
        };
        match self {
            Self::First => counted(stands, prompts),
            Self::Probability => interval(|x| share(x, prompts), of.value, of.low, of.high),
            Self::Rank => interval(|x| format!("{x:.1}"), of.value, of.low, of.high),
        }
    }

    /// The cell of a table that shows it.
    pub fn cell(self, r: &Reading, spot: &str, sought: &str) -> TableCell {
        let Some(stands) = stands(r, spot, sought) else {
            return TableCell::words("");
        };
        let field = format!("lens.{spot}.{sought}.{}", self.field());
        let (low, high) = self.of(stands).map_or((None, None), |of| (of.low, of.high));
        let value = self.of(stands).map(|of| Value::Real(of.value));
        TableCell::number(self.text(stands, r.prompts), r.address(), &field, value)
            .within(low, high)
    }
}

/// How often something is the first choice, with its interval.
pub fn counted(stands: &Stands, prompts: usize) -> String {
    let first = stands.first;
    proportion(first.count, prompts, (first.low, first.high))
}

/// The median of the ranks.
pub fn median(r: &Reading, spot: &str, sought: &str) -> TableCell {
    let median = stands(r, spot, sought).and_then(|stands| stands.median_rank);
    let Some(median) = median else {
        return TableCell::words("");
    };
    let field = format!("lens.{spot}.{sought}.median_rank");
    let value = Some(Value::Whole(u64::from(median)));
    TableCell::number(median.to_string(), r.address(), &field, value)
}
