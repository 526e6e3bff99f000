//! Graphs that another program wrote: what keeps the contract and what does not, and that experiments say of them what they say of the
//! same model from its weights.

use std::path::{Path, PathBuf};

use af1::error::exit;
use af1::measure::{Biases, base_forward};
use assert_cmd::Command;
use ndarray::Array2;
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use super::bad_input::refused;
use super::fixtures::{copied, distance, families, json, load, path};
use super::parity::equals;
use super::program::{Words, af1, stdout};

/// How far the same model may differ as a graph of another program: it is cut in another way, so that other kernels are fused.
const SAME: f64 = 5e-5;

fn inspect(file: &Path) -> Command {
    let mut command = af1("inspect");
    command.arg(file);
    command
}

/// `fixtures/foreign/export.py` made them with `torch.onnx`; the manifests beside them say what their values are called.
#[rstest]
#[case("gpt2-shaped", &["91 nodes, 3 layers, d_model 32, 4 heads, vocabulary 105", "heads: named"])]
#[case("counting", &["94 nodes, 3 layers, d_model 32, 4 heads, vocabulary 105", "heads: not named"])]
fn graphs_of_torch_keep_the_contract(#[case] name: &str, #[case] parts: &[&str]) {
    let text = stdout(&mut inspect(&path("foreign").join(format!("{name}.onnx"))));
    for part in parts.iter().chain(&["it keeps the contract"]) {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

/// What torch says to some prompts: streams and logits.
#[rstest]
fn graphs_of_torch_equal_torch(#[values("gpt2-shaped", "counting")] name: &str) {
    let file = path("foreign").join(format!("{name}.onnx"));
    let (model, mut engine) = load(&file.to_string_lossy());
    assert_eq!((model.sizes.layers, model.sizes.context), (3, Some(16)));
    assert!(!engine.takes_keys_values());
    equals(name, &mut engine, &json("foreign/expected.json"));
}

/// A model as `af1 export` writes it, with the tokenizer.
fn exported(model: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut export = af1("export --model");
    stdout(export.arg(model).arg("--out").arg(folder.path()));
    let (model, _) = load(model);
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        let from = model.folder().join(file);
        if from.is_file() {
            std::fs::copy(from, folder.path().join(file)).unwrap();
        }
    }
    folder
}

/// What this program writes keeps the contract, and says the same when it is read as a graph that is given.
#[test]
fn graphs_of_this_program() {
    for family in families() {
        graph_of_this_program(&family);
    }
}

fn graph_of_this_program(family: &str) {
    let model = path("reference/tiny-families").join(family);
    let model = model.to_string_lossy();
    let folder = exported(&model);
    let file = folder.path().join("model.onnx");
    assert!(stdout(&mut inspect(&file)).contains("it keeps the contract"));

    let said = |reference: &str| {
        let (_, mut engine) = load(reference);
        let ids = Array2::from_shape_fn((3, 6), |(b, t)| ((7 + 11 * b + 5 * t) % 60) as i64);
        let biases = Biases::new(6).unwrap();
        base_forward(&mut engine, ids, &biases, &[0, 1, 2]).unwrap()
    };
    let (streams, logits) = said(&model);
    let (given_streams, given_logits) = said(&file.to_string_lossy());
    let flat = |x: &ndarray::Array3<f32>| x.iter().copied().collect::<Vec<f32>>();
    for (layer, stream) in &streams {
        let apart = distance(&flat(stream), &flat(&given_streams[layer]));
        assert!(
            f64::from(apart) < SAME,
            "{family}: resid.{layer} differs by {apart}"
        );
    }
    let apart = distance(logits.as_slice().unwrap(), given_logits.as_slice().unwrap());
    assert!(
        f64::from(apart) < SAME,
        "{family}: logits differ by {apart}"
    );

    // Without its weights it breaks the contract, and is refused before it runs.
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let (text, message) = violations(&mut inspect(&file));
    let part = "\"model.safetensors\", is not there";
    assert!(
        text.contains(part) && message.contains("violated 1 times"),
        "{text}{message}"
    );
    let mut logits = af1("");
    logits.words("logits --prompt 1+1= --model").arg(&file);
    refused(
        &mut logits,
        exit::UNSUPPORTED_MODEL,
        &["model.onnx", part, "af1 inspect"],
    );
}

/// Every experiment says of a graph what it says of the model that it was written from.
#[rstest]
#[case("run")]
#[case("waiting")]
#[case("transfer --wait 1..=4 --transfer 0..=3")]
#[case("necessity")]
#[case("heads --wait 3 --transfer 2 --controls 3")]
#[case("attention")]
#[case("alternatives --wait 3 --transfer 2")]
#[case("discover")]
#[case("contexts --wait 3 --transfer 2 --numbers 1,3 --draws 2")]
#[case("run --masking value-zero")]
#[case("run --masking attention-mean")]
#[case("run --estimator plug-in --subgraph-of planted-af1")]
fn every_experiment(#[case] verb: &str) {
    let folder = exported("planted-af1");
    let file = folder.path().join("model.onnx");
    let rows = |model: &str, masked: bool| -> Vec<Value> {
        let mut command = af1(verb);
        command.arg("--model").arg(model);
        command.words("--style symbolic --operation A+B --operands 0..=9");
        command.words("--results 0..=99 --format json");
        if verb.starts_with("run") && !verb.contains("subgraph-of") {
            command.words("--wait 3 --transfer 2");
        }
        if masked && !verb.starts_with("attention") {
            command.arg("--masked");
        }
        let text = stdout(&mut command);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let (own, given) = (
        rows("planted-af1", true),
        rows(&file.to_string_lossy(), false),
    );
    assert!(!own.is_empty() && own.len() == given.len());
    for (own, given) in own.iter().zip(&given) {
        let name = folder.path().file_name().unwrap().to_string_lossy();
        assert_eq!(given["model"], format!("{name}/model.onnx"));
        assert_eq!(given["provenance"]["masked"], true);
        same(verb, own, given);
    }
}

/// Asserts that two results are of equal numbers, whatever the model is called.
fn same(at: &str, own: &Value, given: &Value) {
    match (own, given) {
        (Value::Object(own), Value::Object(given)) => {
            let keys =
                |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(own), keys(given), "{at}");
            let names = ["model", "sweep", "provenance"];
            for (key, value) in own.iter().filter(|(key, _)| !names.contains(&&***key)) {
                same(&format!("{at}/{key}"), value, &given[key]);
            }
        }
        (Value::Array(own), Value::Array(given)) if own.len() == given.len() => {
            for (index, (own, given)) in own.iter().zip(given).enumerate() {
                same(&format!("{at}/{index}"), own, given);
            }
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() < SAME, "{at}: {a} and {b}");
        }
        (own, given) => assert_eq!(own, given, "{at}"),
    }
}

/// The graph that torch wrote, and the one that has the least, in experiments, too.
#[rstest]
fn experiments_of_graphs_of_torch(
    #[values(
        "waiting",
        "necessity",
        "run --wait 1 --transfer 2",
        "heads --wait 1 --transfer 2",
        "discover"
    )]
    verb: &str,
) {
    let text = |name: &str| {
        let file = path("foreign").join(name);
        let mut command = af1(verb);
        command.arg("--model").arg(&file);
        let text = stdout(command.words("--style symbolic --operands 0..=9"));
        text.replace(name, "MODEL")
    };
    let full = text("gpt2-shaped.onnx");
    assert!(
        full.contains("100/100") || full.contains("held-out") && full.contains("25/25"),
        "{full}"
    );
    assert_eq!(full, text("counting.onnx"));
}

/// Of the alternatives those are left out that need values without names.
#[test]
fn alternatives_of_the_least() {
    let run = |name: &str| {
        let mut command = af1("");
        command.words("alternatives --wait 1 --transfer 2 --style symbolic");
        command.words("--operation A+B --operands 0..=9 --model");
        let output = command.arg(path("foreign").join(name)).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert!(output.status.success());
        (
            text(output.stdout).replace(name, "MODEL"),
            text(output.stderr),
        )
    };
    let (full, nothing) = run("gpt2-shaped.onnx");
    let (least, note) = run("counting.onnx");
    assert!(nothing.is_empty(), "{nothing}");
    assert!(
        note.contains("left out: value-zero, attention-mean"),
        "{note}"
    );
    // Faithfulness and accuracy; p is of as many tests as there are.
    let others = |text: &str| -> Vec<String> {
        let words = ["value-zero", "attention-mean", "|---", "conclusion:"];
        let other = |line: &&str| !words.iter().any(|word| line.contains(word));
        let cells = |line: &str| line.split('|').take(5).map(str::trim).collect();
        text.lines().filter(other).map(cells).collect()
    };
    assert_eq!(others(&full), others(&least));
    assert!(
        full.lines().count() == least.lines().count() + 2,
        "{full}{least}"
    );
}

/// What needs values that have no names, or weights, says so.
#[rstest]
#[case::attention("attention", exit::USAGE, "counting.onnx does not name attn_pattern")]
#[case::value_zero(
    "run --wait 1 --transfer 2 --masking abp,value-zero",
    exit::USAGE,
    "counting.onnx does not name attn_pattern"
)]
#[case::precision(
    "waiting --precision f16",
    exit::USAGE,
    "--precision: counting.onnx is a graph that another program wrote"
)]
#[case::diff(
    "diff --wait 1 --transfer 2",
    exit::USAGE,
    "there are no two ways to compare"
)]
#[case::export(
    "export --out OUT",
    exit::USAGE,
    "af1 export: counting.onnx is a graph"
)]
#[case::too_long(
    "logits --prompt 1+2+3+4+5+6+7+8+9=",
    exit::USAGE,
    "expected 1 to 16, the model's context"
)]
fn what_a_graph_cannot(#[case] verb: &str, #[case] code: u8, #[case] part: &str) {
    let out = tempfile::tempdir().unwrap();
    let verb = verb.replace("OUT", &out.path().to_string_lossy());
    let mut command = af1("");
    command
        .args(verb.split(' '))
        .arg("--model")
        .arg(path("foreign/counting.onnx"));
    if !verb.starts_with("export") && !verb.starts_with("logits") {
        command.words("--style symbolic --operands 0..=9");
    }
    refused(&mut command, code, &[part]);
    assert!(std::fs::read_dir(out.path()).unwrap().next().is_none());
}

/// The table and the error.
fn violations(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let message = text(output.stderr);
    assert_eq!(
        output.status.code(),
        Some(i32::from(exit::UNSUPPORTED_MODEL)),
        "{message}"
    );
    (text(output.stdout), message)
}

/// The graph of torch with a manifest of other names.
fn with(names: &str) -> (TempDir, PathBuf) {
    let folder = copied(&path("foreign"));
    let manifest = folder.path().join("gpt2-shaped.toml");
    std::fs::write(&manifest, names).unwrap();
    let file = folder.path().join("gpt2-shaped.onnx");
    (folder, file)
}

/// Every violation is listed at once.
#[rstest]
#[case::no_names("", &["input_ids", "attn_bias.0", "logits", "tokens", "mask_1", "resid.0"])]
// Streams that are not what the next layer reads: patterns have four axes and depend on more than their stream.
#[case::other_streams(
    "[names]\ninput_ids = 'tokens'\nposition_ids = 'positions'\nattn_bias = 'mask_{l}'\nresid = 'pattern_{l}'\nlogits = 'scores'",
    &["4 axes; expected 3", "pattern_3", "no such value", "it still reads", "their number is not stated"]
)]
#[case::logits_of_a_layer(
    "[names]\ninput_ids = 'tokens'\nposition_ids = 'positions'\nattn_bias = 'mask_{l}'\nresid = 'stream_{l}'\nlogits = 'stream_1'",
    &["stream_1", "does not depend on \"stream_3\"", "their number is not stated"]
)]
// What heads read and how they weigh it, the one for the other.
#[case::attention(
    "[names]\ninput_ids = 'tokens'\nposition_ids = 'positions'\nattn_bias = 'mask_{l}'\nresid = 'stream_{l}'\nlogits = 'scores'\n\
     attn_pattern = 'read_{l}'\nattn_out = 'pattern_{l}'",
    &["pattern_0", "read_2", "it does not depend on"]
)]
#[case::one_for_two(
    "[names]\ninput_ids = 'tokens'\nposition_ids = 'positions'\nattn_bias = 'mask_{l}'\nresid = 'stream_{l}'\nlogits = 'scores'\n\
     attn_pattern = 'pattern_{l}'\nattn_out = 'pattern_{l}'",
    &["the same value as pattern_0"]
)]
#[case::half_of_attention(
    "[names]\ninput_ids = 'tokens'\nposition_ids = 'positions'\nattn_bias = 'mask_{l}'\nresid = 'stream_{l}'\nlogits = 'scores'\n\
     attn_pattern = 'pattern_{l}'",
    &["attn_out.0", "name both attn_pattern and attn_out"]
)]
#[case::other_number_of_heads(
    "heads = 3\n[names]\ninput_ids = 'tokens'\nposition_ids = 'positions'\nattn_bias = 'mask_{l}'\nresid = 'stream_{l}'\n\
     logits = 'scores'\nattn_pattern = 'pattern_{l}'\nattn_out = 'read_{l}'",
    &["axis 1 is 4 long; the number of heads is 3 elsewhere"]
)]
fn what_does_not_keep_the_contract(#[case] names: &str, #[case] parts: &[&str]) {
    let (_folder, file) = with(names);
    let (text, message) = violations(&mut inspect(&file));
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(message.contains("af1 inspect"), "{message}");
    let machine = inspect(&file).words("--format json").output().unwrap();
    let found: Value = serde_json::from_slice(&machine.stdout).unwrap();
    let listed = found["violations"].as_array().unwrap().len();
    assert!(text.contains(&format!("{listed} violations")), "{text}");
}

/// Files that are broken or do not belong together.
#[rstest]
#[case::made_twice("gpt2-shaped", "stream_2", "stream_1", "it is made twice")]
#[case::outside(
    "counting",
    "counting.onnx.data",
    "../nting.onnx.data",
    "is not below the folder"
)]
#[case::missing("counting", "counting.onnx.data", "conuting.onnx.data", "is not there")]
fn broken_files(#[case] name: &str, #[case] from: &str, #[case] to: &str, #[case] part: &str) {
    let folder = copied(&path("foreign"));
    let file = folder.path().join(format!("{name}.onnx"));
    let mut bytes = std::fs::read(&file).unwrap();
    assert_eq!(from.len(), to.len());
    let starts = |at: &usize| bytes[*at..].starts_with(from.as_bytes());
    let places: Vec<usize> = (0..bytes.len()).filter(starts).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    std::fs::write(&file, bytes).unwrap();
    let (text, _) = violations(&mut inspect(&file));
    assert!(text.contains(part), "{text}");
}

#[test]
fn weights_that_are_too_short() {
    let folder = copied(&path("foreign"));
    let data = folder.path().join("counting.onnx.data");
    let bytes = std::fs::read(&data).unwrap();
    std::fs::write(&data, &bytes[..bytes.len() - 1]).unwrap();
    let (text, _) = violations(&mut inspect(&folder.path().join("counting.onnx")));
    assert!(text.contains("too few for"), "{text}");
}

/// Graph and weights are links to files with other names, as in the hub's cache.
#[cfg(unix)]
#[test]
fn graphs_behind_links() {
    use std::os::unix::fs::symlink;
    let folder = copied(&path("foreign"));
    let blobs = folder.path().join("blobs");
    std::fs::create_dir(&blobs).unwrap();
    for (name, blob) in [("counting.onnx", "1f"), ("counting.onnx.data", "2e")] {
        let (file, blob) = (folder.path().join(name), blobs.join(blob));
        std::fs::rename(&file, &blob).unwrap();
        symlink(&blob, &file).unwrap();
    }
    let file = folder.path().join("counting.onnx");
    let (_, mut engine) = load(&file.to_string_lossy());
    equals("linked", &mut engine, &json("foreign/expected.json"));
}

#[rstest]
#[case("[names]\nattn_bias = 'mask'", "attn_bias = \"mask\"")]
#[case("[names]\nmasks = 'mask_{l}'", "masks = ")]
#[case("heads = 0", "heads = 0")]
#[case("heads = 'four'", "invalid type")]
#[case("layers = 3", "unknown field `layers`")]
fn a_manifest_that_cannot_be(#[case] names: &str, #[case] part: &str) {
    let (_folder, file) = with(names);
    let parts = ["gpt2-shaped.toml", part, "[names]"];
    refused(&mut inspect(&file), exit::MALFORMED, &parts);
}

#[test]
fn files_that_are_not_there_or_no_graph() {
    let folder = copied(&path("foreign"));
    let file = folder.path().join("model.onnx");
    refused(&mut inspect(&file), exit::NOT_FOUND, &["model.onnx"]);
    let mut with_tokens = af1("");
    with_tokens.words("inspect --model").arg(&file);
    refused(
        &mut with_tokens,
        exit::NOT_FOUND,
        &["model.onnx", ".onnx file"],
    );
    std::fs::write(&file, "no graph").unwrap();
    let parts = ["model.onnx", "the ONNX format"];
    refused(&mut inspect(&file), exit::MALFORMED, &parts);

    let file = folder.path().join("counting.onnx");
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    let mut command = af1("");
    command.words("inspect --model").arg(&file);
    refused(&mut command, exit::NOT_FOUND, &["tokenizer.json"]);
}
