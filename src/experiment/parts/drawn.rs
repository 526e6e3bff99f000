//! Pairs of prompts and counterfactuals, as an experiment draws them on a template.

use super::unit::Workbench;
use crate::measure::{Change, Evaluation, Pair, pairs};
use crate::{Error, Result};

/// Prompts with their counterfactuals.
pub struct Drawn {
    /// The pairs of prompts and counterfactuals, by their indices.
    pub pairs: Vec<Pair>,
    /// Where the counterfactuals are of another operation.
    pub others: Option<Evaluation>,
}

impl Drawn {
    /// At most so many pairs of a template; those of another operation are of the style's next one of which there are any.
    ///
    /// # Errors
    /// A change that cannot be made to the prompts of the template; as [`Workbench::prepared`].
    pub fn of(bench: &mut Workbench<'_>, change: Change, most: usize, seed: u64) -> Result<Self> {
        let operands = bench.set.template.operation.operands();
        if !change.fits(operands) {
            let reason = format!(
                "--change {change}: the operation has {operands} operands; expected a letter of one of them, or all, or operator"
            );
            return Err(refused(bench, reason));
        }
        if change != Change::Operator {
            let evaluation = bench.prepared()?.1;
            let pairs = pairs(evaluation, evaluation, change, most, seed);
            let others = None;
            return Ok(Self { pairs, others });
        }
        if bench.request.operations.is_empty() {
            let reason = "--change operator: the style has no other operation whose prompts have operands and text at the same positions; expected a \
                          letter of an operand, or all, or a style that has both operations";
            return Err(refused(bench, reason.to_owned()));
        }
        let mut index = 0;
        while let Some(others) = bench.other_operation(index)? {
            let pairs = pairs(bench.prepared()?.1, &others, change, most, seed);
            if !pairs.is_empty() {
                let others = Some(others);
                return Ok(Self { pairs, others });
            }
            index += 1;
        }
        Ok(Self {
            pairs: Vec::new(),
            others: None,
        })
    }
}

/// The error of a change that cannot be made to the prompts of a template.
fn refused(bench: &Workbench<'_>, reason: String) -> Error {
    let template = &bench.set.template;
    Error::NoPrompts {
        style: template.style.clone(),
        operation: template.operation.to_string(),
        reason,
    }
}
