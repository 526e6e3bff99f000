//! Showing records: pure functions of them. Nothing here measures, infers or writes files.
//!
//! A *view* turns what records say into neutral tables and figures; that of an experiment is in the experiment's file. A *renderer* writes
//! these for a terminal, a page or a machine. To add a format, write a file with a type that implements [`Renderer`] and name it in the
//! list below: the command line knows it from there.

mod fit;
mod line;
mod text;
mod view;

use crate::claims::Answer;
use crate::experiment::View;
use crate::kit::{Block, Document};
use crate::record::{Comparison, Findings, Line, Outcome, Provenance, Sweep};
use crate::runtime::Placement;
use crate::selfcheck;

macro_rules! list {
    ($($module:ident :: $name:ident),* $(,)?) => {
        $(mod $module;)*
        /// All renderers, the default first.
        pub const ALL: &[&dyn Renderer] = &[$(&$module::$name),*];
    };
}

list! {
    terminal::Terminal,
    markdown::Markdown,
    csv::Csv,
    json::Json,
    junit::Junit,
    html::Html,
}

pub use json::{claim_lines, diff_lines, pooled_lines, selfcheck_lines};
pub use junit::gate_error;
pub use markdown::markdown;
pub use terminal::text;
pub use view::diff::Beside;

/// How text for people looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// How many columns a line may have; `None` where it is as long as what it says.
    pub room: Option<usize>,
    /// Whether outcomes have colours.
    pub colour: bool,
}

/// A form in which records are shown.
pub trait Renderer: Sync {
    /// The name on the command line.
    fn name(&self) -> &'static str;

    /// The use of this form, in a line.
    fn help(&self) -> &'static str;

    /// Shows the records of sweeps, gates and self-checks; `look` is for those who show text to people.
    fn records(&self, findings: &Findings<'_>, look: Look) -> String;

    /// Shows the verdict first, then a line a claim, and folds the rest; `None` where this form does not.
    fn short(&self, _: &Findings<'_>) -> Option<String> {
        None
    }

    /// Whether it shows what was said to single prompts.
    fn shows_answers(&self) -> bool {
        false
    }

    /// Shows two runs beside each other; `None` where this form does not.
    fn comparison(&self, _: &Comparison<'_>, _: Look) -> Option<String> {
        None
    }
}

impl std::fmt::Debug for dyn Renderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The renderer of that name.
pub fn named(name: &str) -> Option<&'static dyn Renderer> {
    ALL.iter().copied().find(|renderer| renderer.name() == name)
}

/// What an experiment prints for people.
pub fn terminal(lines: &[Line], look: Look) -> String {
    terminal::Terminal.records(&Findings::of(lines), look)
}

/// What is to be read of records at a glance. Experiments that are not of this program bring their views; these stand `beside` those of
/// the program's own.
pub fn document(findings: &Findings<'_>, beside: &[&dyn View]) -> Document {
    view::summary(findings, beside)
}

/// What follows from these records, in sentences.
pub fn conclusions(lines: &[Line]) -> Vec<String> {
    let findings = Findings::of(lines);
    findings.sweeps.iter().flat_map(view::conclusions).collect()
}

/// The same, each behind its model.
pub fn conclusions_by_model(lines: &[Line]) -> Document {
    let findings = Findings::of(lines);
    let of = |sweep: &Sweep| -> Vec<Block> {
        let sentences = view::conclusions(sweep).into_iter();
        let named =
            sentences.map(|sentence| Block::Conclusion(format!("{}: {sentence}", sweep.model)));
        named.collect()
    };
    vec![findings.sweeps.iter().flat_map(of).collect()]
}

/// The page about these records. Equal records make equal bytes.
pub fn html(lines: &[Line]) -> String {
    html::Html.records(&Findings::of(lines), Look::default())
}

/// The tests of these records, as JUnit XML.
pub fn junit(lines: &[Line]) -> String {
    junit::Junit.records(&Findings::of(lines), Look::default())
}

/// What a gate found of a model: the outcome, and under what; what its records say.
pub fn gate(model: &str, provenance: &Provenance, found: Outcome, lines: &[Line]) -> Document {
    let mut document = document(&Findings::of(lines), &[]);
    let heading = view::gate::heading(model, provenance, found);
    match document.first_mut() {
        Some(first) => first.insert(0, heading),
        None => document.push(vec![heading]),
    }
    document
}

/// The words of a gate that has no answer, and why.
pub fn no_answer(reason: &str) -> Document {
    vec![vec![Block::Text(format!("gate: no answer\n{reason}"))]]
}

/// What was found in planted models under this version of ONNX Runtime on this device.
pub fn selfcheck(version: &str, device: &Placement, rows: &[selfcheck::Row]) -> Document {
    let mut blocks = vec![view::selfcheck::heading(version, device, rows)];
    blocks.extend(view::selfcheck::summary(rows));
    vec![blocks]
}

/// The same in a sentence, where all is as planted.
pub fn control(version: &str, device: &Placement, rows: &[selfcheck::Row]) -> Document {
    match view::selfcheck::sentence(version, device, rows) {
        Some(sentence) => vec![vec![sentence]],
        None => selfcheck(version, device, rows),
    }
}

/// What measurements say about claims of papers.
pub fn claims(answers: &[Answer<'_>]) -> Document {
    view::claims::summary(answers)
}

/// The two ways of running AF1 on a model, beside each other.
pub fn diff(model: &str, rows: &[Beside]) -> Document {
    vec![view::diff::summary(model, rows)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment;
    use crate::intervene::Plan;
    use crate::measure::Draw;
    use crate::record::{
        Counts, HeadAttention, Kind, Measurement, Patched, PatchedPosition, Place, Reading, Row,
        Scores, Stands, Subject, Test, Verdict, Weight,
    };
    use crate::stats::Proportion;

    /// Records of an experiment of `a-model`: a measurement with a verdict, a head, a swapped residual, and what is read
    /// from one.
    fn records(kind: &Kind) -> [Line; 4] {
        let head = HeadAttention {
            place: Place {
                sweep: "0".into(),
                kind: kind.clone(),
                ..Place::default()
            },
            experiment: kind.clone(),
            model: "a-model".into(),
            weights: [("A".to_owned(), Weight::default())].into(),
            ..HeadAttention::default()
        };
        let patched = Patched {
            place: head.place.clone(),
            experiment: kind.clone(),
            model: "a-model".into(),
            positions: [(1, PatchedPosition::default())].into(),
            ..Patched::default()
        };
        let reading = Reading {
            place: head.place.clone(),
            experiment: kind.clone(),
            model: "a-model".into(),
            lens: [(
                "last".to_owned(),
                [("answer".to_owned(), Stands::default())].into(),
            )]
            .into(),
            ..Reading::default()
        };
        let measurement = Measurement {
            experiment: kind.clone(),
            place: Place {
                sweep: "0".into(),
                kind: kind.clone(),
                ..Place::default()
            },
            subject: Subject {
                model: "a-model".into(),
                style: "a-style".into(),
                ablation: "cama".into(),
                plan: Plan::af1(0, 1),
                draw: Some(Draw {
                    contexts: 1,
                    seed: 0,
                }),
                ..Subject::default()
            },
            counts: Counts {
                prompts: 2,
                base_correct: 2,
                correct: 1,
                correct_given_base: 1,
                ..Counts::default()
            },
            test: Test {
                verdict: Some(Verdict {
                    outcome: Outcome::Fail,
                    reason: "a-reason".into(),
                }),
                ..Test::default()
            },
            scores: Scores {
                faithfulness: Proportion {
                    value: Some(0.5),
                    ..Proportion::default()
                },
                ..Scores::default()
            },
            ..Measurement::default()
        };
        let head = Row::Attention(Box::new(head));
        let patched = Row::Patched(Box::new(patched));
        let reading = Row::Reading(Box::new(reading));
        [Row::Measured(Box::new(measurement)), head, patched, reading].map(Line::new)
    }

    #[test]
    fn every_renderer_shows_every_experiment() {
        for entry in experiment::ALL {
            let (name, view) = (entry.name, entry.view);
            let lines = records(&view.kind());
            let findings = Findings::of(&lines);
            for renderer in ALL {
                let text = renderer.records(&findings, Look::default());
                let shown = view.claims() || renderer.name() != "junit";
                let as_it_is = text.contains("a-model");
                assert_eq!(as_it_is, shown, "{name} as {renderer:?}: {text}");
            }
            let page = html(&lines);
            assert!(page.contains(view.question()), "{page}");
            assert!(page.contains("<td data-sweep=\"0\""), "{page}");
        }
    }

    #[test]
    fn names_are_of_one_renderer_or_experiment() {
        for (i, renderer) in ALL.iter().enumerate() {
            let same = |other: &&dyn Renderer| other.name() == renderer.name();
            assert_eq!(ALL.iter().position(same), Some(i));
        }
        for (i, entry) in experiment::ALL.iter().enumerate() {
            let same = |other: &experiment::Entry| other.name == entry.name;
            assert_eq!(experiment::ALL.iter().position(same), Some(i));
        }
    }
}
