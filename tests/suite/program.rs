//! The program as a user runs it: what it prints.

use std::borrow::BorrowMut;
use std::collections::BTreeSet;

use af1::cli::Cli;
use assert_cmd::Command;
use clap::CommandFactory;
use rstest::rstest;
use serde_json::Value;

use super::fixtures::path;

/// The program with these words, split as a shell splits them. A summary is written only where a test asks for it.
pub fn af1(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_af1"));
    command.env_remove("GITHUB_STEP_SUMMARY");
    // Lines are as long as what they say; `matrix` has those of a terminal.
    command.env("COLUMNS", "100000");
    command.words(words);
    command
}

/// More words of a command line.
pub trait Words {
    /// Adds words, split as a shell splits them.
    fn words(&mut self, words: &str) -> &mut Self;
}

impl Words for Command {
    fn words(&mut self, words: &str) -> &mut Self {
        self.args(split(words))
    }
}

impl Words for std::process::Command {
    fn words(&mut self, words: &str) -> &mut Self {
        self.args(split(words))
    }
}

/// Words of a command line, split as a shell splits them.
fn split(words: &str) -> Vec<String> {
    // Of a path on Windows nothing is taken away.
    let words = words.replace('\\', r"\\");
    shlex::split(&words).expect("quotes are closed")
}

/// What a run that succeeds prints.
pub fn stdout(mut command: impl BorrowMut<Command>) -> String {
    let output = command.borrow_mut().output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// What a run that succeeds prints as lines of JSON.
pub fn json_lines(mut command: impl BorrowMut<Command>) -> Vec<Value> {
    let text = stdout(command.borrow_mut().words("--format json"));
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// A run of a planted model that asks few prompts: sums of two digits in the shortest style, until a test asks for something else.
pub struct Planted<'a> {
    verb: &'a str,
    model: &'a str,
    style: &'a str,
    operation: &'a str,
    operands: &'a str,
}

/// A verb with its options, on [`Planted`] prompts.
pub fn planted(verb: &str) -> Planted<'_> {
    Planted {
        verb,
        model: "planted-af1",
        style: "symbolic",
        operation: "A+B",
        operands: "0..=9",
    }
}

impl<'a> Planted<'a> {
    pub fn model(self, model: &'a str) -> Self {
        Self { model, ..self }
    }

    pub fn style(self, style: &'a str) -> Self {
        Self { style, ..self }
    }

    pub fn operation(self, operation: &'a str) -> Self {
        Self { operation, ..self }
    }

    pub fn operands(self, operands: &'a str) -> Self {
        Self { operands, ..self }
    }

    /// The words, as `af1` takes them.
    pub fn words(&self) -> String {
        let Self {
            verb,
            model,
            style,
            operation,
            operands,
        } = self;
        format!(
            "{verb} --model {model} --style {style} --operation {operation} --operands {operands}"
        )
    }

    /// The program with these words.
    pub fn run(&self) -> Command {
        af1(&self.words())
    }
}

/// Every experiment, with options that keep it small on a planted model.
const EXPERIMENTS: &[&str] = &[
    "run --masking abp,no-sink",
    "waiting --wait 0,3,4",
    "transfer --wait 2,3 --transfer 0..=2 --ablation cama,zero",
    "necessity",
    "heads --controls 3",
    "alternatives",
    "discover",
    "contexts --numbers 1,3 --draws 2",
    "attention",
    "patch --change A,operator --swap once,layer,cumulative --pairs 20 --layer 0,4,8",
    "windows --transfer-at 2..=4 --controls 2 --head-controls 2",
    "lens --layer 0,3,8",
    "peek --window 2,4",
    "stability --draws 2 --heads",
];

/// Every experiment that the program has: those verbs whose cells can be split into shards.
pub fn experiments() -> &'static [&'static str] {
    let program = Cli::command();
    let has_shards =
        |verb: &&clap::Command| verb.get_arguments().any(|arg| arg.get_id() == "shard");
    let verbs = program
        .get_subcommands()
        .filter(has_shards)
        .map(|verb| verb.get_name());
    // These measure what `run` measures, and show it beside something else; a study runs several.
    let beside = ["reproduce", "diff", "study"];
    let has: BTreeSet<&str> = verbs.filter(|verb| !beside.contains(verb)).collect();
    let known: BTreeSet<&str> = EXPERIMENTS.iter().map(|words| verb_of(words)).collect();
    assert_eq!(has, known, "the experiments of this program");
    EXPERIMENTS
}

/// The verb of a command line.
pub fn verb_of(words: &str) -> &str {
    words.split(' ').next().unwrap_or_default()
}

fn tiny() -> String {
    path("reference/tiny-llama/f32")
        .to_string_lossy()
        .into_owned()
}

/// The table that the README shows.
#[test]
fn the_default_run() {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"ONNX Runtime \d+\.\d+\.\d+", "ONNX Runtime [version]");
    settings.bind(|| insta::assert_snapshot!(stdout(&mut af1(""))));
}

/// Without a verb, arguments are those of the main table.
#[test]
fn reproduce_is_the_default() {
    let model = tiny();
    let args = format!("--model {model} --style symbolic --operands 0..=9 --results 0..=9");
    let rest = "--wait 1 --transfer 1 --format json";
    let implied = stdout(af1(&args).words(rest));
    assert_eq!(implied, stdout(af1("reproduce").words(&args).words(rest)));
    assert!(
        implied.contains("\"experiment\":\"waiting\"")
            && implied.contains("\"experiment\":\"af1\"")
    );
    // The control stands first, as what was planted and what was found.
    let first: Value = serde_json::from_str(implied.lines().next().unwrap()).unwrap();
    assert_eq!(first["experiment"], "selfcheck");
    assert_eq!(first["model"], "planted-af1");
    assert_eq!(first["planted"]["heads"], first["found"]["heads"]);
    assert_eq!(first["found"]["heads"][0], "L3H0");
    assert_eq!(first["differences"], serde_json::json!([]));
    assert!(stdout(af1("--version")).starts_with("af1 "));
}

#[test]
fn waiting_tables() {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"ONNX Runtime \d+\.\d+\.\d+", "ONNX Runtime [version]");
    let args =
        "waiting --model smollm2-135m-instruct --style calculate --operation A+B --wait 0,10,20,30";
    settings.bind(|| insta::assert_snapshot!(stdout(af1(args))));
}

#[test]
fn json_lines_have_the_documented_fields() {
    let model = tiny();
    let args =
        format!("transfer --model {model} --style symbolic --operands 0..=9 --results 0..=9");
    let text = stdout(af1(&args).words("--format json --ablation cama,zero"));
    let schema = include_str!("../../src/record/schema.md");
    let mut cells = Vec::new();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let object = row.as_object().unwrap();
        let provenance = row["provenance"].as_object().unwrap();
        for field in object.keys().chain(provenance.keys()) {
            let base = field.trim_end_matches("_low").trim_end_matches("_high");
            assert!(
                schema.contains(&format!("`{base}`")),
                "{field} is not in the schema"
            );
        }
        let number = |field: &str| row[field].as_u64().unwrap();
        assert!(number("correct_given_base") <= number("correct"));
        assert!(number("wait") + number("transfer") <= number("layers"));
        cells.push((
            row["operation"].as_str().unwrap().to_owned(),
            number("wait"),
            number("transfer"),
            row["ablation"].as_str().unwrap().to_owned(),
        ));
    }
    // Three layers: W from 0 to 3, K from 0 to 3 - W; two operations, two ablations.
    assert_eq!(cells.len(), 10 * 2 * 2);
    let mut sorted = cells.clone();
    sorted.sort();
    assert_eq!(cells, sorted);
}

#[test]
fn equal_runs_write_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (model, mut files) = (tiny(), Vec::new());
    for name in ["a", "b"] {
        let file = folder.path().join(name);
        let args = format!("run --model {model} --operands 0..=9 --results 0..=9 --wait 1");
        let rest = "--transfer 1 --estimator split --limit 30 --format json --out";
        stdout(
            af1(&args)
                .words("--style symbolic,verbal")
                .words(rest)
                .arg(&file),
        );
        files.push(std::fs::read(file).unwrap());
    }
    assert!(!files[0].is_empty());
    assert_eq!(files[0], files[1]);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2, "no temporary file stays");
}

/// A download cache consists of links to files elsewhere, under other names.
#[cfg(unix)]
#[test]
fn a_folder_of_links() {
    let folder = tempfile::tempdir().unwrap();
    let (blobs, snapshot) = (folder.path().join("blobs"), folder.path().join("snapshot"));
    std::fs::create_dir(&blobs).unwrap();
    std::fs::create_dir(&snapshot).unwrap();
    for (i, file) in std::fs::read_dir(path("reference/tiny-llama/sharded"))
        .unwrap()
        .flatten()
        .enumerate()
    {
        let blob = format!("blob{i}");
        std::fs::copy(file.path(), blobs.join(&blob)).unwrap();
        let target = std::path::Path::new("../blobs").join(blob);
        std::os::unix::fs::symlink(target, snapshot.join(file.file_name())).unwrap();
    }
    let logits = |model: &str| {
        let args = format!("logits --model {model} --prompt 3+4= --format json");
        serde_json::from_str::<Value>(&stdout(af1(&args))).unwrap()["logits"].clone()
    };
    assert_eq!(logits(&snapshot.to_string_lossy()), logits(&tiny()));
}

/// Prompts are never padded or cut off, whatever the tokenizer's file was saved with.
#[test]
fn a_tokenizer_that_was_saved_with_padding() {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(tiny()).unwrap().flatten() {
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let file = folder.path().join("tokenizer.json");
    let mut json: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    json["padding"] = serde_json::json!({
        "strategy": { "Fixed": 16 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 1,
        "pad_type_id": 0, "pad_token": "<eos>",
    });
    json["truncation"] = serde_json::json!({
        "direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0,
    });
    std::fs::write(&file, json.to_string()).unwrap();
    let model = folder.path().to_string_lossy().into_owned();
    let args = format!("logits --model {model} --prompt 3+4= --format json");
    let object: Value = serde_json::from_str(&stdout(af1(&args))).unwrap();
    assert_eq!(object["ids"], serde_json::json!([0, 5, 12, 6, 16]));
}

/// `--limit` bounds what is evaluated, not what means are made of.
#[test]
fn means_are_over_all_prompts() {
    let model = tiny();
    let args = format!("run --model {model} --style symbolic --operation A+B --operands 0..=9");
    let rest = "--wait 1 --transfer 1 --ablation cama --limit 7";
    let row = &json_lines(af1(&args).words(rest))[0];
    assert_eq!(
        (&row["prompts"], &row["all_prompts"]),
        (&7.into(), &100.into())
    );
    assert_eq!(
        (&row["contexts_fewest"], &row["undefined"]),
        (&10.into(), &0.into())
    );
}

#[test]
fn logits_of_a_prompt() {
    let args = format!("logits --model {} --prompt 3+4= --format json", tiny());
    let object: Value = serde_json::from_str(&stdout(af1(&args))).unwrap();
    assert_eq!(object["ids"], serde_json::json!([0, 5, 12, 6, 16]));
    assert_eq!(object["tokens"][0], "<bos>");
    assert_eq!(object["logits"].as_array().unwrap().len(), 100);
}

#[test]
fn another_beginning_of_sequence_is_recorded() {
    let args = format!(
        "logits --model {} --prompt 3+4= --format json --bos",
        tiny()
    );
    let ids = |bos: &str| -> Value {
        let text = stdout(af1(&args).arg(bos));
        serde_json::from_str::<Value>(&text).unwrap()["ids"].clone()
    };
    assert_eq!(ids("none"), serde_json::json!([5, 12, 6, 16]));
    assert_eq!(ids("<eos>"), serde_json::json!([1, 5, 12, 6, 16]));
}

#[test]
fn inspect_shows_shape_and_prompts() {
    let args = format!(
        "inspect --model {} --style symbolic --operands 0..=19 --format json",
        tiny()
    );
    let object: Value = serde_json::from_str(&stdout(af1(&args))).unwrap();
    assert_eq!(
        (object["layers"].as_u64(), object["d_head"].as_u64()),
        (Some(3), Some(8))
    );
    assert_eq!(
        object["templates"][0]["roles"],
        serde_json::json!(["bos", "A", "text", "B", "last"])
    );
    // Numbers from 0 to 19 are single tokens, larger results are not.
    assert_eq!(object["templates"][0]["prompts"], 210);
    assert_eq!(object["templates"][0]["excluded_answers"], 190);
}

#[test]
fn doctor_names_every_device() {
    let text = stdout(af1("doctor"));
    for device in ["  cpu: runs", "  directml:0: no: ", "  webgpu:0: "] {
        assert!(text.contains(device), "{text}");
    }
    let one = stdout(af1("doctor --device cpu"));
    assert!(
        one.contains("  cpu: runs\n") && !one.contains("webgpu"),
        "{one}"
    );
}

/// The eight operations of the paper are built in, three operands among them; of a model, too, whose answer to some of them
/// no context reaches.
#[rstest]
#[case::tiny(&tiny())]
#[case::planted("planted-af1")]
fn all_eight_operations_can_be_asked(#[case] model: &str) {
    let args =
        format!("run --model {model} --wait 1 --transfer 1 --styles operations --style symbolic");
    let more = "--operands 1..=6 --results 0..=99 --ablation cama --format json";
    let text = stdout(af1(&args).words(more));
    let operations: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .inspect(|line| assert_eq!(line["error"], Value::Null, "{line}"))
        .map(|line| line["operation"].clone())
        .collect();
    let expected = [
        "A+B", "A-B", "A*B", "A/B", "A+B+C", "A+B-C", "A-B+C", "A-B-C",
    ];
    assert_eq!(operations, expected);
}

/// Completions of every shell name the verbs, and the manual has a page for each of them.
#[test]
fn completions_and_a_manual_are_written() {
    let verbs: Vec<String> = Cli::command()
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let text = stdout(af1("shell completions").arg(shell));
        for verb in &verbs {
            assert!(text.contains(verb.as_str()), "{shell}: {verb}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    stdout(af1("shell manual --out").arg(folder.path()));
    for verb in &verbs {
        let page = folder.path().join(format!("af1-{verb}.1"));
        assert!(page.is_file(), "{}", page.display());
    }
}

/// What is misspelt is told beside the name that was meant.
#[rstest]
#[case("run --model planted-af1 --style symbolc", "\"symbolic\"")]
#[case("run --model planted-af", "\"planted-af1\"")]
#[case("run --model planted-af1 --ablation cams", "\"cama\"")]
#[case("run --model planted-af1 --masking no-sinks", "\"no-sink\"")]
fn what_was_meant_is_said(#[case] words: &str, #[case] meant: &str) {
    let output = af1(words).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("did you mean {meant}?")), "{said}");
    assert!(!said.contains("fixtures/"), "{said}");
}
