//! What is asked for wrongly, and what cannot be asked: one clear error each. Files that are wrong are in [`super::bad_input`].

use std::collections::BTreeSet;
use std::path::Path;

use af1::error::exit;
use af1::runtime::Device;
use rstest::rstest;

use super::bad_input::{copy, inspect, refused, with_tokenizer};
use super::fixtures::{cache, path};
use super::program::{Words, af1};

/// A tokenizer in which the text around an operand is split differently for some operands.
#[test]
fn a_prompt_that_is_longer_than_its_templates_others() {
    let model = with_tokenizer(&["+", "=", "+="], serde_json::Value::Null, "(?<=7)\\+=|.");
    let styles = model.path().join("styles.toml");
    std::fs::write(
        &styles,
        "[[style]]\nid = 's'\n[style.templates]\n'A+B' = '{A}+={B}='\n",
    )
    .unwrap();
    let mut command = af1("run --model");
    command.arg(model.path()).arg("--styles").arg(&styles);
    command.words("--operands 0..=9 --results 0..=9 --wait 1 --transfer 1");
    let parts = [
        "\"7+=0=\"",
        "5 tokens",
        "\"0+=0=\"",
        "has 6",
        "never padded",
    ];
    refused(&mut command, exit::PROMPT_LENGTH, &parts);
}

/// As above, with other text in place of longer text.
#[test]
fn a_prompt_with_other_tokens_beside_the_operands() {
    let normalizer = serde_json::json!({
        "type": "Replace", "pattern": { "Regex": "(?<=7)\\+" }, "content": "=",
    });
    let model = with_tokenizer(&["+", "="], normalizer, ".");
    let mut command = af1("run --model");
    command
        .arg(model.path())
        .words("--style symbolic --operation A+B");
    command.words("--operands 0..=9 --results 0..=9 --wait 1 --transfer 1");
    let parts = ["\"0+0=\"", "\"7+0=\"", "different tokens where neither"];
    refused(&mut command, exit::PROMPT_LENGTH, &parts);
}

#[test]
fn position_0_is_no_operand() {
    let model = path("reference/tiny-llama/f32");
    let mut command = af1("run --model");
    command.arg(model).words("--style symbolic --bos none");
    command.words("--operands 0..=9 --wait 1 --transfer 1");
    refused(&mut command, exit::NO_PROMPTS, &["position 0", "--bos"]);
}

/// What can be evaluated is, what cannot is a row with its error, and the exit code tells.
#[test]
fn one_bad_template_among_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let styles = folder.path().join("styles.toml");
    let text = "[[style]]\nid = 'good'\n[style.templates]\n'A+B' = '{A}+{B}='\n\
                [[style]]\nid = 'bad'\n[style.templates]\n'A+B' = '1{A}+{B}='\n";
    std::fs::write(&styles, text).unwrap();
    let mut command = af1("run --model");
    command
        .arg(path("reference/tiny-llama/f32"))
        .arg("--styles")
        .arg(&styles);
    command.words("--operands 0..=9 --wait 1 --transfer 1 --ablation cama --format json");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(exit::NO_PROMPTS)));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("\"bad\"")
    );
    let rows: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[0]["style"], &rows[0]["prompts"]),
        (&"good".into(), &100.into())
    );
    assert_eq!(
        (&rows[1]["style"], &rows[1]["exit_code"]),
        (&"bad".into(), &22.into())
    );
}

#[test]
fn exporting_over_another_model() {
    let folder = copy("f16");
    let before = std::fs::read(folder.path().join("model.safetensors")).unwrap();
    let mut command = af1("export --model");
    command
        .arg(path("reference/tiny-llama/f32"))
        .arg("--out")
        .arg(folder.path());
    refused(
        &mut command,
        exit::USAGE,
        &["another model's", "empty folder"],
    );
    assert_eq!(
        std::fs::read(folder.path().join("model.safetensors")).unwrap(),
        before
    );
}

#[test]
fn a_style_file_with_an_unknown_placeholder() {
    let folder = tempfile::tempdir().unwrap();
    let styles = folder.path().join("mine.toml");
    std::fs::write(
        &styles,
        "[[style]]\nid = 's'\n[style.templates]\n'A+B' = '{A}+{X}='\n",
    )
    .unwrap();
    let parts = [
        "mine.toml",
        "style \"s\"",
        "unknown placeholder {X}",
        "{A}, {B}",
    ];
    refused(af1("run --styles").arg(&styles), exit::STYLE, &parts);
    std::fs::write(&styles, "[[style]\n").unwrap();
    refused(
        af1("run --styles").arg(&styles),
        exit::STYLE,
        &["mine.toml", "line 1"],
    );
    refused(
        af1("run --styles none.toml"),
        exit::NOT_FOUND,
        &["none.toml"],
    );
    refused(
        af1("run --style poem"),
        exit::STYLE,
        &["\"poem\"", "symbolic"],
    );
    refused(
        af1("run --style symbolic --operation A+B,A*B"),
        exit::STYLE,
        &["no template for A*B"],
    );
}

#[rstest]
#[case("run --wait 31", "--wait 31: the model has 30 layers")]
#[case("waiting --wait 31", "--wait 31: the model has 30 layers")]
#[case("run --wait 28 --transfer 3", "--wait 28 --transfer 3")]
#[case("transfer --wait 30 --transfer 1", "no W + K")]
#[case("run --wait x", "\"x\" is not a range")]
#[case("run --operands 9..=0", "empty range")]
#[case("run --operands 0..=99999 --results 0..=9", "combinations")]
#[case("run --ablation nothing", "unknown ablation \"nothing\"")]
#[case("run --estimator guess", "plug-in, leave-one-out, split")]
#[case("run --operation A?B", "not an operation")]
#[case("run --device gpu", "unknown device \"gpu\"")]
#[case("run --bos <nope>", "no such token")]
#[case("run --claim 1", "no sample can show 1")]
#[case("run --shard 4/3", "not a shard")]
#[case("run --masking blindfold", "unknown masking")]
#[case("run --subgraph-of gpt-9", "no built-in model has this name")]
#[case("run --batch 0", "expected 1 to 65536, or auto")]
#[case("dance", "unrecognized subcommand")]
#[case("export --out x --from 3 --to 3", "at least one layer")]
#[case("export --out x --to 31", "--to 31: the model has 30 layers")]
fn a_wrong_command_line(#[case] words: &str, #[case] part: &str) {
    // The smallest real model is in the cache: these are about its layers.
    let mut command = af1(words);
    command.words("--model smollm2-135m-instruct");
    refused(command, exit::USAGE, &[part]);
    assert!(!Path::new("x").exists());
}

#[test]
fn an_estimator_without_any_mean() {
    let model = path("reference/tiny-llama/f32");
    let mut command = af1("run --model");
    command.arg(model).words("--style symbolic --operands 5");
    command.words("--wait 1 --transfer 1");
    refused(
        &mut command,
        exit::NO_PROMPTS,
        &["leave-one-out", "any of the 1 prompts"],
    );
}

#[test]
fn ranges_without_prompts() {
    refused(
        af1("run --operands 5..=9 --results 0..=3 --operation A+B"),
        exit::NO_PROMPTS,
        &["no operands in 5..=9", "0..=3"],
    );
    let split = "run --operands 10..=19 --results 0..=9 --operation A-B --shape";
    let shape = |shape: &str, parts: &[&str]| {
        refused(af1(split).arg(shape), exit::NO_PROMPTS, parts);
    };
    shape("1-1=1", &["never one token"]);
    shape("3-3=3", &["never of the shape 3-3=3", "--shape"]);
    let wrong = [("2-2", "no shape"), ("2-2-2=1", "operands")];
    for (wrong, reason) in wrong {
        refused(af1(split).arg(wrong), exit::USAGE, &[reason]);
    }
}

/// Devices of the providers that have to be built into a library, and how the runtime calls these. The library for the processor has none of
/// them.
const NOT_BUILT_IN: [(&str, &str); 7] = [
    ("cuda", "CUDAExecutionProvider"),
    ("tensorrt:1", "TensorrtExecutionProvider"),
    ("rocm", "ROCMExecutionProvider"),
    ("migraphx", "MIGraphXExecutionProvider"),
    ("directml", "DmlExecutionProvider"),
    ("coreml", "CoreMLExecutionProvider"),
    ("openvino", "OpenVINOExecutionProvider"),
];

#[test]
fn a_device_that_the_library_does_not_have() {
    let of_table = |device: Device| match device {
        Device::Of(provider, _) if provider.plugin.is_none() => {
            Some((provider.word, provider.name))
        }
        _ => None,
    };
    let all: BTreeSet<(&str, &str)> = Device::all().into_iter().filter_map(of_table).collect();
    let asked = NOT_BUILT_IN.map(|(device, name)| match device.split_once(':') {
        Some((word, _)) => (word, name),
        None => (device, name),
    });
    assert_eq!(BTreeSet::from(asked), all);
    // The pinned library: another one, named by the environment, may have the provider.
    let library = af1::runtime::Library::fetch(&cache(), &Device::Cpu, false).unwrap();
    for (device, provider) in NOT_BUILT_IN {
        let mut command = af1(&format!("run --device {device}"));
        refused(
            command.env("ORT_DYLIB_PATH", &library.path),
            exit::DEVICE,
            &[provider, "built without", "ORT_DYLIB_PATH"],
        );
    }
}

#[test]
fn a_runtime_library_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("libonnxruntime.so");
    let run = |file: &Path| {
        let mut command = af1("run");
        command.env("ORT_DYLIB_PATH", file);
        command
    };
    refused(
        &mut run(&file),
        exit::NOT_FOUND,
        &["libonnxruntime.so", "ORT_DYLIB_PATH"],
    );
    std::fs::write(&file, "not a library").unwrap();
    refused(
        &mut run(&file),
        exit::RUNTIME_LIBRARY,
        &["libonnxruntime.so", "not a usable", "unset it"],
    );
}

#[test]
fn standard_output_on_a_full_disk() {
    if !Path::new("/dev/full").exists() {
        eprintln!("not run: this system has no /dev/full");
        return;
    }
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_af1"))
        .arg("doctor")
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(i32::from(exit::WRITE)));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("No space left")
    );
}

#[test]
fn a_result_file_that_cannot_be_written() {
    let model = path("reference/tiny-llama/f32");
    let mut command = inspect(&model);
    command.words("--out /no/such/folder/result.txt");
    refused(
        &mut command,
        exit::WRITE,
        &["/no/such/folder/result.txt", "its folder does not exist"],
    );
    let mut command = inspect(&model);
    refused(command.words("--out /"), exit::WRITE, &["it is a folder"]);
}
