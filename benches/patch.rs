//! How much of the rate of matrix products swapped residuals reach: 100 pairs of sums of two digits in Qwen2.5-Coder-0.5B-Instruct,
//! `calculate`, 12 tokens, swapped once before each of 24 layers and at every position at which the prompts can differ.
//! `cargo bench --bench patch` checks some answers against whole prompts, measures all, and prints the time beside that which the products
//! with what follows a swap would take at the best rate of a product of this model's sizes in the same process. `--pairs N` takes fewer.

use std::time::Instant;

use af1::fetch::Cache;
use af1::measure::{Change, Interchange, Pair, Patches, Request, Swap, Way, pairs, prepare};
use af1::model::{BosChoice, Model, ModelSpec, PRESETS};
use af1::prompt::{ContextsFrom, KeyedBy, Numbers, PromptSet, Selection, Shape, Step, Styles};
use af1::runtime::{Device, Engine, Library, Placement, Runtime, Work, default_threads};

#[path = "peers/rates.rs"]
mod rates;
#[allow(dead_code)] // its clock repeats what takes seconds
#[path = "peers/timing.rs"]
mod timing;

/// Pairs of prompts.
const PAIRS: usize = 100;

/// Two pairs are run as whole prompts, too, at these boundaries.
const CHECKED: [usize; 4] = [0, 12, 17, 23];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let asked = args.iter().skip_while(|arg| *arg != "--pairs").nth(1);
    let asked = asked.map_or(PAIRS, |n| n.parse().expect("a number of pairs"));
    let cache = Cache::of_user().expect("a cache folder");
    let library = Library::find_or_fetch(&cache, &Device::Cpu).expect("an ONNX Runtime library");
    let runtime = Runtime::start(&library, default_threads()).expect("a runtime");
    let name = PRESETS[0].name;
    let model = Model::load(name, &BosChoice::Default, &cache).expect("the model");
    let mut engine = Engine::new(runtime, &Device::Cpu, &model).expect("sessions");
    let decoder = model.decoder("counting its products").expect("a shape");
    let set = prompts(&model);
    let request = |way| Request {
        way,
        ..Request::new(&[], &[])
    };
    let made = [Way::Compiled, Way::Masked]
        .map(|way| prepare(&mut engine, set.clone(), &request(way), &[]).expect("a base"));
    let drawn = pairs(&made[0], &made[0], Change::All, asked, 42);
    let few = &drawn[..2];
    let checked = made.each_ref().map(|evaluation| {
        let asked = Interchange {
            evaluation,
            others: evaluation,
            pairs: few,
            swap: Swap::Once,
            boundaries: &CHECKED,
        };
        asked.run(&mut engine).expect("answers")
    });
    assert_eq!(checked[0], checked[1], "they must not be timed");
    if args.iter().any(|arg| arg == "--test") {
        return;
    }
    let boundaries: Vec<usize> = (0..engine.layers()).collect();
    let all = Interchange {
        evaluation: &made[0],
        others: &made[0],
        pairs: &drawn,
        swap: Swap::Once,
        boundaries: &boundaries,
    };
    let before = rate(runtime, &decoder.spec);
    let start = Instant::now();
    let found = all.run(&mut engine).expect("answers");
    let seconds = start.elapsed().as_secs_f64();
    let best = before.max(rate(runtime, &decoder.spec));
    same_again(&checked[0], &found);
    let needed = timing::gflop(&decoder.spec, needed(&set, &drawn, &boundaries));
    println!(
        "{} pairs, {} tokens, {} positions, {} boundaries: {needed:.0} GFLOP follow the swaps; {best:.1} GFLOP/s take {:.1} s; {seconds:.1} s \
         were taken, {:.2} times as long",
        drawn.len(),
        set.positions(),
        found.len() / boundaries.len(),
        boundaries.len(),
        needed / best,
        seconds * best / needed
    );
}

/// What was checked is found among all others.
fn same_again(checked: &[Patches], found: &[Patches]) {
    for one in checked {
        let again = found
            .iter()
            .find(|other| (other.boundary, other.position) == (one.boundary, one.position));
        let again = again.expect("all boundaries and positions");
        assert_eq!(again.predicted[..one.predicted.len()], one.predicted);
    }
}

/// Sums of two numbers of two digits, asked for the second digit: 12 tokens.
fn prompts(model: &Model) -> PromptSet {
    let operation = "A+B".parse().expect("an operation");
    let template = Styles::built_in()
        .select(&["calculate".to_owned()], &[operation])
        .expect("a built-in template")
        .remove(0);
    let selection = Selection {
        operands: 10..=29,
        results: 10..=99,
        contexts: 100,
        contexts_from: ContextsFrom::Answerable,
        seed: 42,
        listed: None,
    };
    let numbers = Numbers {
        shape: "2+2=2".parse::<Shape>().expect("a shape"),
        step: Step::At(1),
        keyed_by: KeyedBy::Span,
    };
    let bos = model.bos();
    PromptSet::of_numbers(&template, &model.tokenizer, bos, &selection, &numbers).expect("prompts")
}

/// The best rate of products with the matrices of an MLP, in GFLOP a second.
fn rate(runtime: &'static Runtime, spec: &ModelSpec) -> f64 {
    let (d_model, d_mlp) = (spec.d_model, spec.d_mlp);
    let shapes =
        [320, 1000].map(|rows| format!("{rows}x{d_model}x{d_mlp} {rows}x{d_mlp}x{d_model}"));
    let found = rates::rates(runtime, &Placement::from(&Device::Cpu), &shapes.join(" "));
    let each = found["rates"].as_object().expect("rates").values();
    each.filter_map(serde_json::Value::as_f64)
        .fold(0.0, f64::max)
}

/// What has to run when residuals are swapped once: of every swap the tokens from the swapped one on in the layers from its boundary on, of
/// which the last token alone is asked for behind the last layer, and its logits.
fn needed(set: &PromptSet, pairs: &[Pair], boundaries: &[usize]) -> Work {
    let end = boundaries.len();
    let mut work = Work::default();
    for Pair { prompt, other } in pairs {
        let [own, other] = [prompt, other].map(|&p| &set.prompts[p].ids);
        let same = own.iter().zip(other).take_while(|(a, b)| a == b).count();
        for (boundary, position) in boundaries
            .iter()
            .flat_map(|b| (same..own.len()).map(move |p| (b, p)))
        {
            let layers = (end - boundary) as u64;
            let tokens = (own.len() - position) as u64;
            let seen: u64 = (position..own.len()).map(|at| at as u64 + 1).sum();
            work.keys_values += layers * tokens;
            work.tokens += (layers - 1) * tokens + 1;
            work.pairs += (layers - 1) * seen + own.len() as u64;
            work.logits += 1;
        }
    }
    work
}
