//! The masks for prompts of one length, as the runtime keeps them.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use ndarray::{Array4, ArrayView3, Axis, CowArray, Ix3};

use super::prefix::Prefix;
use crate::Result;
use crate::intervene::{Cut, Mask, MaskedBy, Plan};
use crate::prompt::PromptSet;
use crate::runtime::{Engine, Tensor};

/// The masks for prompts of one length, made once.
pub struct Biases {
    pos: usize,
    tensors: HashMap<Mask, Tensor>,
    /// What stands in for the outputs of heads under [`Cut::Outputs`], by layer, `[batch, head, pos, d_head]`, for the
    /// batch that runs.
    pub(super) outputs: BTreeMap<usize, Array4<f32>>,
    /// The tokens that all prompts begin with, if they are run once.
    prefix: Option<Rc<Prefix>>,
}

impl Biases {
    /// The masks that do not differ by head, for prompts of `pos` tokens.
    ///
    /// # Errors
    /// The runtime cannot allocate them.
    pub fn new(pos: usize) -> Result<Self> {
        let mut biases = Self {
            pos,
            tensors: HashMap::new(),
            outputs: BTreeMap::new(),
            prefix: None,
        };
        let abp = MaskedBy::ABP;
        for mask in [
            Mask::Causal,
            Mask::SelfPeek(abp),
            Mask::Peek(abp),
            Mask::Knockout,
        ] {
            biases.include(mask, 1)?;
        }
        Ok(biases)
    }

    /// Runs the tokens that all prompts of a set begin with once, for all that follows. Nothing is done for a graph that does
    /// not name its keys and values.
    ///
    /// # Errors
    /// The runtime's reason; an interrupt.
    pub fn share(&mut self, engine: &mut Engine, set: &PromptSet) -> Result<()> {
        let len = set.shared();
        if len > 0 && engine.takes_keys_values() {
            let first = set.ids(&[0]);
            let ids = first.slice(ndarray::s![.., ..len]).to_owned();
            self.prefix = Some(Rc::new(Prefix::new(engine, ids)?));
        }
        Ok(())
    }

    /// The tokens that all prompts begin with, if they are run once.
    pub(super) fn prefix(&self) -> Option<&Prefix> {
        self.prefix.as_deref()
    }

    /// Shares the tokens that another one shares, which must begin these prompts, too.
    pub(super) fn share_those_of(&mut self, other: &Self) {
        self.prefix.clone_from(&other.prefix);
    }

    /// Tokens in a prompt.
    pub(super) fn positions(&self) -> usize {
        self.pos
    }

    /// Streams at a boundary as they were captured, `[batch, pos, d_model]`, with those of the tokens that all prompts begin with
    /// if these are run once.
    pub(super) fn whole<'a>(
        &self,
        boundary: usize,
        captured: ArrayView3<'a, f32>,
    ) -> CowArray<'a, f32, Ix3> {
        match &self.prefix {
            Some(prefix) if captured.len_of(Axis(1)) < self.pos => {
                prefix.before(boundary, captured).into()
            }
            _ => captured.into(),
        }
    }

    fn include(&mut self, mask: Mask, heads: usize) -> Result<()> {
        if mask.cut() == Cut::Scores && !self.tensors.contains_key(&mask) {
            let tensor = Tensor::from_f32(mask.bias(heads, self.pos))?;
            self.tensors.insert(mask, tensor);
        }
        Ok(())
    }

    /// Makes the masks of some plans, for a model of so many layers and heads.
    ///
    /// # Errors
    /// The runtime cannot allocate them.
    pub fn include_plans(&mut self, plans: &[Plan], layers: usize, heads: usize) -> Result<()> {
        for plan in plans {
            for layer in plan.wait..layers {
                self.include(plan.mask(layer), heads)?;
            }
        }
        Ok(())
    }

    /// The mask as the runtime keeps it.
    ///
    /// # Panics
    /// For a mask by head of a plan that was not included.
    pub fn of(&self, mask: &Mask) -> &Tensor {
        self.tensors
            .get(mask)
            .expect("the masks of a plan are included before it runs")
    }
}
