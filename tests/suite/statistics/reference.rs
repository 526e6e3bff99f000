//! The statistics against published values, scipy, statsmodels and full enumeration.

use af1::stats::{
    Clusters, Design, Evidence, Inference, Mean, Proportion, bootstrap_clustered, bootstrap_paired,
    bootstrap_two_level, difference_bounds, holm, lower_over_contexts, mcnemar_greater,
    mcnemar_two_sided, noninferiority, pass_probability, sample_size,
};
use serde_json::Value;

use crate::fixtures::json;

/// Both libraries compute with the same functions in double precision.
const EQUAL: f64 = 1e-9;

/// Published with four decimals.
const PRINTED: f64 = 5e-5;

/// Quantiles of resampled means, relative to the width of the interval: both sides are drawn, or ours is and the other
/// enumerated. With 100,000 resamples the standard error of a quantile is about 0.4% of the width.
const DRAWN: f64 = 0.02;

/// Where nothing is known to be above a claim, the p value says so.
const HALF: f64 = 0.499;

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
    for row in rows("difference_bounds") {
        let of = |name: &str| count(&row[name]);
        let tail = number(&row["tail"]);
        let (low, high) = difference_bounds(of("wins"), of("losses"), of("trials"), tail);
        let expected = numbers(&row["interval"]);
        close(low, expected[0], QUANTILE, &row);
        close(high, expected[1], QUANTILE, &row);
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
        let (claim, evidence) = (
            number(&row["reference"]) - number(&row["margin"]),
            Evidence::of_prompts(k, n),
        );
        close(evidence.p_above(claim), number(&row["p"]), EQUAL, &row);
        close(
            evidence.p_below(claim),
            number(&row["p_below"]),
            EQUAL,
            &row,
        );
    }
}

/// How many prompts, and over how many values or questions, that depend on each other.
#[test]
fn what_a_claim_needs_equals_enumeration() {
    for row in rows("needed") {
        let of_operands = row["about"] == "operands";
        let evidence = Evidence {
            inference: match of_operands {
                true => Inference::Operands,
                false => Inference::Prompts,
            },
            successes: count(&row["successes"]),
            trials: count(&row["trials"]),
            design: Some(Design {
                effective: number(&row["effective"]),
                units: number(&row["units"]),
            }),
        };
        let (prompts, values) = (&row["prompts"], &row["values"]);
        let expected = match of_operands {
            true => format!("{prompts} right answers over {values} values of every operand"),
            false => {
                format!("{prompts} right answers to at least {values} different questions")
            }
        };
        let found = evidence.more(number(&row["claim"]), number(&row["power"]));
        assert_eq!(found, Some(expected), "{row}");
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
fn bounds_over_contexts_equal_scipy() {
    for row in rows("over_contexts") {
        let successes: Vec<usize> = (numbers(&row["successes"]).iter())
            .map(|&k| k as usize)
            .collect();
        let low = lower_over_contexts(&successes, count(&row["trials"])).unwrap();
        close(low, number(&row["low"]), EQUAL, &row);
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
        let booleans = |name: &str| -> Vec<bool> {
            let all = numbers(&row[name]);
            all.iter().map(|&s| s == 1.0).collect()
        };
        let (successes, second) = (booleans("successes"), booleans("second"));
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
            let difference = clusters.difference(&successes, &second).unwrap();
            let expected = numbers(&row["difference"]);
            close(difference.value, expected[0], EQUAL, row);
            close(difference.low, expected[1], QUANTILE, row);
            close(difference.high, expected[2], QUANTILE, row);
            for (p, expected) in [
                (found.p_above(number(&row["claim"])), &row["p_above"]),
                (clusters.greater(&successes, &second), &row["greater"]),
            ] {
                match expected.as_f64() {
                    Some(expected) => close(p, expected, QUANTILE, row),
                    None => assert!(p >= HALF, "{p}: {row}"),
                }
            }
        }
    }
}
