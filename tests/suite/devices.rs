//! Devices that cannot run say why, and nothing runs elsewhere instead. Those that can are tried by `tests/devices`, with a
//! driver that a machine without a GPU can have.

use std::path::Path;

use af1::Error;
use af1::error::exit;
use af1::graph::LOGITS;
use af1::graph::score::{self, Right};
use af1::model::{BosChoice, Model};
use af1::runtime::{Device, Engine, Part, Placement, Tensor, probe};
use ndarray::{Array1, Array2, ArrayView1, Ix2};
use rstest::rstest;

use super::bad_input::refused;
use super::fixtures::{cache, runtime};
use super::program::{Words, af1, stdout};

/// A Vulkan loader finds no driver.
const NO_DRIVER: (&str, &str) = ("VK_DRIVER_FILES", "/nowhere/driver.json");

/// The plugin is fetched, and found to have no device.
#[test]
fn a_plugin_without_a_driver() {
    let mut command = af1("");
    command
        .env(NO_DRIVER.0, NO_DRIVER.1)
        .words("run --device webgpu");
    refused(
        &mut command,
        exit::DEVICE,
        &[
            "webgpu:0",
            "WebGpuExecutionProvider finds 0 devices",
            "Vulkan",
            "--device cpu",
        ],
    );
}

/// The runtime crashes when it is given a plugin twice: it is given it once, however many ask.
#[test]
fn a_plugin_that_is_asked_for_twice() {
    let mut placement = Placement::from(&"webgpu:7".parse::<Device>().unwrap());
    placement.find_plugin(runtime(), &cache(), true).unwrap();
    assert!(placement.provider_library.is_some());
    for _ in 0..3 {
        let error = probe(runtime(), &placement).unwrap_err();
        assert!(matches!(error, Error::Device { .. }), "{error}");
    }
    // Another file of that name cannot take its place.
    let folder = tempfile::tempdir().unwrap();
    let library = placement.provider_library.take().unwrap();
    let other = folder.path().join(library.file_name().unwrap());
    std::fs::copy(&library, &other).unwrap();
    placement.provider_library = Some(other);
    let error = probe(runtime(), &placement).unwrap_err().to_string();
    assert!(error.contains("cannot be exchanged"), "{error}");
}

#[test]
fn a_plugin_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("libprovider.so");
    let arg = file.display().to_string();
    let args = format!("run --device webgpu --provider-library {arg}");
    refused(af1(&args), exit::DEVICE, &["libprovider.so"]);
    std::fs::write(&file, "no library").unwrap();
    refused(
        af1(&args),
        exit::DEVICE,
        &["libprovider.so", "cannot be loaded"],
    );
}

#[rstest]
#[case(
    "--device webgpu --device-memory 1GiB",
    "--device-memory: device webgpu:0 has no such option"
)]
#[case("--device cuda,webgpu", "have different providers")]
#[case("--device auto,cpu", "it chooses one device")]
#[case("--device webgpu --tf32", "--tf32: device webgpu:0 has no such option")]
#[case(
    "--device cuda --engine-cache x",
    "--engine-cache: device cuda:0 has no such option"
)]
#[case("--device-memory much", "\"much\" is no size")]
#[case("--device gpu", "unknown device \"gpu\"")]
fn options_that_a_device_does_not_have(#[case] words: &str, #[case] message: &str) {
    refused(af1("run").words(words), exit::USAGE, &[message]);
}

/// The processor has no products of brain floats.
#[test]
fn a_precision_that_a_device_does_not_have() {
    let asked = af1("logits --model planted-af1 --prompt 1+2= --precision bf16");
    let message = ["device cpu", "MatMul", "take another --precision"];
    refused(asked, exit::DEVICE, &message);
}

/// Without an accelerator `auto` is the processor, and says so; the record has what ran.
#[test]
fn auto_is_the_processor_where_nothing_else_runs() {
    let mut command = af1("");
    command
        .env(NO_DRIVER.0, NO_DRIVER.1)
        .words("logits --model planted-af1 --prompt 1+2= --format json --device auto");
    let output = command.output().unwrap();
    assert!(output.status.success());
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let device = object["device"].as_str().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("device auto: {device}")), "{said}");
    if device == "cpu" {
        let providers = object["providers"].as_object().unwrap();
        let names: Vec<&String> = providers.keys().collect();
        assert_eq!(names, ["CPUExecutionProvider"]);
    }
}

/// Logits of products in 16 bits against those in 32, relative to the largest: 11 bits of a product are kept.
const IN_16_BITS: f32 = 1e-2;

/// A divergence summed in f32 in a graph against the same in f64, relative.
const IN_32_BITS: f64 = 1e-5;

/// Products in 16 bits are near those in 32, and the record says which they are.
#[test]
fn half_precision_is_near() {
    let mut model = Model::load("planted-af1", &BosChoice::Default, &cache()).unwrap();
    let logits = |model: &Model| {
        let mut engine = Engine::new(runtime(), &Device::Cpu, model).unwrap();
        let set = super::compiled::prompts(model, "symbolic", "A+B");
        let biases = af1::measure::Biases::new(set.positions()).unwrap();
        let ids = set.ids(&[0, 1, 2, 3]);
        let (_, logits) = af1::measure::base_forward(&mut engine, ids, &biases, &[]).unwrap();
        logits
    };
    let full = logits(&model);
    model.precision = af1::graph::Precision::F16;
    let half = logits(&model);
    let apart = af1::measure::apart(&half, &full);
    assert!(apart > 0.0 && apart < IN_16_BITS, "{apart}");
    let args = "logits --model planted-af1 --prompt 1+2=";
    let more = "--format json --precision f16";
    let text = stdout(af1(args).words(more));
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(object["dtype"], "f16");
}

/// Where the device's memory is not enough for a batch it is halved, the answers are the same, and the record says so.
#[test]
fn a_batch_that_is_too_large_is_halved() {
    let run = |more: &[&str]| {
        let args = "run --model planted-af1 --style word-problem --operation A+B --operands 0..=29 --ablation cama";
        let mut command = af1("");
        command
            .args(args.split(' '))
            .words("--batch 900 --format json")
            .args(more);
        let text = stdout(&mut command);
        serde_json::from_str::<serde_json::Value>(text.lines().next().unwrap()).unwrap()
    };
    let (whole, halved) = (run(&[]), run(&["--device-memory", "20MB"]));
    assert!(whole.get("batch_halved_to").is_none(), "{whole}");
    let batch = halved["batch_halved_to"].as_u64().unwrap();
    assert!((1..=450).contains(&batch), "{batch}");
    assert_eq!(halved["provenance"]["batch"], 900);
    for field in ["answers", "base_answers", "correct_given_base", "verdict"] {
        assert_eq!(whole[field], halved[field], "{field}");
    }
}

/// What a device reads off logits is what the definitions say, in f64, one token after another; equal logits, several right answers and
/// broken values among them, each prompt's own right answers and those of all.
#[rstest]
fn measures_are_those_of_the_definitions(#[values(Right::Own, Right::Shared)] whose: Right) {
    // Tensors are the runtime's.
    let runtime = runtime();
    let (vocab, prompts, most) = (1003, 6, 2);
    let noise = |seed: usize, i: usize| ((i * 7919 + seed * 104729) % 997) as f32 / 60.0;
    // More rows than prompts, in another order.
    let mut logits = Array2::from_shape_fn((8, vocab), |(row, i)| noise(row, i));
    let rows = [3usize, 0, 0, 7, 5, 6];
    logits[[5, 400]] = f32::NAN;
    logits[[6, 1002]] = f32::INFINITY;
    let base = Array2::from_shape_fn((prompts, vocab), |(row, i)| noise(row + 11, i) - 3.0);
    let (answers, given) = match whose {
        Right::Own => {
            let answers = [[0, 0], [1002, 1002], [17, 18], [900, 3], [500, 500], [1, 2]];
            let given = Array2::from_shape_fn((prompts, most), |(row, i)| answers[row][i] as i64);
            (answers, Tensor::from_i64(given).unwrap())
        }
        Right::Shared => {
            let of_all = Array1::from_vec(vec![900, 3]);
            ([[900, 3]; 6], Tensor::from_i64(of_all).unwrap())
        }
    };

    let graph = score::score(vocab, whose);
    let mut part = Part::new(runtime, &Device::Cpu, &graph, Path::new(".")).unwrap();
    let at = rows.iter().map(|&row| row as i64).collect::<Array1<i64>>();
    let inputs = [
        (LOGITS, &Tensor::from_f32(logits.clone()).unwrap()),
        (score::ROWS, &Tensor::from_i64(at).unwrap()),
        (score::ANSWERS, &given),
        (score::REFERENCE, &Tensor::from_f32(base.clone()).unwrap()),
    ];
    let [measures] = part.run(&inputs, [score::MEASURES]).unwrap();
    let measures = measures.view::<Ix2>().unwrap();
    for prompt in 0..prompts {
        let (q, p, found) = (
            logits.row(rows[prompt]),
            base.row(prompt),
            measures.row(prompt),
        );
        assert_eq!(found[4] == 1.0, q.iter().all(|x| x.is_finite()), "{prompt}");
        if found[4] != 1.0 {
            continue;
        }
        let right = |i: usize| answers[prompt].contains(&i);
        let most = |wanted: bool| {
            let chosen = (0..vocab).filter(|&i| right(i) == wanted).map(|i| q[i]);
            chosen.fold(f32::NEG_INFINITY, f32::max)
        };
        let at = answers[prompt]
            .iter()
            .filter(|&&i| q[i] == most(true))
            .min();
        let at = *at.unwrap();
        let before = (0..vocab).filter(|&i| q[i] > q[at] || q[i] == q[at] && i < at);
        let largest = most(true).max(most(false));
        let predicted = (0..vocab).find(|&i| q[i] == largest).unwrap();
        let log = |x: ArrayView1<'_, f32>| {
            let sum: f64 = x.iter().map(|&x| f64::from(x).exp()).sum();
            x.mapv(|x| f64::from(x) - sum.ln())
        };
        let (log_p, log_q) = (log(p), log(q));
        let kl: f64 = log_p
            .iter()
            .zip(&log_q)
            .map(|(p, q)| p.exp() * (p - q))
            .sum();
        assert_eq!(found[0], predicted as f32);
        assert_eq!(found[1], most(true) - most(false));
        assert_eq!(found[2], 1.0 + before.count() as f32);
        assert!(
            (f64::from(found[3]) - kl).abs() < IN_32_BITS * kl,
            "{} {kl}",
            found[3]
        );
    }
}
