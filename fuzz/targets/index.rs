//! An index of shards, beside one shard.

#![no_main]

use std::cell::LazyCell;

use af1::model::Weights;
use af1_fuzz::{Scratch, json, or_bytes};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const SHARD: &[u8] = b"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";

thread_local! {
    static FOLDER: LazyCell<Scratch> = LazyCell::new(|| {
        let folder = Scratch::new("index");
        let mut shard = (SHARD.len() as u64).to_le_bytes().to_vec();
        shard.extend_from_slice(SHARD);
        folder.write("a.safetensors", &shard, shard.len() as u64 + 4);
        folder
    });
}

fuzz_target!(|bytes: &[u8]| {
    FOLDER.with(|folder| {
        folder.write("model.safetensors.index.json", bytes, 0);
        let _ = Weights::open(folder.folder());
    });
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    let changed = json::changed(&data[..size], seed);
    or_bytes(data, size, max, changed)
});
