//! A model that has no room says so before it is read, and one that has room is never refused.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::fs::File;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use af1::error::exit;
use ndarray::Array2;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::bad_input::refused;
use super::fixtures::load;
use super::hostile::limited;
use super::program::{Words, af1};

/// A tiny model with a wide stream and so many neurons: its configuration and its header say so, and its file has the size, of which nothing
/// is on the disk.
fn wide(stream: usize, neurons: usize) -> TempDir {
    let folder = super::bad_input::copy("f32");
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["hidden_size"] = json!(stream);
    config["intermediate_size"] = json!(neurons);
    std::fs::write(&path, config.to_string()).unwrap();

    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut at = 0;
    for (name, tensor) in header.as_object_mut().unwrap() {
        let Some(shape) = tensor.get_mut("shape").and_then(Value::as_array_mut) else {
            continue;
        };
        // The maps into the stream have it first, all else last.
        let first = name.contains("o_proj") || name.contains("down_proj");
        let of_stream = if first { 0 } else { shape.len() - 1 };
        shape[of_stream] = json!(stream);
        for axis in shape.iter_mut().filter(|axis| **axis == json!(24)) {
            *axis = json!(neurons);
        }
        let numbers: u64 = shape.iter().map(|axis| axis.as_u64().unwrap()).product();
        tensor["data_offsets"] = json!([at, at + 4 * numbers]);
        at += 4 * numbers;
    }
    let header = header.to_string();
    let mut file = File::create(&path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes())
        .unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(8 + header.len() as u64 + at).unwrap();
    folder
}

/// 600 GB of weights, none of which is read, under a limit of memory.
#[rstest]
#[case("logits --prompt 1+2=")]
#[case("run --style symbolic --operands 0..=9")]
fn a_model_that_cannot_fit_says_so_at_once(#[case] words: &str) {
    let model = wide(1 << 10, 1 << 24);
    let path = model.path().to_string_lossy().into_owned();
    let words: Vec<&str> = words
        .split(' ')
        .chain(["--threads", "1", "--model", &path])
        .collect();
    let output = limited(&words, Stdio::null());
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        output.status.code(),
        Some(exit::NO_ROOM.into()),
        "{message}"
    );
    let name = model.path().file_name().unwrap().to_string_lossy();
    for part in [
        &*name,
        "takes 618.5 GB of memory at least",
        " are left ",
        "--weights mapped",
    ] {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn what_device_memory_allows_is_a_limit() {
    let run = |memory: &str| {
        let mut command = af1("logits --model planted-af1 --prompt 1+2=");
        command.words("--device-memory").arg(memory);
        command
    };
    let parts = [
        "planted-af1",
        " of memory at least",
        "--device-memory allows 2.0 MB",
        "larger",
    ];
    refused(&mut run("2MB"), exit::NO_ROOM, &parts);
    let cases = [
        ("1", "is no size"),
        ("1000000B", "is no size"),
        ("0MB", "is less than the runtime takes at once"),
        ("1MB", "is less than the runtime takes at once"),
    ];
    for (small, reason) in cases {
        let parts = ["--device-memory", reason, "MB, GB, MiB or GiB"];
        refused(&mut run(small), exit::USAGE, &parts);
    }
    assert!(run("64MB").output().unwrap().status.success());
}

/// What a model is said to take at least.
fn takes(model: &str) -> u64 {
    let mut command = af1("logits --prompt 1+2= --device-memory 1MiB --model");
    let output = command.arg(model).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    let (_, rest) = message
        .split_once("takes ")
        .unwrap_or_else(|| panic!("{message}"));
    let (size, _) = rest
        .split_once(" MB of memory")
        .unwrap_or_else(|| panic!("{message}"));
    (size.parse::<f64>().unwrap() * 1e6) as u64
}

/// Beside its weights a program takes so much.
const BESIDE: u64 = 160 << 20;

/// The most memory that a run takes, files that are mapped apart.
fn peak(model: &str) -> u64 {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_af1"));
    command.words(&format!("logits --prompt 1+2= --threads 1 --model {model}"));
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let path = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        most = most.max(kib.map_or(0, |kib| kib.parse::<u64>().unwrap() << 10));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success());
    most
}

/// What is said is not more than what is really taken, so that a model that fits is not refused. It is not far from it either.
#[rstest]
#[case::planted("planted-af1")]
#[case::real("smollm2-135m-instruct")]
fn what_a_model_takes_is_what_is_said(#[case] model: &str) {
    let (said, most) = (takes(model), peak(model));
    assert!(
        (said..said * 3 / 2 + BESIDE).contains(&most),
        "{model}: {said} is said, {most} is taken"
    );
}

/// What the runtime keeps for the next batch is known: it has room for the streams of the largest one.
#[test]
fn the_runtime_says_what_it_keeps() {
    let (_, mut engine) = load("planted-af1");
    let streams = engine.embed(Array2::zeros((4096, 5)), 0).unwrap();
    let bytes = (streams.shape().iter().product::<usize>() * size_of::<f32>()) as u64;
    drop(streams);
    let kept = engine.kept().unwrap();
    assert!(
        kept >= bytes && bytes > 1 << 20,
        "{kept} are kept, {bytes} were used"
    );
}
