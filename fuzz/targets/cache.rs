//! The manifest of an entry of the cache.

#![no_main]

use std::cell::LazyCell;

use af1_fuzz::{Scratch, json, or_bytes};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

thread_local! {
    static FOLDER: LazyCell<Scratch> = LazyCell::new(|| {
        let folder = Scratch::new("cache");
        std::fs::create_dir_all(folder.path("entry")).expect("a folder");
        folder.write("entry/model.gguf", b"weights", 0);
        folder
    });
}

fuzz_target!(|bytes: &[u8]| {
    FOLDER.with(|folder| {
        folder.write("entry/manifest.json", bytes, 0);
        let _ = af1::fuzz::cache_entry(folder.folder());
    });
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    let changed = json::changed(&data[..size], seed);
    or_bytes(data, size, max, changed)
});
