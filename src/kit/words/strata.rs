//! Cells by what makes their prompts hard: by what is carried, by the digit that is right, and by the word that answers.

use super::about::proportion_of;
use super::{about::distinct, claimed, claimed_whole};
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
    Word,
}

impl By {
    fn title(self) -> &'static str {
        match self {
            Self::Carry => {
                "by carry: what is carried when the sum is written out, or borrowed in a difference (exact 95% intervals about these prompts)"
            }
            Self::Word => "by answer: the word (exact 95% intervals about these prompts)",
            Self::Digit => {
                "by digit: with what begins what is right at the step, or the whole answer (exact 95% intervals about these prompts)"
            }
        }
    }

    fn column(self) -> &'static str {
        match self {
            Self::Carry => "carry",
            Self::Digit => "digit",
            Self::Word => "answer",
        }
    }

    /// The class of a stratum in words, if it is one of these.
    fn words(self, class: &Class) -> Option<String> {
        match (self, class) {
            (Self::Carry, Class::Carry(carry)) => Some(carry.name().to_owned()),
            (Self::Digit, Class::Digit(digit)) => Some(digit.to_string()),
            (Self::Word, Class::Word { word, .. }) => Some(word.clone()),
            _ => None,
        }
    }
}

/// The claims of a sweep by what is carried, where there are whole answers those about them; nothing where every number is one token.
pub fn summary(sweep: &Sweep) -> Vec<Block> {
    let mut claims = claims(sweep);
    if claims.iter().any(|m| m.experiment == Kind::WHOLE) {
        claims.retain(|m| m.experiment == Kind::WHOLE);
    }
    let table = table(&claims, By::Carry);
    table.into_iter().chain(undefined(&claims)).collect()
}

/// Which operations are not in the table, because nothing is carried in them in a way that is defined.
fn undefined(claims: &[&Measurement]) -> Option<Block> {
    let has_carry = |m: &Measurement| {
        let mut strata = m.strata.iter();
        strata.any(|stratum| By::Carry.words(&stratum.class).is_some())
    };
    let without = claims
        .iter()
        .filter(|m| !m.strata.is_empty() && m.words.is_empty() && !has_carry(m));
    let operations = distinct(without.map(|m| m.subject.operation.clone()));
    (!operations.is_empty()).then(|| Block::Text(format!("{}: {UNCARRIED}", operations.join(", "))))
}

/// Why there is no table by carry.
pub const UNCARRIED: &str = "what is carried is defined only of a sum without brackets whose terms have one sign, and of a difference \
    of two";

/// The same for a page, by the digit and by the word, too.
pub fn detail(sweep: &Sweep) -> Vec<Block> {
    let claims = claims(sweep);
    let tables = [By::Carry, By::Digit, By::Word].into_iter();
    let tables = tables.filter_map(|by| table(&claims, by));
    tables.chain(undefined(&claims)).collect()
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
            .filter(|stratum| by.words(&stratum.class).is_some());
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
            by.words(&row.stratum.class).unwrap_or_default()
        }),
        column("base accuracy", |row: &Row<'_>| {
            proportion_of(row.stratum.base_accuracy())
        })
        .useful(),
        column("accuracy", |row: &Row<'_>| {
            proportion_of(row.stratum.accuracy())
        })
        .useful(),
        column("faithfulness", |row: &Row<'_>| {
            proportion_of(row.stratum.faithfulness())
        }),
    ];
    (!rows.is_empty()).then(|| Block::Table(Table::of(by.title(), &columns, &rows)))
}
