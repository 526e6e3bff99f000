//! What the benches share: a planted model of any size with as many prompts as are asked for, and the peak memory of a process.

use af1::fetch::Cache;
use af1::model::planted::{Plant, Route};
use af1::model::{BosChoice, Model};
use af1::prompt::{ContextsFrom, PromptSet, Selection, Styles};
use af1::runtime::{Device, Engine, Library, Runtime, default_threads};

/// A planted model of so many layers, whose AF1 is (3, 2), and prompts of `A+B` in a style.
#[allow(dead_code)] // not every bench needs it
pub fn planted(layers: usize, style: &str, prompts: usize) -> (Engine, PromptSet) {
    let cache = Cache::of_user().expect("a cache folder");
    let library = Library::find_or_fetch(&cache, &Device::Cpu).expect("an ONNX Runtime library");
    let runtime = Runtime::start(&library, default_threads()).expect("a runtime");
    let plant = Plant {
        layers,
        wait: 3,
        transfer: 2,
        route: Route::Direct,
        seed: 42,
    };
    let folder = tempfile::tempdir().expect("a folder");
    plant.write(folder.path()).expect("a planted model");
    let reference = folder.path().to_string_lossy();
    let bos = BosChoice::Token("<bos>".to_owned());
    let model = Model::load(&reference, &bos, &cache).expect("the model");
    let engine = Engine::new(runtime, &Device::Cpu, &model).expect("sessions");
    let operation = "A+B".parse().expect("an operation");
    let template = Styles::built_in()
        .select(&[style.to_owned()], &[operation])
        .expect("a built-in template")
        .remove(0);
    // A square of operands with at least so many prompts.
    let side = (1..).find(|side| side * side >= prompts).expect("a square") as i64;
    let selection = Selection {
        operands: 0..=side - 1,
        results: 0..=2 * side,
        contexts: 100,
        contexts_from: ContextsFrom::Answerable,
        seed: 42,
        listed: None,
    };
    let id = model.bos();
    let mut set = PromptSet::build(&template, &model.tokenizer, id, &selection).expect("prompts");
    set.prompts.truncate(prompts);
    assert_eq!(set.len(), prompts);
    (engine, set)
}

/// The largest resident memory of this process in MiB, where the system tells (Linux).
#[allow(dead_code)] // not every bench needs it
pub fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kb: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kb / 1024.0)
}
