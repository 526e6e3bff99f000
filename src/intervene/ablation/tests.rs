//! What each ablation puts in place of a residual, against its definition; through a model, `tests/suite/alternatives.rs` compares
//! with numpy.

use super::super::examples::{prompts, residuals};
use super::*;
use ndarray::{Array2, Axis, s};
use rand::{RngExt, SeedableRng};

/// Both sides are a handful of operations on small numbers in f64, in another order.
const ROUNDING: f64 = 1e-9;

const IDS: [&[u32]; 6] = [
    &[9, 1, 5],
    &[9, 1, 6],
    &[9, 2, 5],
    &[9, 1, 5],
    &[9, 3, 6],
    &[9, 4, 8],
];

const NUMBERS: [[f32; 3]; 6] = [
    [1.0, 1.0, 4.0],
    [2.0, 2.0, 3.0],
    [3.0, 7.0, 5.0],
    [4.0, 6.0, 3.0],
    [5.0, 8.0, 9.0],
    [6.0, 0.0, 2.0],
];

/// Prompts with their residuals, and means over some of them.
struct Example {
    set: PromptSet,
    residuals: Array3<f32>,
    means: Means,
    estimation: Vec<bool>,
    /// Means of two other operations.
    operations: Vec<Means>,
    seed: u64,
}

impl Example {
    fn over(estimation: [bool; 6]) -> Self {
        let (set, residuals) = (prompts(&IDS), residuals(&NUMBERS));
        let over: Vec<usize> = (0..6).filter(|&prompt| estimation[prompt]).collect();
        let mut means = Means::new(3, 2, 7);
        means.push(&set, &over, residuals.select(Axis(0), &over).view());
        let of_other = |ids: &[&[u32]], number: f32| {
            let mut means = Means::new(3, 2, 7);
            let all: Vec<usize> = (0..ids.len()).collect();
            let residuals = Array3::from_elem((ids.len(), 3, 2), number);
            means.push(&prompts(ids), &all, residuals.view());
            means
        };
        Self {
            set,
            residuals,
            means,
            estimation: estimation.to_vec(),
            operations: vec![
                of_other(&[&[9, 1, 5], &[9, 3, 5]], 10.0),
                of_other(&[&[9, 1, 6]], 40.0),
            ],
            seed: 7,
        }
    }

    fn all() -> Self {
        Self::over([true; 6])
    }

    fn source(&self, estimator: Estimator) -> Source<'_> {
        Source {
            set: &self.set,
            means: &self.means,
            operations: &self.operations,
            estimator,
            estimation: &self.estimation,
            seed: self.seed,
        }
    }

    /// The first number in place of the residual, or why there is none.
    fn found(
        &self,
        name: &str,
        estimator: Estimator,
        prompt: usize,
        position: usize,
    ) -> Result<f64, String> {
        let resid = self.residuals.slice(s![prompt, position, ..]);
        let place = Place {
            prompt,
            position,
            resid,
        };
        let value = named(name).unwrap().value(&self.source(estimator), place)?;
        Ok(match value {
            Value::Zero => 0.0,
            Value::Keep => f64::from(resid[0]),
            Value::Mean(mean) => mean[0],
        })
    }
}

/// What each says of itself: its stream, whether it replaces, whether it needs other operations, whether it keeps the embedding.
#[test]
fn ablations_say_what_they_are() {
    use Stream::{Embedding, Other, Own, SelfPeek};
    let expected = [
        ("cama", Own, true, false, true),
        ("mean", Own, true, false, false),
        ("zero", Own, true, false, false),
        ("global-mean", Own, true, false, false),
        ("resample", Other, true, false, false),
        ("token-resample", Own, true, false, true),
        ("embedding", Embedding, true, false, true),
        ("self-peek", SelfPeek, true, false, true),
        ("gaussian", Own, true, false, false),
        ("shuffled-key", Own, true, false, false),
        ("wrong-operator", Own, true, true, true),
        ("operator-pooled", Own, true, true, true),
        ("identity", Own, false, false, true),
    ];
    let found = ALL.iter().map(|of| {
        let (needs, keeps) = (of.needs_operations(), of.keeps_embedding());
        (of.name(), of.stream(), of.replaces(), needs, keeps)
    });
    assert_eq!(found.collect::<Vec<_>>(), expected);
    assert_eq!(names(), expected.map(|of| of.0));
    assert_eq!(format!("{:?}", named("cama").unwrap()), "cama");
    assert!(named("none").is_none());
    for (constant, name) in [(CAMA, "cama"), (IDENTITY, "identity"), (ZERO, "zero")] {
        assert_eq!(constant.name(), name);
    }
}

#[test]
fn means_are_those_of_the_estimator() {
    let all = Example::all();
    let close = |found: Result<f64, String>, expected: f64| {
        let found = found.unwrap();
        assert!(
            (found - expected).abs() < ROUNDING,
            "{found}, not {expected}"
        );
    };
    for (name, prompt, position, plug_in, without) in [
        // The same token: 1, 2, 6.
        ("cama", 1, 1, 3.0, 3.5),
        // The same position: 1, 2, 7, 6, 8, 0.
        ("mean", 1, 1, 4.0, 22.0 / 5.0),
        // Both positions: 24 and 26 in sum.
        ("global-mean", 1, 1, 50.0 / 12.0, 48.0 / 11.0),
        // The two other operations have tokens 1 and 3, and 1, at position 1.
        ("operator-pooled", 1, 1, 53.0 / 3.0, 53.5 / 3.0),
        ("wrong-operator", 1, 1, 10.0, 10.0),
    ] {
        close(
            all.found(name, Estimator::PlugIn, prompt, position),
            plug_in,
        );
        close(
            all.found(name, Estimator::LeaveOneOut, prompt, position),
            without,
        );
    }
    // No other operation has token 2.
    for name in ["operator-pooled", "wrong-operator"] {
        close(all.found(name, Estimator::PlugIn, 2, 1), 7.0);
    }
    // What is not among the estimation prompts is not taken out.
    let some = Example::over([true, false, true, true, true, false]);
    close(some.found("cama", Estimator::LeaveOneOut, 1, 1), 3.5);
    close(some.found("cama", Estimator::LeaveOneOut, 0, 1), 6.0);
    for (name, expected) in [("zero", 0.0), ("resample", 8.0), ("embedding", 8.0)] {
        close(some.found(name, Estimator::LeaveOneOut, 4, 1), expected);
    }
    for name in ["self-peek", "identity"] {
        close(some.found(name, Estimator::LeaveOneOut, 4, 1), 8.0);
    }
}

#[test]
fn what_is_not_known_is_said() {
    let some = Example::over([true, false, true, true, true, false]);
    let fails = |name: &str, prompt: usize, words: &str| {
        let error = some.found(name, Estimator::LeaveOneOut, prompt, 1);
        assert_eq!(error.unwrap_err(), words, "{name}");
    };
    fails("cama", 5, "no estimation prompt has token 4 at position 1");
    fails("cama", 4, "no other prompt has token 3 at position 1");
    fails(
        "token-resample",
        4,
        "no other prompt has token 3 at position 1",
    );
    assert_eq!(
        some.found("token-resample", Estimator::PlugIn, 4, 1),
        Ok(8.0)
    );
    let one = Example::over([true, false, false, false, false, false]);
    for (name, words) in [
        ("mean", "there is no other prompt"),
        ("gaussian", "there is no other prompt"),
    ] {
        let error = one.found(name, Estimator::LeaveOneOut, 0, 1);
        assert_eq!(error.unwrap_err(), words, "{name}");
    }
    let none = Example::over([false; 6]);
    let error = none.found("global-mean", Estimator::PlugIn, 0, 1);
    assert_eq!(error.unwrap_err(), "there is no other residual");
}

/// The residual of one other prompt with the token, whoever else has it.
#[test]
fn one_context_is_that_of_another_prompt() {
    let all = Example::all();
    for prompt in [0, 1, 3] {
        let found = all
            .found("token-resample", Estimator::LeaveOneOut, prompt, 1)
            .unwrap();
        let others = [0, 1, 3].into_iter().filter(|&other| other != prompt);
        let mut others = others.map(|other| f64::from(NUMBERS[other][1]));
        assert!(others.any(|number| number == found), "{prompt}: {found}");
    }
}

/// Every token has the mean of another, and every other's mean is used once.
#[test]
fn keys_are_shuffled_in_a_cycle() {
    let of_tokens = [3.0, 7.0, 8.0, 0.0];
    let cycle = |seed| {
        let all = Example {
            seed,
            ..Example::all()
        };
        let found = |prompt| all.found("shuffled-key", Estimator::LeaveOneOut, prompt, 1);
        [1, 2, 4, 5].map(|prompt| found(prompt).unwrap())
    };
    let seen: Vec<[f64; 4]> = (0..20).map(cycle).collect();
    for found in &seen {
        assert!(found.iter().zip(of_tokens).all(|(a, b)| *a != b));
        let mut sorted = *found;
        sorted.sort_by(f64::total_cmp);
        assert_eq!(sorted, [0.0, 3.0, 7.0, 8.0]);
    }
    assert!(seen.iter().any(|found| *found != seen[0]));
    // A token that is in none of the means has one of theirs.
    let some = Example::over([true, true, true, true, true, false]);
    let found = some.found("shuffled-key", Estimator::LeaveOneOut, 5, 1);
    assert!([3.0, 7.0, 8.0].contains(&found.unwrap()));
    // Where there is one token it is CAMA: the mean of 2, 3, 4 and 5.
    let found = some.found("shuffled-key", Estimator::LeaveOneOut, 0, 0);
    assert_eq!(found, Ok(3.5));
}

/// The values of the noise at many prompts and positions are normal, with the mean and the variance that there are, and independent of
/// each other.
#[test]
fn noise_is_normal() {
    const COUNT: usize = 4000;
    // Each is some four standard errors, which are 0.016, 0.022 and 0.007.
    const MEAN: f64 = 0.06;
    const VARIANCE: f64 = 0.09;
    const WITHIN_ONE: f64 = 0.03;
    let ids: Vec<&[u32]> = vec![&[9, 1, 5]; COUNT];
    let set = prompts(&ids);
    let mut means = Means::new(3, 2, 7);
    let two = Array3::from_shape_vec(
        (2, 3, 2),
        vec![1.0, 4.0, 1.0, 4.0, 1.0, 4.0, 5.0, 4.0, 5.0, 4.0, 5.0, 4.0],
    );
    means.push(&set, &[0, 1], two.unwrap().view());
    let source = Source {
        set: &set,
        means: &means,
        operations: &[],
        estimator: Estimator::LeaveOneOut,
        estimation: &[true; COUNT],
        seed: 7,
    };
    let zeros = Array1::zeros(2);
    let noise = |position: usize| -> Vec<f64> {
        let value = |prompt| {
            let place = Place {
                prompt,
                position,
                resid: zeros.view(),
            };
            match named("gaussian").unwrap().value(&source, place) {
                // Mean 3 and variance 8 of the first dimension; nothing varies in the second.
                Ok(Value::Mean(found)) => {
                    assert_eq!(found[1], 4.0);
                    (found[0] - 3.0) / 8f64.sqrt()
                }
                _ => panic!("it is a mean"),
            }
        };
        (0..COUNT).map(value).collect()
    };
    let (one, two) = (noise(1), noise(2));
    let mean = |of: &dyn Fn(usize) -> f64| (0..COUNT).map(of).sum::<f64>() / COUNT as f64;
    for found in [&one, &two] {
        assert!(mean(&|i| found[i]).abs() < MEAN);
        assert!((mean(&|i| found[i].powi(2)) - 1.0).abs() < VARIANCE);
        assert!((mean(&|i| f64::from(u8::from(found[i].abs() < 1.0))) - 0.683).abs() < WITHIN_ONE);
        assert!(mean(&|i| found[i] * found[(i + 1) % COUNT]).abs() < MEAN);
    }
    assert!(mean(&|i| one[i] * two[i]).abs() < MEAN);
    // The same in every version: by Box and Muller, of the stream of the place.
    let mut random = ChaCha8Rng::seed_from_u64(7);
    random.set_stream(2 * (1 << 32) + 5);
    let (u, v): (f64, f64) = (random.random(), random.random());
    let expected = (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    assert!((two[5] - expected).abs() < ROUNDING);
}

#[test]
fn streams_are_replaced_from_position_1_on() {
    let all = Example::all();
    let source = all.source(Estimator::PlugIn);
    let part = [1, 4];
    let own = all.residuals.select(Axis(0), &part);
    let stream = own.mapv(|x| x + 100.0);
    let of = |name: &str| {
        let found = replace(
            named(name).unwrap(),
            &source,
            &part,
            own.view(),
            stream.view(),
        );
        let found = found.unwrap();
        assert_eq!(found.slice(s![.., 0, ..]), own.slice(s![.., 0, ..]));
        found.slice(s![.., 1.., 0]).to_owned()
    };
    let expected = |rows: [[f32; 2]; 2]| Array2::from_shape_fn((2, 2), |(i, j)| rows[i][j]);
    assert_eq!(of("zero"), expected([[0.0; 2]; 2]));
    assert_eq!(of("embedding"), expected([[102.0, 103.0], [108.0, 109.0]]));
    assert_eq!(of("cama"), expected([[3.0, 6.0], [8.0, 6.0]]));
    let source = all.source(Estimator::LeaveOneOut);
    let error = replace(
        CAMA,
        &source,
        &[4],
        own.slice(s![1.., .., ..]),
        own.slice(s![1.., .., ..]),
    );
    let error = error.unwrap_err().to_string();
    for part in ["cama is not defined for", "[9, 3, 6]", "symbolic", "A+B"] {
        assert!(error.contains(part), "{error}");
    }
}
