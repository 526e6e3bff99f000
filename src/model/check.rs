//! Checks of what configurations say, with the errors that name a field.

use std::path::Path;

use super::Activation;
use crate::{Error, Result};

/// The error for a field of a configuration that is not supported.
pub fn unsupported(path: &Path, field: &str, found: String, supported: &str) -> Error {
    Error::UnsupportedModel {
        path: path.to_owned(),
        field: field.to_owned(),
        found,
        supported: supported.to_owned(),
    }
}

/// The activation that a field names.
///
/// # Errors
/// An activation that is not known.
pub fn activation(path: &Path, field: &str, name: &str) -> Result<Activation> {
    let known = Activation::named(name);
    known.ok_or_else(|| unsupported(path, field, format!("{name:?}"), Activation::NAMES))
}

/// Checks sizes by the names of their fields.
///
/// # Errors
/// A size that is 0 or absurdly large: a slip in one number must not ask for all the memory there is.
pub fn check_sizes(path: &Path, layers: (&str, usize), sizes: &[(&str, usize)]) -> Result<()> {
    let bounds = std::iter::once((layers, 10_000)).chain(sizes.iter().map(|&size| (size, 1 << 24)));
    for ((field, value), most) in bounds {
        if value == 0 || value > most {
            let found = value.to_string();
            return Err(unsupported(path, field, found, &format!("1 to {most}")));
        }
    }
    Ok(())
}

/// The width of a head where nothing but the width of the stream says it.
///
/// # Errors
/// Heads that do not share it evenly.
pub fn even_share(
    path: &Path,
    (field, d_model): (&str, usize),
    (of, heads): (&str, usize),
) -> Result<usize> {
    if !d_model.is_multiple_of(heads) {
        let expected = format!("a multiple of {of}, {heads}");
        return Err(unsupported(path, field, d_model.to_string(), &expected));
    }
    Ok(d_model / heads)
}

/// Checks the width of a head, and how much of it is rotated.
///
/// # Errors
/// An odd one; more than there is.
pub fn check_head(
    path: &Path,
    (field, d_head): (&str, usize),
    rotated: (&str, usize),
) -> Result<()> {
    if d_head == 0 || d_head % 2 != 0 || d_head > 1 << 16 {
        return Err(unsupported(
            path,
            field,
            d_head.to_string(),
            "an even number",
        ));
    }
    let (field, dims) = rotated;
    if dims == 0 || dims % 2 != 0 || dims > d_head {
        let expected = format!("an even number of the {d_head} dimensions of a head");
        return Err(unsupported(
            path,
            field,
            format!("{dims} dimensions"),
            &expected,
        ));
    }
    Ok(())
}

/// Checks what is added before a root is taken: what is as large as that hides what is normed.
///
/// # Errors
/// A field that is not from 0 to 1.
pub fn epsilon(path: &Path, field: &str, value: f64) -> Result<f32> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(value as f32),
        false => Err(outside(path, field, value, "a number from 0 to 1")),
    }
}

/// Checks the base of rotations: with another one the slowest of them is not a number.
///
/// # Errors
/// A field that is not from 1 to 1e12.
pub fn base_of_rotations(path: &Path, field: &str, value: f64) -> Result<f64> {
    match (1.0..=1e12).contains(&value) {
        true => Ok(value),
        false => Err(outside(path, field, value, "a number from 1 to 1e12")),
    }
}

fn outside(path: &Path, field: &str, value: f64, range: &str) -> Error {
    unsupported(path, field, value.to_string(), range)
}
