//! Tasks of numbers of several tokens, on the program's first model, whose tokenizer takes digits apart: `calculate`, sums of two digits.

use af1::intervene::{Estimator, Mask, Plan, ablation};
use af1::measure::{Asked, Evaluation, Request, first_maximum, prepare, prepare_steps};
use af1::model::{Model, PRESETS};
use af1::prompt::{
    ContextsFrom, KeyedBy, Numbers, PromptSet, Selection, Shape, Step, Styles, Template,
};
use af1::runtime::{Engine, Tensor};
use ndarray::{Array2, Ix2};

use super::Done;
use super::text;
use super::timing::{Runs, Timed, timed};

/// The model of these tasks.
pub const MODEL: &str = PRESETS[0].name;

/// The subgraph, `W,K`; `--af1` names another.
const AF1: &str = "16,1";

/// Boundaries of the waiting sweep that stand for all, 12 layers before the end on average, as all 25 are; `--waits` names others.
const WAITS: &str = "4,8,16,20";

/// Boundaries at which the other tools are asked, too; `--compared` names others.
const COMPARED: &str = "8,16";

/// The largest `K` of the grid.
const MOST_TRANSFER: usize = 8;

/// The other tools are asked so many of the prompts, or a few less.
const DRAWN: usize = 81;

/// The largest operand of the task that has all steps.
const LARGEST_OF_STEPS: i64 = 39;

/// The largest operand of the others: with it 3,240 sums have two digits.
const LARGEST: i64 = 99;

/// A task on these prompts.
#[derive(Clone, Copy)]
pub enum Task {
    /// The first pass over all steps: answers, and means at a boundary.
    Steps,
    /// The same, as it would be if prompts shared the text before the first operand and nothing else.
    TextShared,
    /// Cells of the waiting sweep, as its verb measures them.
    Waiting,
    /// AF1, means given.
    Af1,
    /// The unmodified model on whole prompts, nothing shared.
    Forward,
    /// AF1 in all cells of `W` and `K`, means included.
    Grid,
}

impl Task {
    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "steps-digits" => Self::Steps,
            "steps-digits-text" => Self::TextShared,
            "waiting-digits" => Self::Waiting,
            "af1-digits" => Self::Af1,
            "forward-digits" => Self::Forward,
            "grid-digits" => Self::Grid,
            _ => return None,
        })
    }

    /// Runs it, with operands up to the largest one that is asked for.
    pub fn run(self, engine: &mut Engine, model: &Model, largest: Option<i64>) -> Done {
        match self {
            Self::Steps | Self::TextShared => {
                let largest = largest.unwrap_or(LARGEST_OF_STEPS);
                let steps = [Step::At(0), Step::At(1), Step::Stop];
                let sets = steps.map(|step| prompts(model, largest, step, ContextsFrom::All));
                self.all_steps(engine, &sets)
            }
            Self::Waiting | Self::Af1 | Self::Forward | Self::Grid => {
                let largest = largest.unwrap_or(LARGEST);
                let set = prompts(model, largest, Step::At(0), ContextsFrom::Answerable);
                match self {
                    Self::Waiting => waiting(engine, &set),
                    Self::Forward => forward(engine, &set),
                    Self::Grid => grid(engine, &set),
                    _ => af1(engine, &set),
                }
            }
        }
    }

    /// The first pass over all steps.
    fn all_steps(self, engine: &mut Engine, sets: &[PromptSet]) -> Done {
        let run = timed(engine, Runs::One, |engine| match self {
            Self::TextShared => {
                let of = |set| text::base_and_means(engine, set, af1_of().wait).0;
                sets.iter().map(of).collect()
            }
            _ => at_once(engine, sets),
        });
        let right = sets.iter().zip(&run.found).map(|(set, said)| {
            let asked = set.asked();
            drawn(asked.len())
                .filter(|&i| set.prompts[asked[i]].answers.contains(&said[asked[i]]))
                .count()
        });
        Done {
            prompts: sets.iter().map(PromptSet::len).sum(),
            counts: right.collect(),
            seconds: run.seconds,
            work: run.work,
            said: run.found.concat(),
        }
    }
}

/// What the unmodified model answers at every step, as the program finds it.
fn at_once(engine: &mut Engine, sets: &[PromptSet]) -> Vec<Vec<u32>> {
    let ablations = [ablation::CAMA];
    let af1 = [af1_of()];
    let asked = sets.iter().map(|set| Asked {
        set,
        request: request(&af1, &ablations),
        wanted: true,
    });
    let asked: Vec<Asked<'_>> = asked.collect();
    let made = prepare_steps(engine, &asked, &[af1[0].wait]).expect("a base and means");
    let base = |step: Option<af1::Result<Evaluation>>| {
        let found = step.expect("a step that is wanted");
        found.expect("a base and means").base
    };
    made.into_iter().map(base).collect()
}

/// Cells of the waiting sweep: one boundary after the other, each with what the verb keeps and computes again for it.
fn waiting(engine: &mut Engine, set: &PromptSet) -> Done {
    let waits = numbers("--waits", WAITS);
    let plans: Vec<Plan> = waits.iter().map(|&wait| Plan::waiting(wait)).collect();
    let ablations = [ablation::CAMA];
    let request = Request {
        boundaries: engine.layers() + 1,
        ..request(&plans, &ablations)
    };
    let mut found = prepare(engine, set.clone(), &request, &waits).expect("means");
    let run = timed(engine, Runs::One, |engine| {
        let cells = plans.iter().map(|plan| {
            let cells = found.sweep(engine, std::slice::from_ref(plan), &ablations);
            cells.expect("answers").remove(0).predicted
        });
        cells.collect::<Vec<Vec<u32>>>()
    });
    let of_others = numbers("--compared", COMPARED);
    let compared = plans.iter().zip(&run.found);
    let compared = compared.filter(|(plan, _)| of_others.contains(&plan.wait));
    Done {
        counts: compared.map(|(_, said)| right(&found, said)).collect(),
        prompts: set.len() * plans.len(),
        seconds: run.seconds,
        work: run.work,
        said: run.found.concat(),
    }
}

/// The unmodified model on whole prompts.
fn forward(engine: &mut Engine, set: &PromptSet) -> Done {
    let bias = Tensor::from_f32(Mask::Causal.bias(1, set.positions())).expect("a mask");
    let all: Vec<usize> = (0..set.len()).collect();
    let run: Timed<Vec<u32>> = timed(engine, Runs::Several, |engine| {
        let batches = all.chunks(batch()).flat_map(|prompts| {
            let mut stream = engine.embed(set.ids(prompts), 0).expect("streams");
            for layer in 0..engine.layers() {
                stream = engine.layer(layer, &stream, &bias).expect("streams");
            }
            let logits = engine.logits(&stream).expect("logits");
            answers(engine, &logits)
        });
        batches.collect()
    });
    let is_right = |&i: &usize| set.prompts[i].answers.contains(&run.found[i]);
    Done {
        counts: vec![drawn(set.len()).filter(is_right).count()],
        prompts: set.len(),
        seconds: run.seconds,
        work: run.work,
        said: run.found,
    }
}

/// The largest logit of each prompt, of `[prompt, vocab]`, read where they are.
fn answers(engine: &mut Engine, logits: &Tensor) -> Vec<u32> {
    if !logits.on_a_device() {
        let logits = logits.view::<Ix2>().expect("logits");
        return logits.outer_iter().map(first_maximum).collect();
    }
    let rows: Vec<usize> = (0..logits.shape()[0]).collect();
    let of_any = Tensor::from_i64(Array2::zeros((rows.len(), 1))).expect("a tensor");
    let measures = engine.score(logits, &rows, &of_any, logits);
    let measures = measures.expect("measures");
    measures
        .column(0)
        .iter()
        .map(|&token| token as u32)
        .collect()
}

/// AF1 in all cells of `W` and `K`.
fn grid(engine: &mut Engine, set: &PromptSet) -> Done {
    let layers = engine.layers();
    let waits: Vec<usize> = (0..=layers).collect();
    let cells = waits
        .iter()
        .flat_map(|&wait| (0..=MOST_TRANSFER).map(move |transfer| Plan::af1(wait, transfer)));
    let plans: Vec<Plan> = cells.filter(|plan| plan.fits(layers)).collect();
    let ablations = [ablation::CAMA];
    let request = request(&plans, &ablations);
    let run: Timed<Vec<Vec<u32>>> = timed(engine, Runs::One, |engine| {
        let mut found = prepare(engine, set.clone(), &request, &waits).expect("means");
        let cells = found.sweep(engine, &plans, &ablations).expect("answers");
        cells.into_iter().map(|cell| cell.predicted).collect()
    });
    Done {
        counts: vec![],
        prompts: set.len() * plans.len(),
        seconds: run.seconds,
        work: run.work,
        said: run.found.concat(),
    }
}

/// Prompts in a batch.
fn batch() -> usize {
    super::option("--batch").map_or(64, |n| n.parse().expect("a number"))
}

/// The numbers of an option, or of its default.
fn numbers(option: &str, default: &str) -> Vec<usize> {
    let given = super::option(option).unwrap_or_else(|| default.to_owned());
    let all = given.split(',').map(|n| n.parse().expect("a number"));
    all.collect()
}

/// The subgraph.
fn af1_of() -> Plan {
    match numbers("--af1", AF1)[..] {
        [wait, transfer] => Plan::af1(wait, transfer),
        _ => panic!("--af1 is W,K"),
    }
}

/// AF1, means given.
fn af1(engine: &mut Engine, set: &PromptSet) -> Done {
    let plans = [af1_of()];
    let ablations = [ablation::CAMA];
    let request = request(&plans, &ablations);
    let mut found = prepare(engine, set.clone(), &request, &[plans[0].wait]).expect("means");
    let run: Timed<Vec<u32>> = timed(engine, Runs::Several, |engine| {
        let cells = found.sweep(engine, &plans, &ablations);
        cells.expect("answers").remove(0).predicted
    });
    Done {
        counts: vec![right(&found, &run.found)],
        prompts: set.len(),
        seconds: run.seconds,
        work: run.work,
        said: run.found,
    }
}

fn request<'a>(plans: &'a [Plan], ablations: &'a [&'static dyn ablation::Ablation]) -> Request<'a> {
    Request {
        estimator: Estimator::PlugIn,
        batch: batch(),
        ..Request::new(plans, ablations)
    }
}

/// Sums of numbers of two digits that have two digits; under [`ContextsFrom::All`] those that have three are contexts.
fn prompts(model: &Model, largest: i64, step: Step, contexts_from: ContextsFrom) -> PromptSet {
    let operation = "A+B".parse().expect("an operation");
    let templates = Styles::built_in().select(&["calculate".to_owned()], &[operation]);
    let template: Template = templates.expect("a built-in template").remove(0);
    let selection = Selection {
        operands: 10..=largest,
        results: 10..=99,
        contexts: 100,
        contexts_from,
        seed: 42,
        listed: None,
    };
    let numbers = Numbers {
        shape: Shape {
            operands: vec![2, 2],
            answer: 2,
        },
        step,
        keyed_by: KeyedBy::Span,
    };
    let (tokenizer, bos) = (&model.tokenizer, model.bos());
    PromptSet::of_numbers(&template, tokenizer, bos, &selection, &numbers).expect("prompts")
}

/// Right answers to the prompts that the other tools are asked.
fn right(found: &Evaluation, said: &[u32]) -> usize {
    let is_right = |&i: &usize| {
        let prompt = found.evaluated[i];
        found.set.prompts[prompt].answers.contains(&said[i])
    };
    drawn(said.len()).filter(is_right).count()
}

/// The prompts, of so many, that the other tools are asked, `--drawn` of them (0: all): as far from each other as can be.
fn drawn(prompts: usize) -> impl Iterator<Item = usize> {
    let most = super::option("--drawn").map_or(DRAWN, |n| n.parse().expect("a number"));
    let step = match most {
        0 => 1,
        most => prompts.div_ceil(most).max(1),
    };
    (0..prompts).step_by(step)
}
