//! Operations and their expressions: what is read is written as it was, and has values or none, never a panic.

#![no_main]

use af1::prompt::Operation;
use libfuzzer_sys::fuzz_target;

/// Operands at which arithmetic errs.
const EXTREMES: [i64; 5] = [0, 7, -1, i64::MAX, i64::MIN];

fuzz_target!(|text: &str| {
    let Ok(operation) = text.parse::<Operation>() else {
        return;
    };
    let again: Operation = operation
        .to_string()
        .parse()
        .expect("what is written is read");
    assert_eq!(again, operation);
    for shift in 0..EXTREMES.len() {
        let values = EXTREMES.iter().cycle().skip(shift);
        let operands: Vec<i64> = values.take(operation.operands()).copied().collect();
        let terms = operation.terms(&operands);
        if let (Some(terms), Some(value)) = (terms, operation.evaluate(&operands)) {
            assert_eq!(
                terms.iter().map(|term| i128::from(*term)).sum::<i128>(),
                i128::from(value)
            );
        }
    }
    let _ = (operation.written(true), operation.written(false));
});
