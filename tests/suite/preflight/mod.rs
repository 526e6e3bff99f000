//! Preflight: what must not be believed is refused, by the check that is there for it.

mod graphs;
mod masks;
pub mod others;

use std::collections::BTreeSet;
use std::sync::Mutex;

use af1::Error;
use af1::experiment::waiting;
use af1::intervene::ablation::{self, Ablation, Place, Source, Value};
use af1::intervene::{Estimator, Plan};
use af1::measure::{CHECKS, Draw, Part, Request, preflight};
use af1::model::{BosChoice, Model};
use af1::prompt::{PromptSet, Role};
use af1::runtime::{Device, Engine};
use rstest::rstest;

use super::fixtures::{build, cache, path, runtime, template, tiny};

fn prompts(model: &Model) -> PromptSet {
    build(model, &template("symbolic", "A+B"), 0..=9, 0..=9)
}

fn check(
    engine: &mut Engine,
    model: &Model,
    set: &PromptSet,
    ablations: &[&'static dyn Ablation],
) -> Result<usize, Error> {
    let mut plans = waiting(&[0, 2]);
    plans.extend([Plan::af1(1, 1), Plan::knockout(1, 2)]);
    plans.push(Plan::pruned(1, 1, Default::default()));
    let request = Request::new(&plans, ablations);
    preflight(engine, model, set, &request)
}

/// The error is of that check, and says so to the user.
fn assert_fails<T: std::fmt::Debug>(found: Result<T, Error>, check: &str, words: &str) {
    let error = found.unwrap_err();
    let text = error.to_string();
    assert!(CHECKS.contains(&check));
    assert!(
        matches!(&error, Error::Preflight { check: found, .. } if *found == check),
        "{text}"
    );
    assert_eq!(error.exit_code(), af1::error::exit::PREFLIGHT);
    assert!(text.contains(words) && text.contains("symbolic"), "{text}");
}

#[rstest]
fn a_sound_model_passes_with_every_ablation(#[values("symbolic", "calculate")] style: &str) {
    let (model, mut engine) = tiny("f32");
    let set = build(&model, &template(style, "A+B"), 0..=9, 0..=9);
    let prompts = check(&mut engine, &model, &set, ablation::ALL).unwrap();
    assert!((3..=4).contains(&prompts), "{prompts}");
}

/// Of a model that is asked with nothing in front, no prompt has to begin with something.
#[test]
fn a_sound_model_without_a_bos_passes() {
    let folder = path("reference/tiny-llama/f32");
    let model = Model::load(&folder.to_string_lossy(), &BosChoice::None, &cache()).unwrap();
    let mut engine = Engine::new(runtime(), &Device::Cpu, &model).unwrap();
    let set = build(&model, &template("calculate", "A+B"), 0..=9, 0..=9);
    assert_ne!(set.roles[0], Role::Bos);
    check(&mut engine, &model, &set, &[ablation::ALL[0]]).unwrap();
}

#[rstest]
#[case::bos_forgotten(|set: &mut PromptSet| { for p in &mut set.prompts { p.ids.remove(0); } }, "begins with token")]
#[case::bos_twice(|set: &mut PromptSet| { for p in &mut set.prompts { let bos = p.ids[0]; p.ids.insert(0, bos); } }, "token twice")]
#[case::operands_exchanged(|set: &mut PromptSet| set.roles.swap(1, 3), "should hold operand")]
#[case::another_token(|set: &mut PromptSet| { let ids = &mut set.prompts[7].ids; ids[2] += 1; }, "not those of its text")]
#[case::last_is_not_last(|set: &mut PromptSet| *set.roles.last_mut().unwrap() = Role::Text, "where the answer is read")]
fn broken_prompts(#[case] break_it: fn(&mut PromptSet), #[case] words: &str) {
    let (model, mut engine) = tiny("f32");
    let mut set = prompts(&model);
    break_it(&mut set);
    assert_fails(
        check(&mut engine, &model, &set, &[ablation::ALL[0]]),
        "roles",
        words,
    );
}

/// An ablation that says it replaces and does not; the embedding it may keep.
struct Idle {
    keeps_embedding: bool,
}

impl Ablation for Idle {
    fn name(&self) -> &'static str {
        "idle"
    }

    fn help(&self) -> &'static str {
        "Nothing"
    }

    fn value(&self, _: &Source<'_>, _: Place<'_>) -> Result<Value, String> {
        Ok(Value::Keep)
    }

    fn keeps_embedding(&self) -> bool {
        self.keeps_embedding
    }
}

#[rstest]
#[case::everywhere(&Idle { keeps_embedding: false }, "idle changes resid.0 by 0e0 of its largest value")]
#[case::behind_the_embedding(&Idle { keeps_embedding: true }, "idle changes resid.1 by 0e0 of its largest value")]
fn an_intervention_that_does_nothing(#[case] idle: &'static Idle, #[case] words: &str) {
    let (model, mut engine) = tiny("f32");
    let set = prompts(&model);
    let found = check(&mut engine, &model, &set, &[idle]);
    assert_fails(found, "interventions", words);
}

/// The part of itself by which `little` makes every number larger.
const LITTLE: f64 = 4e-6;

/// Residuals are f32 and rounded to steps of a ten-millionth, so that preflight may say a little less or more.
const SAID: std::ops::Range<f64> = 3.5e-6..4.5e-6;

/// An ablation that makes every number larger by 4 in a million.
struct Little;

impl Ablation for Little {
    fn name(&self) -> &'static str {
        "little"
    }

    fn help(&self) -> &'static str {
        "Nearly nothing"
    }

    fn value(&self, _: &Source<'_>, place: Place<'_>) -> Result<Value, String> {
        Ok(Value::Mean(
            place.resid.mapv(|x| f64::from(x) * (1.0 + LITTLE)),
        ))
    }
}

/// By how much the largest number changes is said in parts of it.
#[test]
fn an_intervention_that_does_nearly_nothing() {
    let (model, mut engine) = tiny("f32");
    let set = prompts(&model);
    let error = check(&mut engine, &model, &set, &[&Little])
        .unwrap_err()
        .to_string();
    let (_, said) = error.split_once("little changes resid.0 by ").unwrap();
    let share: f64 = said.split(' ').next().unwrap().parse().unwrap();
    assert!(SAID.contains(&share), "{error}");
}

/// An ablation that writes down which prompts it is asked about, and keeps the first one as it is.
#[derive(Default)]
struct Asked {
    prompts: Mutex<BTreeSet<usize>>,
}

impl Ablation for Asked {
    fn name(&self) -> &'static str {
        "asked"
    }

    fn help(&self) -> &'static str {
        "Zero in all prompts but the first"
    }

    fn value(&self, source: &Source<'_>, place: Place<'_>) -> Result<Value, String> {
        self.prompts.lock().unwrap().insert(place.prompt);
        match (
            source.estimation.iter().all(|&of_means| of_means),
            place.prompt,
        ) {
            (false, _) => Err("the means are over a part of the handful".to_owned()),
            (true, 0) => Ok(Value::Keep),
            (true, _) => Ok(Value::Zero),
        }
    }
}

/// A handful is tried as a whole and at once, however many of a template's prompts are asked about. The draw would leave out one of its prompts.
#[rstest]
#[case::all(|_: &mut Request<'_>| ())]
#[case::leave_one_out(|request: &mut Request<'_>| request.estimator = Estimator::LeaveOneOut)]
#[case::split(|request: &mut Request<'_>| request.estimator = Estimator::Split)]
#[case::limit(|request: &mut Request<'_>| request.limit = Some(1))]
#[case::development(|request: &mut Request<'_>| request.part = Part::Development)]
#[case::held_out(|request: &mut Request<'_>| request.part = Part::HeldOut)]
#[case::draw(|request: &mut Request<'_>| request.draw = Some(Draw { contexts: 1, seed: 0 }))]
#[case::batch(|request: &mut Request<'_>| request.batch = 1)]
fn a_handful_is_tried_as_a_whole(#[case] ask: impl FnOnce(&mut Request<'_>)) {
    let (model, mut engine) = tiny("f32");
    let set = prompts(&model);
    let asked: &'static Asked = Box::leak(Box::default());
    let (plans, ablations) = (waiting(&[0, 2]), [asked as &'static dyn Ablation]);
    let mut request = Request::new(&plans, &ablations);
    ask(&mut request);
    let tried = preflight(&mut engine, &model, &set, &request).unwrap();
    assert_eq!(*asked.prompts.lock().unwrap(), (0..tried).collect());
}
