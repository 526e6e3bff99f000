//! What is expected of records, and what they say.

use serde::Serialize;
use serde_json::Value;

use super::Outcome;
use super::rows::{Rows, at};

/// What the records that have these fields are expected to say: all of them, and at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// The fields that tell the records, with their values.
    pub rows: toml::Table,
    /// What a field of theirs is to be.
    pub is: Is,
}

/// What a field of a record is to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Is {
    /// The verdict is that AF1 is sufficient for the command's claim, or that it is not.
    Verdict(Verdict),
    /// A number with an interval is on one side of a bound.
    Number {
        /// The field; the ends of its interval are `low` and `high` within it, or the fields with `_low` and `_high` behind its name.
        field: String,
        /// The bound.
        bound: Bound,
    },
}

/// A verdict that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// AF1 keeps the claim.
    Pass,
    /// AF1 does not keep the claim.
    Fail,
}

/// A bound of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The number is as large as the bound, or larger.
    AtLeast(f64),
    /// The number is as small as the bound, or smaller.
    AtMost(f64),
    /// The number is larger than the bound.
    Above(f64),
    /// The number is smaller than the bound.
    Below(f64),
}

impl Bound {
    /// What an interval says: confirmed where all of it is on the side, contradicted where none of it is.
    fn holds(self, low: f64, high: f64) -> Outcome {
        let (all, none) = match self {
            Self::AtLeast(bound) => (low >= bound, high < bound),
            Self::AtMost(bound) => (high <= bound, low > bound),
            Self::Above(bound) => (low > bound, high <= bound),
            Self::Below(bound) => (high < bound, low >= bound),
        };
        match (all, none) {
            (true, _) => Outcome::Confirmed,
            (_, true) => Outcome::Contradicted,
            _ => Outcome::Undecided,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("at least {bound}"),
            Self::AtMost(bound) => format!("at most {bound}"),
            Self::Above(bound) => format!("above {bound}"),
            Self::Below(bound) => format!("below {bound}"),
        }
    }
}

/// What one record says about what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is expected.
    pub expected: String,
    /// The record that is meant, in words.
    pub of: String,
    /// What it says.
    pub found: String,
    /// What follows.
    pub outcome: Outcome,
}

impl Expected {
    /// What is expected, in words.
    pub fn words(&self) -> String {
        match &self.is {
            Is::Verdict(Verdict::Pass) => "AF1 is sufficient".to_owned(),
            Is::Verdict(Verdict::Fail) => "AF1 is not sufficient".to_owned(),
            Is::Number { field, bound } => {
                let number = match &**field {
                    "paired.accuracy_difference" => {
                        "accuracy less that of the first ablation".to_owned()
                    }
                    _ => field.replace('_', " "),
                };
                format!("{number} {}", bound.words())
            }
        }
    }

    /// A finding for every record that the expectation is about. It is undecided of a record in which the unmodified model is right on a
    /// smaller share of the prompts than `base_accuracy`.
    ///
    /// # Errors
    /// There is no such record; a record does not have the field, or the field has no interval.
    pub fn judge(&self, rows: &Rows, base_accuracy: Option<f64>) -> Result<Vec<Finding>, String> {
        let finding = |row: &Value| {
            let (found, outcome) = match (too_rarely_right(row, base_accuracy)?, &self.is) {
                (Some(found), _) => (found, Outcome::Undecided),
                (None, Is::Verdict(due)) => verdict(row, *due)?,
                (None, Is::Number { field, bound }) => number(row, field, *bound)?,
            };
            Ok(Finding {
                expected: self.words(),
                of: named(row),
                found,
                outcome,
            })
        };
        let found: Vec<Finding> = rows
            .that(&self.rows)
            .map(finding)
            .collect::<Result<_, String>>()?;
        match found.is_empty() {
            false => Ok(found),
            true => Err(format!("no record has {}", fields(&self.rows))),
        }
    }
}

/// The fields that tell records, in words.
fn fields(table: &toml::Table) -> String {
    let of = |(name, value): (&String, &toml::Value)| format!("{name} = {value}");
    let all: Vec<String> = table.iter().map(of).collect();
    match all.is_empty() {
        true => "anything".to_owned(),
        false => all.join(", "),
    }
}

/// Which record it is.
fn named(row: &Value) -> String {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut words = vec![text("style"), text("operation")];
    if !text("shape").is_empty() && text("shape") != "1+1=1" {
        words.push(text("shape"));
    }
    let step = text("step");
    let of_step = match step {
        "" | "0" if text("shape").ends_with("=1") => String::new(),
        "whole" => "whole answer".to_owned(),
        _ => format!("step {step}"),
    };
    words.extend([&*of_step, text("cell"), text("stratum")]);
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// How often the unmodified model is right, where that is less often than a claim asks for.
fn too_rarely_right(row: &Value, least: Option<f64>) -> Result<Option<String>, String> {
    let Some(least) = least else { return Ok(None) };
    let right = Interval::of(row, BASE_ACCURACY)
        .ok_or_else(|| format!("the record of {} has no base accuracy", named(row)))?;
    let words = || {
        let right = right.words(row, BASE_ACCURACY);
        format!("the model is right on {right}; the claim asks for at least {least}")
    };
    Ok((right.value < least).then(words))
}

fn verdict(row: &Value, due: Verdict) -> Result<(String, Outcome), String> {
    let text = |path: &str| at(row, path).and_then(Value::as_str);
    let (Some(outcome), Some(reason)) = (text("verdict.outcome"), text("verdict.reason")) else {
        return Err(format!("the record of {} has no verdict", named(row)));
    };
    let found = match (outcome, due) {
        ("pass", Verdict::Pass) | ("fail", Verdict::Fail) => Outcome::Confirmed,
        ("pass", Verdict::Fail) | ("fail", Verdict::Pass) => Outcome::Contradicted,
        _ => Outcome::Undecided,
    };
    let share = share(row, "faithfulness").unwrap_or_default();
    Ok((format!("{share}{outcome}: {reason}"), found))
}

/// The share of a record with its interval, and a semicolon.
fn share(row: &Value, field: &str) -> Option<String> {
    let interval = Interval::of(row, field)?;
    Some(format!("{}; ", interval.words(row, field)))
}

fn number(row: &Value, field: &str, bound: Bound) -> Result<(String, Outcome), String> {
    match (Interval::of(row, field), at(row, field)) {
        (Some(interval), _) => {
            let outcome = bound.holds(interval.low, interval.high);
            Ok((interval.words(row, field), outcome))
        }
        // As the faithfulness of a model that answers no prompt.
        (None, Some(Value::Null)) => {
            Ok(("nothing to measure it by".to_owned(), Outcome::Undecided))
        }
        (None, _) => Err(format!(
            "the record of {} has no number {field:?} with an interval",
            named(row)
        )),
    }
}

/// The field of what the unmodified model answers rightly.
const BASE_ACCURACY: &str = "base_accuracy";

/// A number and its interval.
struct Interval {
    value: f64,
    low: f64,
    high: f64,
}

impl Interval {
    /// The number of a field with its interval; `None` where the record lacks one of them.
    fn of(row: &Value, field: &str) -> Option<Self> {
        let number = |path: &str| at(row, path).and_then(Value::as_f64);
        let ends = |value: &str, low: &str, high: &str| {
            Some(Self {
                value: number(value)?,
                low: number(low)?,
                high: number(high)?,
            })
        };
        let within = |end: &str| format!("{field}.{end}");
        let beside = |end: &str| format!("{field}_{end}");
        ends(&within("value"), &within("low"), &within("high"))
            .or_else(|| ends(field, &beside("low"), &beside("high")))
    }

    fn words(&self, row: &Value, field: &str) -> String {
        let count = |name: &str| at(row, name).and_then(Value::as_u64);
        let counts = match field {
            _ if row.get("stratum").is_some() => None,
            "faithfulness" => count("correct_given_base").zip(count("base_correct")),
            "accuracy" => count("correct").zip(count("prompts")),
            BASE_ACCURACY => count("base_correct").zip(count("prompts")),
            _ => None,
        };
        let counts = counts.map_or(String::new(), |(n, of)| format!("{n}/{of} "));
        format!(
            "{counts}{:.3} [{:.3}, {:.3}]",
            self.value, self.low, self.high
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_decides_or_does_not() {
        use Outcome::{Confirmed, Contradicted, Undecided};
        let all = [
            (Bound::AtLeast(0.9), [Confirmed, Undecided, Contradicted]),
            (Bound::Above(0.9), [Confirmed, Undecided, Contradicted]),
            (Bound::AtMost(0.9), [Contradicted, Undecided, Confirmed]),
            (Bound::Below(0.9), [Contradicted, Undecided, Confirmed]),
        ];
        for (bound, due) in all {
            let found = [(0.91, 0.95), (0.85, 0.95), (0.8, 0.89)];
            assert_eq!(
                found.map(|(low, high)| bound.holds(low, high)),
                due,
                "{bound:?}"
            );
        }
        // A tie is neither more nor less.
        assert_eq!(Bound::Above(0.0).holds(0.0, 0.0), Contradicted);
        assert_eq!(Bound::AtLeast(0.0).holds(0.0, 0.0), Confirmed);
    }
}
