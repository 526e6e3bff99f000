//! A full forward and a CAMA table on the real model. Each result is checked before it is timed.

use std::hint::black_box;

use af1::experiment::{Biases, base_forward, first_maximum};
use af1::fetch::Cache;
use af1::intervene::Means;
use af1::model::{BosChoice, Model, PRESETS};
use af1::prompt::{PromptSet, Selection, Styles};
use af1::runtime::{Device, Engine, Library, Runtime, default_threads};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// `Calculate: {A} + {B} = ` with single digits: 55 prompts of 10 tokens, of which the model answers 50.
const BASE_CORRECT: usize = 50;

fn benches(c: &mut Criterion) {
    let cache = Cache::of_user().expect("a cache folder");
    let library = Library::find_or_fetch(&cache).expect("an ONNX Runtime library");
    let runtime = Runtime::start(&library, default_threads()).expect("a runtime");
    let model = Model::load(PRESETS[0].name, &BosChoice::Default, &cache).expect("the model");
    let mut engine = Engine::new(runtime, &Device::Cpu, &model).expect("sessions");
    let template = Styles::built_in()
        .select(
            &["calculate".to_owned()],
            &["A+B".parse().expect("an operation")],
        )
        .expect("a built-in template")
        .remove(0);
    let selection = Selection {
        operands: 0..=9,
        results: 0..=9,
        contexts: 100,
        seed: 42,
    };
    let bos = model.bos.as_ref().map(|bos| bos.id);
    let set = PromptSet::build(&template, &model.tokenizer, bos, &selection).expect("prompts");
    let all: Vec<usize> = (0..set.len()).collect();
    let biases = Biases::new(set.positions()).expect("masks");
    let boundary = 20;

    let (captured, logits) =
        base_forward(&mut engine, set.ids(&all), &biases, &[boundary]).expect("a forward");
    let correct = logits
        .outer_iter()
        .zip(&set.prompts)
        .filter(|(row, prompt)| prompt.answers.contains(&first_maximum(row.view())))
        .count();
    assert_eq!(
        correct, BASE_CORRECT,
        "the forward is wrong: it must not be timed"
    );

    let mut group = c.benchmark_group(PRESETS[0].name);
    group.sample_size(10);
    group.throughput(Throughput::Elements(set.len() as u64));
    group.bench_function("full forward", |b| {
        b.iter(|| {
            base_forward(&mut engine, black_box(set.ids(&all)), &biases, &[]).expect("a forward")
        });
    });

    let resid = &captured[&boundary];
    let table = || {
        let mut means = Means::new(set.positions(), model.spec.d_model, 42);
        means.push(&set, &all, resid.view());
        means
    };
    // The mean of one key, the other way round: a plain sum over the prompts that have the token.
    let (position, token) = (4, set.prompts[0].ids[4]);
    let rows: Vec<usize> = all
        .iter()
        .copied()
        .filter(|&p| set.prompts[p].ids[position] == token)
        .collect();
    let sum: f64 = rows
        .iter()
        .map(|&p| f64::from(resid[[p, position, 0]]))
        .sum();
    let whole = table();
    let key = whole
        .of_token(position, token)
        .expect("a key of the first prompt");
    assert_eq!(
        (key.count(), rows.len()),
        (10, 10),
        "ten prompts begin with 0"
    );
    let difference = (key.mean()[0] - sum / rows.len() as f64).abs();
    assert!(
        difference < 1e-9,
        "the table is wrong: it must not be timed"
    );
    group.bench_function("CAMA table of one boundary", |b| {
        b.iter(|| black_box(table()))
    });
    group.finish();
}

criterion_group!(forward, benches);
criterion_main!(forward);
