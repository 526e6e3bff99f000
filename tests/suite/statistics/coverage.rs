//! Intervals of shares and of resampled means cover what they say, by simulation and by enumeration.

use std::ops::RangeInclusive;

use af1::stats::{
    LEVEL, Proportion, bootstrap_clustered, bootstrap_paired, bootstrap_two_level, pass_probability,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rstest::rstest;
use statrs::distribution::{Binomial, Discrete};

use super::{COVERS, normal};

/// Wilson's interval covers as often as it says on average over proportions.
const COVERS_ON_AVERAGE: RangeInclusive<f64> = 0.945..=0.957;

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
    assert!(COVERS.contains(&share), "{what}: {share}");
}

fn binomial(random: &mut ChaCha8Rng, n: usize, p: f64) -> usize {
    (0..n).filter(|_| random.random::<f64>() < p).count()
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
    assert!(exact.iter().all(|c| *c >= 1.0 - LEVEL), "{exact:?}");
    assert!(mean(&exact) <= most, "{}", mean(&exact));
    let wilson = of(Proportion::wilson);
    assert!(wilson.iter().all(|c| *c >= least), "{wilson:?}");
    assert!(
        COVERS_ON_AVERAGE.contains(&mean(&wilson)),
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
    assert!(worst <= LEVEL, "{worst}");
}
