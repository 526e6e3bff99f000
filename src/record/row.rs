//! What a line is about.

use super::{
    Address, Checked, Conclusion, Ended, Failure, Gated, HeadAttention, Kind, Measurement, Patched,
    Place, Provenance, Reading,
};

/// What a line is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A cell of a sweep.
    Measured(Box<Measurement>),
    /// A head's attention.
    Attention(Box<HeadAttention>),
    /// What swapped residuals do at a boundary.
    Patched(Box<Patched>),
    /// What the lens reads at a boundary.
    Reading(Box<Reading>),
    /// A template that could not be evaluated, or an ablation that is not defined on it.
    Failed(Box<Failure>),
    /// The answer of a gate.
    Gate(Box<Gated>),
    /// A template of the self-check.
    Selfcheck(Box<Checked>),
    /// Several templates together, which follows from their cells.
    Pooled(Box<Measurement>),
    /// What follows from a sweep, in a sentence.
    Conclusion(Box<Conclusion>),
    /// The end of a shard.
    Ended(Box<Ended>),
}

impl Row {
    /// Which cell of which sweep it is about; `None` where it is about no cell.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Measured(m) => Some(&m.place),
            Self::Attention(a) => Some(&a.place),
            Self::Patched(p) => Some(&p.place),
            Self::Reading(r) => Some(&r.place),
            Self::Failed(f) => Some(&f.place),
            _ => None,
        }
    }

    /// The place of [`Self::place`], to be filled in.
    pub(super) fn place_mut(&mut self) -> Option<&mut Place> {
        match self {
            Self::Measured(m) => Some(&mut m.place),
            Self::Attention(a) => Some(&mut a.place),
            Self::Patched(p) => Some(&mut p.place),
            Self::Reading(r) => Some(&mut r.place),
            Self::Failed(f) => Some(&mut f.place),
            _ => None,
        }
    }

    /// What tells it from all others; `None` where it is about no cell.
    pub fn address(&self) -> Option<Address<'_>> {
        match self {
            Self::Measured(m) => Some(m.address()),
            Self::Attention(a) => Some(a.address()),
            Self::Patched(p) => Some(p.address()),
            Self::Reading(r) => Some(r.address()),
            Self::Failed(f) => Some(f.address()),
            _ => None,
        }
    }

    /// The kind of its cell; `None` where it is about no cell.
    pub fn experiment(&self) -> Option<&Kind> {
        match self {
            Self::Measured(m) => Some(&m.experiment),
            Self::Attention(a) => Some(&a.experiment),
            Self::Patched(p) => Some(&p.experiment),
            Self::Reading(r) => Some(&r.experiment),
            Self::Failed(f) => Some(&f.experiment),
            _ => None,
        }
    }

    /// Under what a cell was measured; `None` where nothing was.
    pub(crate) fn provenance(&self) -> Option<&Provenance> {
        match self {
            Self::Measured(m) => Some(&m.provenance),
            Self::Attention(a) => Some(&a.provenance),
            Self::Patched(p) => Some(&p.provenance),
            Self::Reading(r) => Some(&r.provenance),
            _ => None,
        }
    }

    /// The name of the model that a cell is of; `None` where it is about no cell.
    pub(crate) fn model(&self) -> Option<&str> {
        match self {
            Self::Measured(m) => Some(&m.subject.model),
            Self::Attention(a) => Some(&a.model),
            Self::Patched(p) => Some(&p.model),
            Self::Reading(r) => Some(&r.model),
            Self::Failed(f) => Some(&f.model),
            _ => None,
        }
    }
}
