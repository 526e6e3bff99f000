//! Which prompts break in a cell: what stands behind a mark of a picture.

use std::collections::BTreeMap;

use crate::file::sha256_bytes;
use crate::kit::words::columns::key;
use crate::prompt::{Carry, Operation, Styles};
use crate::record::{Findings, Measurement, Shown, Sweep, Told, broken};

/// The prompts that break in a cell.
pub struct Broken {
    /// What tells the cell from all others.
    pub key: String,
    /// What is to be said of all of them.
    pub says: Vec<String>,
    /// What is known of those that are shown.
    pub columns: Vec<String>,
    /// A row each.
    pub rows: Vec<Vec<String>>,
}

/// The most combinations of operands that are tried to find out which prompts a record is of.
const MOST_TRIED: i64 = 1 << 20;

/// The prompts that break in every cell in which a right answer is lost.
pub fn all(findings: &Findings<'_>) -> Vec<Broken> {
    let shown = Shown::of(findings.sweeps.iter().flat_map(Sweep::measurements));
    let mut known = Known::of(findings);
    let cells = findings
        .sweeps
        .iter()
        .flat_map(|sweep| sweep.measurements());
    let mut all = Vec::new();
    for m in cells.filter(|m| m.counts.lost() > 0) {
        let prompts = known.prompts(m);
        all.push(of_cell(m, prompts, shown, findings));
    }
    all
}

/// The prompts of a set: their operands, and what is carried in each where that is defined.
struct Prompts {
    operands: Vec<Vec<i64>>,
    carries: Vec<Option<Carry>>,
}

/// Operands by the hash of their prompts.
struct Known {
    styles: Styles,
    sets: BTreeMap<String, Option<Prompts>>,
}

impl Known {
    /// The operands that records have. Equal hashes are of equal texts in one order, whichever cell has the operands.
    fn of(findings: &Findings<'_>) -> Self {
        let mut sets = BTreeMap::new();
        let cells = findings
            .sweeps
            .iter()
            .flat_map(|sweep| sweep.measurements());
        for m in cells {
            if let Some(operands) = &m.answers.operands
                && operands.len() == m.answers.right.len()
                && !sets.contains_key(&set(m))
            {
                sets.insert(set(m), Some(Prompts::of(m, operands.clone())));
            }
        }
        let styles = Styles::built_in();
        Self { styles, sets }
    }

    fn prompts(&mut self, m: &Measurement) -> Option<&Prompts> {
        let styles = &self.styles;
        let found = self.sets.entry(set(m));
        let found = found.or_insert_with(|| Some(Prompts::of(m, enumerated(m, styles)?)));
        found.as_ref()
    }
}

/// What tells a set of prompts from all others.
fn set(m: &Measurement) -> String {
    format!("{} {}", m.answers.prompts_sha256, m.subject.operation)
}

impl Prompts {
    fn of(m: &Measurement, operands: Vec<Vec<i64>>) -> Self {
        let operation: Option<Operation> = m.subject.operation.parse().ok();
        let carry = |of: &Vec<i64>| {
            let operation = operation.as_ref().filter(|op| op.operands() == of.len())?;
            Carry::of(operation, of)
        };
        Self {
            carries: operands.iter().map(carry).collect(),
            operands,
        }
    }
}

/// The operands of a record that does not have them: all of its ranges, if the texts of their prompts have the record's hash.
fn enumerated(m: &Measurement, styles: &Styles) -> Option<Vec<Vec<i64>>> {
    let operation: Operation = m.subject.operation.parse().ok()?;
    let style = std::slice::from_ref(&m.subject.style);
    let template = styles
        .select(style, std::slice::from_ref(&operation))
        .ok()?
        .pop()?;
    let ([first, last], [least, most]) = (m.provenance.operands, m.provenance.results);
    let values = last.checked_sub(first)?.checked_add(1)?;
    if operation.operands() != 2 || values < 1 || values.checked_mul(values)? > MOST_TRIED {
        return None;
    }
    let pairs = (first..=last).flat_map(|a| (first..=last).map(move |b| vec![a, b]));
    let in_range = |of: &Vec<i64>| {
        let result = operation.evaluate(of);
        result.is_some_and(|result| (least..=most).contains(&result))
    };
    let all: Vec<Vec<i64>> = pairs.filter(in_range).collect();
    let digits = |value: i64| value.to_string().len();
    let of_shape = |of: &&Vec<i64>| {
        m.place.shape.as_ref().is_some_and(|shape| {
            let tokens = of.iter().zip(&shape.operands);
            let answer = operation.evaluate(of).map(digits);
            tokens
                .clone()
                .all(|(value, tokens)| digits(*value) == *tokens)
                && answer == Some(shape.answer)
        })
    };
    let is_it = |all: &Vec<Vec<i64>>| {
        let texts = || all.iter().map(|of| template.render(of).text);
        all.len() == m.answers.right.len()
            && sha256_bytes(texts().collect::<Vec<_>>().join("\0").as_bytes()).as_str()
                == m.answers.prompts_sha256
    };
    let of_digits: Vec<Vec<i64>> = all.iter().filter(of_shape).cloned().collect();
    [all, of_digits].into_iter().find(is_it)
}

fn of_cell(
    m: &Measurement,
    prompts: Option<&Prompts>,
    shown: Shown,
    findings: &Findings<'_>,
) -> Broken {
    let lost = broken(m);
    let some = shown.some(&lost);
    let told: Vec<Option<&Told>> = some.iter().map(|i| findings.said.told(m, *i)).collect();
    let mut says = vec![format!(
        "{} of the {} right answers are lost",
        lost.len(),
        m.counts.base_correct
    )];
    says.extend(prompts.and_then(|prompts| by_carry(m, prompts, &lost)));
    if some.len() < lost.len() {
        says.push(format!("{} of them are shown, evenly spread", some.len()));
    }
    let is_told = told.iter().any(Option::is_some);
    if !is_told {
        says.push(match prompts {
            Some(_) => SAID_ELSEWHERE.to_owned(),
            None => format!("these records do not say which prompts they are; {SAID_ELSEWHERE}"),
        });
    }
    let columns = Columns {
        operands: m
            .subject
            .operation
            .parse::<Operation>()
            .map_or(0, |op| op.operands()),
        has_carry: prompts.is_some_and(|of| of.carries.iter().any(Option::is_some)),
        is_told,
    };
    let row = |(&i, told): (&usize, &Option<&Told>)| columns.row(m, i, prompts, *told);
    Broken {
        key: key(m),
        says,
        columns: columns.names(),
        rows: some.iter().zip(&told).filter_map(row).collect(),
    }
}

/// Where the answers are.
const SAID_ELSEWHERE: &str = "what was said instead stands in the file of a run with --answers, which af1 report takes as --answers, too";

/// How many break of what is carried; nothing where all prompts are of one class.
fn by_carry(m: &Measurement, prompts: &Prompts, lost: &[usize]) -> Option<String> {
    let base = m.answers.base.iter().enumerate();
    let right: Vec<usize> = base.filter(|(_, right)| **right).map(|(i, _)| i).collect();
    let of = |carry: Carry| {
        let is = |i: &&usize| prompts.carries.get(**i) == Some(&Some(carry));
        let (all, broken) = (
            right.iter().filter(is).count(),
            lost.iter().filter(is).count(),
        );
        (all > 0).then(|| format!("{} {broken} of {all}", carry.name()))
    };
    let all: Vec<String> = Carry::ALL.into_iter().filter_map(of).collect();
    (all.len() > 1).then(|| format!("lost by what is carried: {}", all.join(", ")))
}

/// What is known of every prompt that is shown.
struct Columns {
    operands: usize,
    has_carry: bool,
    is_told: bool,
}

impl Columns {
    fn names(&self) -> Vec<String> {
        let operands = (0..self.operands).map(|i| Operation::letter(i).to_string());
        let mut names: Vec<String> = operands.collect();
        names.push("right answer".to_owned());
        if self.has_carry {
            names.push("carry".to_owned());
        }
        if self.is_told {
            let told = ["said", "margin", "the model's margin", "prompt"];
            names.extend(told.map(str::to_owned));
        }
        names
    }

    /// `None` where nothing says the operands.
    fn row(
        &self,
        m: &Measurement,
        i: usize,
        prompts: Option<&Prompts>,
        told: Option<&Told>,
    ) -> Option<Vec<String>> {
        let own = prompts.and_then(|prompts| prompts.operands.get(i));
        let operands = own.or(told.map(|told| &told.operands))?;
        let operation: Operation = m.subject.operation.parse().ok()?;
        if operands.len() != operation.operands() {
            return None;
        }
        let mut row: Vec<String> = operands.iter().map(ToString::to_string).collect();
        let answer = operation.evaluate(operands);
        row.push(answer.map_or(String::new(), |answer| m.word(answer)));
        if self.has_carry {
            let carry = prompts.and_then(|prompts| *prompts.carries.get(i)?);
            row.push(carry.map_or("", Carry::name).to_owned());
        }
        if self.is_told {
            let said = told.map_or(Default::default(), |told| {
                [
                    format!("{:?}", told.text),
                    format!("{:+.2}", told.logit_difference),
                    format!("{:+.2}", told.base_logit_difference),
                    told.prompt.clone(),
                ]
            });
            row.extend::<[String; 4]>(said);
        }
        Some(row)
    }
}
