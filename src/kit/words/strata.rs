//! Cells by what makes their prompts hard: by what is carried, and by the digit that is right.

use super::about::proportion_of;
use super::{claimed, claimed_whole};
use crate::kit::{Block, Table, column};
use crate::record::{Class, Kind, Measurement, Stratum, Sweep};

/// A row: a class of a cell.
struct Row<'s> {
    m: &'s Measurement,
    stratum: &'s Stratum,
}

/// By what the rows of a table are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Carry,
    Digit,
}

impl By {
    fn title(self) -> &'static str {
        match self {
            Self::Carry => {
                "by carry: what is carried when the sum is written out, or borrowed in a difference (exact 95% intervals about these prompts)"
            }
            Self::Digit => {
                "by digit: with what begins what is right at the step, or the whole answer (exact 95% intervals about these prompts)"
            }
        }
    }

    fn column(self) -> &'static str {
        match self {
            Self::Carry => "carry",
            Self::Digit => "digit",
        }
    }

    /// The class of a stratum in words, if it is one of these.
    fn words(self, class: Class) -> Option<String> {
        match (self, class) {
            (Self::Carry, Class::Carry(carry)) => Some(carry.name().to_owned()),
            (Self::Digit, Class::Digit(digit)) => Some(digit.to_string()),
            _ => None,
        }
    }
}

/// The claims of a sweep by what is carried; nothing where every number is one token.
pub fn summary(sweep: &Sweep) -> Option<Block> {
    table(&claims(sweep), By::Carry)
}

/// The same for a page, by the digit, too.
pub fn detail(sweep: &Sweep) -> Vec<Block> {
    let claims = claims(sweep);
    let tables = [By::Carry, By::Digit].into_iter();
    tables.filter_map(|by| table(&claims, by)).collect()
}

/// What is claimed about every step, then about whole answers.
fn claims(sweep: &Sweep) -> Vec<&Measurement> {
    let mut claims = claimed(sweep, |m| m.experiment == Kind::AF1);
    claims.extend(claimed_whole(sweep, &claims));
    claims
}

/// A row a class; nothing where there are none.
fn table(cells: &[&Measurement], by: By) -> Option<Block> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for m in cells {
        let of_kind = m
            .strata
            .iter()
            .filter(|stratum| by.words(stratum.class).is_some());
        rows.extend(of_kind.map(|stratum| Row { m, stratum }));
    }
    let columns = [
        column("style", |row: &Row<'_>| row.m.subject.style.clone()),
        column("op", |row: &Row<'_>| row.m.question()),
        column("replaced by", |row: &Row<'_>| {
            row.m.subject.ablation.clone()
        }),
        column("W", |row: &Row<'_>| row.m.subject.wait().to_string()),
        column("transfer", |row: &Row<'_>| {
            row.m.subject.transfer_layers().unwrap_or_default()
        }),
        column(by.column(), move |row: &Row<'_>| {
            by.words(row.stratum.class).unwrap_or_default()
        }),
        column("base accuracy", |row: &Row<'_>| {
            proportion_of(row.stratum.base_accuracy())
        }),
        column("accuracy", |row: &Row<'_>| {
            proportion_of(row.stratum.accuracy())
        }),
        column("faithfulness", |row: &Row<'_>| {
            proportion_of(row.stratum.faithfulness())
        }),
    ];
    (!rows.is_empty()).then(|| Block::Table(Table::of(by.title(), &columns, &rows)))
}
