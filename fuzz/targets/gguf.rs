//! The head of a GGUF file, from bytes: magic, metadata, directory.

#![no_main]

use std::cell::LazyCell;

use af1::model::gguf::Gguf;
use af1_fuzz::Scratch;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static FOLDER: LazyCell<Scratch> = LazyCell::new(|| Scratch::new("gguf"));
}

fuzz_target!(|bytes: &[u8]| {
    FOLDER.with(|folder| {
        if let Ok(gguf) = Gguf::open(&folder.write("bytes.gguf", bytes, 0)) {
            for name in gguf.tensors().keys() {
                let _ = gguf.widen(name);
            }
        }
    });
});
