//! How long a task takes, and what its matrix products are.

use std::time::{Duration, Instant};

use af1::model::ModelSpec;
use af1::runtime::{Engine, Work};

/// A task is repeated for as long as this.
const LONG_ENOUGH: Duration = Duration::from_secs(4);

/// How often a task is run.
#[derive(Clone, Copy)]
pub enum Runs {
    /// Once without the clock, then at least three times.
    Several,
    /// Once: it takes a minute or more, and everything in it is run many times.
    One,
}

/// A task that was timed.
pub struct Timed<T> {
    /// The median time.
    pub seconds: f64,
    /// What was run in that time.
    pub work: Work,
    /// What came of it, the same every time.
    pub found: T,
}

/// Times a task; what comes of it must be the same every time.
pub fn timed<T: PartialEq>(
    engine: &mut Engine,
    runs: Runs,
    mut task: impl FnMut(&mut Engine) -> T,
) -> Timed<T> {
    let least = match runs {
        Runs::Several => {
            task(engine);
            3
        }
        Runs::One => {
            // A device's first run loads its kernels.
            if std::env::args().any(|arg| arg == "--warm") {
                task(engine);
            }
            1
        }
    };
    let (begin, mut times) = (Instant::now(), Vec::new());
    let (mut found, mut work) = (None, Work::default());
    while times.len() < least || (least > 1 && begin.elapsed() < LONG_ENOUGH) {
        let before = engine.work();
        let start = Instant::now();
        let now = task(engine);
        times.push(start.elapsed().as_secs_f64());
        work = since(before, engine.work());
        let same = found.as_ref().is_none_or(|before| *before == now);
        assert!(same, "a task finds the same every time");
        found = Some(now);
    }
    times.sort_by(f64::total_cmp);
    Timed {
        seconds: times[times.len() / 2],
        work,
        found: found.expect("it ran"),
    }
}

/// What was run between two moments.
fn since(before: Work, after: Work) -> Work {
    Work {
        keys_values: after.keys_values - before.keys_values,
        tokens: after.tokens - before.tokens,
        pairs: after.pairs - before.pairs,
        logits: after.logits - before.logits,
    }
}

/// Floating-point operations of the matrix products in billions, two a multiply-add: those with weights for every token that was run, the
/// scores and the reading of attention for every pair, masked or not, and the unembedding.
pub fn gflop(spec: &ModelSpec, work: Work) -> f64 {
    let (q, kv) = (spec.heads * spec.d_head, spec.kv_heads * spec.d_head);
    let of_mlp = if spec.gated { 3 } else { 2 };
    let of_keys_values = 2 * spec.d_model * kv;
    let of_rest = spec.d_model * (2 * q + of_mlp * spec.d_mlp);
    let of_logits = spec.d_model * spec.vocab;
    let product = |count: u64, size: usize| count as f64 * size as f64;
    let multiply_adds = product(work.keys_values, of_keys_values)
        + product(work.tokens, of_rest)
        + product(work.pairs, 2 * q)
        + product(work.logits, of_logits);
    2e-9 * multiply_adds
}
