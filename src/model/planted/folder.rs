//! A planted model as a folder in Hugging Face's layout.

use std::path::Path;

use ndarray::Array2;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use super::channel::{STREAM, Stream};
use super::digits;
use super::digits::Digits;
use super::layer::{D_HEAD, D_MLP, HEADS};
use super::number::FREQUENCIES;
use super::plant::{LATER, LEAK, Plant, Route};
use super::tokenizer::{self, BOS};
use super::wording::Wording;
use crate::model::family::architecture::Description;
use crate::model::family::base::describe;
use crate::model::family::config::Config;
use crate::model::family::llama::Llama;
use crate::model::names::WeightNames;
use crate::{Error, Result};

impl Plant {
    /// Writes the model as a folder in Hugging Face's layout.
    ///
    /// # Errors
    /// The folder cannot be written.
    ///
    /// # Panics
    /// If the plant has fewer layers than it needs.
    pub fn write(&self, folder: &Path) -> Result<()> {
        self.check();
        let wording = Wording::built_in();
        let apart = matches!(self.route, Route::Digits { .. });
        let vocabulary = match apart {
            true => digits::vocabulary(&wording),
            false => tokenizer::vocabulary(&wording),
        };
        let tokenizer = match apart {
            true => digits::tokenizer(&vocabulary),
            false => tokenizer::tokenizer(&vocabulary),
        };
        let config = Config::new(
            self.layers,
            [self.stream().channels, HEADS, D_HEAD, D_MLP],
            vocabulary.len(),
        );
        let Description { names, .. } = describe(&Llama, &config, folder)?;
        let put = |name: &str, json: &Value| {
            let path = folder.join(name);
            std::fs::write(&path, json.to_string()).map_err(|e| Error::caching(&path, e))
        };
        put(
            "config.json",
            &serde_json::to_value(&config).expect("a configuration is plain data"),
        )?;
        put("tokenizer.json", &tokenizer)?;
        put(
            "tokenizer_config.json",
            &json!({ "bos_token": BOS, "add_bos_token": self.has_bos() }),
        )?;

        let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .tensors(&vocabulary, &wording, &names)
            .into_iter()
            .map(|(name, weights)| {
                let bytes = weights
                    .iter()
                    .flat_map(|&w| (w as f32).to_le_bytes())
                    .collect();
                // A norm has one axis.
                let shape = match weights.dim() {
                    (1, d) => vec![d],
                    (rows, columns) => vec![rows, columns],
                };
                (name, shape, bytes)
            })
            .collect();
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
            (name, view.expect("as many bytes as the shape says"))
        });
        let path = folder.join("model.safetensors");
        safetensors::serialize_to_file(views, None, &path)
            .map_err(|e| Error::caching(&path, std::io::Error::other(e)))
    }

    /// The residual stream of the planted model.
    fn stream(&self) -> Stream {
        match self.route {
            Route::Digits { .. } => digits::STREAM,
            _ => STREAM,
        }
    }

    /// Checks that the route has room.
    fn check(&self) {
        if let Route::Digits { by, .. } = self.route {
            self.check_digits(by);
        }
        let most = FREQUENCIES.len();
        assert!(
            self.wait >= 1 && (1..=most).contains(&self.transfer),
            "a plant waits, and transfers in 1 to {most} layers"
        );
        let least = match self.route {
            Route::TwoHop | Route::Noisy { .. } => 2,
            Route::Relay => 3,
            _ => 1,
        };
        assert!(self.transfer >= least, "the route takes {least} layers");
        let leaks_early = self.route != Route::Leak || self.wait > LEAK;
        assert!(leaks_early, "the leak comes while all tokens wait");
        let apart = self.route != Route::Style || self.transfer <= LATER;
        assert!(
            apart,
            "the later route begins where the earlier one is over"
        );
        assert!(
            self.layers >= self.least_layers(),
            "the route takes more layers"
        );
    }

    /// Checks that a route of digits has room.
    fn check_digits(&self, by: Digits) {
        let assembles = by == Digits::Apart || self.wait > digits::ASSEMBLY;
        assert!(assembles, "the digits come together while all tokens wait");
        let transfers = match by {
            Digits::Together | Digits::Copy => 1..=2,
            Digits::Apart => 2..=2,
            Digits::Relay => 3..=usize::MAX,
        };
        assert!(
            transfers.contains(&self.transfer),
            "the route of digits transfers in {transfers:?} layers"
        );
    }

    /// All weights by name, norms as matrices of one row.
    fn tensors(
        &self,
        vocabulary: &[String],
        wording: &Wording,
        names: &WeightNames,
    ) -> Vec<(String, Array2<f64>)> {
        let ones = || Array2::ones((1, self.stream().channels));
        let (embed, unembed) = self.tables(vocabulary, wording);
        let mut tensors = vec![
            (names.embed.clone(), embed),
            (names.unembed.clone(), unembed),
            (names.final_norm.weight.clone(), ones()),
        ];
        for (layer, names) in self.circuit().into_iter().zip(&names.layers) {
            let norms = [&names.attn_norm, &names.mlp_norm].into_iter().flatten();
            tensors.extend(norms.map(|norm| (norm.weight.clone(), ones())));
            let gate = names.gate.as_ref().map(|gate| (gate, layer.gate));
            let maps = [
                (&names.query, layer.query),
                (&names.key, layer.key),
                (&names.value, layer.value),
                (&names.output, layer.output),
                (&names.up, layer.up),
                (&names.down, layer.down),
            ];
            let maps = maps.into_iter().chain(gate);
            tensors.extend(maps.map(|(names, matrix)| (names.weight.clone(), matrix)));
        }
        tensors
    }
}
