//! Which operands prompts may have: all in a range, or those of a list with all that their values combine to.

use std::collections::BTreeSet;

use super::{ContextsFrom, Operation, Selection, Template, Written};
use crate::{Error, Result};

/// Operands that may be asked or are a context.
#[derive(Clone)]
pub(super) struct Combination {
    pub operands: Vec<i64>,
    /// The result, where it lies in the range of results; of a list that of every context, too.
    pub result: Option<i64>,
    /// Whether the prompt may be asked, which takes a result.
    pub asked: bool,
}

/// Above this many combinations the operands are not enumerated.
const MOST_COMBINATIONS: u128 = 5_000_000;

/// The values of one operand.
enum Values {
    /// So many values from the first on.
    Range(i64, u128),
    /// The values that are listed, in ascending order.
    These(Vec<i64>),
}

impl Values {
    fn len(&self) -> u128 {
        match self {
            Self::Range(_, len) => *len,
            Self::These(values) => values.len() as u128,
        }
    }

    fn at(&self, index: u64) -> i64 {
        match self {
            // It lies in a range of 64 bits.
            Self::Range(first, _) => first.wrapping_add(index as i64),
            Self::These(values) => values[index as usize],
        }
    }

    /// The values that can be written.
    fn written(self, written: &Written) -> Self {
        match (self, written.range()) {
            (Self::Range(first, len), Some(range)) => {
                let last = i128::from(first) + len as i128 - 1;
                let first = first.max(*range.start());
                let last = last.min(i128::from(*range.end()));
                let len = u128::try_from(last - i128::from(first) + 1).unwrap_or(0);
                Self::Range(first, len)
            }
            (values, _) => values,
        }
    }
}

impl Selection {
    /// The values of an operand.
    fn values_of(&self, operand: usize) -> Values {
        match &self.listed {
            None => {
                let (first, last) = (*self.operands.start(), *self.operands.end());
                let len = u128::try_from(i128::from(last) - i128::from(first) + 1).unwrap_or(0);
                Values::Range(first, len)
            }
            Some(listed) => {
                let all = listed.operands.iter().filter_map(|of| of.get(operand));
                let values: BTreeSet<i64> = all.copied().collect();
                Values::These(values.into_iter().collect())
            }
        }
    }

    /// The number of values of the operand that has most.
    pub(super) fn values(&self) -> usize {
        let operands = self
            .listed
            .as_ref()
            .and_then(|of| Some(of.operands.first()?.len()));
        let most = (0..operands.unwrap_or(1))
            .map(|operand| self.values_of(operand).len())
            .max();
        most.and_then(|most| usize::try_from(most).ok())
            .unwrap_or(usize::MAX)
    }

    /// Operands with their result.
    ///
    /// # Errors
    /// An index that the table of the answers lacks.
    fn combination(&self, template: &Template, operands: Vec<i64>) -> Result<Combination> {
        let result = template.operation.evaluate(&operands);
        if let Some(index) = result.filter(|&index| !template.answer.has(index)) {
            return Err(not_in_table(template, &operands, index));
        }
        let (result, is_taken) = match &self.listed {
            Some(listed) => (result, listed.operands.contains(&operands)),
            None => (result.filter(|result| self.results.contains(result)), true),
        };
        Ok(Combination {
            operands,
            result,
            asked: is_taken && result.is_some(),
        })
    }
}

/// All operands that may be asked or are contexts, in ascending order.
///
/// # Errors
/// Too many combinations to enumerate; a list with another number of operands; an index that the table of the answers lacks.
pub(super) fn universe(template: &Template, selection: &Selection) -> Result<Vec<Combination>> {
    let count = template.operation.operands();
    if let Some(listed) = &selection.listed {
        if listed
            .operands
            .iter()
            .any(|operands| operands.len() != count)
        {
            return Err(Error::NoPrompts {
                style: template.style.clone(),
                operation: template.operation.to_string(),
                reason: "the prompts of the list have another number of operands".to_owned(),
            });
        }
        if selection.contexts_from == ContextsFrom::Answerable {
            let all = listed.operands.iter().cloned();
            let all = all.map(|operands| selection.combination(template, operands));
            let all: Vec<Combination> = all.collect::<Result<_>>()?;
            return Ok(all.into_iter().filter(|of| of.asked).collect());
        }
    }
    let values: Vec<Values> = (0..count)
        .map(|operand| {
            let values = selection.values_of(operand);
            values.written(&template.operands[operand])
        })
        .collect();
    let combinations = values
        .iter()
        .try_fold(1u128, |all, of| all.checked_mul(of.len()));
    let Some(combinations) = combinations.filter(|&all| all <= MOST_COMBINATIONS) else {
        return Err(too_many(template, selection, &values));
    };
    let mut universe = Vec::new();
    for index in 0..combinations as u64 {
        // The last operand changes fastest.
        let mut rest = index;
        let mut operands = vec![0; count];
        for (operand, values) in operands.iter_mut().zip(&values).rev() {
            let len = values.len() as u64;
            *operand = values.at(rest % len);
            rest /= len;
        }
        let combination = selection.combination(template, operands)?;
        if combination.asked || selection.contexts_from == ContextsFrom::All {
            universe.push(combination);
        }
    }
    Ok(universe)
}

/// The error of operands whose answer is no word of the table.
fn not_in_table(template: &Template, operands: &[i64], index: i64) -> Error {
    let values = operands.iter().enumerate();
    let values = values.map(|(i, value)| format!("{} = {value}", Operation::letter(i)));
    let (name, size) = template
        .answer
        .words()
        .map_or(("", 0), |words| (words.name(), words.all().len()));
    Error::NoPrompts {
        style: template.style.clone(),
        operation: template.operation.to_string(),
        reason: format!(
            "for {} the index is {index}, and the table {name} has the indices 0..={}; take the remainder, as in {name}[(A+B)%{size}], or \
             narrow --operands",
            values.collect::<Vec<_>>().join(", "),
            size.max(1) - 1
        ),
    }
}

fn too_many(template: &Template, selection: &Selection, values: &[Values]) -> Error {
    let (first, last) = (selection.operands.start(), selection.operands.end());
    let (most, count) = (MOST_COMBINATIONS, values.len());
    Error::Usage(match &selection.listed {
        None => format!(
            "--operands {first}..={last} gives {}^{count} combinations for {}, more than {most}; narrow the range",
            values.first().map_or(0, Values::len),
            template.operation
        ),
        Some(_) => {
            let each: Vec<String> = values.iter().map(|of| of.len().to_string()).collect();
            format!(
                "--prompts: the operands of {} have {} values, whose combinations, more than {most}, would be the contexts; take the lines \
                 alone with --contexts-from answerable, or a list with fewer values",
                template.operation,
                each.join(" x ")
            )
        }
    })
}
