//! Graphs of other programs: decoded, checked and, where one keeps the contract, adopted, cut and written. Changed as messages.

#![no_main]

use std::cell::LazyCell;

use af1::graph::foreign::{Foreign, Manifest};
use af1::graph::{LOGITS, resid};
use af1_fuzz::{Scratch, or_bytes, protobuf};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

thread_local! {
    static FOLDER: LazyCell<Scratch> = LazyCell::new(|| {
        let folder = Scratch::new("onnx");
        for file in ["weights.data", "counting.onnx.data"] {
            folder.write(file, &[], 1 << 20);
        }
        folder
    });
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(foreign) = Foreign::decode(bytes.to_vec()) else {
        return;
    };
    let manifest = Manifest {
        heads: Some(2),
        ..Manifest::default()
    };
    let found = FOLDER.with(|folder| foreign.check(folder.folder(), &manifest));
    if !found.violations.is_empty() {
        return;
    }
    let graph = foreign.adopt(&manifest, &found);
    let cut = graph.cut("segment", &[resid(0)], &[LOGITS.to_owned()]);
    let written = cut.unwrap_or(graph).to_bytes();
    Foreign::decode(written).expect("what is written is read");
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    let changed = protobuf::changed(&data[..size], seed);
    or_bytes(data, size, max, changed)
});
