//! Models asked as themselves: what stands in front of a prompt, and means over contexts that need no answer.

use af1::intervene::{Plan, ablation};
use af1::measure::{Evaluated, Request, evaluate, fronts};
use af1::model::{BosChoice, Model};
use af1::prompt::{ContextsFrom, PromptSet, Rule};
use af1::runtime::{Device, Engine};
use rstest::rstest;

use super::fixtures::{build_from, cache, load, runtime, template};
use super::program::{Words, af1, experiments, planted, stdout};

/// The prompts of a template.
fn prompts(
    model: &Model,
    (style, operation): (&str, &str),
    (operands, results): (i64, i64),
    contexts_from: ContextsFrom,
) -> PromptSet {
    let template = template(style, operation);
    build_from(contexts_from, model, &template, 0..=operands, 0..=results)
}

/// A context needs no answer: all operands are contexts, whatever comes out, and only those with an answer are asked.
#[rstest]
#[case("A+B", 9, 9, 100, 55)]
#[case("A-B", 9, 9, 100, 55)]
#[case("A+B", 29, 198, 900, 900)]
fn contexts_are_the_whole_rectangle(
    #[case] operation: &str,
    #[case] operands: i64,
    #[case] results: i64,
    #[case] contexts: usize,
    #[case] asked: usize,
) {
    let (model, _) = load("planted-af1");
    let of = |from| prompts(&model, ("symbolic", operation), (operands, results), from);
    let all = of(ContextsFrom::All);
    assert_eq!((all.len(), all.asked().len()), (contexts, asked));
    let cut = of(ContextsFrom::Answerable);
    assert_eq!((cut.len(), cut.asked().len()), (asked, asked));
    assert_eq!(all.excluded, cut.excluded);
    let texts = |set: &PromptSet| -> Vec<String> {
        let asked = set.asked().into_iter();
        asked.map(|p| set.prompts[p].text.clone()).collect()
    };
    assert_eq!(texts(&all), texts(&cut));
}

fn waiting(contexts_from: ContextsFrom) -> Evaluated {
    let (model, mut engine) = load("planted-leak");
    let set = prompts(&model, ("symbolic", "A-B"), (29, 198), contexts_from);
    let plans = [1, 2, 3].map(Plan::waiting);
    let cama = [ablation::named("cama").unwrap()];
    evaluate(&mut engine, set, &Request::new(&plans, &cama)).unwrap()
}

/// What a range of results that cuts half of the contexts says of the other operand, at least; in truth it is half a bit.
const LEAKED_BITS: f64 = 0.4;

/// The share of the answers that a leak keeps, at least; without one none is kept.
const LEAKED_ANSWERS: f64 = 0.15;

/// The position of the second operand carries a low frequency of the first. Past that layer CAMA has nothing of it if contexts are
/// all operands; if they are cut by the answer, the mean at B says where A lies, and CAMA looks better than it is.
#[test]
fn means_over_answerable_contexts_leak() {
    let [all, cut] = ContextsFrom::ALL.map(waiting);
    let [of_all, of_cut] = [&all, &cut].map(|found| &found.evaluation.dependence);
    assert_eq!(of_all.bits, 0.0);
    assert!(of_cut.bits > LEAKED_BITS, "{of_cut:?}");
    assert_eq!((of_all.fewest, of_cut.fewest), (30, 1));
    let share = |found: &Evaluated, wait: usize| {
        let cell = found.cells.iter().find(|cell| cell.plan.wait == wait);
        let found = &found.evaluation;
        found.share_kept(cell.unwrap())
    };
    for found in [&all, &cut] {
        assert_eq!(share(found, 1), 1.0);
    }
    for wait in [2, 3] {
        assert_eq!(share(&all, wait), 0.0, "W = {wait}");
        assert!(
            share(&cut, wait) > LEAKED_ANSWERS,
            "W = {wait}: {}",
            share(&cut, wait)
        );
    }
}

/// A model that was made without a token in front is asked without one, and says so loudly when it is asked otherwise.
#[test]
fn a_token_that_a_model_does_not_know_is_noticed() {
    let (model, mut engine) = load("planted-no-bos");
    assert_eq!((model.bos(), model.front.rule), (None, Rule::Flag));
    let set = |model: &Model| prompts(model, ("calculate", "A+B"), (29, 198), ContextsFrom::All);
    let found = fronts(&mut engine, &model, &set(&model)).unwrap().unwrap();
    assert_eq!(
        (found.right, found.prompts),
        (found.prompts, 32),
        "{found:?}"
    );
    assert!(
        !found.other_is_better() && found.other_right < found.prompts / 4,
        "{found:?}"
    );

    let choice = BosChoice::Token("<bos>".to_owned());
    let model = Model::load("planted-no-bos", &choice, &cache()).unwrap();
    let mut engine = Engine::new(runtime(), &Device::Cpu, &model).unwrap();
    let found = fronts(&mut engine, &model, &set(&model)).unwrap().unwrap();
    assert!(found.other_is_better(), "{found:?}");
    assert!(found.to_string().contains("try --bos 'none'"), "{found}");
}

#[test]
fn the_warning_is_on_standard_error_and_in_inspect() {
    let model = "--model planted-no-bos --style calculate --operation A+B";
    let wrong = ["--bos", "<bos>", "--operands", "0..=9"];
    let run = af1("run").words(model).args(wrong).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(said.contains("WARNING: calculate A+B: on"), "{said}");
    let text = stdout(af1("inspect").words(model).args(wrong));
    assert!(text.contains("WARNING: calculate A+B: on"), "{text}");
    let text = stdout(af1("inspect").words(model).args(&wrong[2..]));
    assert!(
        text.contains("before every prompt: no token (add_bos_token in tokenizer_config.json)"),
        "{text}"
    );
    assert!(!text.contains("WARNING"), "{text}");
}

/// Every experiment works where position 0 is a word.
#[test]
fn nothing_in_front_is_no_obstacle() {
    for verb in experiments() {
        let run = planted(verb).model("planted-no-bos").style("calculate");
        let text = stdout(run.run());
        assert!(
            text.contains("no token (add_bos_token in tokenizer_config.json) before every prompt"),
            "{text}"
        );
    }
}

/// What decided is in every record, and so is which contexts there were.
#[test]
fn records_name_the_rule_and_the_contexts() {
    let args = "run --model planted-no-bos --style calculate --operands 0..=9 --format json";
    for from in ["all", "answerable"] {
        let text = stdout(af1(args).args(["--contexts-from", from, "--results", "0..=9"]));
        for line in text.lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let p = &row["provenance"];
            assert_eq!(p["contexts_from"], from);
            assert_eq!(
                (&p["bos"], &p["bos_rule"]),
                (
                    &serde_json::Value::Null,
                    &"add_bos_token in tokenizer_config.json".into()
                )
            );
            let bits = row["mutual_information"].as_f64().unwrap();
            assert_eq!(bits > 0.0, from == "answerable", "{bits}");
        }
    }
}

/// A claim that no verdict can reach is said to be one before anything is measured, where verdicts are claims.
#[rstest]
#[case(
    "run",
    "0..=4",
    Some("73 right answers at least, and symbolic A+B has 25 prompts")
)]
#[case(
    "reproduce --wait 3 --transfer 2",
    "0..=4",
    Some("symbolic A+B has 25 prompts")
)]
#[case("run --limit 30", "0..=9", Some("symbolic A+B has 30 prompts"))]
#[case("run --claim 0.8", "0..=4", None)]
#[case("run", "0..=9", None)]
#[case(
    "run --inference operands",
    "0..=9",
    Some("72 right answers over 72 values of every operand")
)]
#[case("waiting --wait 3", "0..=4", None)]
fn what_is_out_of_reach_is_said_first(
    #[case] verb: &str,
    #[case] operands: &str,
    #[case] expected: Option<&str>,
) {
    let output = planted(verb).operands(operands).run().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    let line = said
        .lines()
        .find(|line| line.starts_with("no verdict can be a pass"));
    match expected {
        Some(part) => assert!(line.is_some_and(|line| line.contains(part)), "{said}"),
        None => assert_eq!(line, None, "{said}"),
    }
}
