//! Files that promise more than they hold, and files without an end: one clear error, soon, and a promise takes no memory.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use af1::stats::{Design, Evidence, Inference};
use rstest::rstest;
use tempfile::TempDir;

use super::fixtures::path;

/// So much more than nothing may a small file take. Libraries that are only mapped do not count; a plain `--help` takes 6 MB.
const MOST_MEMORY: u64 = 100 << 20;

/// A run ends sooner, also of a program that was built for tests on a machine that does something else, too.
const SOON: Duration = Duration::from_secs(20);

/// The program, which fails when it takes more memory, and is ended when it takes too long.
pub fn limited(words: &[&str], input: Stdio) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_af1"));
    command.args(words).stdin(input).env("RUST_BACKTRACE", "0");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let limit = libc::rlimit {
        rlim_cur: MOST_MEMORY,
        rlim_max: MOST_MEMORY,
    };
    // SAFETY: setrlimit is safe to be called between fork and exec, and reads only the limit.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_DATA, &limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let begin = Instant::now();
    let mut child = command.spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > SOON {
            child.kill().unwrap();
            panic!("{words:?} does not come to an end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// The one line of error with which the program ends.
fn refused(words: &[&str], input: Stdio) -> String {
    let output = limited(words, input);
    let message = String::from_utf8(output.stderr).unwrap();
    let code = output.status.code();
    assert!(
        code.is_some_and(|code| (2..=64).contains(&code)),
        "{words:?}: {:?}: {message}",
        output.status
    );
    for bad in ["panicked", "memory allocation", "stack overflow"] {
        assert!(!message.contains(bad), "{words:?}: {message}");
    }
    assert!(message.starts_with("error: "), "{words:?}: {message}");
    message
}

#[test]
fn the_limit_of_memory_holds_and_is_enough() {
    let help = limited(&["--help"], Stdio::null());
    assert!(help.status.success(), "{:?}", help.status);
    // What is limited is what a reader takes: a record that is larger than the limit cannot be read under it.
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("large.jsonl");
    std::fs::File::create(&record)
        .unwrap()
        .set_len(2 * MOST_MEMORY)
        .unwrap();
    let large = limited(&["report", &record.to_string_lossy()], Stdio::null());
    assert!(!large.status.success());
}

/// A file of a model, or a folder with such files.
struct Hostile {
    folder: TempDir,
    model: PathBuf,
}

fn file(name: &str, bytes: &[u8]) -> Hostile {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join(name);
    std::fs::write(&model, bytes).unwrap();
    Hostile { folder, model }
}

/// A copy of a tiny model with another file in place of one of its own.
fn with(name: &str, bytes: &[u8]) -> Hostile {
    let folder = super::bad_input::copy("f32");
    std::fs::write(folder.path().join(name), bytes).unwrap();
    let model = folder.path().to_owned();
    Hostile { folder, model }
}

fn gguf(version: u32, counts: [u64; 2], rest: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(version.to_le_bytes());
    counts.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
    rest.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// A key with a list of so many values of that kind, none of which is there.
fn list(kind: u32, length: u64) -> Vec<u8> {
    let mut bytes = 1u64.to_le_bytes().to_vec();
    bytes.push(b'k');
    bytes.extend(9u32.to_le_bytes());
    bytes.extend(kind.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes
}

/// A tensor of four axes of that length.
fn tensor(axis: u64) -> Vec<u8> {
    let mut bytes = 1u64.to_le_bytes().to_vec();
    bytes.push(b't');
    bytes.extend(4u32.to_le_bytes());
    (0..4).for_each(|_| bytes.extend(axis.to_le_bytes()));
    bytes.extend(0u32.to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes
}

fn safetensors(length: u64, header: &str) -> Vec<u8> {
    [&length.to_le_bytes(), header.as_bytes()].concat()
}

fn config(field: &str, value: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(path("reference/tiny-llama/f32/config.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json[field] = serde_json::from_str(value).unwrap();
    json.to_string().into_bytes()
}

/// A message of protobuf whose field promises so many bytes.
fn onnx(field: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![field << 3 | 2];
    let mut rest = length;
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

#[rstest]
#[case::metadata(file("m.gguf", &gguf(3, [0, u64::MAX], &[])))]
#[case::tensors(file("m.gguf", &gguf(3, [u64::MAX, 0], &[])))]
#[case::a_long_list(file("m.gguf", &gguf(3, [0, 1], &[&list(0, 1 << 40)])))]
#[case::a_list_of_all(file("m.gguf", &gguf(2, [0, 1], &[&list(8, u64::MAX)])))]
#[case::lists_of_lists(file("m.gguf", &gguf(3, [0, 1], &[&list(9, 50), &[0; 60]])))]
#[case::a_large_tensor(file("m.gguf", &gguf(3, [1, 0], &[&tensor(1 << 15)])))]
#[case::an_endless_tensor(file("m.gguf", &gguf(3, [1, 0], &[&tensor(1 << 40)])))]
#[case::a_long_header(with("model.safetensors", &safetensors(1 << 40, "{}")))]
#[case::a_header_of_all(with("model.safetensors", &safetensors(u64::MAX, "{}")))]
#[case::a_large_weight(with("model.safetensors", &safetensors(68, r#"{"w":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,9e9]}}"#)))]
#[case::an_endless_weight(with("model.safetensors", &safetensors(90, r#"{"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,18446744073709551615]}}"#)))]
#[case::layers(with("config.json", &config("num_hidden_layers", "18446744073709551615")))]
#[case::many_layers(with("config.json", &config("num_hidden_layers", "10000")))]
#[case::heads(with("config.json", &config("num_attention_heads", "16777216")))]
#[case::a_wide_head(with("config.json", &config("head_dim", "1000000000000")))]
#[case::tokens(with("config.json", &config("vocab_size", "1000000000000")))]
#[case::a_wide_stream(with("config.json", &config("hidden_size", "16777216")))]
#[case::a_graph(file("m.onnx", &onnx(7, 1 << 40)))]
#[case::a_graph_of_all(file("m.onnx", &onnx(7, u64::MAX)))]
#[case::a_name(file("m.onnx", &onnx(2, (1 << 31) - 1)))]
#[case::a_tokenizer(with(
    "tokenizer.json",
    br#"{"version":"1.0","model":{"type":"BPE","vocab":{"a":4294967295},"merges":[]}}"#
))]
#[case::a_broken_decoder(with(
    "tokenizer.json",
    br#"{"version":"1.0","decoder":{"type" "Fuse"},"model":{"type":"BPE","vocab":{},"merges":[]}}"#
))]
#[case::a_large_number_in_a_decoder(with("tokenizer.json", br#"{"version":"1.0","decoder":{"type":"Strip","content":" ","start":1e999,"stop":0},"model":{"type":"BPE","vocab":{},"merges":[]}}"#))]
#[case::a_decoder_that_takes_from_the_end(with("tokenizer.json", br#"{"version":"1.0","decoder":{"type":"Sequence","decoders":[{"type":"Strip","content":" ","start":1,"stop":2}]},"model":{"type":"BPE","vocab":{"1":0},"merges":[]}}"#))]
#[case::padding(with("tokenizer.json", br#"{"version":"1.0","padding":{"strategy":{"Fixed":1000000000000},"direction":"Right","pad_id":0,"pad_type_id":0,"pad_token":"a"},"model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"a"}}"#))]
#[case::an_index(with(
    "model.safetensors.index.json",
    br#"{"metadata":{"total_size":1e308},"weight_map":{"w":"model.safetensors"}}"#
))]
fn small_models_take_little(#[case] hostile: Hostile) {
    let message = refused(
        &["inspect", "--model", &hostile.model.to_string_lossy()],
        Stdio::null(),
    );
    // Every error names a file of the model.
    let folder = hostile.folder.path().to_string_lossy();
    assert!(message.contains(&*folder), "{message}");
}

/// Words of a command line that end where a file is named.
const NAMING: [&str; 7] = [
    "run --model planted-af1 --styles",
    "run --model planted-af1 --style symbolic --prompts",
    "report",
    "merge",
    "gate --model planted-af1 --config",
    "study",
    "claims",
];

#[rstest]
fn files_without_an_end_are_refused(
    #[values(0, 1, 2, 3, 4, 5, 6)] what: usize,
    #[values("/dev/zero", "/dev/stdin")] file: &str,
) {
    // `yes` writes for ever: a comment of TOML, which is neither a record nor a prompt.
    let mut endless = Command::new("yes");
    let mut endless = endless
        .arg("# and so on")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = Stdio::from(endless.stdout.take().unwrap());
    let words: Vec<&str> = NAMING[what].split(' ').chain([file]).collect();
    let message = refused(&words, input);
    endless.kill().unwrap();
    endless.wait().unwrap();
    assert!(message.contains(file), "{message}");
    assert!(message.contains(" bytes"), "no limit is named: {message}");
}

/// Every file of a model may be a link to something without an end.
#[rstest]
#[case("config.json")]
#[case("tokenizer.json")]
#[case("model.safetensors")]
fn files_of_models_without_an_end_are_refused(#[case] name: &str) {
    let folder = super::bad_input::copy("f32");
    let file = folder.path().join(name);
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
    let model = folder.path().to_string_lossy();
    let message = refused(&["inspect", "--model", &model], Stdio::null());
    assert!(message.contains(name), "{message}");
}

#[rstest]
#[case("0..=999999")]
#[case("-9007199254740992..=9007199254740992")]
fn prompts_without_number_are_not_listed(#[case] operands: &str) {
    let begin = Instant::now();
    let mut command = super::program::af1("run --model planted-af1 --style symbolic");
    let output = command.args(["--operands", operands]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{message}");
    assert!(
        message.contains("more than 5000000; narrow the range"),
        "{message}"
    );
    assert!(begin.elapsed() < SOON, "it took {:?}", begin.elapsed());
}

/// A committed record in which a number is another one.
fn tampered(field: &str, number: u64) -> Hostile {
    let text = std::fs::read_to_string(path("records/schema-2/waiting.jsonl")).unwrap();
    let mut line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert!(line.get(field).is_some(), "{field} is no field");
    line[field] = number.into();
    file("tampered.jsonl", format!("{line}\n").as_bytes())
}

#[rstest]
#[case("correct", 1_000_000, "more than prompts")]
#[case("base_correct", 1_000_000, "more than prompts")]
#[case("empty_correct", 1_000_000, "more than prompts")]
#[case("constant_correct", 1_000_000, "more than prompts")]
#[case("correct_given_base", 1_000_000, "more than base_correct")]
#[case("all_base_correct", 1_000_000_000, "more than all_prompts")]
#[case("prompts", u64::MAX, "base_answers is not")]
#[case("layers", 1_000_000_000_000, "more than the most layers")]
#[case("accuracy", 2, "expected a share")]
#[case("faithfulness_high", 7, "expected a share")]
fn records_that_contradict_themselves_are_refused(
    #[case] field: &str,
    #[case] number: u64,
    #[case] reason: &str,
) {
    let record = tampered(field, number);
    let message = refused(&["report", &record.model.to_string_lossy()], Stdio::null());
    for part in ["tampered.jsonl", field, reason] {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

/// A record may say that there were hardly two units: then the shares of others are not known, and nothing is computed with a shape of 0.
#[rstest]
#[case(0.0, 5.0)]
#[case(-3.0, 5.0)]
#[case(100.0, 1.000_000_000_000_001)]
#[case(f64::MIN_POSITIVE, 100.0)]
fn hardly_any_units_say_nothing(#[case] effective: f64, #[case] units: f64) {
    let evidence = Evidence {
        inference: Inference::Operands,
        successes: 500,
        trials: 1000,
        design: Some(Design { effective, units }),
    };
    assert_eq!((evidence.low(0.025), evidence.high(0.025)), (0.0, 1.0));
    assert_eq!((evidence.p_above(0.4), evidence.p_below(0.6)), (1.0, 1.0));
}
