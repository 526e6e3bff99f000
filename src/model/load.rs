//! Loading a model by name or path.

use std::path::{Path, PathBuf};

use super::convert::Converted;
use super::family;
use super::family::architecture::Description;
use super::fetched::fetch;
use super::files::{file_name, folder, hash_of};
use super::gguf::Gguf;
use super::given::GraphFile;
use super::{Decoder, Preset, Sizes, Source, Store, Supply, Weights};
use crate::fetch::{Cache, HubModel};
use crate::file::Sha256;
use crate::graph::{Graph, Precision};
use crate::prompt::{Bos, Chat, Frame, Front, Rule, Stated, Template, Tokenizer};
use crate::suggest::did_you_mean;
use crate::{Error, Result};

/// Which beginning-of-sequence token the user wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BosChoice {
    /// The preset's, else what the tokenizer itself puts before a text.
    #[default]
    Default,
    /// No token at all.
    None,
    /// The token of that name.
    Token(String),
}

impl std::str::FromStr for BosChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "none" => Self::None,
            token => Self::Token(token.to_owned()),
        })
    }
}

/// A language model: its shape, weights and tokenizer.
#[derive(Debug)]
pub struct Model {
    /// The preset's name, or the name of the folder or file.
    pub name: String,
    /// The SHA-256 of the model: of the GGUF file, or of the list of the hashes of the configuration and the weights, or of the
    /// graph, the weights and the manifest.
    pub hash: Sha256,
    /// The sizes.
    pub sizes: Sizes,
    /// What the graph comes from.
    pub source: Source,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// What stands in front of every prompt.
    pub front: Front,
    /// What its files put around a user's message.
    pub chat: Chat,
    /// The name of its beginning-of-sequence token, whether that stands in front of prompts or not.
    pub named_bos: Option<String>,
    /// The precision in which it is computed.
    pub precision: Precision,
    /// The preset that it is.
    pub preset: Option<&'static Preset>,
}

/// How a model is loaded.
#[derive(Clone, Copy)]
struct How<'a> {
    bos: &'a BosChoice,
    cache: &'a Cache,
    check: &'a dyn Fn(&str, &Source) -> Result<()>,
}

/// What a model is put together from.
struct Pieces {
    name: String,
    sizes: Sizes,
    source: Source,
    tokenized: Tokenized,
    /// The token that begins a sequence, as the configuration says it.
    bos: Option<u32>,
    preset: Option<&'static Preset>,
}

impl Pieces {
    /// The model, with the beginning-of-sequence token that the user wants. Its hash, which takes long, is made last.
    fn assemble(self, choice: &BosChoice, hash: impl FnOnce() -> Result<Sha256>) -> Result<Model> {
        let Self {
            name,
            sizes,
            source,
            tokenized,
            bos,
            preset,
        } = self;
        let Tokenized {
            path,
            tokenizer,
            stated,
            chat,
        } = tokenized;
        let named = stated.bos_token.as_deref();
        check_tokenizer(&path, &tokenizer, sizes, named, bos)?;

        // A model may be called like another: what a preset says of that one holds only where it can.
        let preset = preset.filter(|preset| {
            let (wait, transfer) = preset.af1;
            preset.bos.is_none_or(|token| tokenizer.id(token).is_some())
                && wait + transfer <= sizes.layers
        });
        let of_config = || bos.and_then(|id| tokenizer.name(id));
        let named_bos = stated.bos_token.clone().or_else(of_config);
        let front = front(&tokenizer, &stated, preset, choice, &path)?;
        Ok(Model {
            name,
            hash: hash()?,
            sizes,
            source,
            tokenizer,
            front,
            chat,
            named_bos,
            precision: Precision::default(),
            preset,
        })
    }
}

/// A tokenizer with what the files beside it say.
struct Tokenized {
    /// The file that it is from.
    path: PathBuf,
    tokenizer: Tokenizer,
    stated: Stated,
    chat: Chat,
}

impl Model {
    /// Loads a built-in model by name, a Hugging Face folder or GGUF file by path, or a model of the Hugging Face hub by name
    /// (`owner/name`, `owner/name@revision`). What is not in the cache yet is fetched.
    ///
    /// # Errors
    /// An unknown name, a fetch that fails, files that are missing, broken, unsupported or do not belong together.
    pub fn load(reference: &str, bos: &BosChoice, cache: &Cache) -> Result<Self> {
        Self::load_if(reference, bos, cache, &|_, _| Ok(()))
    }

    /// As [`Self::load`], unless `check`, which is given the model's name and what its graph comes from, refuses: it is asked before the
    /// weights are read to the end, which takes long.
    ///
    /// # Errors
    /// As [`Self::load`]; what `check` says.
    pub fn load_if(
        reference: &str,
        bos: &BosChoice,
        cache: &Cache,
        check: &dyn Fn(&str, &Source) -> Result<()>,
    ) -> Result<Self> {
        let how = How { bos, cache, check };
        let path = Path::new(reference);
        if let Some(preset) = Preset::named(reference) {
            let name = preset.name.to_owned();
            return match &preset.supply {
                Supply::File(file) => {
                    let entry = fetch(preset, cache, false)?;
                    let hash = Sha256::known(file.sha256);
                    Self::from_gguf(&entry.path(file.name), &name, || Ok(hash), how)
                }
                Supply::Planted(_) => {
                    let entry = fetch(preset, cache, false)?;
                    Self::from_folder(entry.folder(), name, Some(preset), how)
                }
                Supply::Hub(id) => {
                    let folder = HubModel::main(id).folder(cache)?;
                    Self::from_folder(&folder, name, Some(preset), how)
                }
            };
        }
        if path.is_dir() {
            let name = file_name(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
            let preset = Preset::called(&name);
            return Self::from_folder(path, name, preset, how);
        }
        if path.is_file() {
            return match path.extension().and_then(|e| e.to_str()) {
                Some("gguf") => Self::from_gguf(path, &file_name(path), || cache.sha256(path), how),
                Some("onnx") => Self::from_graph(path, how),
                _ => Err(Error::UnsupportedModel {
                    path: path.to_owned(),
                    field: "file".to_owned(),
                    found: "of an unknown kind".to_owned(),
                    supported: "a .gguf file, an .onnx file, or the folder that holds config.json"
                        .to_owned(),
                }),
            };
        }
        if let Some(model) = HubModel::named(reference) {
            let folder = model.folder(cache)?;
            let preset = Preset::called(model.id());
            return Self::from_folder(&folder, model.id().to_owned(), preset, how);
        }
        // What looks like a path is one that is not there; what looks like a name is one that nobody knows.
        if reference.contains(std::path::is_separator)
            || path.extension().is_some_and(|e| e == "gguf" || e == "onnx")
        {
            return Err(Error::NotFound {
                what: "model",
                path: path.to_owned(),
                remedy: format!(
                    "give a Hugging Face folder, a .gguf or .onnx file, or one of the built-in names ({})",
                    Preset::names()
                ),
            });
        }
        Err(unknown(reference))
    }

    fn from_gguf(
        path: &Path,
        called: &str,
        hash: impl FnOnce() -> Result<Sha256>,
        how: How<'_>,
    ) -> Result<Self> {
        let Converted {
            config: _,
            spec,
            bos: bos_id,
            names,
            weights,
            tokenizer,
            tokenizer_config,
        } = Converted::read(&Gguf::open(path)?)?;
        let tokenized = Tokenized {
            path: path.to_owned(),
            tokenizer,
            chat: Chat::of_gguf(&tokenizer_config, path),
            stated: Stated::parse(tokenizer_config).expect("this program wrote it"),
        };
        let sizes = spec.sizes();
        let source = Source::decoder(spec, weights, names);
        (how.check)(called, &source)?;
        let hash = hash()?;
        let preset = Preset::of_file(hash.as_str());
        let name = preset.map_or_else(|| file_name(path), |preset| preset.name.to_owned());
        let pieces = Pieces {
            name,
            sizes,
            source,
            tokenized,
            bos: bos_id,
            preset,
        };
        pieces.assemble(how.bos, || Ok(hash))
    }

    fn from_folder(
        folder: &Path,
        name: String,
        preset: Option<&'static Preset>,
        how: How<'_>,
    ) -> Result<Self> {
        let config_path = folder.join("config.json");
        let weights = Weights::open(folder)?;
        let Description {
            spec,
            bos: bos_id,
            names,
        } = family::read(&config_path, &weights)?;
        let files: Vec<PathBuf> = std::iter::once(config_path)
            .chain(weights.files())
            .collect();
        let sizes = spec.sizes();
        let source = Source::decoder(spec, weights, names);
        (how.check)(&name, &source)?;
        let pieces = Pieces {
            name,
            sizes,
            source,
            tokenized: Tokenized::of_folder(folder)?,
            bos: bos_id,
            preset,
        };
        pieces.assemble(how.bos, || hash_of(files, how.cache))
    }

    /// A graph that another program wrote, with a tokenizer beside it.
    fn from_graph(path: &Path, how: How<'_>) -> Result<Self> {
        let file = GraphFile::open(path)?;
        let (graph, weights, sizes) = file.adopt()?;
        let folder = folder(path);
        let source = Source::Graph {
            graph: Box::new(graph),
            folder: weights,
        };
        let mut name = file_name(path);
        // What every exporter calls its file says nothing.
        if path.file_stem().is_some_and(|stem| stem == "model") {
            let of = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
            name = format!("{}/{name}", file_name(&of));
        }
        let pieces = Pieces {
            name,
            sizes,
            source,
            tokenized: Tokenized::of_folder(folder)?,
            bos: None,
            preset: None,
        };
        pieces.assemble(how.bos, || file.hash(how.cache))
    }

    /// Fetches a built-in model, whatever is in the cache.
    ///
    /// # Errors
    /// An unknown name; a fetch that fails. What was in the cache stays then.
    pub fn fetch_again(name: &str, cache: &Cache) -> Result<()> {
        let preset = Preset::named(name).ok_or_else(|| unknown(name))?;
        if let Supply::Hub(id) = &preset.supply {
            return HubModel::main(id).folder(cache).map(|_| ());
        }
        fetch(preset, cache, true).map(|_| ())
    }

    /// The id of the token in front of every prompt, if there is one.
    pub fn bos(&self) -> Option<u32> {
        self.front.bos.as_ref().map(|bos| bos.id)
    }

    /// A template as this model is asked it: with its chat template around the text, if the style wants that.
    ///
    /// # Errors
    /// As [`Chat::frame`]; a choice by the user of what stands in front, which a chat template writes itself.
    pub fn framed(&self, template: &Template) -> Result<Template> {
        match (&template.frame, self.front.rule) {
            (Frame::Wanted { .. }, Rule::Asked) => Err(Error::Chat {
                style: template.style.clone(),
                reason: "the chat template writes itself what stands in front of a prompt; leave out --bos, or take a style without \
                         chat = true"
                    .to_owned(),
            }),
            _ => self.chat.frame(template),
        }
    }

    /// The folder that holds its files.
    pub fn folder(&self) -> &Path {
        match &self.source {
            Source::Decoder(decoder) => decoder.weights.folder(),
            Source::Graph { folder, .. } => folder,
        }
    }

    /// What this program writes the graph of.
    ///
    /// # Errors
    /// A graph that another program wrote, which `what` cannot be done with.
    pub fn decoder(&self, what: &str) -> Result<&Decoder> {
        match &self.source {
            Source::Decoder(decoder) => Ok(decoder),
            Source::Graph { .. } => Err(Error::Usage(format!(
                "{what}: {} is a graph that another program wrote; give the model's folder or .gguf file",
                self.name
            ))),
        }
    }

    /// A graph of this model with the real names of its weight files, and what holds them.
    ///
    /// # Errors
    /// Shards that lie in different folders.
    pub fn resolve(&self, graph: &Graph) -> Result<(Graph, Store)> {
        match &self.source {
            Source::Decoder(decoder) => decoder.weights.resolve(graph),
            Source::Graph { folder, .. } => Ok((graph.clone(), folder.as_path().into())),
        }
    }

    /// Writes a model of a GGUF file as a folder in Hugging Face's layout, its weights in f32, as other programs read it.
    ///
    /// # Errors
    /// A model that is not of a GGUF file; files that cannot be written; an interrupt.
    pub fn write_folder(&self, folder: &Path) -> Result<()> {
        let weights = self.decoder("writing a folder").map(|of| &of.weights)?;
        let gguf = weights
            .gguf()
            .ok_or_else(|| Error::Usage(format!("{}: it is not of a GGUF file", self.name)))?;
        Converted::read(&Gguf::open(gguf)?)?.write(folder)
    }
}

/// What stands in front of every prompt: the user's choice, else the preset's, else the tokenizer's own.
fn front(
    tokenizer: &Tokenizer,
    stated: &Stated,
    preset: Option<&Preset>,
    choice: &BosChoice,
    path: &Path,
) -> Result<Front> {
    let of = |token: &str, rule: Rule| match tokenizer.id(token) {
        Some(id) => Ok(Front {
            bos: Some(Bos {
                token: token.to_owned(),
                id,
            }),
            rule,
        }),
        None => Err(Error::Usage(format!(
            "--bos {token:?}: no such token in {}; give the exact name of a token, or none",
            path.display()
        ))),
    };
    match (choice, preset.and_then(|preset| preset.bos)) {
        (BosChoice::None, _) => Ok(Front {
            bos: None,
            rule: Rule::Asked,
        }),
        (BosChoice::Token(token), _) => of(token, Rule::Asked),
        (BosChoice::Default, Some(token)) => of(token, Rule::Preset),
        (BosChoice::Default, None) => {
            Front::of_tokenizer(tokenizer, stated).map_err(|reason| Error::TokenizerMismatch {
                path: path.to_owned(),
                reason,
            })
        }
    }
}

impl Tokenized {
    /// What `tokenizer.json` and, where there is one, `tokenizer_config.json` say.
    fn of_folder(folder: &Path) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        Ok(Self {
            tokenizer: Tokenizer::read(&path)?,
            path,
            stated: Stated::read(folder)?,
            chat: Chat::of_folder(folder),
        })
    }
}

/// A tokenizer may have fewer tokens than the model, whose vocabulary is padded to a round number, but not many fewer.
const LEAST_COVERAGE: f64 = 0.9;

fn check_tokenizer(
    path: &Path,
    tokenizer: &Tokenizer,
    sizes: Sizes,
    named_bos: Option<&str>,
    bos_id: Option<u32>,
) -> Result<()> {
    let mismatch = |reason: String| Error::TokenizerMismatch {
        path: PathBuf::from(path),
        reason,
    };
    let tokens = tokenizer.len();
    if tokens > sizes.vocab || (tokens as f64) < LEAST_COVERAGE * sizes.vocab as f64 {
        return Err(mismatch(format!(
            "it has {tokens} tokens, the model's vocabulary {}",
            sizes.vocab
        )));
    }
    if let (Some(name), Some(expected)) = (named_bos, bos_id) {
        let found = tokenizer.id(name);
        if found != Some(expected) {
            let found = found.map_or("no token".to_owned(), |id| format!("token {id}"));
            return Err(mismatch(format!(
                "its beginning-of-sequence token {name:?} is {found}, config.json says {expected}"
            )));
        }
    }
    Ok(())
}

/// The error that nobody knows a model.
fn unknown(name: &str) -> Error {
    Error::UnknownModel {
        name: name.to_owned(),
        meant: did_you_mean(name, super::PRESETS.iter().map(|preset| preset.name)),
        known: Preset::names(),
    }
}
