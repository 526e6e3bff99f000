//! What the targets share: changes to files that keep their frame, so that they reach what lies behind it, and a folder for readers that
//! want a path.

#![deny(missing_docs)]

pub mod gguf;
pub mod json;
pub mod protobuf;
mod random;
mod scratch;

pub use random::Random;
pub use scratch::Scratch;

/// Splits bytes into so many parts at the bytes 0xff, which no text in UTF-8 has; the last part has the rest.
pub fn parts<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    let mut parts = bytes.splitn(N, |&byte| byte == 0xff);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Puts the bytes of a changed input in the place of an input, if there is room for it; the new length.
pub fn put(data: &mut [u8], max: usize, changed: &[u8]) -> Option<usize> {
    let fits = changed.len() <= max.min(data.len());
    fits.then(|| {
        data[..changed.len()].copy_from_slice(changed);
        changed.len()
    })
}

/// The end of a mutator: what a change made, or, where there is none or no room for it, what libFuzzer makes of the bytes.
pub fn or_bytes(data: &mut [u8], size: usize, max: usize, changed: Option<Vec<u8>>) -> usize {
    let fitted = changed.and_then(|changed| put(data, max, &changed));
    fitted.unwrap_or_else(|| libfuzzer_sys::fuzzer_mutate(data, size, max))
}
