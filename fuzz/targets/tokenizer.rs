//! `tokenizer.json`, and what it makes of texts.

#![no_main]

use af1::prompt::{Front, Stated};
use af1_fuzz::{json, or_bytes};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|text: &str| {
    let Ok(tokenizer) = af1::fuzz::tokenizer(text) else {
        return;
    };
    for text in ["12+3=", " A\u{301} \u{2581}9", ""] {
        let Ok(tokens) = tokenizer.encode(text) else {
            continue;
        };
        let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
        let _ = (tokenizer.decode_all(&ids), tokenizer.numeral(12));
        for id in ids {
            let _ = (
                tokenizer.decode(id),
                tokenizer.is_space(id),
                tokenizer.begins_with_space(id),
            );
        }
    }
    let _ = Front::of_tokenizer(&tokenizer, &Stated::default());
    let _ = tokenizer.len();
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    let changed = json::changed(&data[..size], seed);
    or_bytes(data, size, max, changed)
});
