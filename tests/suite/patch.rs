//! Swapped residuals: the maps of planted models follow from what was planted, and every answer is that of numpy.

use std::collections::BTreeMap;

use af1::error::exit;
use af1::measure::{Change, Pair, Request, Way, pairs, prepare};
use af1::model::planted::{Plant, Route};
use af1::model::{Preset, Supply};
use af1::prompt::{Carry, PromptSet};
use af1::record::{Line, Patched, Row};
use rstest::rstest;

use super::fixtures::{build, every_step, json, load, path, template};
use super::program::{Planted, Words, planted, stdout};

fn plant(model: &str) -> Plant {
    let Supply::Planted(plant) = Preset::named(model).unwrap().supply else {
        panic!("{model} is planted");
    };
    plant
}

fn rows(run: &Planted, options: &str) -> Vec<Patched> {
    let text = stdout(run.run().words(options).words("--format json"));
    let lines = text.lines().map(|line| Line::read(line).unwrap());
    let rows = lines.filter_map(|line| match line.row {
        Row::Patched(p) => Some(*p),
        Row::Conclusion(_) => None,
        _ => panic!("{}", line.text),
    });
    rows.collect()
}

/// Where a residual decides the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Moves,
    Stays,
    /// Only a part of it was fetched, or of another operand: nothing follows from what was planted.
    Open,
}

/// What the residual of a prompt with another A, another B or both does at a boundary in a planted model: a token carries its number until
/// the number was fetched from it, and the last token carries the answer once all was fetched.
fn due(plant: &Plant, change: Change, boundary: usize, token: &str) -> Fate {
    let fetched = plant.wait + plant.transfer;
    let last = fetched - 1;
    let (hop, changes_a) = (plant.wait, change != Change::Operand(1));
    let hops = matches!(plant.route, Route::Relay | Route::TwoHop);
    // Of both, the swap of one makes a third answer.
    let alone = change != Change::All;
    match token {
        "last" if boundary <= if hops { last } else { plant.wait } => Fate::Stays,
        "last" if boundary >= fetched => Fate::Moves,
        "last" => Fate::Open,
        // B takes A in the layer `hop` and gives both, or their sum, in the layer `last`.
        "A" if hops && changes_a && boundary <= hop && alone => Fate::Moves,
        "A" if hops && boundary > hop => Fate::Stays,
        "B" if hops && changes_a && boundary <= hop && alone => Fate::Stays,
        "B" if hops && change == Change::All && boundary <= hop => Fate::Open,
        "B" if hops && boundary <= last => of_hop(plant, change, boundary),
        "A" | "B" if boundary >= fetched => Fate::Stays,
        "A" | "B" if !alone => Fate::Open,
        "A" | "B" if Change::to_string(&change) != token => Fate::Stays,
        "A" | "B" if boundary <= plant.wait => Fate::Moves,
        "A" | "B" => Fate::Open,
        _ => Fate::Stays,
    }
}

/// B in a model in which it has taken A.
fn of_hop(plant: &Plant, change: Change, boundary: usize) -> Fate {
    // Until the hop it has its own number only.
    match change {
        Change::Operand(0) if boundary <= plant.wait => Fate::Stays,
        _ => Fate::Moves,
    }
}

#[rstest]
fn maps_are_those_that_were_planted(
    #[values(
        "planted-af1",
        "planted-late",
        "planted-spread",
        "planted-relay",
        "planted-two-hop"
    )]
    model: &str,
    #[values("A+B", "A-B")] operation: &str,
) {
    let plant = plant(model);
    let run = planted("patch").model(model).operation(operation);
    let rows = rows(&run.operands("0..=14"), "--pairs 40");
    assert_eq!(rows.len(), 3 * (plant.layers + 1));
    let mut seen = BTreeMap::<String, usize>::new();
    for p in &rows {
        assert_eq!(p.pairs, 40);
        for (position, found) in &p.positions {
            let at = format!("{} {} {position} {found:?}", p.change, p.boundary);
            let fate = due(&plant, p.change, p.boundary, &found.token);
            let shares = (found.moved.value.unwrap(), found.stayed.value.unwrap());
            *seen.entry(format!("{} {fate:?}", found.token)).or_default() += 1;
            match fate {
                Fate::Moves => assert_eq!(shares, (1.0, 0.0), "{at}"),
                Fate::Stays => assert_eq!(shares, (0.0, 1.0), "{at}"),
                Fate::Open => assert!(shares.0 + shares.1 <= 1.0, "{at}"),
            }
        }
    }
    for decided in [
        "A Moves",
        "B Moves",
        "last Moves",
        "A Stays",
        "B Stays",
        "last Stays",
    ] {
        assert!(seen.contains_key(decided), "{decided}: {seen:?}");
    }
}

/// An operand that an operation does not have cannot be changed.
#[test]
fn a_change_that_does_not_fit_is_refused() {
    let output = planted("patch").run().words("--change C").output().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(exit::NO_PROMPTS)));
    let said = String::from_utf8(output.stderr).unwrap();
    let due = "--change C: the operation has 2 operands; expected a letter of one of them, or all";
    assert!(said.contains(due), "{said}");
}

/// Pairs are what they are said to be, each prompt has one at most, and the seed draws them.
#[test]
fn pairs_are_matched() {
    let (model, mut engine) = load("planted-af1");
    let set = build(&model, &template("symbolic", "A+B"), 0..=30, 0..=60);
    let evaluation = prepare(&mut engine, set, &Request::new(&[], &[]), &[]).unwrap();
    for change in [Change::Operand(0), Change::Operand(1), Change::All] {
        let drawn = pairs(&evaluation, change, 50, 7);
        assert_eq!(drawn.len(), 50);
        assert_eq!(drawn, pairs(&evaluation, change, 50, 7));
        assert_ne!(drawn, pairs(&evaluation, change, 50, 8));
        let mut prompts: Vec<usize> = drawn.iter().map(|pair| pair.prompt).collect();
        prompts.sort_unstable();
        prompts.dedup();
        assert_eq!(prompts.len(), 50);
        for Pair { prompt, other } in drawn {
            let of = |prompt: usize| &evaluation.set.prompts[prompt].operands;
            let (one, two) = (of(prompt), of(other));
            let carry = |operands: &[i64]| Carry::of(&evaluation.set.template.operation, operands);
            assert_eq!(carry(one), carry(two));
            assert_ne!(one[0] + one[1], two[0] + two[1]);
            let changed = (one[0] != two[0], one[1] != two[1]);
            let due = match change {
                Change::Operand(0) => (true, false),
                Change::Operand(_) => (false, true),
                Change::All => (true, true),
            };
            assert_eq!(changed, due);
        }
    }
}

/// Every answer to every swap, at every step of an answer of several tokens, is that of the masked way, which runs whole prompts.
#[rstest]
fn what_is_shared_changes_nothing(#[values("planted-digits", "planted-digits-relay")] name: &str) {
    let (model, mut engine) = load(name);
    let boundaries: Vec<usize> = (0..=engine.layers()).collect();
    for set in every_step(&model, &template("symbolic", "A+B"), 46..=53) {
        let mut answers = |way: Way, batch: usize| {
            let request = Request {
                way,
                batch,
                ..Request::new(&[], &[])
            };
            let mut evaluation = prepare(&mut engine, set.clone(), &request, &[]).unwrap();
            let drawn = [Change::Operand(0), Change::All].map(|c| pairs(&evaluation, c, 9, 1));
            let found = evaluation.patch(&mut engine, &drawn.concat(), &boundaries);
            found.unwrap()
        };
        let compiled = answers(Way::Compiled, 64);
        assert_eq!(compiled, answers(Way::Masked, 64));
        // However many run together.
        assert_eq!(compiled, answers(Way::Compiled, 1));
    }
}

/// The answers of numpy to the same swaps in a model of random weights, token by token.
#[rstest]
fn answers_are_those_of_numpy(#[values(Way::Compiled, Way::Masked)] way: Way) {
    let reference = json("reference/patch.json");
    let folder = path("reference/tiny-llama/f32");
    let (model, mut engine) = load(&folder.to_string_lossy());
    let set = build(&model, &template("symbolic", "A+B"), 0..=9, 0..=18);
    let request = Request {
        way,
        ..Request::new(&[], &[])
    };
    let mut evaluation = prepare(&mut engine, set, &request, &[]).unwrap();
    let find = |operands: &serde_json::Value| {
        let is = |prompt: &usize| {
            serde_json::json!(evaluation.set.prompts[*prompt].operands) == *operands
        };
        (0..evaluation.set.len()).find(is).unwrap()
    };
    let of_reference = reference["pairs"].as_array().unwrap().iter();
    let drawn: Vec<Pair> = of_reference
        .map(|pair| Pair {
            prompt: find(&pair[0]),
            other: find(&pair[1]),
        })
        .collect();
    let boundaries: Vec<usize> = (0..=engine.layers()).collect();
    let found = evaluation.patch(&mut engine, &drawn, &boundaries).unwrap();
    let positions = found.len() / boundaries.len();
    assert_eq!(positions, positions_that_differ(&evaluation.set));
    let mut others = 0;
    for patch in &found {
        let due = &reference["predicted"][patch.boundary][patch.position];
        let due: Vec<u32> = serde_json::from_value(due.clone()).unwrap();
        assert_eq!(
            patch.predicted, due,
            "resid.{} at {}",
            patch.boundary, patch.position
        );
        let unmodified = drawn.iter().map(|pair| evaluation.base[pair.prompt]);
        others += unmodified
            .zip(&due)
            .filter(|(base, due)| base != *due)
            .count();
    }
    assert!(others > 0, "some swap changes an answer");
}

fn positions_that_differ(set: &PromptSet) -> usize {
    set.positions() - set.shared()
}
