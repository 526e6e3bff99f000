//! Statistics against published values, scipy, statsmodels and full enumeration; and by simulation: intervals cover what
//! they say, and the gate errs no more often than it may.

use af1::intervene::Plan;
use std::ops::RangeInclusive;

use af1::record::{Counts, Measurement, Outcome, Scores, Subject, Test, judge};
use af1::stats::{
    Clusters, Evidence, Inference, LEVEL, Mean, Needed, Proportion, Worth, bootstrap_clustered,
    bootstrap_paired, bootstrap_two_level, holm, mcnemar_greater, mcnemar_two_sided,
    noninferiority, pass_probability, sample_size,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rstest::rstest;
use serde_json::Value;
use statrs::distribution::{Binomial, Discrete};

use super::fixtures::{COVERS, json};

/// Both libraries compute with the same functions in double precision.
const EQUAL: f64 = 1e-9;

/// Published with four decimals.
const PRINTED: f64 = 5e-5;

/// Quantiles of resampled means, relative to the width of the interval: both sides are drawn, or ours is and the other
/// enumerated. With 100,000 resamples the standard error of a quantile is about 0.4% of the width.
const DRAWN: f64 = 0.02;

/// Wilson's interval covers as often as it says on average over proportions.
const COVERS_ON_AVERAGE: RangeInclusive<f64> = 0.945..=0.957;

/// What is said of few values is said less often than of many: at least so often in simulations.
const COVERS_OPERANDS: f64 = 0.93;

/// By how much less an interval covers that takes what belongs together for independent, at least.
const NOTICED: f64 = 0.13;

/// Such an interval passes what is at the claim more often than this.
const TOO_OFTEN: f64 = 0.1;

/// Where nothing is known to be above a claim, the p value says so.
const HALF: f64 = 0.499;

/// False passes with many mixed failures: 4.8%, with a sampling error of 1.1%.
const OF_MIXED: f64 = 0.06;

/// Far below the claim there are no passes.
const NEVER: f64 = 0.001;

/// Of the sample sizes that are documented.
const POWER: f64 = 0.8;

/// A share of simulated experiments, give or take.
const SIMULATED: f64 = 0.015;

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

/// The bounds are quantiles of the beta distribution, of which the two libraries' last digits differ.
const QUANTILE: f64 = 1e-8;

#[test]
fn clusters_equal_statsmodels_and_all_pairs() {
    for row in rows("clusters") {
        let ways = row["ways"].as_array().unwrap();
        let integers = |way: &Value| numbers(way).iter().map(|&unit| unit as i64).collect();
        let ways: Vec<Vec<i64>> = ways.iter().map(integers).collect();
        let successes: Vec<bool> = numbers(&row["successes"])
            .iter()
            .map(|&s| s == 1.0)
            .collect();
        let operands = Clusters::of_operands(ways.clone());
        let values = numbers(&row["values"]);
        close(
            operands.variance(&values),
            number(&row["variance"]),
            EQUAL,
            &row["variance"],
        );
        let (mean, expected) = (operands.mean(&values).unwrap(), numbers(&row["mean"]));
        close(mean.value, expected[0], EQUAL, &row["mean"]);
        close(mean.low, expected[1], EQUAL, &row["mean"]);
        close(mean.high, expected[2], EQUAL, &row["mean"]);
        let questions = Clusters::of_questions(ways[0].clone());
        for (clusters, row) in [(operands, &row["operands"]), (questions, &row["questions"])] {
            let found = clusters.share(&successes);
            let design = found.design.unwrap();
            assert_eq!(found.successes, count(&row["successes"]));
            close(design.units, number(&row["units"]), EQUAL, row);
            close(design.effective, number(&row["effective"]), EQUAL, row);
            let (interval, expected) = (found.interval(), numbers(&row["interval"]));
            close(interval.low, expected[0], QUANTILE, row);
            close(interval.high, expected[1], QUANTILE, row);
            let p = found.p_above(number(&row["claim"]));
            match row["p_above"].as_f64() {
                Some(expected) => close(p, expected, QUANTILE, row),
                None => assert!(p >= HALF, "{p}: {row}"),
            }
        }
    }
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
    assert!(COVERS.contains(&share), "{what}: {share}");
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

/// For every number of kept answers whether the verdict passes: `n` prompts that the model answers correctly, AF1 without
/// transfer answers none, a constant one in ten.
fn verdicts(n: usize) -> Vec<bool> {
    let verdict = |kept: usize| {
        let faithfulness = Proportion::wilson(kept, n);
        let m = Measurement {
            counts: Counts {
                prompts: n,
                base_correct: n,
                correct: kept,
                correct_given_base: kept,
                ..Counts::default()
            },
            test: Test {
                p_base_above_constant: mcnemar_greater(n - n / 10, 0),
                p_above_empty: Some(mcnemar_greater(kept, 0)),
                claim: 0.95,
                level: af1::stats::LEVEL,
                ..Test::default()
            },
            subject: Subject {
                plan: Plan::af1(0, 2),
                ..Subject::default()
            },
            scores: Scores {
                faithfulness: Proportion {
                    value: faithfulness.value,
                    low: faithfulness.low,
                    high: faithfulness.high,
                    ..Proportion::default()
                },
                ..Scores::default()
            },
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
    let documented = sample_size(0.95, 0.99, POWER).unwrap();
    assert_eq!(documented, 173, "the README says so");
    let mut share = |n: usize, truth: f64| {
        let passes = verdicts(n);
        let passed = (0..EXPERIMENTS).filter(|_| passes[binomial(&mut random, n, truth)]);
        passed.count() as f64 / EXPERIMENTS as f64
    };
    for n in [documented, 400, 1000] {
        // At the edge of the claim, and clearly below it.
        assert!(share(n, 0.949) <= LEVEL);
        assert!(share(n, 0.9) <= NEVER);
    }
    let power = share(documented, 0.99);
    let claimed = pass_probability(documented, 0.95, 0.99);
    assert!(power >= POWER);
    assert!(
        (power - claimed).abs() < SIMULATED,
        "{power}, claimed {claimed}"
    );
    assert_eq!(share(72, 1.0), 0.0, "too few to show anything");
}

/// A square of operands' values, and which of its prompts are evaluated: all, or some that are drawn.
#[derive(Clone, Copy, Debug)]
struct Grid {
    values: usize,
    drawn: Option<usize>,
}

const LARGE: Grid = Grid {
    values: 99,
    drawn: None,
};
const LARGE_DRAWN: Grid = Grid {
    values: 99,
    drawn: Some(1000),
};
const SMALL: Grid = Grid {
    values: 10,
    drawn: None,
};

impl Grid {
    /// The values of the evaluated prompts, `[operand][prompt]`.
    fn prompts(self, random: &mut ChaCha8Rng) -> Vec<Vec<i64>> {
        let n = self.values as i64;
        let mut chosen: Vec<i64> = (0..n * n).collect();
        if let Some(drawn) = self.drawn {
            for i in 0..drawn {
                let other = random.random_range(i..chosen.len());
                chosen.swap(i, other);
            }
            chosen.truncate(drawn);
        }
        let operand = |value: fn(i64, i64) -> i64| chosen.iter().map(|&p| value(p, n)).collect();
        vec![operand(|p, n| p / n), operand(|p, n| p % n)]
    }
}

/// What makes prompts succeed or fail together.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Effect {
    /// Nothing does.
    Nothing,
    /// The value of A, normal on the scale of the probit, as large as what is the prompt's own.
    A,
    /// The value of B.
    B,
    /// The values of A and of B.
    Both,
    /// Whole values of B fail.
    WholeB,
    /// Whole values of A, and of B.
    WholeBoth,
    /// Half of the failures are of whole values of B, half are the prompts' own.
    Mixed,
}

/// Whether each prompt succeeds, where that share of all prompts with any operands does.
fn succeeding(
    effect: Effect,
    share: f64,
    operands: &[Vec<i64>],
    random: &mut ChaCha8Rng,
) -> Vec<bool> {
    use statrs::distribution::{ContinuousCDF, Normal};
    let count = 1 + operands.iter().flatten().max().map_or(0, |&m| m as usize);
    let (of_a, of_b) = match effect {
        Effect::A => (1.0, 0.0),
        Effect::B => (0.0, 1.0),
        Effect::Both => (1.0, 1.0),
        _ => (0.0, 0.0),
    };
    let spread = f64::sqrt(1.0 + of_a + of_b);
    let threshold = spread * Normal::standard().inverse_cdf(share);
    // The share of values of A and of B that do not fail as a whole, and of their prompts that do not fail alone.
    let (a_good, b_good, alone) = match effect {
        Effect::WholeB => (1.0, share, 1.0),
        Effect::WholeBoth => (share.sqrt(), share.sqrt(), 1.0),
        Effect::Mixed => {
            let b_good = 1.0 - (1.0 - share) / 2.0;
            (1.0, b_good, share / b_good)
        }
        _ => (1.0, 1.0, 1.0),
    };
    let mut values = |size: f64, good: f64| -> Vec<f64> {
        let mut value = || match random.random::<f64>() < good {
            true => size * normal(random),
            false => f64::NEG_INFINITY,
        };
        (0..count).map(|_| value()).collect()
    };
    let (a, b) = (values(of_a, a_good), values(of_b, b_good));
    let whole = [Effect::WholeB, Effect::WholeBoth, Effect::Mixed].contains(&effect);
    let succeeds = |(&i, &j): (&i64, &i64)| {
        let shared = a[i as usize] + b[j as usize];
        match whole {
            true => shared.is_finite() && random.random::<f64>() < alone,
            false => normal(random) < threshold + shared,
        }
    };
    operands[0].iter().zip(&operands[1]).map(succeeds).collect()
}

/// How often each of three things happens in so many experiments, in two threads.
fn how_often(count: usize, experiment: impl Fn(&mut ChaCha8Rng) -> [bool; 3] + Sync) -> [f64; 3] {
    let half = |seed| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..count / 2).fold([0; 3], |sum: [usize; 3], _| {
            let found = experiment(&mut random);
            [0, 1, 2].map(|i| sum[i] + usize::from(found[i]))
        })
    };
    let sums = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let (one, other) = (half(2), other.join().unwrap());
        [0, 1, 2].map(|i| one[i] + other[i])
    });
    sums.map(|sum| sum as f64 / count as f64)
}

/// Intervals about other operands cover the share among all operands in at least 93% of the experiments, whatever makes prompts
/// succeed or fail together; and a claim of exactly that share passes in at most 5%, and fails in at most 5%.
#[rstest]
#[case(LARGE_DRAWN, 1000)]
#[case(LARGE, 400)]
#[case(SMALL, 2000)]
fn shares_about_other_operands(
    #[case] grid: Grid,
    #[case] experiments: usize,
    #[values(0.95, 0.8)] share: f64,
    #[values(
        Effect::Nothing,
        Effect::A,
        Effect::B,
        Effect::Both,
        Effect::WholeB,
        Effect::WholeBoth,
        Effect::Mixed
    )]
    effect: Effect,
) {
    let [covered, passed, failed] = how_often(experiments, |random| {
        let operands = grid.prompts(random);
        let right = succeeding(effect, share, &operands, random);
        let found = Clusters::of_operands(operands).share(&right);
        let interval = found.interval();
        [
            (interval.low..=interval.high).contains(&share),
            found.passes(share, LEVEL),
            found.fails(share, LEVEL),
        ]
    });
    let most = match effect == Effect::Mixed && share < 0.9 {
        true => OF_MIXED,
        false => LEVEL,
    };
    assert!(
        covered >= COVERS_OPERANDS && passed <= most && failed <= LEVEL,
        "{grid:?} {share} {effect:?}: covered {covered}, passed {passed}, failed {failed}"
    );
}

/// Taken for independent, prompts of whole values that fail pass a claim that they do not keep: the check above would notice.
#[test]
fn independent_prompts_would_pass_wrongly() {
    let [covered, passed, _] = how_often(400, |random| {
        let operands = LARGE_DRAWN.prompts(random);
        let right = succeeding(Effect::WholeB, 0.95, &operands, random);
        let kept = right.iter().filter(|right| **right).count();
        let found = Evidence::of_prompts(kept, right.len());
        let interval = found.interval();
        let covered = (interval.low..=interval.high).contains(&0.95);
        [covered, found.passes(0.95, LEVEL), false]
    });
    assert!(
        covered < COVERS_OPERANDS - NOTICED && passed > TOO_OFTEN,
        "{covered} {passed}"
    );
}

/// Intervals of means about other operands, of values with a long tail, cover the mean in at least 93% of the experiments.
#[rstest]
#[case(LARGE_DRAWN, 1000)]
#[case(LARGE, 400)]
#[case(SMALL, 2000)]
fn means_about_other_operands(
    #[case] grid: Grid,
    #[case] experiments: usize,
    #[values((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))] of_values: (f64, f64),
) {
    // The tail is the prompt's own, as a logit difference's or a divergence's is; its mean is exp(1/8).
    let mean = 0.125f64.exp();
    let [covered, ..] = how_often(experiments, |random| {
        let operands = grid.prompts(random);
        let mut effects =
            |size: f64| -> Vec<f64> { (0..grid.values).map(|_| size * normal(random)).collect() };
        let (a, b) = (effects(of_values.0), effects(of_values.1));
        let value =
            |(&i, &j): (&i64, &i64)| a[i as usize] + b[j as usize] + (0.5 * normal(random)).exp();
        let values: Vec<f64> = operands[0].iter().zip(&operands[1]).map(value).collect();
        let found = Clusters::of_operands(operands).mean(&values).unwrap();
        [(found.low..=found.high).contains(&mean), false, false]
    });
    assert!(
        covered >= COVERS_OPERANDS,
        "{grid:?} {of_values:?}: {covered}"
    );
}

/// As many prompts over as many values as are said to be needed pass as often as was said, if the truth is what it was said for.
#[rstest]
#[case(0.95, 0.99)]
#[case(0.9, 0.96)]
fn what_a_claim_about_other_operands_needs(#[case] claim: f64, #[case] truth: f64) {
    let needed =
        Needed::with_power(Inference::Operands, claim, truth, POWER, Worth::INDEPENDENT).unwrap();
    let grid = Grid {
        values: needed.values.unwrap(),
        drawn: Some(needed.prompts),
    };
    let [passed, ..] = how_often(600, |random| {
        let operands = grid.prompts(random);
        let right = succeeding(Effect::Nothing, truth, &operands, random);
        let found = Clusters::of_operands(operands).share(&right);
        [found.passes(claim, LEVEL), false, false]
    });
    // Two standard errors of 600 experiments.
    assert!(passed >= POWER - 2.0 * SIMULATED, "{needed}: {passed}");
}

/// The same questions in six styles: where a question fails in all of them, and where every style fails for itself, the
/// interval of the pooled share covers the truth in at least 93% of the experiments.
#[rstest]
fn pooled_shares_cover(
    #[values(55, 200)] questions: usize,
    #[values(0.95, 0.8)] share: f64,
    #[values(1.0, 0.5, 0.0)] together: f64,
) {
    let units = (0..6).flat_map(|_| 0..questions as i64).collect();
    let clusters = Clusters::of_questions(units);
    let [covered, passed, failed] = how_often(2000, |random| {
        let fails_everywhere: Vec<bool> = (0..questions)
            .map(|_| random.random::<f64>() < together * (1.0 - share))
            .collect();
        // What fails in one style only, so that the share comes out.
        let alone = share / (1.0 - together * (1.0 - share));
        let right: Vec<bool> = (0..6 * questions)
            .map(|i| !fails_everywhere[i % questions] && random.random::<f64>() < alone)
            .collect();
        let found = clusters.share(&right);
        let interval = found.interval();
        [
            (interval.low..=interval.high).contains(&share),
            found.passes(share, LEVEL),
            found.fails(share, LEVEL),
        ]
    });
    assert!(
        covered >= COVERS_OPERANDS && passed <= LEVEL && failed <= LEVEL,
        "{questions} {share} {together}: covered {covered}, passed {passed}, failed {failed}"
    );
}
