//! The way from a GGUF file to a model in Hugging Face's layout, in f32.

mod tensors;
mod tokenizer;

use std::path::Path;

use serde_json::{Value, json};

use self::tensors::weights;
use self::tokenizer::{add_chat, adds_bos, bos_id, tokenizer};
use super::check::unsupported;
use super::family::architecture::{Architecture, Configuration, Description, InGguf};
use super::family::{in_gguf, quoted};
use super::gguf::{self, Gguf};
use super::keys::Keys;
use super::names::WeightNames;
use super::{ModelSpec, Weights};
use crate::prompt::Tokenizer;
use crate::{Error, Result};

/// What a GGUF file says, as the files of a Hugging Face folder would say it.
pub struct Converted {
    /// `config.json`.
    pub config: Value,
    /// The shape that it describes.
    pub spec: ModelSpec,
    /// The token that begins a sequence, if the file names one.
    pub bos: Option<u32>,
    /// What the weights are called.
    pub names: WeightNames,
    /// The weights, which are widened when they are asked for.
    pub weights: Weights,
    /// `tokenizer.json`.
    pub tokenizer: Tokenizer,
    /// `tokenizer_config.json`.
    pub tokenizer_config: Value,
}

impl Converted {
    /// Reads all but the weights of a file, and checks that these have the names and shapes of its architecture.
    ///
    /// # Errors
    /// What is not supported or contradicts itself.
    pub fn read(gguf: &Gguf) -> Result<Self> {
        let (family, kept) = family(gguf)?;
        let mut config = (kept.config)(&Keys::new(gguf, kept.architecture))?;
        config["model_type"] = json!(family.name());
        config["architectures"] = json!([kept.class]);
        config["bos_token_id"] = json!(bos_id(gguf)?);
        let said = Configuration {
            path: gguf.path(),
            text: &config.to_string(),
        };
        let none = Weights::none(gguf.path());
        let Description { spec, bos, names } = family.describe(&said, &none)?;
        let (tokenizer, bos_token) = tokenizer(gguf)?;
        let (add, rule) = adds_bos(gguf);
        let mut tokenizer_config =
            json!({ "bos_token": bos_token, "add_bos_token": add, "rule": rule });
        add_chat(gguf, &mut tokenizer_config);
        Ok(Self {
            weights: weights(gguf, &spec, &names, kept.interleaved)?,
            config,
            spec,
            bos,
            names,
            tokenizer,
            tokenizer_config,
        })
    }

    /// Writes `config.json`, `model.safetensors`, `tokenizer.json` and `tokenizer_config.json`.
    ///
    /// # Errors
    /// The files; an interrupt.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map_err(|e| Error::writing(&path, e))
        };
        let json = serde_json::to_vec_pretty(&self.config).expect("a configuration is plain data");
        write("config.json", &json)?;
        write("tokenizer.json", self.tokenizer.to_json().as_bytes())?;
        let json = self.tokenizer_config.to_string();
        write("tokenizer_config.json", json.as_bytes())?;
        self.weights.write(&folder.join("model.safetensors"))
    }
}

/// The family that a file is of, and how it is kept there.
fn family(gguf: &Gguf) -> Result<(&'static dyn Architecture, InGguf)> {
    let field = "general.architecture";
    let architecture = gguf.need(field, "a string", gguf::Value::as_str)?;
    let found = in_gguf().find(|(_, kept)| kept.architecture == architecture);
    found.ok_or_else(|| {
        let names = quoted(in_gguf().map(|(_, kept)| kept.architecture));
        let supported = format!("{names}; give the Hugging Face folder of others");
        unsupported(gguf.path(), field, format!("{architecture:?}"), &supported)
    })
}
