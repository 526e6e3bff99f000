//! Files of answers.

#![no_main]

use std::cell::LazyCell;

use af1_fuzz::{Scratch, json, or_bytes};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

thread_local! {
    static FOLDER: LazyCell<Scratch> = LazyCell::new(|| Scratch::new("answers"));
}

fuzz_target!(|bytes: &[u8]| {
    FOLDER.with(|folder| {
        let _ = af1::fuzz::answers(&folder.write("answers.jsonl", bytes, 0));
    });
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    let changed = json::changed(&data[..size], seed);
    or_bytes(data, size, max, changed)
});
