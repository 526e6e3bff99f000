//! What the tests share: fixtures, models, and named tolerances with their reasons.

mod files;
mod part;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use af1::fetch::Cache;
use af1::model::planted::{Plant, Route};
use af1::model::{BosChoice, Model, PRESETS, Preset, Supply};
use af1::prompt::{
    ContextsFrom, KeyedBy, Numbers, PromptSet, Selection, Step, Styles, Template, shapes,
};
use af1::runtime::{Device, Engine, Library, Runtime, default_threads};

pub use files::{json, path};
pub use part::part;

/// The largest absolute difference of logits and residuals from PyTorch in f32. Both sum the same products in another
/// order; one wrong weight, position or constant moves logits by far more.
pub const PARITY: f32 = 1e-4;

/// Shares and weights that are one by definition sum to it up to rounding; a model diverges from itself by as much.
pub const ROUNDING: f64 = 1e-4;

/// Another prompt's answer is right by chance for at most this share of the prompts of a planted model.
pub const CHANCE: f64 = 0.2;

/// How far numbers that follow from logits may lie apart.
#[derive(Clone, Copy)]
pub struct Tolerance {
    /// Relative to the larger of the two.
    pub relative: f64,
    /// What rounding alone makes of nothing.
    pub absolute: f64,
}

impl Tolerance {
    /// Whether two numbers are the same.
    pub fn holds(self, a: f64, b: f64) -> bool {
        (a - b).abs() <= self.absolute + self.relative * a.abs().max(b.abs())
    }
}

/// One program on two processors: sums of the same products in another order. A distribution's divergence from itself is rounding.
pub const CLOSE: Tolerance = Tolerance {
    relative: 1e-5,
    absolute: 1e-6,
};

/// The name of the real model that does not show AF1.
pub const SMOLLM2: &str = "smollm2-135m-instruct";

/// The name of the one that does.
pub const QWEN: &str = "qwen2.5-coder-0.5b-instruct";

pub fn cache() -> Cache {
    Cache::of_user().unwrap()
}

pub fn runtime() -> &'static Runtime {
    static LIBRARY: LazyLock<Library> =
        LazyLock::new(|| Library::find_or_fetch(&cache(), &Device::Cpu).unwrap());
    Runtime::start(&LIBRARY, default_threads()).unwrap()
}

pub fn load(reference: &str) -> (Model, Engine) {
    let model = Model::load(reference, &BosChoice::Default, &cache()).unwrap();
    let engine = Engine::new(runtime(), &Device::Cpu, &model).unwrap();
    (model, engine)
}

/// A folder's copy.
pub fn copied(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder).unwrap().flatten() {
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

pub fn tiny(folder: &str) -> (Model, Engine) {
    load(&path("reference/tiny-llama").join(folder).to_string_lossy())
}

/// The names of the built-in styles.
pub fn styles() -> Vec<String> {
    let styles = Styles::built_in();
    let names: Vec<String> = styles.all().iter().map(|style| style.id.clone()).collect();
    assert!(!names.is_empty());
    names
}

/// The built-in planted models.
pub fn planted_models() -> Vec<(&'static Preset, Plant)> {
    let planted = |preset: &'static Preset| match preset.supply {
        Supply::Planted(plant) => Some((preset, plant)),
        _ => None,
    };
    let models: Vec<_> = PRESETS.iter().filter_map(planted).collect();
    assert!(!models.is_empty());
    models
}

/// Prompts of a planted model with operands up to `most`. Where digits are tokens there are sets of every shape and step, of operands of two
/// digits whose sums have two or three.
pub fn few(
    model: &Model,
    plant: &Plant,
    style: &str,
    operation: &str,
    most: i64,
) -> Vec<PromptSet> {
    let template = template(style, operation);
    match plant.route {
        Route::Digits { .. } => every_step(model, &template, 44..=56),
        _ => vec![build(model, &template, 0..=most, 0..=198)],
    }
}

/// The prompts of a template that can be asked, a set for every shape and step.
pub fn every_step(
    model: &Model,
    template: &Template,
    operands: RangeInclusive<i64>,
) -> Vec<PromptSet> {
    let selection = Selection {
        operands,
        results: 0..=198,
        contexts: 100,
        contexts_from: ContextsFrom::Answerable,
        seed: 42,
        listed: None,
    };
    let shapes = shapes(template, &model.tokenizer, &selection)
        .unwrap()
        .counts;
    assert!(shapes.len() > 1, "{shapes:?}");
    let steps = shapes.into_keys().flat_map(|shape| {
        let steps = (0..shape.answer).map(Step::At).chain([Step::Stop]);
        steps.map(move |step| Numbers {
            shape: shape.clone(),
            step,
            keyed_by: KeyedBy::Span,
        })
    });
    let set = |numbers| {
        let (tokenizer, bos) = (&model.tokenizer, model.bos());
        PromptSet::of_numbers(template, tokenizer, bos, &selection, &numbers).unwrap()
    };
    steps.map(set).collect()
}

/// The folders of small models of every family that the program knows, by their names: the family, and what is special about some.
pub fn families() -> Vec<String> {
    let folders = std::fs::read_dir(path("reference/tiny-families")).unwrap();
    let folders = folders
        .flatten()
        .filter(|folder| folder.path().join("config.json").is_file());
    let mut names: Vec<String> = folders
        .map(|folder| folder.file_name().into_string().unwrap())
        .collect();
    names.sort();
    let of = |name: &String| {
        json(&format!("reference/tiny-families/{name}/config.json"))["model_type"].clone()
    };
    let here: BTreeSet<String> = names
        .iter()
        .map(|name| of(name).as_str().unwrap().to_owned())
        .collect();
    assert_eq!(here, known_families(), "every family has a small model");
    names
}

/// The families as the program names them where it refuses another one.
pub fn known_families() -> BTreeSet<String> {
    let folder = copied(&path("reference/tiny-families/llama"));
    std::fs::write(
        folder.path().join("config.json"),
        r#"{"model_type": "none"}"#,
    )
    .unwrap();
    let refused = Model::load(
        &folder.path().to_string_lossy(),
        &BosChoice::Default,
        &cache(),
    );
    let reason = refused.err().unwrap().to_string();
    let (_, names) = reason
        .split_once("supported: ")
        .unwrap_or_else(|| panic!("{reason}"));
    names
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The one template of a style and an operation.
pub fn one(styles: &Styles, style: &str, operation: &str) -> Template {
    let operations = [operation.parse().unwrap()];
    styles
        .select(&[style.to_owned()], &operations)
        .unwrap()
        .remove(0)
}

/// A built-in template.
pub fn template(style: &str, operation: &str) -> Template {
    one(&Styles::built_in(), style, operation)
}

/// The prompts of a template that can be asked, which are all the contexts that there are.
pub fn build(
    model: &Model,
    template: &Template,
    operands: RangeInclusive<i64>,
    results: RangeInclusive<i64>,
) -> PromptSet {
    let cut = ContextsFrom::Answerable;
    build_from(cut, model, template, operands, results)
}

/// The prompts of a template.
pub fn build_from(
    contexts_from: ContextsFrom,
    model: &Model,
    template: &Template,
    operands: RangeInclusive<i64>,
    results: RangeInclusive<i64>,
) -> PromptSet {
    let selection = Selection {
        operands,
        results,
        contexts: 100,
        contexts_from,
        seed: 42,
        listed: None,
    };
    let bos = model.bos();
    PromptSet::build(template, &model.tokenizer, bos, &selection).unwrap()
}

/// The real model, loaded once; tests that run it take turns.
pub fn smollm2() -> Arc<(Model, Mutex<Engine>)> {
    static LOADED: LazyLock<Arc<(Model, Mutex<Engine>)>> = LazyLock::new(|| {
        let (model, engine) = load(SMOLLM2);
        Arc::new((model, Mutex::new(engine)))
    });
    LOADED.clone()
}

pub fn floats(value: &serde_json::Value) -> Vec<f32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap() as f32)
        .collect()
}

pub fn ints(value: &serde_json::Value) -> Vec<i64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_i64().unwrap())
        .collect()
}

/// The largest absolute difference.
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |most, (a, b)| {
        let difference = (a - b).abs();
        // NaN must not compare as close.
        if difference.is_nan() {
            f32::INFINITY
        } else {
            f32::max(most, difference)
        }
    })
}
