//! Gate files.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = af1::fuzz::gate(text);
});
