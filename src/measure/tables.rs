//! The tables of an AF1 that is written into a graph of its own.

use std::collections::BTreeSet;

use ndarray::{Array3, Array4, ArrayView3};

use super::Evaluation;
use super::biases::Biases;
use super::compiled::{Compiled, compiles};
use super::forward::streams;
use super::rows::Rows;
use crate::emit::af1::Af1;
use crate::intervene::ablation::CAMA;
use crate::intervene::{Estimator, Mask, MaskedBy, Plan};
use crate::runtime::{Engine, KeysValues};
use crate::{Error, Result};

/// The tables of an AF1 that can be written into a graph of its own.
pub struct Tables {
    /// What they are of: rows are named by the prompt and the position where they occur first.
    pub rows: Vec<(usize, usize)>,
    /// The keys and the values of the rows by transfer layer, `[row, kv, 1, d_head]`.
    pub transfer: Vec<[Array4<f32>; 2]>,
    /// The key and the value of position 0 by layer from `wait` on, `[1, kv, 1, d_head]`.
    pub sinks: Vec<[Array4<f32>; 2]>,
    /// `resid[wait]` of the different last tokens, `[row, 1, d_model]`.
    pub last: Array3<f32>,
}

/// The tables of AF1(`wait`, `transfer`) over prompts whose replaced streams are `replaced`, `[batch, pos, d_model]`.
///
/// # Errors
/// The runtime's reason; an interrupt.
pub fn tables(
    engine: &mut Engine,
    replaced: ArrayView3<'_, f32>,
    (wait, transfer): (usize, usize),
    biases: &Biases,
) -> Result<Tables> {
    let rows = Rows::new(replaced)?;
    let prefix = biases.prefix().expect("only where there is one");
    let layers = wait..engine.layers();
    let mut run = Compiled {
        engine,
        rows: &rows,
        prefix,
        pos: biases.positions(),
        by: MaskedBy::ABP,
    };
    let made = run.transfer(wait, transfer)?.tables;
    let (kv, d_head) = {
        let shape = prefix.sinks[0].keys.shape();
        (shape[1], shape[3])
    };
    let host = |x: &KeysValues| -> Result<[Array4<f32>; 2]> {
        Ok([x.keys.view()?.to_owned(), x.values.view()?.to_owned()])
    };
    let of_rows = |made: &Option<KeysValues>| match made {
        Some(made) => host(made),
        None => Ok([(); 2].map(|()| Array4::zeros((0, kv, 1, d_head)))),
    };
    Ok(Tables {
        transfer: made.iter().map(of_rows).collect::<Result<_>>()?,
        sinks: layers
            .map(|layer| host(&prefix.sinks[layer]))
            .collect::<Result<_>>()?,
        last: rows.last.view()?.to_owned(),
        rows: rows.firsts,
    })
}

impl Evaluation {
    /// The tables of AF1(`wait`, `transfer`) with CAMA, for a graph of its own, and what its rows are: every evaluated token
    /// where it stands. Only the plug-in estimator's means are the same in every prompt.
    ///
    /// # Errors
    /// Another estimator; last tokens that differ; what cannot be compiled; as
    /// [`Self::sweep`].
    pub fn tables(
        &self,
        engine: &mut Engine,
        wait: usize,
        transfer: usize,
    ) -> Result<(Af1, Tables)> {
        let no = |reason: &str| Error::NoPrompts {
            style: self.set.template.style.clone(),
            operation: self.set.template.operation.to_string(),
            reason: format!("AF1({wait}, {transfer}) cannot be a graph of its own: {reason}"),
        };
        if !self.set.numbers.shape.is_single() {
            return Err(no(
                "a row of its tables is a token, and the numbers have several: ask for single digits with --operands 0..=9",
            ));
        }
        if self.estimator != Estimator::PlugIn {
            return Err(no(
                "only with --estimator plug-in are a token's means the same in every prompt",
            ));
        }
        if !compiles(engine, &Plan::af1(wait, transfer), &self.biases) {
            return Err(no("the model's graph does not name its keys and values"));
        }
        // Some prompts in which every token occurs where it can.
        let mut seen = BTreeSet::new();
        let mut covering = Vec::new();
        for &prompt in &self.evaluated {
            let ids = self.set.prompts[prompt].ids.iter().copied();
            if ids
                .enumerate()
                .skip(1)
                .filter(|key| seen.insert(*key))
                .count()
                > 0
            {
                covering.push(prompt);
            }
        }
        let biases = &self.biases;
        let own = streams(engine, &self.set, &covering, &Mask::Causal, biases, &[wait])?;
        let by = CAMA;
        let own = own[&wait].view();
        let replaced = self.replace(by, wait, &covering, own, own)?;
        let tables = tables(engine, replaced.view(), (wait, transfer), biases)?;
        let token = |&(b, t): &(usize, usize)| (t, self.set.prompts[covering[b]].ids[t]);
        let rows: Vec<(usize, u32)> = tables.rows.iter().map(token).collect();
        let positions = self.set.positions();
        let last: Vec<u32> = (seen.iter())
            .filter(|(t, _)| t + 1 == positions)
            .map(|(_, token)| *token)
            .collect();
        let [last] = last[..] else {
            return Err(no("its prompts do not all end with the same token"));
        };
        let af1 = Af1 {
            wait,
            transfer,
            positions,
            rows,
            last,
        };
        Ok((af1, tables))
    }
}
