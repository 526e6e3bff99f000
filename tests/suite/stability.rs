//! AF1 chosen on many halves of the operands: what was planted is chosen on all of them, and one draw is what `discover` finds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rstest::rstest;
use serde_json::Value;

use af1::prompt::KeyedBy;
use af1::selfcheck;

use super::fixtures::{json, planted_models};
use super::program::{af1, json_lines, stdout};

/// How often every `(W, K)` is chosen.
fn chosen(rows: &[Value]) -> BTreeMap<(u64, u64), usize> {
    let mut found = BTreeMap::new();
    let whole = |row: &&Value| row["part"] == "development" && row["pruned_heads"].is_null();
    for row in rows.iter().filter(whole) {
        let number = |field: &str| row[field].as_u64().unwrap();
        *found
            .entry((number("wait"), number("transfer")))
            .or_insert(0) += 1;
    }
    found
}

/// What was planted is found on every half, whichever operands it has.
#[rstest]
#[case("planted-af1", (3, 2))]
#[case("planted-heads", (3, 2))]
#[case("planted-late", (5, 2))]
#[case("planted-spread", (3, 5))]
fn what_was_planted_is_chosen_on_every_half(#[case] model: &str, #[case] planted: (u64, u64)) {
    let run = format!(
        "stability --model {model} --style symbolic --operation A+B --operands 0..=19 --draws 5"
    );
    let rows = json_lines(af1(&run));
    assert_eq!(chosen(&rows), [(planted, 5)].into());
    let held_out = rows.iter().filter(|row| row["part"] == "held-out");
    assert!(held_out.clone().all(|row| row["faithfulness"] == 1.0));
    assert_eq!(held_out.count(), 5);
}

/// The heads that fetch are those that are left on every half, and they keep what AF1 keeps on the others.
#[rstest]
#[case("planted-af1")]
#[case("planted-heads")]
#[case("planted-late")]
fn planted_heads_are_chosen_on_every_half(#[case] model: &str) {
    let run = format!(
        "stability --model {model} --style symbolic --operation A+B --operands 0..=19 --draws 3 --heads"
    );
    let rows = json_lines(af1(&run));
    let (preset, plant) = (planted_models().into_iter())
        .find(|(preset, _)| preset.name == model)
        .unwrap();
    let truth = plant
        .truth(preset.styles[0], KeyedBy::Span, selfcheck::CLAIM)
        .unwrap();
    let needed: BTreeSet<String> = (truth.heads.iter())
        .map(|(layer, head)| format!("L{layer}H{head}"))
        .collect();
    let pruned = rows.iter().filter(|row| !row["pruned_heads"].is_null());
    for row in pruned.clone() {
        let (wait, transfer) = (&row["wait"], &row["transfer"]);
        let (wait, transfer) = (wait.as_u64().unwrap(), transfer.as_u64().unwrap());
        let heads = row["heads"].as_u64().unwrap();
        let all =
            (wait..wait + transfer).flat_map(|l| (0..heads).map(move |h| format!("L{l}H{h}")));
        let out: Vec<String> = serde_json::from_value(row["pruned_heads"].clone()).unwrap();
        let left: BTreeSet<String> = all.filter(|head| !out.contains(head)).collect();
        assert_eq!(left, needed, "{model}");
        assert_eq!(
            (&row["faithfulness"], &row["pruning"]),
            (&1.0.into(), &"greedy".into())
        );
    }
    assert_eq!(pruned.count(), 6);
    assert_eq!(chosen(&rows).values().sum::<usize>(), 3);
    let said = stdout(&mut af1(&run));
    let due = format!(
        "; of the heads {0} are needed where it holds, {0} of them on every such half (",
        needed.len()
    );
    assert!(said.contains(&due), "{due}: {said}");
    let first = needed.first().unwrap();
    assert!(said.contains(&format!("| {first} | 3/3")), "{said}");
}

/// The draws are those of `discover` by the seed and the numbers after it, and differ from each other.
#[test]
fn a_draw_is_what_discover_finds() {
    let of = "--model planted-noisy --style symbolic --operation A+B --operands 0..=19";
    let rows = json_lines(af1(&format!("stability {of} --draws 2 --seed 5")));
    for (draw, seed) in [(0, 5), (1, 6)] {
        let alone = json_lines(af1(&format!("discover {of} --seed {seed}")));
        for (i, row) in alone.iter().enumerate() {
            let same = &rows[2 * draw + i];
            for field in [
                "part",
                "wait",
                "transfer",
                "prompts",
                "base_correct",
                "correct",
                "answers",
            ] {
                assert_eq!(row[field], same[field], "{field} of seed {seed}");
            }
        }
    }
    assert_ne!(rows[0]["prompts_sha256"], rows[2]["prompts_sha256"]);
}

/// A model that loses one answer in ten keeps this share of all.
const KEPT: f64 = 0.9;

/// A model that loses one answer in ten, which ones follows from the operands: the AF1 that was planted keeps most on every half, but
/// it holds on some only, and what it keeps is spread.
#[test]
fn what_keeps_most_is_chosen_where_none_holds() {
    let run = "stability --model planted-noisy --style symbolic --operation A+B --operands 0..=19 --draws 8";
    let rows = json_lines(af1(run));
    assert_eq!(chosen(&rows), [((3, 2), 8)].into());
    let kept = |part: &str| -> Vec<f64> {
        let of_part = rows.iter().filter(|row| row["part"] == part);
        of_part
            .map(|row| row["faithfulness"].as_f64().unwrap())
            .collect()
    };
    // The interval of all of 100 prompts begins at .963, that of 99 of them at .946.
    let holds = kept("development")
        .into_iter()
        .filter(|kept| *kept == 1.0)
        .count();
    assert!((1..8).contains(&holds), "{holds}");
    let spread = kept("held-out");
    assert!(
        spread.iter().any(|kept| *kept < KEPT) && spread.iter().any(|kept| *kept > KEPT),
        "{spread:?}"
    );
    let table = stdout(&mut af1(run));
    let squeezed: String = table.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        squeezed.contains(&format!("| 3 | 2 | 8/8 | {holds} | ")),
        "{squeezed}"
    );
    let said =
        format!("AF1(3, 2) is chosen on 8 of 8 halves of the operands (it holds on {holds})");
    assert!(squeezed.contains(&said), "{squeezed}");
}

/// Which AF1 Python chooses from what was said to every prompt, half by half, and what it keeps on both.
#[rstest]
#[case("planted-leak", 0..8)]
#[case("planted-noisy", 0..8)]
#[case("planted-weak", 0..8)]
// The half on which AF1(7, 10) is chosen.
#[case("qwen2.5-coder-0.5b-instruct", 2..3)]
fn choices_are_those_of_python(#[case] model: &str, #[case] draws: Range<usize>) {
    let reference = json("reference/stability.json");
    let cases = reference["cases"].as_array().unwrap();
    let case = cases.iter().find(|case| case["model"] == model).unwrap();
    let choices = &case["choices"].as_array().unwrap()[draws];
    let run = format!(
        "stability --model {model} {} --claim {} --draws {} --seed {}",
        case["prompts"].as_str().unwrap(),
        case["claim"],
        choices.len(),
        choices[0]["seed"]
    );
    let rows = json_lines(af1(&run));
    assert_eq!(rows.len(), 2 * choices.len());
    for (i, row) in rows.iter().enumerate() {
        let due = &choices[i / 2];
        let part = ["development", "held-out"][i % 2];
        let counts = &due[part];
        for (field, due) in [
            ("part", &part.into()),
            ("wait", &due["wait"]),
            ("transfer", &due["transfer"]),
            ("chosen_holds", &due["holds"]),
            ("chosen_by", &due["by"]),
            ("prompts", &counts["prompts"]),
            ("base_correct", &counts["base"]),
            ("correct_given_base", &counts["kept"]),
        ] {
            assert_eq!(
                row[field],
                *due,
                "{field} of {part}, seed {}",
                choices[i / 2]["seed"]
            );
        }
    }
}

/// Heads go, and are called needed, only on halves on which an AF1 holds; other halves keep all heads, beside such halves and alone.
#[test]
fn no_head_is_needed_where_nothing_holds() {
    let run = |draws: &str| {
        format!(
            "stability --model planted-noisy --style symbolic --operation A+B --operands 0..=14 --heads {draws}"
        )
    };
    // On the fourth half AF1(3, 2) keeps 49 of 49, on the fifth 42.
    let both = run("--draws 2 --seed 45");
    let rows = json_lines(af1(&both));
    let pruned: Vec<(bool, usize)> = (rows.iter())
        .filter(|row| !row["pruned_heads"].is_null())
        .map(|row| {
            let holds = row["chosen_holds"].as_bool().unwrap();
            (holds, row["pruned_heads"].as_array().unwrap().len())
        })
        .collect();
    assert_eq!(pruned, [(true, 3), (true, 3), (false, 0), (false, 0)]);
    let said = stdout(&mut af1(&both));
    assert!(
        said.contains("of the heads 5 are needed where it holds, 5 of them on every such half ("),
        "{said}"
    );
    assert!(
        said.contains("| L3H0 | 1/1") && !said.contains("L3H1"),
        "{said}"
    );
    let said = stdout(&mut af1(&run("--draws 1 --seed 46")));
    assert!(said.contains("(it holds on 0)"), "{said}");
    assert!(!said.contains("needed") && !said.contains("L3H0"), "{said}");
}

/// Other wordings than `calculate` come with the program: at least ten, and every one of them finds what was planted.
#[test]
fn every_wording_finds_what_was_planted() {
    let run = "stability --model planted-af1 --styles paraphrases --style all --operation A+B --operands 0..=9 --draws 1";
    let rows = json_lines(af1(run));
    let found = chosen(&rows);
    assert_eq!(found.len(), 1, "{found:?}");
    let (at, wordings) = found.into_iter().next().unwrap();
    assert_eq!(at, (3, 2));
    assert!(wordings > 10, "{wordings}");
}
