//! Files that are wrong: each kind gets its own error and exit code, and leaves nothing behind.

use std::borrow::BorrowMut;
use std::path::{Path, PathBuf};

use af1::error::exit;
use assert_cmd::Command;
use rstest::rstest;
use tempfile::TempDir;

use super::fixtures::{cache, copied, path};
use super::program::{Words, af1};

/// Runs the program and checks that it ends with `code` and one line that holds all of `parts`.
pub fn refused(mut command: impl BorrowMut<Command>, code: u8, parts: &[&str]) {
    let output = command.borrow_mut().output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(i32::from(code)), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
    assert!(output.stdout.is_empty());
}

/// A copy of a tiny model that can be broken.
pub fn copy(folder: &str) -> TempDir {
    copied(&path("reference/tiny-llama").join(folder))
}

/// A copy of a tiny model with a tokenizer of digits and some other words, which splits a text at `pattern`.
pub fn with_tokenizer(words: &[&str], normalizer: serde_json::Value, pattern: &str) -> TempDir {
    let model = copy("f32");
    let fixed = ["<bos>", "?"]
        .into_iter()
        .chain(words.iter().copied())
        .map(str::to_owned);
    let mut tokens: Vec<String> = fixed
        .chain((0..10).map(|digit| digit.to_string()))
        .collect();
    // As many tokens as the model has.
    tokens.extend((tokens.len()..100).map(|id| format!("<{id}>")));
    let vocab: serde_json::Map<String, serde_json::Value> = tokens
        .into_iter()
        .enumerate()
        .map(|(id, token)| (token, id.into()))
        .collect();
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "post_processor": null,
        "added_tokens": [], "decoder": null, "normalizer": normalizer,
        "pre_tokenizer": {
            "type": "Split", "behavior": "Isolated", "invert": false, "pattern": { "Regex": pattern },
        },
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "?" },
    });
    std::fs::write(model.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    model
}

pub fn inspect(model: &Path) -> Command {
    let mut command = af1("inspect --model");
    command.arg(model);
    command
}

fn edit(file: PathBuf, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(&file).unwrap();
    change(&mut bytes);
    std::fs::write(file, bytes).unwrap();
}

fn replace(file: PathBuf, from: &str, to: &str) {
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{from:?} is not in {}", file.display());
    std::fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn a_missing_model_file() {
    refused(
        &mut inspect(Path::new("no/such.gguf")),
        exit::NOT_FOUND,
        &["no/such.gguf", "not found"],
    );
    let model = copy("f32");
    std::fs::remove_file(model.path().join("model.safetensors")).unwrap();
    refused(
        &mut inspect(model.path()),
        exit::NOT_FOUND,
        &["model.safetensors", "not found"],
    );
}

#[test]
fn an_unknown_model_name() {
    let parts = ["\"llama-9\"", "smollm2-135m-instruct"];
    refused(
        &mut inspect(Path::new("llama-9")),
        exit::UNKNOWN_MODEL,
        &parts,
    );
}

#[test]
fn a_truncated_safetensors_file() {
    let model = copy("f32");
    edit(model.path().join("model.safetensors"), |bytes| {
        bytes.truncate(bytes.len() - 100)
    });
    let parts = ["model.safetensors", "truncated", "bytes of tensors"];
    refused(&mut inspect(model.path()), exit::TRUNCATED, &parts);
    edit(model.path().join("model.safetensors"), |bytes| {
        bytes.truncate(5)
    });
    refused(
        &mut inspect(model.path()),
        exit::TRUNCATED,
        &["found 5 bytes"],
    );
}

#[test]
fn a_safetensors_header_that_lies() {
    let model = copy("f32");
    edit(model.path().join("model.safetensors"), |bytes| {
        bytes[..8].copy_from_slice(&(1u64 << 40).to_le_bytes());
    });
    let parts = ["model.safetensors", "header", "1099511627776"];
    refused(&mut inspect(model.path()), exit::MALFORMED, &parts);
    // Offsets that overlap: the header fits in the file and is wrong all the same.
    let model = copy("f32");
    edit(model.path().join("model.safetensors"), |bytes| {
        let at = bytes
            .windows(16)
            .position(|w| w == b"\"data_offsets\":[")
            .unwrap()
            + 16;
        bytes[at] = if bytes[at] == b'0' { b'4' } else { b'0' };
    });
    refused(
        &mut inspect(model.path()),
        exit::MALFORMED,
        &["model.safetensors", "safetensors header"],
    );
}

#[test]
fn a_missing_shard_and_a_missing_tensor() {
    let model = copy("sharded");
    let shard = "model-00002-of-00003.safetensors";
    std::fs::remove_file(model.path().join(shard)).unwrap();
    refused(&mut inspect(model.path()), exit::NOT_FOUND, &[shard]);
    let model = copy("sharded");
    replace(
        model.path().join("model.safetensors.index.json"),
        "model.norm.weight",
        "model.norm.other",
    );
    refused(
        &mut inspect(model.path()),
        exit::MALFORMED,
        &["model.norm.other", "no such tensor"],
    );
    let model = copy("sharded");
    replace(
        model.path().join("model.safetensors.index.json"),
        shard,
        "../elsewhere.safetensors",
    );
    refused(
        &mut inspect(model.path()),
        exit::MALFORMED,
        &["beside the index"],
    );
}

#[rstest]
#[case(
    "\"num_hidden_layers\": 3",
    "\"num_hidden_layers\": 4",
    exit::MALFORMED,
    "model.layers.3."
)]
#[case(
    "\"intermediate_size\": 24",
    "\"intermediate_size\": 25",
    exit::MALFORMED,
    "shape [25, 16]"
)]
#[case(
    "\"num_key_value_heads\": 2",
    "\"num_key_value_heads\": 3",
    exit::UNSUPPORTED_MODEL,
    "num_key_value_heads"
)]
#[case(
    "\"model_type\": \"llama\"",
    "\"model_type\": \"mamba\"",
    exit::UNSUPPORTED_MODEL,
    "\"mamba\""
)]
#[case(
    "\"hidden_act\": \"silu\"",
    "\"hidden_act\": \"relu\"",
    exit::UNSUPPORTED_MODEL,
    "hidden_act"
)]
#[case(
    "\"rope_type\": \"default\"",
    "\"rope_type\": \"dynamic\"",
    exit::UNSUPPORTED_MODEL,
    "rope_parameters.rope_type"
)]
#[case(
    "\"rope_type\": \"default\"",
    "\"rope_type\": \"linear\"",
    exit::UNSUPPORTED_MODEL,
    "rope_parameters.factor"
)]
#[case(
    "\"rope_type\": \"default\"",
    "\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 1",
    exit::UNSUPPORTED_MODEL,
    "rope_parameters.high_freq_factor"
)]
#[case(
    "\"rope_type\": \"default\"",
    "\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4",
    exit::UNSUPPORTED_MODEL,
    "rope_parameters.original_max_position_embeddings"
)]
#[case(
    "\"attention_bias\": false",
    "\"attention_bias\": true",
    exit::MALFORMED,
    "self_attn.k_proj.bias"
)]
#[case(
    "\"hidden_size\": 16",
    "\"hidden_size\": 0",
    exit::UNSUPPORTED_MODEL,
    "hidden_size"
)]
#[case("\"vocab_size\"", "\"vocabulary\"", exit::MALFORMED, "vocab_size")]
#[case(
    "\"hidden_size\": 16",
    "\"hidden_size\": 16,,",
    exit::MALFORMED,
    "config.json"
)]
fn a_configuration_that_does_not_fit(
    #[case] from: &str,
    #[case] to: &str,
    #[case] code: u8,
    #[case] part: &str,
) {
    let model = copy("f32");
    replace(model.path().join("config.json"), from, to);
    refused(&mut inspect(model.path()), code, &[part]);
}

#[test]
fn a_tokenizer_of_another_model() {
    let model = copy("f32");
    replace(
        model.path().join("config.json"),
        "\"bos_token_id\": 0",
        "\"bos_token_id\": 7",
    );
    let parts = [
        "tokenizer.json",
        "does not belong",
        "<bos>",
        "config.json says 7",
    ];
    refused(&mut inspect(model.path()), exit::TOKENIZER_MISMATCH, &parts);
    let model = copy("f32");
    let other = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
        "pre_tokenizer":null,"post_processor":null,"decoder":null,
        "model":{"type":"WordLevel","vocab":{"a":0,"b":1},"unk_token":"a"}}"#;
    std::fs::write(model.path().join("tokenizer.json"), other).unwrap();
    refused(
        &mut inspect(model.path()),
        exit::TOKENIZER_MISMATCH,
        &["2 tokens", "vocabulary 100"],
    );
    std::fs::write(model.path().join("tokenizer.json"), "{}").unwrap();
    refused(
        &mut inspect(model.path()),
        exit::MALFORMED,
        &["tokenizer.json"],
    );
}

/// A weight that a Llama-shaped graph has no place for (a bias, another layer) makes it another model.
#[test]
fn a_weight_that_the_graph_does_not_know() {
    let model = copy("f32");
    let config = model.path().join("config.json");
    replace(
        config,
        "\"num_hidden_layers\": 3",
        "\"num_hidden_layers\": 2",
    );
    let parts = [
        "\"model.layers.2.",
        "a weight that this architecture does not have",
    ];
    refused(&mut inspect(model.path()), exit::UNSUPPORTED_MODEL, &parts);
    // A tied model's copy of the unembedding is no such weight.
    let model = copy("f32");
    let config = model.path().join("config.json");
    replace(
        config,
        "\"tie_word_embeddings\": false",
        "\"tie_word_embeddings\": true",
    );
    assert!(inspect(model.path()).output().unwrap().status.success());
}

/// One weight that is not a number: the first residual stream that it reaches is named.
#[test]
fn weights_that_are_not_numbers() {
    let model = copy("f32");
    edit(model.path().join("model.safetensors"), |bytes| {
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let json: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
        let begin = &json["model.layers.1.mlp.down_proj.weight"]["data_offsets"][0];
        let at = 8 + header + begin.as_u64().unwrap() as usize;
        bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let mut command = af1("run --model");
    command
        .arg(model.path())
        .words("--style symbolic --operands 0..=9");
    command.words("--wait 1 --transfer 1");
    refused(
        &mut command,
        exit::NOT_FINITE,
        &["resid.2 holds NaN", "\"symbolic\"", "A+B"],
    );
}

/// A GGUF file by hand: the parts of the format that a header has.
#[derive(Default)]
struct Gguf(Vec<u8>);

impl Gguf {
    fn new(tensors: u64, metadata: u64) -> Self {
        let mut file = Self(b"GGUF".to_vec());
        file.0.extend(3u32.to_le_bytes());
        file.0.extend(tensors.to_le_bytes());
        file.0.extend(metadata.to_le_bytes());
        file
    }

    fn string(mut self, text: &str) -> Self {
        self.0.extend((text.len() as u64).to_le_bytes());
        self.0.extend(text.bytes());
        self
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn refused(self, code: u8, parts: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.gguf");
        std::fs::write(&file, self.0).unwrap();
        let cache = folder.path().join("cache");
        refused(inspect(&file).env("AF1_CACHE", &cache), code, parts);
        // A GGUF file is read where it is: nothing of it goes into the cache.
        assert!(!cache.exists(), "{}", cache.display());
    }
}

#[test]
fn a_gguf_file_with_an_unknown_tensor_type() {
    let file = Gguf::new(1, 0)
        .string("token_embd.weight")
        .u32(2)
        .u64(64)
        .u64(4)
        .u32(99)
        .u64(0);
    file.refused(
        exit::UNSUPPORTED_TENSOR_TYPE,
        &["token_embd.weight", "GGML type 99", "Q4_1"],
    );
}

#[test]
fn a_truncated_or_malformed_gguf_file() {
    let tensor = || Gguf::new(1, 0).string("t").u32(2).u64(64).u64(4);
    tensor()
        .u32(3)
        .u64(0)
        .refused(exit::TRUNCATED, &["tensor \"t\" (160 bytes)"]);
    tensor()
        .u32(3)
        .u64(u64::MAX)
        .refused(exit::TRUNCATED, &["tensor \"t\""]);
    tensor().refused(exit::TRUNCATED, &["a tensor's type"]);
    Gguf::new(1, 0)
        .string("t")
        .u32(2)
        .u64(u64::MAX / 2)
        .u64(32)
        .u32(0)
        .u64(0)
        .refused(exit::MALFORMED, &["2^64"]);
    Gguf::new(1, 0)
        .string("t")
        .u32(1)
        .u64(33)
        .u32(3)
        .u64(0)
        .refused(exit::MALFORMED, &["whole Q4_1 blocks"]);
    Gguf::new(0, 1)
        .u64(u64::MAX)
        .refused(exit::TRUNCATED, &["a metadata key"]);
    Gguf::new(0, 1)
        .string("k")
        .u32(9)
        .u32(4)
        .u64(1 << 60)
        .refused(exit::TRUNCATED, &["metadata \"k\""]);
    Gguf::new(0, 1)
        .string("k")
        .u32(77)
        .refused(exit::MALFORMED, &["type 0 to 12", "77"]);
    Gguf::new(0, 0).refused(exit::MALFORMED, &["general.architecture", "no such key"]);
    Gguf::new(0, 1)
        .string("general.architecture")
        .u32(8)
        .string("mamba")
        .refused(exit::UNSUPPORTED_MODEL, &["mamba"]);
    Gguf(b"PK".to_vec()).refused(exit::TRUNCATED, &["magic"]);
    Gguf(b"PKZIP".to_vec()).refused(exit::MALFORMED, &["a GGUF file"]);
}

#[test]
fn a_truncated_real_gguf_file() {
    // Loading it puts it into the cache.
    super::fixtures::smollm2();
    let entry = cache().find(super::fixtures::SMOLLM2).unwrap().unwrap();
    let bytes = std::fs::read(entry.path("SmolLM2-135M-Instruct.Q4_1.gguf")).unwrap();
    Gguf(bytes[..50_000_000].to_vec()).refused(exit::TRUNCATED, &["a file of 50000000 bytes"]);
}
