//! Records of both schemas: what is read is written, read again and equal.

#![no_main]

use af1::record::Line;
use af1_fuzz::{json, or_bytes};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|text: &str| {
    let Ok(lines) = af1::fuzz::records(text) else {
        return;
    };
    for line in &lines {
        let written = Line::new(line.row.clone());
        let again = Line::read(&written.text).expect("what is written is read");
        assert_eq!(Line::new(again.row).text, written.text);
        assert!(line.says_the_same(line));
        let _ = line.address().map(|at| at.template());
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    let changed = json::changed(&data[..size], seed);
    or_bytes(data, size, max, changed)
});
