//! Models that were trained: their logits and streams on 64 prompts, and their tokens.

use af1::runtime::Engine;
use ndarray::{Array2, Ix3};

use super::forward;
use crate::fixtures::{PARITY, QWEN, distance, floats, ints, json, load, smollm2};

#[test]
fn smollm2_logits_equal_transformers_on_64_prompts() {
    let loaded = smollm2();
    let mut engine = loaded.1.lock().unwrap();
    equal_on_64_prompts(&mut engine, &json("reference/smollm2_logits.json"));
}

/// The logits of a file whose weights have four and more kinds of blocks, without a token in front of the prompts.
#[test]
fn qwen_logits_equal_transformers_on_64_prompts() {
    // Not kept: it is four times as large as the other one.
    let (_, mut engine) = load(QWEN);
    equal_on_64_prompts(&mut engine, &json("reference/qwen25_coder_logits.json"));
}

/// Logits of 64 prompts, and residuals at the last position of three of them.
fn equal_on_64_prompts(engine: &mut Engine, fixture: &serde_json::Value) {
    let root = (engine.d_model() as f32).sqrt();
    let indices = ints(&fixture["indices"]);
    let prompts = fixture["prompts"].as_array().unwrap();
    assert_eq!(prompts.len(), 64);
    let mut with_residuals = 0;
    for prompt in prompts {
        let row = ints(&prompt["ids"]);
        let (streams, logits) =
            forward(engine, Array2::from_shape_vec((1, row.len()), row).unwrap());
        let logits = logits.row(0);
        let at = |ids: &[i64]| -> Vec<f32> { ids.iter().map(|&id| logits[id as usize]).collect() };
        let text = &prompt["text"];
        let top = distance(
            &at(&ints(&prompt["top_ids"])),
            &floats(&prompt["top_logits"]),
        );
        assert!(top < PARITY, "{text}: top logits differ by {top}");
        let rest = distance(&at(&indices), &floats(&prompt["logits_at_indices"]));
        assert!(rest < PARITY, "{text}: logits differ by {rest}");
        let largest = (0..logits.len())
            .max_by(|&a, &b| logits[a].total_cmp(&logits[b]))
            .unwrap();
        assert_eq!(largest as i64, prompt["argmax"].as_i64().unwrap(), "{text}");
        let sum: f64 = logits
            .iter()
            .map(|&l| f64::from(l - logits[largest]).exp())
            .sum();
        let logsumexp = f64::from(logits[largest]) + sum.ln();
        let difference = (logsumexp - prompt["logsumexp"].as_f64().unwrap()).abs() as f32;
        assert!(
            difference < PARITY,
            "{text}: logsumexp differs by {difference}"
        );

        let Some(expected) = prompt
            .get("resid_last_position")
            .and_then(|value| value.as_array())
        else {
            continue;
        };
        with_residuals += 1;
        assert_eq!(expected.len(), streams.len());
        for (layer, (stream, expected)) in streams.iter().zip(expected).enumerate() {
            let view = stream.view::<Ix3>().unwrap();
            let last = view.slice(ndarray::s![0, -1, ..]);
            let first: Vec<f32> = last.iter().take(16).copied().collect();
            let norm = last
                .iter()
                .map(|x| f64::from(*x).powi(2))
                .sum::<f64>()
                .sqrt();
            // Residuals grow to hundreds; the tolerance is absolute at 1 and relative above.
            let scale = f32::max(1.0, norm as f32 / root);
            let distance = distance(&first, &floats(&expected["first"])) / scale;
            assert!(
                distance < PARITY,
                "{text}: resid.{layer} differs by {distance}"
            );
            let difference = (norm / expected["norm"].as_f64().unwrap() - 1.0).abs() as f32;
            assert!(
                difference < PARITY,
                "{text}: the norm of resid.{layer} differs by {difference}"
            );
        }
    }
    assert_eq!(with_residuals, 3);
}

#[test]
fn smollm2_tokens_equal_llama_cpp() {
    let loaded = smollm2();
    let tokenizer = &loaded.0.tokenizer;
    let encode = |text: &str| -> Vec<i64> {
        tokenizer
            .encode(text)
            .unwrap()
            .iter()
            .map(|token| i64::from(token.id))
            .collect()
    };
    let fixture = json("reference/smollm2_tokens.json");
    let texts = fixture["texts"].as_array().unwrap();
    assert!(texts.len() > 300);
    for entry in texts {
        assert_eq!(
            encode(entry["text"].as_str().unwrap()),
            ints(&entry["ids"]),
            "{}",
            entry["text"]
        );
    }
    // Names of special tokens in a text are those tokens, as in transformers.
    for entry in fixture["special_texts"].as_array().unwrap() {
        let found = encode(entry["text"].as_str().unwrap());
        assert_eq!(
            found,
            ints(&entry["ids_parse_special"]),
            "{}",
            entry["text"]
        );
    }
}
