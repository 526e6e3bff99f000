//! What replaces the residual stream of waiting tokens: one file an ablation.
//!
//! An ablation replaces `resid[W]` at the positions from 1 on; position 0, the beginning-of-sequence token, is never
//! touched. To add one, write a file with a type that implements [`Ablation`] and name it in the list below.

use ndarray::{Array1, Array3, ArrayView1, ArrayView3};

use rand_chacha::ChaCha8Rng;

use super::estimate::random_at;
use super::{Estimator, Means, Moments};
use crate::prompt::{Key, PromptSet};
use crate::{Error, Result};

macro_rules! list {
    ($($module:ident :: $name:ident),* $(,)?) => {
        $(mod $module;)*
        /// All ablations, the default first.
        pub const ALL: &[&dyn Ablation] = &[$(&$module::$name),*];
    };
}

list! {
    cama::Cama,
    mean::Mean,
    zero::Zero,
    global_mean::GlobalMean,
    resample::Resample,
    token_resample::TokenResample,
    embedding::Embedding,
    self_peek::SelfPeek,
    gaussian::Gaussian,
    shuffled_key::ShuffledKey,
    wrong_operator::WrongOperator,
    operator_pooled::OperatorPooled,
    identity::Identity,
}

/// A replacement of the residual stream at a layer boundary.
pub trait Ablation: Sync {
    /// The name of the ablation, on the command line and in records.
    fn name(&self) -> &'static str;

    /// What stands in place of the residual stream, in a line.
    fn help(&self) -> &'static str;

    /// The stream that it starts from.
    fn stream(&self) -> Stream {
        Stream::Own
    }

    /// Whether it replaces anything.
    fn replaces(&self) -> bool {
        true
    }

    /// Whether it needs the means of the style's other operations, with the same tokens in the same places but for the
    /// operators.
    fn needs_operations(&self) -> bool {
        false
    }

    /// Whether it leaves `resid[0]` as it is, because that depends on the token alone.
    fn keeps_embedding(&self) -> bool {
        false
    }

    /// The value for one prompt at one position from 1 on.
    ///
    /// # Errors
    /// The key that was never seen, in words.
    fn value(&self, from: &Source<'_>, place: Place<'_>) -> Result<Value, String>;
}

impl std::fmt::Debug for dyn Ablation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A residual stream at the boundary from which an ablation makes its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// `resid[W]` of the prompt itself in the unmodified model.
    Own,
    /// `resid[0]` of the prompt itself.
    Embedding,
    /// `resid[W]` of the prompt itself when every layer before `W` has the mask `self-peek`.
    SelfPeek,
    /// `resid[W]` of another prompt in the unmodified model.
    Other,
}

/// What an ablation may use.
pub struct Source<'a> {
    /// The prompts.
    pub set: &'a PromptSet,
    /// Means over the estimation prompts at the boundary.
    pub means: &'a Means,
    /// The same of every other operation of the style, if an ablation needs them.
    pub operations: &'a [Means],
    /// How the evaluated prompt is treated.
    pub estimator: Estimator,
    /// Whether each prompt of the set is one of those that the means are over.
    pub estimation: &'a [bool],
    /// The seed of what is drawn.
    pub seed: u64,
}

/// Where a value is needed.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The index of the prompt in the set.
    pub prompt: usize,
    /// The position, from 1 on.
    pub position: usize,
    /// The ablation's stream there, `[d_model]`.
    pub resid: ArrayView1<'a, f32>,
}

/// A replacement, `[d_model]`.
pub enum Value {
    /// All zeros.
    Zero,
    /// The ablation's stream as it is.
    Keep,
    /// A mean.
    Mean(Array1<f64>),
}

/// Context-aware mean ablation.
pub const CAMA: &dyn Ablation = &cama::Cama;

/// No ablation at all.
pub const IDENTITY: &dyn Ablation = &identity::Identity;

/// Zero ablation.
pub const ZERO: &dyn Ablation = &zero::Zero;

/// The ablation of that name.
pub fn named(name: &str) -> Option<&'static dyn Ablation> {
    ALL.iter().copied().find(|ablation| ablation.name() == name)
}

/// The names of all ablations.
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|ablation| ablation.name()).collect()
}

impl Source<'_> {
    /// What the mean at a position of an evaluated prompt is conditioned on.
    fn key(&self, place: Place<'_>) -> Key {
        self.set.prompts[place.prompt].keys[place.position]
    }

    /// The mean that the estimator makes of a group of residuals, to which the evaluated prompt belongs if it is one of the
    /// estimation prompts.
    fn estimate(&self, moments: &Moments, place: Place<'_>) -> Option<Array1<f64>> {
        match self.estimator {
            Estimator::LeaveOneOut if self.estimation[place.prompt] => {
                moments.mean_without(place.resid)
            }
            _ => (moments.count() > 0).then(|| moments.mean().to_owned()),
        }
    }

    /// The mean over prompts with the same key at that position.
    ///
    /// # Errors
    /// A key that no estimation prompt has there.
    fn of_key(&self, place: Place<'_>) -> Result<Array1<f64>, String> {
        let token = self.set.prompts[place.prompt].ids[place.position];
        let key = || format!("token {token} at position {}", place.position);
        let moments = self.means.of_key(place.position, self.key(place));
        let moments = moments.ok_or_else(|| format!("no estimation prompt has {}", key()))?;
        self.estimate(moments, place)
            .ok_or_else(|| format!("no other prompt has {}", key()))
    }

    /// Random numbers of a place, the same in every run with the seed.
    fn random(&self, position: usize, salt: u64) -> ChaCha8Rng {
        random_at(self.seed, position, salt)
    }
}

/// Replaces the residuals `own`, `[batch, pos, d_model]`, of some prompts at all positions from 1 on. `stream` is the
/// ablation's stream of the same prompts, of the same shape.
///
/// # Errors
/// A mean that is not defined for one of the prompts; callers leave such prompts out.
pub fn replace(
    ablation: &dyn Ablation,
    from: &Source<'_>,
    prompts: &[usize],
    own: ArrayView3<'_, f32>,
    stream: ArrayView3<'_, f32>,
) -> Result<Array3<f32>> {
    let mut out = own.to_owned();
    for (row, &prompt) in prompts.iter().enumerate() {
        for position in 1..from.set.positions() {
            let at = ndarray::s![row, position, ..];
            let resid = stream.slice(at);
            let place = Place {
                prompt,
                position,
                resid,
            };
            let value = ablation
                .value(from, place)
                .map_err(|reason| Error::NoPrompts {
                    style: from.set.template.style.clone(),
                    operation: from.set.template.operation.to_string(),
                    reason: format!(
                        "{} is not defined for {:?}: {reason}",
                        ablation.name(),
                        from.set.prompts[prompt].text
                    ),
                })?;
            let mut out = out.slice_mut(at);
            match value {
                Value::Zero => out.fill(0.0),
                Value::Keep => out.assign(&resid),
                Value::Mean(mean) => out.zip_mut_with(&mean, |out, &mean| *out = mean as f32),
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
