//! Graphs as files: cutting, the committed graphs, and running a model in one piece.

use af1::error::exit;
use af1::graph::{INPUT_IDS, LOGITS, POSITION_IDS, attn_bias, resid};
use af1::intervene::Mask;
use af1::measure::{Biases, base_forward};
use af1::model::planted::Route;
use af1::model::{BosChoice, Model, PRESETS, Preset, Supply};
use af1::runtime::{Device, Engine, Part, Placement, Tensor};
use ndarray::{Array2, Ix2, IxDyn};
use rstest::rstest;

use super::bad_input::refused;
use super::fixtures::{cache, distance, load, path, runtime, smollm2, tiny};
use super::program::{Words, af1, stdout};

/// How far the same model may differ when it is cut in another way: fused kernels sum in another order. Small beside
/// [`super::fixtures::PARITY`].
const SEGMENTS: f32 = 5e-5;

fn ids(vocab: usize) -> Array2<i64> {
    Array2::from_shape_fn((3, 6), |(b, t)| ((7 + 11 * b + 5 * t) % vocab) as i64)
}

fn segments_agree(model: &Model, engine: &mut Engine) {
    let ids = ids(90);
    let biases = Biases::new(ids.ncols()).unwrap();
    let layers = model.sizes.layers;
    let every: Vec<usize> = (0..=layers).collect();
    let (captured, in_pieces) = base_forward(engine, ids.clone(), &biases, &every).unwrap();

    let graph = model.graph().unwrap();
    let (graph, weights) = model.resolve(&graph).unwrap();
    let mut whole = Part::new(runtime(), &Device::Cpu, &graph, &weights).unwrap();
    let positions = Array2::from_shape_fn(ids.dim(), |(_, t)| t as i64);
    let (ids, positions) = (
        Tensor::from_i64(ids).unwrap(),
        Tensor::from_i64(positions).unwrap(),
    );
    let names: Vec<String> = (0..layers).map(attn_bias).collect();
    let mut inputs = vec![(INPUT_IDS, &ids), (POSITION_IDS, &positions)];
    inputs.extend(
        names
            .iter()
            .map(|name| (name.as_str(), biases.of(&Mask::Causal))),
    );
    let [in_one] = whole.run(&inputs, [LOGITS]).unwrap();
    let apart = distance(
        in_one.view::<Ix2>().unwrap().as_slice().unwrap(),
        in_pieces.as_slice().unwrap(),
    );
    assert!(apart < SEGMENTS, "one piece and {layers} differ by {apart}");

    // A captured residual stream, fed back at its boundary, gives the same logits and the same later streams.
    for (from, to) in [
        (0, None),
        (layers / 2, None),
        (layers, None),
        (0, Some(1)),
        (1, Some(layers)),
    ] {
        let output = to.map_or(LOGITS.to_owned(), resid);
        let name = format!("{}..{output}", resid(from));
        let segment = graph
            .cut(&name, &[resid(from)], std::slice::from_ref(&output))
            .unwrap();
        let mut part = Part::new(runtime(), &Device::Cpu, &segment, &weights).unwrap();
        let stream = Tensor::from_f32(captured[&from].clone()).unwrap();
        let from_name = resid(from);
        let mut inputs = vec![(POSITION_IDS, &positions), (&*from_name, &stream)];
        inputs.extend(
            names
                .iter()
                .map(|name| (name.as_str(), biases.of(&Mask::Causal))),
        );
        let [end] = part.run(&inputs, [&output]).unwrap();
        let end = end.view::<IxDyn>().unwrap();
        let expected = to.map_or(in_pieces.view().into_dyn(), |to| {
            captured[&to].view().into_dyn()
        });
        // Residuals of deep layers are in the hundreds: the difference is relative to their size.
        let size = match to {
            Some(_) => expected.iter().fold(1.0f32, |most, x| most.max(x.abs())),
            None => 1.0,
        };
        let apart = distance(end.as_slice().unwrap(), expected.as_slice().unwrap()) / size;
        assert!(apart < SEGMENTS, "segment {name} differs by {apart}");
    }
}

#[rstest]
fn tiny_models_run_in_one_piece_and_in_many(#[values("f32", "bf16", "tied")] folder: &str) {
    let (model, mut engine) = tiny(folder);
    segments_agree(&model, &mut engine);
}

#[test]
fn smollm2_runs_in_one_piece_and_in_many() {
    let loaded = smollm2();
    segments_agree(&loaded.0, &mut loaded.1.lock().unwrap());
}

#[test]
fn every_cut_has_what_it_needs_and_no_more() {
    let (model, _) = tiny("f32");
    let graph = model.graph().unwrap();
    let layer = graph.cut("layer", &[resid(1)], &[resid(2)]).unwrap();
    let inputs: Vec<&str> = layer.inputs.iter().map(|port| port.name.as_str()).collect();
    assert_eq!(inputs, ["resid.1", "position_ids", "attn_bias.1"]);
    assert!(
        layer
            .weights
            .iter()
            .all(|weight| weight.name.starts_with("model.layers.1."))
    );
    assert_eq!(layer.weights.len(), 9);
    // With keys and values given, neither their weights nor anything of the tokens they are of is left.
    let seen = ["resid.1", "attn_key.1", "attn_value.1"].map(str::to_owned);
    let rest = graph.cut("rest", &seen, &[resid(2)]).unwrap();
    assert_eq!(rest.weights.len(), 7);
    let made = graph
        .cut("keys and values", &[resid(1)], &seen[1..])
        .unwrap();
    let inputs: Vec<&str> = made.inputs.iter().map(|port| port.name.as_str()).collect();
    assert_eq!(inputs, ["resid.1", "position_ids"]);
    assert_eq!(made.weights.len(), 3);
    let head = graph
        .cut("head", &[resid(3)], &[LOGITS.to_owned()])
        .unwrap();
    let inputs: Vec<&str> = head.inputs.iter().map(|port| port.name.as_str()).collect();
    assert_eq!(inputs, ["resid.3"]);
    let both = graph
        .cut("both", &[resid(1)], &[resid(2), resid(3)])
        .unwrap();
    let inner: Vec<&str> = both
        .boundaries
        .iter()
        .map(|port| port.name.as_str())
        .collect();
    let of_layer = |l: usize| {
        ["attn_key", "attn_value", "attn_pattern", "attn_out"].map(|name| format!("{name}.{l}"))
    };
    let expected = [of_layer(1), of_layer(2)].concat();
    // resid.2 is given back, not inside.
    assert_eq!(inner, expected);
    assert_eq!(
        graph.cut("x", &["resid.9".to_owned()], &[resid(2)]),
        Err("resid.9".to_owned())
    );
}

/// A GGUF file is exported as the safetensors file into which the graph's references point: its weights are those that the file was made
/// of, the rows of queries and keys in Hugging Face's order again.
#[test]
fn a_gguf_file_is_exported_with_its_weights() {
    let gguf = path("reference/tiny-llama/llama3.1.gguf");
    let model = Model::load(&gguf.to_string_lossy(), &BosChoice::Default, &cache()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let export = || {
        let mut command = af1("");
        command.words("export --model").arg(&gguf).arg("--out");
        stdout(command.arg(folder.path()));
    };
    export();
    let bytes = |path: &std::path::Path| std::fs::read(path).unwrap();
    let (written, source) = (
        bytes(&folder.path().join("model.safetensors")),
        bytes(&path("reference/tiny-llama/f32/model.safetensors")),
    );
    let source = safetensors::SafeTensors::deserialize(&source).unwrap();
    let graph = model.graph().unwrap();
    assert_eq!(graph.weights.len(), source.len());
    for weight in &graph.weights {
        let range = weight.offset as usize..(weight.offset + weight.length) as usize;
        let expected = source.tensor(&weight.name).unwrap();
        assert_eq!(weight.file, "model.safetensors");
        assert_eq!(weight.shape, expected.shape(), "{}", weight.name);
        assert!(written[range] == *expected.data(), "{}", weight.name);
    }
    // As a folder it is the same model: graph, tokenizer and answers.
    let whole = tempfile::tempdir().unwrap();
    model.write_folder(whole.path()).unwrap();
    assert!(bytes(&whole.path().join("model.safetensors")) == written);
    let (of_folder, mut engine) = load(&whole.path().to_string_lossy());
    assert_eq!(of_folder.graph().unwrap(), graph);
    assert_eq!(of_folder.tokenizer.hash(), model.tokenizer.hash());
    assert_eq!(of_folder.front.bos, model.front.bos);
    let biases = Biases::new(6).unwrap();
    let (_, from_folder) = base_forward(&mut engine, ids(90), &biases, &[]).unwrap();
    for mapped in [false, true] {
        let placement = Placement {
            mapped: Some(mapped),
            ..Placement::default()
        };
        let mut engine = Engine::new(runtime(), &placement, &model).unwrap();
        let (_, from_gguf) = base_forward(&mut engine, ids(90), &biases, &[]).unwrap();
        let apart = distance(
            from_gguf.as_slice().unwrap(),
            from_folder.as_slice().unwrap(),
        );
        assert!(apart < SEGMENTS, "mapped {mapped}: {apart}");
    }
    // A second time nothing changes; another model's weights are not replaced.
    export();
    assert!(bytes(&folder.path().join("model.safetensors")) == written);
    std::fs::write(folder.path().join("model.safetensors"), "another's").unwrap();
    let mut command = af1("");
    command.words("export --model").arg(&gguf).arg("--out");
    refused(
        command.arg(folder.path()),
        exit::USAGE,
        &["another model's", "choose an empty folder"],
    );
}

/// The graphs in `onnx/` are what the program writes today. To renew them: `AF1_RENEW=1 cargo test committed_graphs`.
#[test]
fn committed_graphs_are_current() {
    let (tiny, _) = tiny("f32");
    let load = |preset: &Preset| {
        let model = Model::load(preset.name, &BosChoice::Default, &cache()).unwrap();
        let name = match preset.supply {
            // Planted models of one depth and one kind of numbers differ in nothing but their weights.
            Supply::Planted(plant) => match plant.route {
                Route::Digits { .. } => format!("planted-digits-{}-layers", plant.layers),
                _ => format!("planted-{}-layers", plant.layers),
            },
            _ => preset.name.to_owned(),
        };
        (name, model)
    };
    let here = |preset: &&Preset| !matches!(preset.supply, Supply::Hub(_));
    let models = PRESETS
        .iter()
        .filter(here)
        .map(load)
        .chain([("tiny-llama".to_owned(), tiny)]);
    for (name, model) in models {
        let file = path("..").join("onnx").join(format!("{name}.onnx"));
        let bytes = model.graph().unwrap().to_bytes();
        if std::env::var_os("AF1_RENEW").is_some() {
            std::fs::write(&file, &bytes).unwrap();
        }
        assert!(
            std::fs::read(&file).is_ok_and(|committed| committed == bytes),
            "{} is out of date",
            file.display()
        );
    }
}
