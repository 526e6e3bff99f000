//! Swapped residuals: the maps of planted models follow from what was planted, and every answer is that of numpy.

use std::collections::BTreeSet;

use af1::error::exit;
use af1::measure::{
    Change, Evaluation, Interchange, Pair, Patches, Request, Swap, Way, pairs, prepare,
};
use af1::model::planted::{Plant, Route};
use af1::model::{Preset, Supply};
use af1::prompt::{Carry, PromptSet};
use af1::record::{Line, Patched, Row};
use af1::runtime::Engine;
use rstest::rstest;
use serde_json::Value;

use super::fixtures::{build, every_step, floats, json, load, path, template};
use super::program::{Planted, Words, planted, stdout};
use super::real::CLEAR_MARGIN;

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

/// What becomes of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Moves,
    Stays,
    /// Only a part of it was fetched, or of another operand: nothing follows from what was planted.
    Open,
}

/// A swap of residuals in a planted model, in which every token carries its number, or the operation, until it was fetched from it, and the
/// last token the answer, once all was fetched.
struct Swapped<'a> {
    plant: &'a Plant,
    change: Change,
    swap: Swap,
    boundary: usize,
    token: &'a str,
}

impl Swapped<'_> {
    fn due(&self) -> Fate {
        let changes_operand = self.change != Change::Operator;
        let of_hop = matches!(self.plant.route, Route::Relay | Route::TwoHop);
        match self.token {
            "last" => self.of_last(),
            "A" if changes_operand && of_hop => self.of_first(),
            "B" if changes_operand && of_hop => self.of_second(),
            "A" | "B" if changes_operand => self.of_operand(),
            "A" | "B" => Fate::Stays,
            _ if changes_operand => Fate::Stays,
            // Of the text, only the operator is another token.
            operator => match operator.contains(['+', '-']) {
                true => self.read_in(self.reads_operation(), Fate::Moves),
                false => Fate::Stays,
            },
        }
    }

    /// The layer in which the last token fetches the operation.
    fn reads_operation(&self) -> usize {
        match self.plant.route {
            Route::Operator => 0,
            Route::Relay | Route::TwoHop => self.fetched() - 1,
            _ => self.plant.wait,
        }
    }

    /// The layer behind which the last token has all.
    fn fetched(&self) -> usize {
        self.plant.wait + self.plant.transfer
    }

    /// The fate of what is read in that layer, and nowhere else.
    fn read_in(&self, layer: usize, fate: Fate) -> Fate {
        let reads = match self.swap {
            Swap::Once | Swap::Cumulative => self.boundary <= layer,
            Swap::Layer => self.boundary == layer,
        };
        if reads { fate } else { Fate::Stays }
    }

    /// An operand that the last token fetches itself, a share in each of several layers. Of both operands, one makes a third answer.
    fn of_operand(&self) -> Fate {
        let (wait, fetched) = (self.plant.wait, self.fetched());
        let changed = self.change == Change::All || self.change.to_string() == self.token;
        let fetches = (wait..fetched).contains(&self.boundary);
        match self.swap {
            _ if !changed || self.boundary >= fetched => Fate::Stays,
            Swap::Layer if !fetches => Fate::Stays,
            Swap::Layer => Fate::Open,
            _ if self.change == Change::All || self.boundary > wait => Fate::Open,
            _ => Fate::Moves,
        }
    }

    /// A where B fetches it. Of both operands, it makes a third answer.
    fn of_first(&self) -> Fate {
        let fate = match self.change {
            Change::Operand(0) => Fate::Moves,
            Change::All => Fate::Open,
            _ => Fate::Stays,
        };
        self.read_in(self.plant.wait, fate)
    }

    /// B, which carries A, too, behind the layer that fetches it.
    fn of_second(&self) -> Fate {
        let (hop, last) = (self.plant.wait, self.fetched() - 1);
        // What B has of A follows from the prompt's own A, if it is not yet there when B is swapped and not put there later.
        let without_first = self.swap == Swap::Once && self.boundary <= hop;
        match self.change {
            Change::Operand(0) if without_first => Fate::Stays,
            Change::All if without_first => Fate::Open,
            _ => self.read_in(last, Fate::Moves),
        }
    }

    /// The last token, which nothing reads.
    fn of_last(&self) -> Fate {
        let hops = matches!(self.plant.route, Route::Relay | Route::TwoHop);
        let (boundary, fetched) = (self.boundary, self.fetched());
        let first = match (self.change, hops) {
            (Change::Operator, _) => self.reads_operation(),
            (_, true) => fetched - 1,
            (_, false) => self.plant.wait,
        };
        match self.change {
            _ if boundary <= first => Fate::Stays,
            // The operands are the same in both.
            Change::Operator => Fate::Moves,
            _ if boundary >= fetched => Fate::Moves,
            _ => Fate::Open,
        }
    }
}

#[rstest]
fn maps_are_those_that_were_planted(
    #[values(
        "planted-af1",
        "planted-operator",
        "planted-late",
        "planted-spread",
        "planted-relay",
        "planted-two-hop"
    )]
    model: &str,
    #[values("A+B", "A-B")] operation: &str,
    #[values(Swap::Once, Swap::Layer, Swap::Cumulative)] swap: Swap,
) {
    let plant = plant(model);
    let run = planted("patch").model(model).operation(operation);
    let options = format!("--pairs 40 --change A,B,all,operator --swap {swap}");
    let rows = rows(&run.operands("0..=14"), &options);
    let boundaries = plant.layers + usize::from(swap == Swap::Once);
    assert_eq!(rows.len(), 4 * boundaries);
    let mut seen = BTreeSet::<String>::new();
    for p in &rows {
        assert_eq!((p.pairs, p.swap), (40, swap));
        let other = if operation == "A+B" { "A-B" } else { "A+B" };
        let of_other = (p.change == Change::Operator).then(|| other.to_owned());
        assert_eq!(p.other, of_other);
        for (position, found) in &p.positions {
            let at = format!("{} {} {position} {found:?}", p.change, p.boundary);
            let swapped = Swapped {
                plant: &plant,
                change: p.change,
                swap,
                boundary: p.boundary,
                token: &found.token,
            };
            let fate = swapped.due();
            let shares = (found.moved.value.unwrap(), found.stayed.value.unwrap());
            seen.insert(format!("{} {} {fate:?}", p.change, found.token));
            match fate {
                Fate::Moves => assert_eq!(shares, (1.0, 0.0), "{at}"),
                Fate::Stays => assert_eq!(shares, (0.0, 1.0), "{at}"),
                Fate::Open => assert!(shares.0 + shares.1 <= 1.0, "{at}"),
            }
        }
    }
    // A share of an operand in one layer alone decides nothing; all else moves somewhere and stays somewhere.
    let hops = matches!(plant.route, Route::Relay | Route::TwoHop);
    let sign = if operation == "A+B" { "\"+\"" } else { "\"-\"" };
    let mut decided = vec![format!("operator {sign}")];
    match (swap, hops) {
        (Swap::Layer, false) => {}
        (_, true) => decided.extend(["A A", "A B", "B B", "all B"].map(str::to_owned)),
        (_, false) => decided.extend(["A A", "B B"].map(str::to_owned)),
    }
    if swap == Swap::Once {
        decided.extend(["A last", "all last", "operator last"].map(str::to_owned));
    }
    for of in decided {
        for fate in [Fate::Moves, Fate::Stays] {
            assert!(
                seen.contains(&format!("{of} {fate:?}")),
                "{of} {fate:?}: {seen:?}"
            );
        }
    }
}

/// Only what a template has can be changed, and a swap takes a layer that is read.
#[rstest]
#[case(
    "--change C",
    exit::NO_PROMPTS,
    "--change C: the operation has 2 operands; expected a letter of one of them, or all, or operator"
)]
#[case(
    "--swap layer --layer 8",
    exit::USAGE,
    "--swap layer --layer 8: behind the last layer nothing reads what is swapped; expected a layer below 8"
)]
fn what_cannot_be_swapped_is_refused(#[case] options: &str, #[case] code: u8, #[case] due: &str) {
    let output = planted("patch").run().words(options).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(due), "{said}");
    assert_eq!(output.status.code(), Some(i32::from(code)));
}

/// A style with one operation has no other one.
#[test]
fn an_operator_needs_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let styles = folder.path().join("styles.toml");
    let text = "[[style]]\nid = 'symbolic'\n[style.templates]\n'A+B' = '{A}+{B}='\n";
    std::fs::write(&styles, text).unwrap();
    let mut run = planted("patch").run();
    let output = run
        .words("--change operator --styles")
        .arg(&styles)
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(i32::from(exit::NO_PROMPTS)));
    let said = String::from_utf8(output.stderr).unwrap();
    let due = "--change operator: the style has no other operation whose prompts have operands and text at the same positions; expected a \
               letter of an operand, or all, or a style that has both operations";
    assert!(said.contains(due), "{said}");
}

/// Pairs are what they are said to be, each prompt has one at most, and the seed draws them.
#[test]
fn pairs_are_matched() {
    let (model, mut engine) = load("planted-af1");
    let set = build(&model, &template("symbolic", "A+B"), 0..=30, 0..=60);
    let evaluation = prepare(&mut engine, set, &Request::new(&[], &[]), &[]).unwrap();
    let difference = build(&model, &template("symbolic", "A-B"), 0..=30, 0..=60);
    let difference = prepare(&mut engine, difference, &Request::new(&[], &[]), &[]).unwrap();
    let others = |change: Change| match change {
        Change::Operator => &difference,
        _ => &evaluation,
    };
    let every = [
        Change::Operand(0),
        Change::Operand(1),
        Change::All,
        Change::Operator,
    ];
    for change in every {
        let draw = |seed: u64| pairs(&evaluation, others(change), change, 50, seed);
        let drawn = draw(7);
        assert_eq!(drawn.len(), 50);
        assert_eq!(drawn, draw(7));
        assert_ne!(drawn, draw(8));
        let mut prompts: Vec<usize> = drawn.iter().map(|pair| pair.prompt).collect();
        prompts.sort_unstable();
        prompts.dedup();
        assert_eq!(prompts.len(), 50);
        for Pair { prompt, other } in drawn {
            let of = |from: &Evaluation, prompt: usize| {
                let prompt = &from.set.prompts[prompt];
                let operation = &from.set.template.operation;
                (
                    prompt.operands.clone(),
                    prompt.result,
                    Carry::of(operation, &prompt.operands),
                )
            };
            let (one, two) = (of(&evaluation, prompt), of(others(change), other));
            assert_eq!(one.2, two.2);
            assert_ne!(one.1, two.1);
            let (one, two) = (one.0, two.0);
            let changed = (one[0] != two[0], one[1] != two[1]);
            let due = match change {
                Change::Operand(0) => (true, false),
                Change::Operand(_) => (false, true),
                Change::All => (true, true),
                Change::Operator => (false, false),
            };
            assert_eq!(changed, due);
        }
    }
}

/// What pairs answer under every swap.
fn under_every_swap(
    engine: &mut Engine,
    evaluation: &Evaluation,
    others: &Evaluation,
    pairs: &[Pair],
) -> Vec<(Swap, Vec<Patches>)> {
    let mut of = |swap: Swap| {
        let layers = engine.layers();
        let begins = |&boundary: &usize| swap.begins(boundary, layers);
        let boundaries: Vec<usize> = (0..=layers).filter(begins).collect();
        let asked = Interchange {
            evaluation,
            others,
            pairs,
            swap,
            boundaries: &boundaries,
        };
        (swap, asked.run(engine).unwrap())
    };
    Swap::ALL.into_iter().map(&mut of).collect()
}

/// Every answer to every swap, at every step of an answer of several tokens, is that of the masked way, which runs whole prompts.
#[rstest]
fn what_is_shared_changes_nothing(#[values("planted-digits", "planted-digits-relay")] name: &str) {
    let (model, mut engine) = load(name);
    let sums = every_step(&model, &template("symbolic", "A+B"), 40..=59);
    let differences = every_step(&model, &template("symbolic", "A-B"), 40..=59);
    let same = |set: &PromptSet, other: &PromptSet| set.numbers == other.numbers;
    for set in sums {
        let difference = differences.iter().find(|other| same(&set, other));
        let mut answers = |way: Way, batch: usize| {
            let request = Request {
                way,
                batch,
                ..Request::new(&[], &[])
            };
            let mut ready =
                |set: &PromptSet| prepare(&mut engine, set.clone(), &request, &[]).unwrap();
            let (evaluation, difference) = (ready(&set), difference.map(ready));
            let drawn = [Change::Operand(0), Change::All];
            let drawn = drawn
                .map(|c| pairs(&evaluation, &evaluation, c, 9, 1))
                .concat();
            let mut found = under_every_swap(&mut engine, &evaluation, &evaluation, &drawn);
            if let Some(others) = &difference {
                let drawn = pairs(&evaluation, others, Change::Operator, 9, 1);
                found.extend(under_every_swap(&mut engine, &evaluation, others, &drawn));
            }
            found
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
    let request = Request {
        way,
        ..Request::new(&[], &[])
    };
    let [sums, differences] = [("A+B", 0..=18), ("A-B", 0..=9)].map(|(operation, results)| {
        let set = build(&model, &template("symbolic", operation), 0..=9, results);
        prepare(&mut engine, set, &request, &[]).unwrap()
    });
    let find = |of: &Evaluation, operands: &serde_json::Value| {
        let is = |prompt: &usize| serde_json::json!(of.set.prompts[*prompt].operands) == *operands;
        (0..of.set.len()).find(is).unwrap()
    };
    let list = |of: &serde_json::Value| of.as_array().unwrap().clone();
    let drawn = list(&reference["pairs"]).into_iter().map(|pair| Pair {
        prompt: find(&sums, &pair[0]),
        other: find(&sums, &pair[1]),
    });
    let same_operands = list(&reference["operator"]["operands"]);
    let against = same_operands.into_iter().map(|operands| Pair {
        prompt: find(&sums, &operands),
        other: find(&differences, &operands),
    });
    let (drawn, against): (Vec<Pair>, Vec<Pair>) = (drawn.collect(), against.collect());
    let of_operator = &reference["operator"]["predicted"];
    for (others, drawn, due) in [
        (&sums, drawn, &reference["predicted"]),
        (&differences, against, of_operator),
    ] {
        for (swap, found) in under_every_swap(&mut engine, &sums, others, &drawn) {
            same_as(&due[swap.name()], &found);
            let unmodified: Vec<u32> = drawn.iter().map(|pair| sums.base[pair.prompt]).collect();
            let changes = found.iter().any(|patch| patch.predicted != unmodified);
            assert!(changes, "{swap}: some swap changes an answer");
            // Behind the token that all prompts begin with, of what is only read not the last one.
            let positions = sums.set.positions() - sums.set.shared();
            let positions = positions - usize::from(swap != Swap::Once);
            assert_eq!(
                found.iter().filter(|patch| patch.boundary == 0).count(),
                positions
            );
        }
    }
}

/// The answers of Qwen to the same swaps by PyTorch, token by token, all of which are clear.
#[test]
fn answers_of_qwen_are_those_of_pytorch() {
    let reference = json("reference/qwen25_coder_patch.json");
    let (model, mut engine) = load("qwen2.5-coder-0.5b-instruct");
    let [sums, differences] = ["A+B", "A-B"].map(|operation| {
        let set = build(&model, &template("calculate", operation), 0..=9, 0..=9);
        prepare(&mut engine, set, &Request::new(&[], &[]), &[]).unwrap()
    });
    let find = |of: &Evaluation, operands: &Value| {
        let is = |prompt: &usize| serde_json::json!(of.set.prompts[*prompt].operands) == *operands;
        (0..of.set.len()).find(is).unwrap()
    };
    let mut compared = 0;
    for (change, pairs) in reference["pairs"].as_object().unwrap() {
        let others = match &**change {
            "operator" => &differences,
            _ => &sums,
        };
        let pair = |pair: &Value| Pair {
            prompt: find(&sums, &pair[0]),
            other: find(others, &pair[1]),
        };
        let pairs: Vec<Pair> = pairs.as_array().unwrap().iter().map(pair).collect();
        let base: Vec<u32> = pairs.iter().map(|pair| sums.base[pair.prompt]).collect();
        for swap in [Swap::Once, Swap::Layer] {
            let [due, margins] =
                ["predicted", "margins"].map(|of| &reference[of][change][swap.name()]);
            let boundaries = due.as_object().unwrap().keys();
            let boundaries: Vec<usize> = boundaries.map(|layer| layer.parse().unwrap()).collect();
            let asked = Interchange {
                evaluation: &sums,
                others,
                pairs: &pairs,
                swap,
                boundaries: &boundaries,
            };
            for patch in asked.run(&mut engine).unwrap() {
                let (layer, position) = (patch.boundary.to_string(), patch.position.to_string());
                let at = format!("{change} {swap}, layer {layer}, position {position}");
                let [due, margins] = [due, margins].map(|of| &of[&layer][&position]);
                if due.is_null() {
                    assert_eq!(patch.predicted, base, "{at}: nothing differs up to there");
                    continue;
                }
                let clear = |margin: &f32| f64::from(*margin) >= CLEAR_MARGIN;
                assert!(floats(margins).iter().all(clear), "{at}");
                assert_eq!(serde_json::json!(patch.predicted), *due, "{at}");
                compared += due.as_array().unwrap().len();
            }
        }
    }
    let numbers = |of: &Value| of.to_string().matches(['.']).count();
    assert_eq!(compared, numbers(&reference["margins"]));
}

/// Every patch is what numpy says, by boundary and position.
fn same_as(due: &serde_json::Value, found: &[Patches]) {
    let boundaries: BTreeSet<usize> = found.iter().map(|patch| patch.boundary).collect();
    assert_eq!(boundaries.len(), due.as_array().unwrap().len());
    for patch in found {
        let due = &due[patch.boundary][patch.position];
        let due: Vec<u32> = serde_json::from_value(due.clone()).unwrap();
        let at = format!("resid.{} at {}", patch.boundary, patch.position);
        assert_eq!(patch.predicted, due, "{at}");
    }
}
