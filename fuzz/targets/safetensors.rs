//! A safetensors file from bytes.

#![no_main]

use std::cell::LazyCell;

use af1::model::Weights;
use af1_fuzz::Scratch;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static FOLDER: LazyCell<Scratch> = LazyCell::new(|| Scratch::new("safetensors"));
}

fuzz_target!(|bytes: &[u8]| {
    FOLDER.with(|folder| {
        folder.write("model.safetensors", bytes, 0);
        if let Ok(weights) = Weights::of_file(folder.folder(), "model.safetensors") {
            let _ = (weights.bytes(), weights.dtypes());
        }
    });
});
