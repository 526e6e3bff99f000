//! Gaussian noise in place of the residual stream, with the mean and variance that it has at that position.

use rand::RngExt;

use super::{Ablation, Place, Source, Value};

/// Independent normal numbers with the mean and variance, over all prompts, of each dimension at that position.
pub struct Gaussian;

impl Ablation for Gaussian {
    fn name(&self) -> &'static str {
        "gaussian"
    }

    fn help(&self) -> &'static str {
        "Noise with the mean and the variance of the position"
    }

    fn value(&self, from: &Source<'_>, place: Place<'_>) -> Result<Value, String> {
        let moments = from.means.of_position(place.position);
        let deviation = moments.deviation();
        let deviation = deviation.ok_or_else(|| "there is no other prompt".to_owned())?;
        let mut random = from.random(place.position, place.prompt as u64);
        let mut value = moments.mean().to_owned();
        value.zip_mut_with(&deviation, |value, &deviation| {
            // Box and Muller 1958; the first number is never 0.
            let (u, v): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
            *value += deviation * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        });
        Ok(Value::Mean(value))
    }
}
