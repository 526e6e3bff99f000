//! Batches that the memory of a device is enough for.

use crate::{Error, Result};

/// Runs something on `prompts` prompts in batches of `batch`; where the memory of the device is not enough, again in batches of half the
/// size, down to single prompts.
///
/// # Errors
/// What `run` fails with; too little memory for even a single prompt.
pub fn in_batches_that_fit<T>(
    batch: usize,
    prompts: usize,
    mut run: impl FnMut(usize) -> Result<T>,
) -> Result<T> {
    let mut batch = batch;
    loop {
        match run(batch) {
            Err(Error::OutOfMemory { .. }) if batch.min(prompts) > 1 => {
                batch = batch.min(prompts) / 2;
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn too_much() -> Error {
        Error::OutOfMemory {
            device: "a test".into(),
            part: "of it".into(),
            reason: "too many prompts at once".into(),
        }
    }

    /// Batches are halved until they fit, from as many as there are prompts; a single prompt that does not fit is an error.
    #[rstest]
    #[case::fits(8, 100, 8, &[8], true)]
    #[case::halved(64, 100, 20, &[64, 32, 16], true)]
    #[case::few_prompts(64, 10, 4, &[64, 5, 2], true)]
    #[case::one_by_one(3, 100, 1, &[3, 1], true)]
    #[case::never(2, 100, 0, &[2, 1], false)]
    #[case::never_one_prompt(64, 1, 0, &[64], false)]
    fn batches_are_halved(
        #[case] batch: usize,
        #[case] prompts: usize,
        #[case] room: usize,
        #[case] due: &[usize],
        #[case] fits: bool,
    ) {
        let mut asked = Vec::new();
        let ran = in_batches_that_fit(batch, prompts, |batch| {
            asked.push(batch);
            match batch.min(prompts) <= room {
                true => Ok(batch),
                false => Err(too_much()),
            }
        });
        assert_eq!(asked, due);
        assert_eq!(ran.ok(), fits.then(|| due[due.len() - 1]));
    }

    /// What fails for another reason fails at once.
    #[test]
    fn other_errors_are_passed_on() {
        let mut count = 0;
        let ran: Result<()> = in_batches_that_fit(8, 8, |_| {
            count += 1;
            Err(Error::Interrupted)
        });
        assert!(matches!(ran, Err(Error::Interrupted)));
        assert_eq!(count, 1);
    }
}
