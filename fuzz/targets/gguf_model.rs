//! A GGUF file as a model: the head is changed as what it is, the weights are zeros. Architecture, tokenizer, chat template, graph.

#![no_main]

use std::cell::LazyCell;

use af1::fetch::Cache;
use af1::model::{BosChoice, Model};
use af1_fuzz::{Scratch, gguf, or_bytes};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

thread_local! {
    static FOLDER: LazyCell<Scratch> = LazyCell::new(|| Scratch::new("gguf-model"));
}

/// The number of bytes of the files of which the seeds are the heads.
const WHOLE: u64 = 96 << 10;

fuzz_target!(|head: &[u8]| {
    FOLDER.with(|folder| {
        let path = folder.write("model.gguf", head, WHOLE);
        let cache = Cache::at(folder.path("cache"));
        let model = Model::load(&path.to_string_lossy(), &BosChoice::Default, &cache);
        let _ = model.and_then(|model| model.graph());
    });
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    let changed = gguf::changed(&data[..size], seed);
    or_bytes(data, size, max, changed)
});
