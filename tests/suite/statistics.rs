//! Statistics against published values, scipy, statsmodels and full enumeration; and by simulation: intervals cover what
//! they say, and the gate errs no more often than it may.

use af1::record::{Measurement, Outcome, judge};
use af1::stats::{
    Mean, Proportion, bootstrap_clustered, bootstrap_paired, bootstrap_two_level, holm,
    mcnemar_greater, mcnemar_two_sided, noninferiority, pass_probability, sample_size,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rstest::rstest;
use serde_json::Value;
use statrs::distribution::{Binomial, Discrete};

use super::fixtures::json;

/// Both libraries compute with the same functions in double precision.
const EQUAL: f64 = 1e-9;

/// Published with four decimals.
const PRINTED: f64 = 5e-5;

/// Quantiles of resampled means, relative to the width of the interval: both sides are drawn, or ours is and the other
/// enumerated. With 100,000 resamples the standard error of a quantile is about 0.4% of the width.
const DRAWN: f64 = 0.02;

fn rows(name: &str) -> Vec<Value> {
    json("reference/stats.json")[name]
        .as_array()
        .unwrap()
        .clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn count(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn close(found: f64, expected: f64, tolerance: f64, what: &Value) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{found}, expected {expected}: {what}"
    );
}

#[test]
fn intervals_equal_scipy_and_newcombe() {
    for (name, tolerance) in [("proportions", EQUAL), ("published_intervals", PRINTED)] {
        for row in rows(name) {
            let (k, n) = (count(&row["k"]), count(&row["n"]));
            for (method, p) in [
                ("wilson", Proportion::wilson(k, n)),
                ("exact", Proportion::clopper_pearson(k, n)),
            ] {
                let expected = numbers(&row[method]);
                close(p.low, expected[0], tolerance, &row);
                close(p.high, expected[1], tolerance, &row);
            }
        }
    }
}

#[test]
fn tests_equal_scipy_and_statsmodels() {
    for row in rows("mcnemar") {
        let (wins, losses) = (count(&row["wins"]), count(&row["losses"]));
        close(
            mcnemar_greater(wins, losses),
            number(&row["greater"]),
            EQUAL,
            &row,
        );
        close(
            mcnemar_two_sided(wins, losses),
            number(&row["two_sided"]),
            EQUAL,
            &row,
        );
    }
    for row in rows("holm") {
        let adjusted = holm(&numbers(&row["p"]));
        for (found, expected) in adjusted.iter().zip(numbers(&row["adjusted"])) {
            close(*found, expected, EQUAL, &row);
        }
    }
    for row in rows("noninferiority") {
        let (k, n) = (count(&row["k"]), count(&row["n"]));
        let p = noninferiority(k, n, number(&row["reference"]), number(&row["margin"]));
        close(p, number(&row["p"]), EQUAL, &row);
    }
}

#[test]
fn sample_sizes_equal_enumeration() {
    for row in rows("sample_sizes") {
        let (claim, truth, power) = (
            number(&row["claim"]),
            number(&row["truth"]),
            number(&row["power"]),
        );
        let n = sample_size(claim, truth, power).unwrap();
        assert_eq!(n, count(&row["n"]), "{row}");
        close(
            pass_probability(n, claim, truth),
            number(&row["power_there"]),
            EQUAL,
            &row,
        );
        // Just before, it is not enough.
        assert!(n == 1 || pass_probability(n - 1, claim, truth) < power);
    }
}

#[test]
fn bootstraps_equal_scipy_and_enumeration() {
    let fixture = json("reference/stats.json");
    let resamples = 100_000;
    let compare = |name: &str, found: Mean| {
        let row = &fixture["bootstrap"][name];
        let expected = numbers(&row["interval"]);
        let width = expected[1] - expected[0];
        close(found.value, number(&row["mean"]), EQUAL, row);
        close(found.low, expected[0], DRAWN * width, row);
        close(found.high, expected[1], DRAWN * width, row);
    };
    let of = |name: &str, field: &str| numbers(&fixture["bootstrap"][name][field]);

    let (a, b) = (of("paired", "a"), of("paired", "b"));
    compare("paired", bootstrap_paired(&a, &b, resamples, 1).unwrap());

    let groups: Vec<i64> = of("clustered", "groups")
        .iter()
        .map(|g| *g as i64)
        .collect();
    let values = of("clustered", "values");
    compare(
        "clustered",
        bootstrap_clustered(&values, &groups, resamples, 1).unwrap(),
    );

    let table = fixture["bootstrap"]["two_level"]["values"]
        .as_array()
        .unwrap();
    let table: Vec<Vec<f64>> = table.iter().map(numbers).collect();
    compare(
        "two_level",
        bootstrap_two_level(&table, resamples, 1).unwrap(),
    );
}

const EXPERIMENTS: usize = 10_000;

/// The share of the simulated experiments whose interval covers the truth must lie in 94% to 96.5%; its own standard error
/// is 0.2%. The experiments are shared between two threads.
fn assert_covers(what: &str, experiment: impl Fn(&mut ChaCha8Rng) -> bool + Sync) {
    let half = |seed| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let covered = (0..EXPERIMENTS / 2).filter(|_| experiment(&mut random));
        covered.count()
    };
    let covered = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        half(2) + other.join().unwrap()
    });
    let share = covered as f64 / EXPERIMENTS as f64;
    assert!((0.94..=0.965).contains(&share), "{what}: {share}");
}

fn binomial(random: &mut ChaCha8Rng, n: usize, p: f64) -> usize {
    (0..n).filter(|_| random.random::<f64>() < p).count()
}

/// A standard normal number (Box and Muller).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[rstest]
#[case(1000, 0.9)]
#[case(200, 0.5)]
#[case(2000, 0.97)]
fn intervals_of_proportions_cover(#[case] n: usize, #[case] p: f64) {
    type Method = fn(usize, usize) -> Proportion;
    let methods: [(&str, Method); 2] = [
        ("wilson", Proportion::wilson),
        ("clopper-pearson", Proportion::clopper_pearson),
    ];
    for (name, method) in methods {
        assert_covers(name, |random| {
            let interval = method(binomial(random, n, p), n);
            (interval.low..=interval.high).contains(&p)
        });
    }
}

/// What the two methods promise, by enumeration over proportions for few and many trials: Clopper and Pearson's interval
/// covers every proportion at least as often as it says, and for some far more; Wilson's covers as often as it says on
/// average, and for some proportions less.
#[rstest]
#[case(20, 0.98, 0.88)]
#[case(55, 0.98, 0.88)]
#[case(500, 0.97, 0.88)]
fn how_often_proportions_are_covered(#[case] n: usize, #[case] most: f64, #[case] least: f64) {
    type Method = fn(usize, usize) -> Proportion;
    let coverage = |method: Method, p: f64| -> f64 {
        let binomial = Binomial::new(p, n as u64).unwrap();
        let covering = (0..=n).filter(|&k| {
            let interval = method(k, n);
            (interval.low..=interval.high).contains(&p)
        });
        covering.map(|k| binomial.pmf(k as u64)).sum()
    };
    let of = |method: Method| -> Vec<f64> {
        (1..50)
            .map(|i| coverage(method, f64::from(i) / 50.0))
            .collect()
    };
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    let exact = of(Proportion::clopper_pearson);
    assert!(exact.iter().all(|c| *c >= 0.95), "{exact:?}");
    assert!(mean(&exact) <= most, "{}", mean(&exact));
    let wilson = of(Proportion::wilson);
    assert!(wilson.iter().all(|c| *c >= least), "{wilson:?}");
    assert!(
        (0.945..=0.957).contains(&mean(&wilson)),
        "{}",
        mean(&wilson)
    );
}

/// Resamples an experiment: fewer than the default, for time; the interval is a little noisier.
const FEW: usize = 400;

#[test]
fn the_paired_bootstrap_covers() {
    // Skewed differences: logit differences have a long tail.
    assert_covers("paired", |random| {
        let a: Vec<f64> = (0..80).map(|_| (0.5 * normal(random)).exp()).collect();
        let b: Vec<f64> = a.iter().map(|a| a - 0.3 + 0.4 * normal(random)).collect();
        let found = bootstrap_paired(&a, &b, FEW, random.random()).unwrap();
        (found.low..=found.high).contains(&0.3)
    });
}

#[test]
fn the_clustered_bootstrap_covers() {
    // Forty operands with one to five prompts each; what they share is as large as what they do not.
    let groups: Vec<i64> = (0..40).flat_map(|g| vec![g; 1 + g as usize % 5]).collect();
    assert_covers("clustered", |random| {
        let shared: Vec<f64> = (0..40).map(|_| normal(random)).collect();
        let values: Vec<f64> = groups
            .iter()
            .map(|&g| shared[g as usize] + normal(random))
            .collect();
        let found = bootstrap_clustered(&values, &groups, FEW, random.random()).unwrap();
        (found.low..=found.high).contains(&0.0)
    });
}

#[test]
fn the_two_level_bootstrap_covers() {
    // Most of the spread is the prompt's, some the context's, a little neither's.
    assert_covers("two-level", |random| {
        let prompts: Vec<f64> = (0..40).map(|_| normal(random)).collect();
        let values: Vec<Vec<f64>> = (0..12)
            .map(|_| {
                let context = 0.4 * normal(random);
                let value = |prompt: &f64| prompt + context + 0.2 * normal(random);
                prompts.iter().map(value).collect()
            })
            .collect();
        let found = bootstrap_two_level(&values, FEW, random.random()).unwrap();
        (found.low..=found.high).contains(&0.0)
    });
}

/// Ignoring that prompts share operands makes intervals too narrow: the check above would notice.
#[test]
fn without_clusters_it_would_not_cover() {
    let groups: Vec<i64> = (0..40).flat_map(|g| vec![g; 1 + g as usize % 5]).collect();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let covered = (0..500).filter(|_| {
        let shared: Vec<f64> = (0..40).map(|_| normal(&mut random)).collect();
        let value = |&g: &i64| shared[g as usize] + normal(&mut random);
        let values: Vec<f64> = groups.iter().map(value).collect();
        let each: Vec<i64> = (0..values.len() as i64).collect();
        let found = bootstrap_clustered(&values, &each, FEW, 1).unwrap();
        (found.low..=found.high).contains(&0.0)
    });
    assert!(covered.count() < 450);
}

/// The gate's rule errs in at most 5% of the cases for every number of right answers up to 500, and at every claim: the
/// worst truth is one just at the claim. By enumeration.
#[rstest]
fn no_claim_passes_by_chance(#[values(0.5, 0.8, 0.9, 0.95, 0.99)] claim: f64) {
    let worst = (1..=500)
        .map(|n| pass_probability(n, claim, claim))
        .fold(0.0, f64::max);
    assert!(worst <= 0.05, "{worst}");
}

/// For every number of kept answers whether the verdict passes: `n` prompts that the model answers correctly, AF1 without
/// transfer answers none, a constant one in ten.
fn verdicts(n: usize) -> Vec<bool> {
    let verdict = |kept: usize| {
        let faithfulness = Proportion::wilson(kept, n);
        let m = Measurement {
            transfer: Some(2),
            prompts: n,
            base_correct: n,
            correct: kept,
            correct_given_base: kept,
            faithfulness: faithfulness.value,
            faithfulness_low: faithfulness.low,
            faithfulness_high: faithfulness.high,
            p_base_above_constant: mcnemar_greater(n - n / 10, 0),
            p_above_empty: Some(mcnemar_greater(kept, 0)),
            claim: 0.95,
            level: af1::stats::LEVEL,
            ..Measurement::default()
        };
        judge(&m).unwrap().outcome == Outcome::Pass
    };
    (0..=n).map(verdict).collect()
}

/// A gate at level 0.05 passes a model that fails the claim in at most 5% of the experiments, and one that is right to
/// 99% at least as often as the power that is documented for that number of right answers.
#[test]
fn the_gate_errs_as_rarely_as_it_says() {
    let mut random = ChaCha8Rng::seed_from_u64(42);
    let documented = sample_size(0.95, 0.99, 0.8).unwrap();
    assert_eq!(documented, 173, "the README says so");
    let mut share = |n: usize, truth: f64| {
        let passes = verdicts(n);
        let passed = (0..EXPERIMENTS).filter(|_| passes[binomial(&mut random, n, truth)]);
        passed.count() as f64 / EXPERIMENTS as f64
    };
    for n in [documented, 400, 1000] {
        // At the edge of the claim, and clearly below it.
        assert!(share(n, 0.949) <= 0.05);
        assert!(share(n, 0.9) <= 0.001);
    }
    let power = share(documented, 0.99);
    let claimed = pass_probability(documented, 0.95, 0.99);
    assert!(power >= 0.8);
    assert!(
        (power - claimed).abs() < 0.015,
        "{power}, claimed {claimed}"
    );
    assert_eq!(share(72, 1.0), 0.0, "too few to show anything");
}
