//! Study files, with the command line of every experiment in them.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = af1::fuzz::study(text);
});
