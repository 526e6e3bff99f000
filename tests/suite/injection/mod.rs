//! Names of models and styles, tokens, errors and names of files come from others. All of them reach an output as text alone: control
//! characters, marks that turn the direction of what is read, elements, links, rows, formulas and commands stay out of it.
//!
//! What is hostile is made of all kinds of pieces at once. It stands in every text of the committed records that a record may have, so that
//! a new field is tried as soon as a record has it; and all renderers show it, each under the rules that [`Form`] has for it.

mod forms;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use af1::experiment;
use af1::record::{Comparison, Findings, Kind, Line, Outcome, Provenance, Row};
use af1::report::{self, Look};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value;

use super::fixtures::path;
use super::program::af1;
use forms::{Form, is_printed};

/// What stands behind every piece, and nowhere else.
const MARK: &str = "zq";

/// Pieces that stand on one line.
const PIECES: &[&str] = &[
    // Control characters, some of which terminals take for orders.
    "\u{0}",
    "\u{7}",
    "\u{8}",
    "\t",
    "\r",
    "\u{1b}[2J",
    "\u{1b}[35m",
    "\u{1b}]0;",
    "\u{7f}",
    "\u{9b}31m",
    "\u{85}",
    // What ends a line or turns its direction.
    "\u{2028}",
    "\u{2029}",
    "\u{61c}",
    "\u{200e}",
    "\u{200f}",
    "\u{202a}",
    "\u{202b}",
    "\u{202c}",
    "\u{202d}",
    "\u{202e}",
    "\u{2066}",
    "\u{2067}",
    "\u{2068}",
    "\u{2069}",
    "\u{fffe}",
    "\u{ffff}",
    "\u{e000}",
    // HTML and XML.
    "<b>",
    "</td>",
    "</script>",
    "<!--",
    "-->",
    "]]>",
    "\"",
    "'",
    "&",
    "<",
    ">",
    "&lt;",
    "<?",
    // Markdown.
    "|",
    "`",
    "*",
    "_",
    "~",
    "#",
    "\\",
    "[a](b)",
    "![a](b)",
    "[a]: ",
    "@",
    "|a|\u{2028}|",
    // Formulas, commands of GitHub, JSON and ordinary text.
    "=1+",
    "+1",
    "-1",
    "@SUM(",
    "＝1",
    "::error::",
    "##[error]",
    "\",\"",
    "{\"",
    "é",
    "a b",
];

/// The same, with what would begin a line of its own.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES);
    let pieces = prop::collection::vec(piece, 1..12);
    (pieces, any::<bool>()).prop_map(|(pieces, ends)| {
        let text: String = pieces
            .iter()
            .map(|piece| format!("{piece}{MARK}"))
            .collect();
        match ends {
            true => format!("{text}\n{MARK}line\n::error::{MARK}"),
            false => text,
        }
    })
}

/// A line of every kind that the committed records and seeds have, with the places of the texts that a record may choose.
struct Sample {
    line: Value,
    free: Vec<String>,
}

static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let mut kinds: BTreeMap<(String, Vec<String>), Value> = BTreeMap::new();
    for folder in [path("records/schema-2"), path("../fuzz/corpus/record")] {
        let files = std::fs::read_dir(&folder).unwrap().flatten();
        let mut files: Vec<_> = files.map(|file| file.path()).collect();
        files.sort();
        files.retain(|file| file.extension().is_none_or(|end| end == "jsonl"));
        for file in files {
            for line in std::fs::read_to_string(file).unwrap().lines() {
                // Of this schema.
                let line: Value = serde_json::from_str(&Line::read(line).unwrap().text).unwrap();
                let fields = line.as_object().unwrap().keys().cloned().collect();
                let kind = line["experiment"].to_string();
                kinds.entry((kind, fields)).or_insert(line);
            }
        }
    }
    let sample = |line: Value| {
        let mut texts = Vec::new();
        places(&line, "", &mut texts);
        let free = |place: &String| reads(&with(&line, place, MARK));
        let free = texts.into_iter().filter(free).collect();
        Sample { line, free }
    };
    kinds.into_values().map(sample).collect()
});

/// The places of all texts in a value, as JSON pointers.
fn places(value: &Value, at: &str, texts: &mut Vec<String>) {
    match value {
        Value::String(_) => texts.push(at.to_owned()),
        Value::Array(all) => {
            let each = all.iter().enumerate();
            each.for_each(|(i, value)| places(value, &format!("{at}/{i}"), texts));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(value, &format!("{at}/{name}"), texts);
            }
        }
        _ => {}
    }
}

fn with(line: &Value, place: &str, text: &str) -> Value {
    let mut line = line.clone();
    *line.pointer_mut(place).unwrap() = text.into();
    line
}

fn reads(line: &Value) -> bool {
    Line::read(&line.to_string()).is_ok()
}

/// Records in which a text stands wherever it may; a name, which has no control characters, is what is left of it without them.
fn records(text: &str) -> Vec<Line> {
    let tame: String = text.chars().filter(|c| !c.is_control()).collect();
    let line = |sample: &Sample| {
        let mut line = sample.line.clone();
        for place in &sample.free {
            let hostile = with(&line, place, text);
            line = match reads(&hostile) {
                true => hostile,
                false => with(&line, place, &tame),
            };
        }
        Line::read(&line.to_string()).unwrap()
    };
    SAMPLES.iter().map(line).collect()
}

/// Every way in which records are shown: the form, and what is shown.
fn shown(lines: &[Line]) -> Vec<(Form, String)> {
    let findings = Findings::of(lines);
    let compared = Comparison::of(lines, lines);
    let narrow = Look {
        room: Some(60),
        colour: true,
    };
    let mut all = Vec::new();
    for renderer in report::ALL {
        let form = Form::of(*renderer);
        let mut add = |text: String| all.push((form, text));
        for look in [Look::default(), narrow] {
            add(renderer.records(&findings, look));
            renderer
                .comparison(&compared, look)
                .into_iter()
                .for_each(&mut add);
        }
        renderer.short(&findings).into_iter().for_each(&mut add);
    }
    all
}

/// What else is shown of names and reasons: the answer of a gate as text and as the summary of a workflow, and errors of gates.
fn gates(text: &str, lines: &[Line]) -> Vec<(Form, String)> {
    let tame: String = text.chars().filter(|c| !c.is_control()).collect();
    let provenance = lines.iter().find_map(|line| match &line.row {
        Row::Measured(m) => Some(m.provenance.clone()),
        _ => None,
    });
    let provenance: Provenance = provenance.unwrap();
    let document = report::gate(&tame, &provenance, Outcome::Fail, lines);
    // An error may have lines of its own.
    let refused = report::no_answer(&text.replace('\n', " "));
    vec![
        (Form::Terminal, report::text(&document, Look::default())),
        (Form::Markdown, report::markdown(&document)),
        (Form::Markdown, report::markdown(&refused)),
        (Form::Junit, report::gate_error(text, text)),
        (
            Form::Terminal,
            report::text(&report::conclusions_by_model(lines), Look::default()),
        ),
    ]
}

#[test]
fn every_kind_of_line_and_most_texts_are_tried() {
    let kinds: Vec<String> = SAMPLES
        .iter()
        .map(|of| of.line["experiment"].to_string())
        .collect();
    // The cells of `reproduce` are recorded as those of waiting and of AF1.
    let experiments = experiment::ALL.iter().map(|entry| entry.view.kind());
    let experiments = experiments.filter(|kind| *kind != Kind::REPRODUCE);
    for kind in experiments.chain(["gate", "selfcheck"].map(Kind::from)) {
        assert!(
            kinds.contains(&format!("{:?}", kind.name())),
            "{kind} is not in {kinds:?}"
        );
    }
    for field in [
        "/model",
        "/style",
        "/error",
        "/verdict/reason",
        "/base_wrong/0/text",
        "/provenance/bos",
        "/conditions/0/reason",
    ] {
        assert!(
            SAMPLES
                .iter()
                .any(|of| of.free.iter().any(|free| free == field)),
            "{field} is not tried"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, rng_seed: RngSeed::Fixed(22), ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_more_than_text(text in hostile()) {
        let (lines, harmless) = (records(&text), records(MARK));
        let all = shown(&lines).into_iter().chain(gates(&text, &lines));
        let expected = shown(&harmless).into_iter().chain(gates(MARK, &harmless));
        for ((form, found), (_, expected)) in all.zip(expected) {
            form.check(&found, &expected);
        }
        // What machines read says what was written.
        for (line, shown) in lines.iter().zip(shown(&lines).iter().filter(|(form, _)| matches!(form, Form::Json)).flat_map(|(_, text)| text.lines())) {
            let (written, read): (Value, Value) = (serde_json::from_str(&line.text).unwrap(), serde_json::from_str(shown).unwrap());
            prop_assert_eq!(written, read);
        }
    }
}

/// A text in which every kind of piece is that may stand in the name of a file or an argument.
fn all_pieces() -> String {
    let pieces = PIECES.iter().filter(|piece| !piece.contains(['\0', '/']));
    let text: String = pieces.map(|piece| format!("{piece}{MARK}")).collect();
    format!("{text}\n{MARK}line\n::error::{MARK}")
}

/// What a command says on both outputs. It may end in an error.
fn said(words: &[&str]) -> [String; 2] {
    let output = af1("").args(words).output().unwrap();
    [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap())
}

/// Errors name files, arguments and what stands in files.
#[cfg(unix)]
#[test]
fn what_is_said_on_a_terminal_is_text() {
    let folder = tempfile::tempdir().unwrap();
    let name: String = all_pieces().chars().take(60).collect();
    let file = folder.path().join(&name);
    let model = super::bad_input::copy("f32");
    let model_file = model.path().join(&name);
    std::fs::copy(path("reference/tiny-gguf/llama.gguf"), &model_file).unwrap();
    let (file, model_file) = (file.to_string_lossy(), model_file.to_string_lossy());
    let everything = all_pieces();
    let json = serde_json::to_string(&everything).unwrap();
    let style = format!("[[style]]\nid = {json}\n[style.templates]\n\"A+B\" = \"{{A}}+{{B}}=\"\n");
    let commands: [&[&str]; 9] = [
        &["report", &file],
        &["inspect", "--model", &file],
        &["inspect", "--model", &model_file, "--style", "symbolic"],
        &[
            "inspect",
            "--model",
            &model_file,
            "--style",
            "symbolic",
            "--format",
            "json",
        ],
        &["run", "--model", "planted-af1", "--style", &everything],
        &["run", "--model", "planted-af1", "--styles", &file],
        &["waiting", "--wait", &everything],
        &[&everything],
        &["merge", &file],
    ];
    let record = SAMPLES
        .iter()
        .find(|of| of.line["experiment"] == "waiting")
        .unwrap();
    let contents = [
        style,
        with(&record.line, "/model", &everything).to_string(),
        with(&record.line, "/verdict", &everything).to_string(),
        format!("{{\"schema\":3,\"{MARK}\u{9b}\u{202e}\":1}}"),
        records(&everything)
            .iter()
            .map(|line| format!("{}\n", line.text))
            .collect(),
        everything.clone(),
    ];
    for content in &contents {
        std::fs::write(Path::new(&*file), content).unwrap();
        for words in commands {
            for text in said(words) {
                for c in text.chars() {
                    assert!(c == '\n' || is_printed(c), "{words:?}: {c:?} in {text}");
                }
                let mut lines = text.lines().map(str::trim_start);
                assert!(
                    !lines.any(|line| line.starts_with("::")),
                    "{words:?}: {text}"
                );
            }
        }
    }
}
