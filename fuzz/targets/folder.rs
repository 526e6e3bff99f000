//! A folder in Hugging Face's layout: `config.json`, the header of the safetensors file and `tokenizer_config.json`, with bytes 0xff between
//! them. The weights are zeros, the tokenizer is a fixed one of as many tokens as the seeds' models have.

#![no_main]

use std::cell::LazyCell;

use af1::fetch::Cache;
use af1::model::{BosChoice, Model};
use af1_fuzz::{Scratch, json, or_bytes, parts};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const TOKENIZER: &[u8] =
    include_bytes!("../../fixtures/reference/tiny-families/llama/tokenizer.json");

/// More weights than that are not made: they are read to be hashed.
const MOST_WEIGHTS: u64 = 128 << 10;

thread_local! {
    static FOLDER: LazyCell<Scratch> = LazyCell::new(|| {
        let folder = Scratch::new("folder");
        folder.write("tokenizer.json", TOKENIZER, 0);
        folder
    });
}

/// How many bytes of weights a header promises.
fn promised(header: &[u8]) -> Option<u64> {
    let header: serde_json::Value = serde_json::from_slice(header).ok()?;
    let ends = header.as_object()?.values();
    ends.filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64())
        .max()
}

fuzz_target!(|bytes: &[u8]| {
    let [config, header, tokenizer_config] = parts(bytes);
    FOLDER.with(|folder| {
        folder.write("config.json", config, 0);
        folder.write("tokenizer_config.json", tokenizer_config, 0);
        let mut weights = (header.len() as u64).to_le_bytes().to_vec();
        weights.extend_from_slice(header);
        let length = promised(header).unwrap_or_default().min(MOST_WEIGHTS);
        folder.write("model.safetensors", &weights, weights.len() as u64 + length);
        let cache = Cache::at(folder.path("cache"));
        let model = Model::load(
            &folder.folder().to_string_lossy(),
            &BosChoice::Default,
            &cache,
        );
        let _ = model.and_then(|model| model.graph());
    });
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    let changed = json::changed(&data[..size], seed);
    or_bytes(data, size, max, changed)
});
