//! The library runs studies: what the command line does can be asked without it.

use af1::Result;
use af1::experiment::{Emit, Experiment, Sizes, Todo, Unit, View, Workbench, waiting};
use af1::intervene::{Ablation, Plan, ablation};
use af1::kit::{Block, Table, column};
use af1::measure::with_references;
use af1::record::{CellName, Findings, Kind, Measurement, Row, Sweep, measure};
use af1::report::{self, Look};
use af1::study::{Asked, Method, Request, Study};

use super::fixtures::{load, path};

/// A study of a planted model in one style, on few prompts.
fn study() -> Study {
    let asked = Asked {
        style: vec!["symbolic".to_owned()],
        operations: vec!["A+B".parse().unwrap()],
        operands: Some("0..=9".parse().unwrap()),
        ..Asked::default()
    };
    let method = Method {
        limit: 40,
        ..Method::default()
    };
    let request = Request {
        asked,
        method,
        ..Request::default()
    };
    Study::open(request, || Ok(load("planted-af1"))).unwrap()
}

/// An experiment of one's own, outside the crate: CAMA at one boundary, once with and once without attention-based peeking after it.
struct Toy;

impl Experiment for Toy {
    fn kind(&self) -> Kind {
        Kind::new("toy")
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        vec![Box::new(Toy)]
    }
}

impl Unit for Toy {
    fn words(&self) -> String {
        "toy".to_owned()
    }

    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        vec![ablation::CAMA]
    }

    fn cells(&self, _: Sizes) -> Vec<CellName> {
        let names = ["without peeking", "with peeking"].into_iter().enumerate();
        names.map(|(i, name)| CellName::new([i], name)).collect()
    }

    fn plans(&self, _: Sizes) -> Vec<Plan> {
        with_references(&[Plan::waiting(3), Plan::af1(3, 2)])
    }

    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()> {
        let run = bench.run;
        let (engine, evaluation) = bench.prepared()?;
        let plans = [Plan::waiting(3), Plan::af1(3, 2)];
        let compared = evaluation.compare(engine, &plans, &[ablation::CAMA])?;
        let measured = measure(evaluation, run, compared.cells());
        let named = measured.into_iter().zip(&todo.cells);
        let lines = named.map(|(m, cell)| bench.line(m, cell)).collect();
        emit.whole(lines, todo)
    }
}

/// How the records of the toy are shown.
struct ToyView;

impl View for ToyView {
    fn kind(&self) -> Kind {
        Toy.kind()
    }

    fn question(&self) -> &'static str {
        "Does it take a mask?"
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let columns = [
            column("tail", |m: &Measurement| m.experiment.to_string()),
            column("kept", |m: &Measurement| {
                m.counts.correct_given_base.to_string()
            }),
        ];
        let table = Table::of("CAMA at layer 3", &columns, sweep.measurements());
        vec![Block::Table(table)]
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        self.summary(sweep)
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        let kept = sweep.measurements().map(|m| m.counts.correct_given_base);
        let least = kept.min().unwrap_or(0);
        vec![format!(
            "{least} right answers stay with a mask and without"
        )]
    }
}

/// An experiment is what implements the trait: it is measured, numbered, recorded and goes on without a line elsewhere.
#[test]
fn an_experiment_of_ones_own_runs() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("toy.jsonl");
    let run = || {
        let mut study = study();
        let mut request = study.request().clone();
        request.record = Some(record.clone());
        study = Study::open(request, || Ok((study.model, study.engine))).unwrap();
        let mut shown = 0;
        let swept = study.run(&Toy, |lines| {
            shown += lines.len();
            Ok(())
        });
        let swept = swept.unwrap();
        assert!(swept.failures.is_empty());
        assert_eq!(shown, swept.lines.len());
        swept.lines
    };
    let lines = run();
    let kept = lines.iter().map(|line| match &line.row {
        Row::Measured(m) => (
            &*m.place.cell.name,
            m.counts.base_correct,
            m.counts.correct_given_base,
        ),
        other => panic!("{other:?}"),
    });
    assert!(kept.eq([("without peeking", 40, 40), ("with peeking", 40, 40)]));
    let text = std::fs::read_to_string(&record).unwrap();
    assert_eq!(text.lines().count(), 2);
    let again: Vec<String> = run().into_iter().map(|line| line.text).collect();
    assert!(again.iter().map(String::as_str).eq(text.lines()));
    assert_eq!(std::fs::read_to_string(&record).unwrap(), text);
    // Its view, which the program does not know, is shown where it is given.
    let shown = |views: &[&dyn View]| {
        let document = report::document(&Findings::of(&lines), views);
        report::text(&document, Look::default())
    };
    let expected = "conclusion: 40 right answers stay with a mask and without\n\
                    \nCAMA at layer 3\n\
                    | tail    | kept |\n\
                    |---------|------|\n\
                    | waiting | 40   |\n\
                    | toy     | 40   |\n";
    assert_eq!(shown(&[&ToyView]), expected);
    assert!(!shown(&[]).contains("CAMA at layer 3"));
}

/// A study runs one experiment after the other on the same prompts, also on those of which there are none.
#[test]
fn a_study_runs_several_experiments() {
    let mut request = study().request().clone();
    // No prompt of this style has a sum in the range.
    request.asked.results = Some("0..=3".parse().unwrap());
    request.asked.operations = vec!["A+B".parse().unwrap(), "A-B".parse().unwrap()];
    request.asked.operands = Some("2..=9".parse().unwrap());
    let mut study = Study::open(request, || Ok(load("planted-af1"))).unwrap();
    let run = |study: &mut Study| {
        let swept = study.run(&Toy, |_| Ok(())).unwrap();
        let failures: Vec<String> = swept.failures.iter().map(ToString::to_string).collect();
        let lines: Vec<String> = swept.lines.into_iter().map(|line| line.text).collect();
        (lines, failures)
    };
    let (lines, failures) = run(&mut study);
    assert_eq!((lines.len(), failures.len()), (3, 1), "{failures:?}");
    assert_eq!(run(&mut study), (lines, failures));
}

/// What is asked for is checked before a model is loaded.
#[test]
fn a_style_that_is_not_there_is_told_before_a_model_is_loaded() {
    let request = Request {
        asked: Asked {
            styles: Some(path("prompts/none.toml")),
            ..Asked::default()
        },
        ..Request::default()
    };
    let opened = Study::open(request, || panic!("nothing is loaded"));
    let error = opened.err().unwrap().to_string();
    assert!(error.contains("none.toml"), "{error}");
}

/// A sweep is what its cells depend on: which of them are asked for makes it no other one, what they are compared with does.
#[test]
fn other_references_are_another_sweep() {
    let sweep = |waits: &[usize], first: &'static dyn Ablation| {
        let experiment = af1::experiment::Waiting {
            waits: waits.to_vec(),
            ablations: vec![first, ablation::ZERO],
        };
        let lines = study().run(&experiment, |_| Ok(())).unwrap().lines;
        assert_eq!(lines.len(), 2 * waiting(waits).len());
        lines[0].address().unwrap().sweep.to_owned()
    };
    let all = sweep(&[0, 3], ablation::CAMA);
    assert_eq!(sweep(&[0], ablation::CAMA), all);
    let mean = ablation::named("mean").unwrap();
    assert_ne!(sweep(&[0, 3], mean), all);
}
