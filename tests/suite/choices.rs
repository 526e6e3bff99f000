//! Experiments that choose, draw or look: what they find in planted models follows from what was planted.

use af1::intervene::Head;
use af1::measure::Draw;
use af1::measure::Part;
use std::collections::BTreeSet;

use af1::model::planted::{Plant, Truth};
use af1::model::{Preset, Supply};
use af1::prompt::KeyedBy;
use af1::record::{HeadAttention, Line, Measurement, Outcome, PruningOrder, Row};
use af1::selfcheck::CLAIM;
use af1::stats::Criterion;
use rstest::rstest;

use super::fixtures::{CHANCE, ROUNDING};
use super::program::{Planted, Words, planted, stdout};

fn lines(run: &Planted) -> Vec<Line> {
    let text = stdout(run.run().words("--format json"));
    text.lines().map(|line| Line::read(line).unwrap()).collect()
}

fn measured(run: &Planted) -> Vec<Measurement> {
    let cells = lines(run).into_iter().map(|line| match line.row {
        Row::Measured(m) => *m,
        _ => panic!("{}", line.text),
    });
    cells.collect()
}

fn truth(model: &str) -> (Plant, Truth) {
    let Supply::Planted(plant) = Preset::named(model).unwrap().supply else {
        panic!("{model} is planted");
    };
    let truth = plant.truth("symbolic", KeyedBy::Span, CLAIM).unwrap();
    (plant, truth)
}

/// W and K are those that were planted, and they hold on other prompts than those on which they were chosen; where none holds, what is
/// reported fails to pass.
#[rstest]
fn what_is_chosen_is_what_was_planted(
    #[values(
        "planted-af1",
        "planted-operator",
        "planted-late",
        "planted-spread",
        "planted-noisy",
        "planted-relay"
    )]
    model: &str,
    #[values("A+B", "A-B")] operation: &str,
) {
    let discover = planted("discover").model(model).operands("0..=24");
    let rows = measured(&discover.operation(operation));
    let [development, held_out] = &rows[..] else {
        panic!("{} rows", rows.len());
    };
    assert_eq!(
        (development.subject.part, held_out.subject.part),
        (Part::Development, Part::HeldOut)
    );
    assert_eq!(
        development.test.verdict, None,
        "what was chosen there is not judged there"
    );
    assert_ne!(
        development.answers.prompts_sha256,
        held_out.answers.prompts_sha256
    );
    // Every prompt is in one half, or has operands of both, or has no mean.
    assert_eq!(development.counts.mixed, held_out.counts.mixed);
    let counted = |m: &Measurement| m.counts.prompts + m.counts.undefined;
    let all = counted(development) + counted(held_out) + development.counts.mixed.unwrap();
    assert_eq!(all, development.counts.all_prompts);
    assert_eq!(
        development.choice.map(|choice| choice.by),
        Some(Criterion::LowerBound)
    );
    // The numbers that the noisy model loses may all be in the other half.
    if model != "planted-noisy" {
        let planted = truth(model).1.af1.is_some();
        assert_eq!(development.choice.map(|choice| choice.holds), Some(planted));
    }
    let found = held_out
        .subject
        .transfer()
        .map(|transfer| (held_out.subject.wait(), transfer));
    assert_eq!(
        (development.subject.wait(), development.subject.transfer()),
        (held_out.subject.wait(), held_out.subject.transfer())
    );
    let outcome = held_out
        .test
        .verdict
        .as_ref()
        .map(|verdict| verdict.outcome);
    match truth(model).1.af1 {
        Some(planted) => assert_eq!((found, outcome), (Some(planted), Some(Outcome::Pass))),
        None => assert_ne!(outcome, Some(Outcome::Pass), "{held_out:?}"),
    }
}

/// Where all pairs of prompts share an operand, halves cannot be made, and that is said.
#[test]
fn what_cannot_be_split_is_refused() {
    let output = planted("discover").operands("4").run().output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(af1::error::exit::NO_PROMPTS.into())
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("cannot be split into two halves that share no operand"),
        "{said}"
    );
    assert!(said.contains("widen --operands or --results"), "{said}");
}

/// In whatever order heads go, the answers go with the first head that was planted.
#[rstest]
fn a_random_order_ends_at_the_first_planted_head(
    #[values("planted-af1", "planted-heads", "planted-spread")] model: &str,
    #[values("1", "2")] seed: &str,
) {
    let (_, truth) = truth(model);
    let (wait, transfer) = truth.af1.unwrap();
    let verb = format!(
        "heads --wait {wait} --transfer {transfer} --order random --seed {seed} --controls 6"
    );
    let rows = measured(&planted(&verb).model(model));
    let (sets, steps): (Vec<&Measurement>, Vec<&Measurement>) = rows
        .iter()
        .partition(|m| m.subject.pruning == Some(PruningOrder::RandomSet));
    // Where no head can go there is no set of the same size.
    let held = steps
        .iter()
        .filter(|m| m.scores.faithfulness.value.unwrap() >= CLAIM)
        .map(|m| m.subject.pruned_heads().unwrap().len())
        .max();
    let controls = if held == Some(0) { 0 } else { 6 };
    assert_eq!((steps.len(), sets.len()), (4 * transfer + 1, controls));
    let planted = truth.heads.iter();
    let planted: BTreeSet<Head> = planted.map(|&(layer, head)| Head { layer, head }).collect();
    for m in &rows {
        let pruned = m.subject.pruned_heads().unwrap();
        let lost = pruned.iter().any(|head| planted.contains(head));
        let kept = m.scores.faithfulness.value.unwrap();
        // An answer can be right by chance without its heads.
        assert!(
            if lost { kept < CHANCE } else { kept == 1.0 },
            "{pruned:?}: {kept}"
        );
    }
    // The sets are as large as the largest that held.
    let held = steps
        .iter()
        .filter(|m| m.scores.faithfulness.value == Some(1.0))
        .count()
        - 1;
    assert!(
        sets.iter()
            .all(|m| m.subject.pruned_heads().unwrap().len() == held)
    );
    let orders: BTreeSet<&BTreeSet<Head>> = sets
        .iter()
        .map(|m| m.subject.pruned_heads().unwrap())
        .collect();
    assert!(
        held == 0 || orders.len() > 1,
        "the sets are drawn one by one"
    );
}

/// A head that fetches something gives it nearly all of its attention.
const FETCHES: f64 = 0.9;

/// The heads that fetch the operands give them all their attention, and the table says which.
#[rstest]
fn attention_shows_the_planted_heads(#[values("planted-af1", "planted-spread")] model: &str) {
    let (_, truth) = truth(model);
    let rows: Vec<HeadAttention> = lines(&planted("attention").model(model))
        .into_iter()
        .map(|line| match line.row {
            Row::Attention(a) => *a,
            _ => panic!("{}", line.text),
        })
        .collect();
    assert_eq!(rows.len(), rows[0].layers * 4);
    for a in &rows {
        let sum: f64 = a.weights.values().map(|weight| weight.mean).sum();
        assert!((sum - 1.0).abs() < ROUNDING, "weights sum to {sum}");
        let names: Vec<&str> = a.weights.keys().map(String::as_str).collect();
        assert_eq!(names, ["A", "B", "bos", "last", "text"]);
        let most = f64::max(a.weights["A"].mean, a.weights["B"].mean);
        // Those that fetch the operation look at the text between the operands.
        let planted = truth.heads.contains(&(a.head.layer, a.head.head));
        let operation = a.weights["text"].mean > FETCHES;
        assert_eq!(most > FETCHES, planted && !operation, "{}: {most}", a.head);
    }
}

/// The planted means are the same whatever the contexts, so that one context is enough; the draws differ, the prompts do not.
#[test]
fn few_contexts_are_enough_where_means_are_exact() {
    let rows = measured(&planted("contexts --numbers 1,3,9 --draws 3"));
    assert_eq!(rows.len(), 9);
    let draws: Vec<Draw> = rows.iter().map(|m| m.subject.draw.unwrap()).collect();
    let numbers = draws.iter().map(|draw| draw.contexts);
    assert!(numbers.eq([1, 1, 1, 3, 3, 3, 9, 9, 9]));
    for m in &rows {
        assert_eq!(
            (
                m.scores.faithfulness.value,
                m.counts.prompts,
                m.test.verdict.as_ref()
            ),
            (Some(1.0), 100, None)
        );
        assert_eq!(m.answers.prompts_sha256, rows[0].answers.prompts_sha256);
        // Leaving one out leaves as many as were asked for.
        assert!(
            m.contexts.fewest > m.subject.draw.unwrap().contexts,
            "{m:?}"
        );
    }
    assert!(rows[0].contexts.median < rows[8].contexts.median);
    let seeds: BTreeSet<u64> = draws.iter().map(|draw| draw.seed).collect();
    assert_eq!(seeds.len(), 3);
    // Other contexts, other means.
    assert_ne!(
        rows[0].scores.logit_difference,
        rows[1].scores.logit_difference
    );
}

/// Random sets have the size that holds where heads are chosen, whatever holds where they are reported. Of the first operands from 0
/// to 9 the model loses the 9, which is in one half only.
#[test]
fn the_size_of_random_sets_is_chosen_where_heads_are() {
    let mut seen = BTreeSet::new();
    for seed in 1..=12 {
        let verb = format!("heads --controls 3 --held-out --seed {seed}");
        let rows = measured(&planted(&verb).model("planted-noisy"));
        assert!(rows.iter().all(|m| m.subject.part == Part::HeldOut));
        let here = rows[0].scores.faithfulness.value.unwrap() >= CLAIM;
        let sets = rows
            .iter()
            .filter(|m| m.subject.pruning == Some(PruningOrder::RandomSet));
        // What is lost in the one half is not lost in the other.
        assert_eq!(sets.count(), if here { 0 } else { 3 }, "seed {seed}");
        seen.insert(here);
        if seen.len() == 2 {
            return;
        }
    }
    panic!("the 9 was always in the same half");
}

/// The table says what a comparison with random sets is worth.
#[rstest]
#[case(
    "--held-out",
    "chosen on other prompts, which share no operand with these"
)]
#[case("", "chosen on these very prompts and the random sets were not")]
fn tuned_sets_do_not_meet_random_ones_unsaid(#[case] more: &str, #[case] said: &str) {
    let text = stdout(planted("heads --controls 3").run().words(more));
    assert!(text.contains(said), "{text}");
}

/// A verdict over all draws of a number of contexts takes five of them, and stands in the last one's record.
#[test]
fn draws_are_judged_together() {
    let words = |draws: usize| format!("contexts --numbers 1,3 --draws {draws}");
    let run = |draws| measured(&planted(&words(draws)));
    let outcomes = |rows: &[Measurement]| -> Vec<Option<Option<Outcome>>> {
        let of = |m: &Measurement| {
            let all = m.over_draws.as_ref()?;
            Some(all.verdict.as_ref().map(|verdict| verdict.outcome))
        };
        rows.iter().map(of).collect()
    };
    let pass = Some(Some(Outcome::Pass));
    let five = [None, None, None, None, pass];
    assert_eq!(outcomes(&run(5)), [five, five].concat());
    let three = [None, None, Some(None)];
    assert_eq!(outcomes(&run(3)), [three, three].concat());
    let table = |draws| stdout(planted(&words(draws)).run());
    assert!(table(3).contains("needs 5 draws"));
    let text = table(5);
    assert!(
        text.contains("3 contexts: pass: over draws and prompts"),
        "{text}"
    );
}

/// Without the layers that carry the answer hardly any is kept.
const LOST: f64 = 0.1;

/// The subgraph of one model tried on another: where the routing is later it does not hold.
#[test]
fn one_models_subgraph_on_another() {
    let rows = |model: &str, of: &str| {
        let verb = format!("run --ablation cama --subgraph-of {of}");
        measured(&planted(&verb).model(model))
    };
    for (model, of, subgraph, holds) in [
        ("planted-af1", "planted-af1", (3, 2), true),
        ("planted-late", "planted-late", (5, 2), true),
        ("planted-spread", "planted-spread", (3, 5), true),
        ("planted-af1", "planted-late", (5, 2), false),
        ("planted-late", "planted-af1", (3, 2), false),
        // More layers than it takes do no harm.
        ("planted-af1", "planted-spread", (3, 5), true),
    ] {
        let m = &rows(model, of)[0];
        assert_eq!(
            (m.subject.wait(), m.subject.transfer()),
            (subgraph.0, Some(subgraph.1))
        );
        let kept = m.scores.faithfulness.value.unwrap();
        assert!(
            if holds { kept == 1.0 } else { kept < LOST },
            "{model} {of}: {kept}"
        );
    }
}
