//! Models against independent references: PyTorch with transformers, the Python package gguf, llama.cpp's tokenizer.
//! The fixtures and the scripts that made them are in `fixtures/reference/`.

mod real;

use std::path::Path;

use af1::fetch::Cache;
use af1::graph::{Dtype, Graph};
use af1::intervene::Mask;
use af1::measure::Biases;
use af1::model::dequantise::GgmlType;
use af1::model::{BosChoice, Layout, Model, RopeScaling, Store};
use af1::runtime::{Engine, Placement, Tensor};
use ndarray::{Array2, Ix3};
use rstest::rstest;

use super::fixtures::{
    PARITY, QWEN, SMOLLM2, cache, copied, distance, families, floats, ints, json, load, path,
    runtime, tiny,
};

pub fn ids(value: &serde_json::Value) -> Array2<i64> {
    let rows: Vec<Vec<i64>> = value.as_array().unwrap().iter().map(ints).collect();
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(b, t)| rows[b][t])
}

/// Every residual boundary and the logits.
pub fn forward(engine: &mut Engine, ids: Array2<i64>) -> (Vec<Tensor>, Array2<f32>) {
    let biases = Biases::new(ids.ncols()).unwrap();
    let mut streams = vec![engine.embed(ids, 0).unwrap()];
    for layer in 0..engine.layers() {
        let next = engine
            .layer(layer, &streams[layer], biases.of(&Mask::Causal))
            .unwrap();
        streams.push(next);
    }
    let logits = engine.logits(streams.last().unwrap()).unwrap();
    let logits = logits.view().unwrap().to_owned();
    (streams, logits)
}

/// Every type that can be widened is in the fixture.
#[test]
fn dequantisation_equals_gguf_py() {
    let fixture = json("reference/dequant.json");
    let entries = fixture["types"].as_array().unwrap();
    let mut seen: Vec<&str> = entries
        .iter()
        .map(|entry| entry["type"].as_str().unwrap())
        .collect();
    let supported = GgmlType::supported();
    let mut supported: Vec<&str> = supported.split(", ").collect();
    seen.sort_unstable();
    supported.sort_unstable();
    assert_eq!(seen, supported);
    for entry in entries {
        let name = entry["type"].as_str().unwrap();
        let kind = GgmlType::from_name(name).unwrap();
        let number = entry["ggml_type"].as_u64().unwrap() as u32;
        assert_eq!(GgmlType::from_number(number), Some(kind));
        for block in entry["blocks"].as_array().unwrap() {
            let hex = block["hex"].as_str().unwrap();
            let bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
                .collect();
            assert_eq!(
                kind.widen(&bytes),
                floats(&block["values"]),
                "{name} is exact"
            );
        }
    }
}

#[rstest]
fn tiny_models_equal_transformers(#[values("f32", "sharded", "f16", "bf16", "tied")] folder: &str) {
    let expected = json("reference/tiny-llama/expected.json");
    let sets = expected["sets"].as_array().unwrap();
    let set = sets
        .iter()
        .find(|set| set["folders"].as_array().unwrap().contains(&folder.into()))
        .unwrap();
    let (_, mut engine) = tiny(folder);
    for case in set["cases"].as_array().unwrap() {
        equals(folder, &mut engine, case);
    }
}

/// Every residual boundary and the logits of families that differ from Llama, and the logits of their weights in 16 bits.
#[test]
fn families_equal_transformers() {
    for family in families() {
        family_equals_transformers(&family);
    }
}

fn family_equals_transformers(family: &str) {
    let expected = json("reference/tiny-families/expected.json");
    let expected = &expected["families"][family];
    let folder = path("reference/tiny-families").join(family);
    let (model, mut engine) = load(&folder.to_string_lossy());
    let named = family.split('-').next().unwrap();
    assert_eq!(model.decoder("").unwrap().spec.family.to_string(), named);
    // No longer than the window.
    let slides = ["mistral", "gemma2", "gemma3_text", "phi3", "olmo3"].contains(&family);
    assert_eq!(model.sizes.context, Some(if slides { 32 } else { 64 }));
    equals(family, &mut engine, expected);

    // Widened once, and in every run.
    let rounded = in_bf16(&folder);
    let of_bf16 = expected["logits_of_bf16"].as_array().unwrap();
    let of_bf16: Vec<f32> = of_bf16.iter().flat_map(floats).collect();
    let (model, _) = load(&rounded.path().to_string_lossy());
    for mapped in [false, true] {
        let placement = Placement {
            mapped: Some(mapped),
            ..Placement::default()
        };
        let mut engine = Engine::new(runtime(), &placement, &model).unwrap();
        let (_, logits) = forward(&mut engine, ids(&expected["ids"]));
        let distance = distance(logits.as_slice().unwrap(), &of_bf16);
        assert!(distance < PARITY, "{family} in bf16: {distance}");
    }
}

/// Matrices are widened row by row and column by column: the second is the first one transposed, whatever their blocks.
#[rstest]
fn columns_are_rows_transposed(
    #[values("tiny-gguf/qwen2.gguf", "tiny-llama/llama3.2.gguf", SMOLLM2, QWEN)] name: &str,
) {
    let file = path("reference").join(name);
    let reference = match file.exists() {
        true => file.to_string_lossy(),
        false => name.into(),
    };
    let model = Model::load(&reference, &BosChoice::Default, &cache()).unwrap();
    let (graph, store) = model.resolve(&model.graph().unwrap()).unwrap();
    let Store::Widened(widened) = store else {
        panic!("{name} is a GGUF file");
    };
    let mut matrices = 0;
    // Of the large models some layers, whose kinds of blocks differ.
    let early = |name: &str| !name.contains("layers.") || name.contains("layers.0.");
    for (tensor, shape) in widened.shapes() {
        let &[rows, columns] = shape else { continue };
        if rows * columns > 1 << 25 || !early(tensor) {
            continue;
        }
        matrices += 1;
        let mut by_row = vec![f32::NAN; rows * columns];
        let mut by_column = by_row.clone();
        widened.fill(tensor, Layout::RowMajor, &mut by_row).unwrap();
        widened
            .fill(tensor, Layout::ColumnMajor, &mut by_column)
            .unwrap();
        let transposed = (0..columns).flat_map(|c| by_row.iter().skip(c).step_by(columns));
        assert!(by_column.iter().eq(transposed), "{name}: {tensor}");
    }
    assert!(matrices >= 7, "{name} has {matrices} matrices");

    // What a session is given has no matrix left to transpose.
    let (without, turned) = graph.without_transposes();
    let left = |graph: &Graph| {
        let of_weights = graph.nodes.iter().filter(|node| {
            node.op == "Transpose" && graph.weights.iter().any(|of| of.name == node.inputs[0])
        });
        of_weights.count()
    };
    assert_eq!((left(&graph), left(&without)), (turned.len(), 0), "{name}");
    assert_eq!(turned.len(), 7 * model.sizes.layers, "{name}");
}

/// Whether weights stay mapped is decided by the model alone: those of 16 bits, from a size on.
#[test]
fn large_models_stay_mapped() {
    let (model, _) = tiny("bf16");
    let decided = |graph: &Graph| Placement::default().decide(graph).mapped;
    let mut graph = model.graph().unwrap();
    assert_eq!(decided(&graph), Some(false));
    for weight in &mut graph.weights {
        weight.shape = vec![1 << 15, 1 << 15];
    }
    assert_eq!(decided(&graph), Some(true));
    for weight in &mut graph.weights {
        weight.dtype = Dtype::F32;
    }
    assert_eq!(decided(&graph), Some(false));
}

/// Configurations of files before transformers 5 say the same: the graphs are equal, byte for byte.
#[rstest]
#[case("gpt_neox", &[("rotary_pct", "0.5"), ("rotary_emb_base", "500")])]
#[case("phi3", &[("rope_theta", "500.0"), ("partial_rotary_factor", "0.5"), ("rope_scaling", "null")])]
#[case("gemma2", &[("rope_theta", "500.0"), ("tie_word_embeddings", ""), ("hidden_act", "\"gelu_pytorch_tanh\"")])]
#[case("gemma3_text", &[("rope_theta", "5000.0"), ("rope_scaling", r#"{"rope_type": "linear", "factor": 2.0}"#),
    ("rope_local_base_freq", "300.0"), ("layer_types", ""), ("sliding_window_pattern", "2")])]
#[case("olmo3", &[("rope_theta", "500.0"), ("layer_types", ""), ("sliding_window_pattern", "2"),
    ("rope_scaling", r#"{"type": "yarn", "factor": 8.0, "original_max_position_embeddings": 16, "beta_fast": 4.0}"#)])]
#[case("gptj", &[("tie_word_embeddings", ""), ("n_inner", "64")])]
#[case("gpt2", &[("tie_word_embeddings", ""), ("scale_attn_weights", "")])]
fn older_spellings_say_the_same(#[case] family: &str, #[case] fields: &[(&str, &str)]) {
    let original = path("reference/tiny-families").join(family);
    let folder = copied(&original);
    let config_path = folder.path().join("config.json");
    let text = std::fs::read_to_string(&config_path).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config.as_object_mut().unwrap().remove("rope_parameters");
    for &(field, value) in fields {
        match value {
            "" => drop(config.as_object_mut().unwrap().remove(field).unwrap()),
            value => config[field] = serde_json::from_str(value).unwrap(),
        }
    }
    std::fs::write(&config_path, config.to_string()).unwrap();
    let graph = |folder: &Path| {
        let model = Model::load(&folder.to_string_lossy(), &BosChoice::Default, &cache());
        model.unwrap().graph().unwrap().to_bytes()
    };
    assert!(graph(&original) == graph(folder.path()), "{family}");
}

/// The first files of GPT-2 name their tensors without `transformer.` and hold the causal mask as a tensor.
#[test]
fn first_files_of_gpt2_say_the_same() {
    let original = path("reference/tiny-families/gpt2");
    let folder = copied(&original);
    let bytes = std::fs::read(original.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let bare = |(name, view): (&str, _)| (name.trim_start_matches("transformer.").to_owned(), view);
    let mut views: Vec<(String, safetensors::tensor::TensorView<'_>)> =
        tensors.iter().map(bare).collect();
    let mask = vec![1u8; 64 * 64];
    let mask =
        safetensors::tensor::TensorView::new(safetensors::Dtype::BOOL, vec![1, 1, 64, 64], &mask);
    views.push(("h.0.attn.bias".to_owned(), mask.unwrap()));
    let file = folder.path().join("model.safetensors");
    safetensors::serialize_to_file(views, None, &file).unwrap();
    let expected = &json("reference/tiny-families/expected.json")["families"]["gpt2"];
    let (_, mut engine) = load(&folder.path().to_string_lossy());
    equals("gpt2", &mut engine, expected);
}

/// A copy of a folder whose weights are rounded to bf16.
fn in_bf16(folder: &Path) -> tempfile::TempDir {
    let copy = copied(folder);
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let round = |four: &[u8]| half::bf16::from_f32(f32::from_le_bytes(four.try_into().unwrap()));
    let rounded: Vec<(String, Vec<usize>, Vec<u8>)> = (tensors.iter())
        .map(|(name, view)| {
            let values = view.data().chunks_exact(4).map(round);
            let bytes = values.flat_map(|x| x.to_le_bytes()).collect();
            (name.to_owned(), view.shape().to_vec(), bytes)
        })
        .collect();
    let views = rounded.iter().map(|(name, shape, bytes)| {
        let dtype = safetensors::Dtype::BF16;
        let view = safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes);
        (name, view.unwrap())
    });
    let file = copy.path().join("model.safetensors");
    safetensors::serialize_to_file(views, None, &file).unwrap();
    copy
}

/// Every residual boundary and the logits of some sequences.
pub fn equals(what: &str, engine: &mut Engine, case: &serde_json::Value) {
    let (streams, logits) = forward(engine, ids(&case["ids"]));
    for (layer, stream) in streams.iter().enumerate() {
        let expected: Vec<f32> = case["resid"][layer]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|row| row.as_array().unwrap().iter().flat_map(floats))
            .collect();
        let found: Vec<f32> = stream.view::<Ix3>().unwrap().iter().copied().collect();
        let distance = distance(&found, &expected);
        assert!(
            distance < PARITY,
            "{what}: resid.{layer} differs by {distance}"
        );
    }
    let expected: Vec<f32> = case["logits"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(floats)
        .collect();
    let distance = distance(logits.as_slice().unwrap(), &expected);
    assert!(distance < PARITY, "{what}: logits differ by {distance}");
}

/// Scaled rotary frequencies, in both spellings of the configuration, at a position far beyond the original length.
#[rstest]
fn scaled_rotary_embedding_equals_transformers(#[values(0, 1, 2, 3, 4, 5, 6, 7, 8)] case: usize) {
    let case = &json("reference/rope.json")["cases"][case];
    let folder = copied(&path("reference/tiny-llama/f32"));
    let config_path = folder.path().join("config.json");
    let text = std::fs::read_to_string(&config_path).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (field, value) in case["config"].as_object().unwrap() {
        match value.is_null() {
            true => drop(config.as_object_mut().unwrap().remove(field)),
            false => config[field] = value.clone(),
        }
    }
    std::fs::write(&config_path, config.to_string()).unwrap();
    equals_at_the_end(&folder.path().display().to_string(), case);
}

/// GGUF files of Llama 3.1 and 3.2 have what frequencies are divided by, and not why.
#[rstest]
#[case("llama3.1", 8.0, 4)]
#[case("llama3.2", 32.0, 5)]
fn scaled_gguf_files_equal_transformers(
    #[case] name: &str,
    #[case] factor: f64,
    #[case] case: usize,
) {
    let file = path("reference/tiny-llama").join(format!("{name}.gguf"));
    equals_at_the_end(
        &file.to_string_lossy(),
        &json("reference/rope.json")["cases"][case],
    );
    let (model, _) = load(&file.to_string_lossy());
    let rotary = model.decoder("").unwrap().spec.rotary.clone().unwrap();
    let scaling = RopeScaling::Llama3 {
        factor,
        low: 1.0,
        high: 4.0,
        original: 8192.0,
    };
    assert_eq!(rotary.scaling, scaling);
}

/// Divisors of no scaling that is known are not taken for one that is.
#[test]
fn unknown_divisors_in_gguf_files() {
    let bytes = std::fs::read(path("reference/tiny-llama/llama3.1.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.gguf");
    let eight = 8f32.to_le_bytes();
    let ones = [1f32.to_le_bytes(), 1f32.to_le_bytes()].concat();
    let begins = |at: &usize| bytes[*at..].starts_with(&ones) && bytes[at + 12..at + 16] == eight;
    let at: Vec<usize> = (0..bytes.len() - 16).filter(begins).collect();
    let [at] = *at else {
        panic!("the divisors are at {at:?}")
    };
    let mut other = bytes.clone();
    other[at + 12..at + 16].copy_from_slice(&8.1f32.to_le_bytes());
    std::fs::write(&file, other).unwrap();
    let cache = Cache::at(folder.path().join("cache"));
    let found = Model::load(&file.to_string_lossy(), &BosChoice::Default, &cache);
    let message = found.unwrap_err().to_string();
    assert!(
        message.contains("rope_freqs.weight") && message.contains("Llama 3.1"),
        "{message}"
    );
}

/// Streams and logits at the last position of one sequence.
fn equals_at_the_end(reference: &str, case: &serde_json::Value) {
    let (_, mut engine) = load(reference);
    let row = ints(&case["ids"]);
    let ids = Array2::from_shape_vec((1, row.len()), row).unwrap();
    let (streams, logits) = forward(&mut engine, ids);
    for (layer, stream) in streams.iter().enumerate() {
        let stream = stream.view::<Ix3>().unwrap();
        let last = stream.slice(ndarray::s![0, -1, ..]).to_vec();
        let apart = distance(&last, &floats(&case["resid"][layer]));
        assert!(apart < PARITY, "resid.{layer} differs by {apart}");
    }
    let apart = distance(logits.as_slice().unwrap(), &floats(&case["logits"]));
    assert!(apart < PARITY, "logits differ by {apart}");
}
