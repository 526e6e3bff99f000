//! A model whose graph another program wrote: an ONNX file, the files of its weights, and a manifest of what its values are called.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Sizes;
use super::files::{folder, hash_of};
use crate::fetch::Cache;
use crate::file::{Sha256, bytes_at_most, text_at_most};
use crate::graph::Graph;
use crate::graph::foreign::{Findings, Foreign, Manifest};
use crate::{Error, Result};

/// No message of protobuf is larger: an ONNX file has at most so many bytes, and its weights may lie beside it.
const MOST_GRAPH: u64 = (2 << 30) - 1;

/// A manifest has at most so many bytes.
const MOST_MANIFEST: u64 = 1 << 20;

/// An ONNX file with its manifest, the file of the same name that ends in `.toml`, if there is one.
pub struct GraphFile {
    path: PathBuf,
    manifest_path: Option<PathBuf>,
    manifest: Manifest,
    foreign: Foreign,
    /// What it is, and what does not keep the contract.
    pub found: Findings,
}

impl GraphFile {
    /// Reads and checks it.
    ///
    /// # Errors
    /// Files that cannot be read or are malformed; violations of the contract are no error here.
    pub fn open(path: &Path) -> Result<Self> {
        let beside = path.with_extension("toml");
        let manifest_path = beside.is_file().then_some(beside);
        let manifest = manifest_path.as_deref().map(read_manifest).transpose()?;
        let manifest = manifest.unwrap_or_default();
        let bytes =
            bytes_at_most(path, MOST_GRAPH).map_err(|e| Error::reading(path, "ONNX graph", e))?;
        let foreign = Foreign::decode(bytes).map_err(|reason| Error::Malformed {
            path: path.to_owned(),
            what: "ONNX graph".to_owned(),
            expected: "the ONNX format".to_owned(),
            found: reason,
        })?;
        Ok(Self {
            found: foreign.check(folder(path), &manifest),
            path: path.to_owned(),
            manifest_path,
            manifest,
            foreign,
        })
    }

    /// The manifest's path, if there is one.
    pub fn manifest(&self) -> Option<&Path> {
        self.manifest_path.as_deref()
    }

    /// The error that says that it does not keep the contract, if it does not.
    ///
    /// # Errors
    /// The error that says so.
    pub fn kept(&self) -> Result<()> {
        let Some(first) = self.found.violations.first() else {
            return Ok(());
        };
        let (count, at) = (self.found.violations.len(), &first.at);
        Err(Error::UnsupportedModel {
            path: self.path.clone(),
            field: "contract".to_owned(),
            found: format!("violated {count} times, first at {at}: {}", first.found),
            supported: "a graph that keeps it (onnx/CONTRACT.md); `af1 inspect FILE.onnx` lists every violation with what to do"
                .to_owned(),
        })
    }

    /// The SHA-256 of the list of the hashes of the graph, the weights and the manifest.
    pub(super) fn hash(&self, cache: &Cache) -> Result<Sha256> {
        let mut paths = vec![self.path.clone()];
        let weights = self.foreign.files().into_iter();
        paths.extend(weights.map(|file| folder(&self.path).join(file)));
        paths.extend(self.manifest_path.clone());
        hash_of(paths, cache)
    }

    /// The graph as experiments run it, with the folder of its weights, and its sizes.
    ///
    /// # Errors
    /// As [`Self::kept`].
    pub(super) fn adopt(&self) -> Result<(Graph, PathBuf, Sizes)> {
        self.kept()?;
        let found = &self.found;
        let size = |stated: Option<i64>| stated.unwrap_or_default() as usize;
        let sizes = Sizes {
            layers: found.layers,
            d_model: size(found.d_model),
            heads: size(found.heads),
            d_mlp: None,
            vocab: size(found.vocab),
            context: self.manifest.context,
        };
        let mut graph = self.foreign.adopt(&self.manifest, found);
        // The runtime does not follow links out of a folder, and a download cache consists of such links.
        let here = folder(&self.path);
        let real = |path: &Path| {
            std::fs::canonicalize(path).map_err(|e| Error::reading(path, "weights", e))
        };
        let mut files = BTreeMap::new();
        for file in self.foreign.files() {
            files.insert(file, real(&here.join(file))?);
        }
        let folders: BTreeSet<&Path> = files.values().map(|path| folder(path)).collect();
        let mut folders = folders.into_iter();
        let linked = match (folders.next(), folders.next()) {
            (Some(one), None) => one.to_owned(),
            _ => return Ok((graph, real(here)?, sizes)),
        };
        for tensor in &mut graph.given {
            tensor.rename_file(|file| {
                let name = files.get(file)?.file_name()?;
                Some(name.to_string_lossy().into_owned())
            });
        }
        Ok((graph, linked, sizes))
    }
}

fn read_manifest(path: &Path) -> Result<Manifest> {
    let what = "manifest";
    let text = text_at_most(path, MOST_MANIFEST).map_err(|e| Error::reading(path, what, e))?;
    let malformed = |found: String| Error::Malformed {
        path: path.to_owned(),
        what: what.to_owned(),
        expected: format!(
            "heads and context, numbers above 0, and a table [names] with any of {}, with {{l}} where each layer has one",
            Manifest::VALUES.join(", ")
        ),
        found,
    };
    let manifest: Manifest = toml::from_str(&text).map_err(|e| malformed(e.to_string()))?;
    match manifest.fault() {
        Some(entry) => Err(malformed(entry)),
        None => Ok(manifest),
    }
}
