//! Records in every form in which they are shown, alone and beside others.

#![no_main]

use af1::record::{Comparison, Findings, incomplete};
use af1::report::{self, Look};
use af1_fuzz::{json, or_bytes};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|text: &str| {
    let Ok(lines) = af1::fuzz::records(text) else {
        return;
    };
    let _ = incomplete(&lines);
    let findings = Findings::of(&lines);
    let narrow = Look {
        room: Some(60),
        colour: true,
    };
    let (earlier, later) = lines.split_at(lines.len() / 2);
    let compared = Comparison::of(later, earlier);
    for renderer in report::ALL {
        for look in [Look::default(), narrow] {
            let _ = renderer.records(&findings, look);
            let _ = renderer.comparison(&compared, look);
        }
        let _ = renderer.short(&findings);
    }
    let _ = report::conclusions_by_model(&lines);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    let changed = json::changed(&data[..size], seed);
    or_bytes(data, size, max, changed)
});
