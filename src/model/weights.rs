//! Where a model's weights lie: in safetensors files, one or sharded, never read as a whole; or in a GGUF file, widened when they are asked
//! for.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::tensor::{Metadata, TensorInfo, View};
use safetensors::{SafeTensors, serialize_to_file};
use serde::Deserialize;

use super::widened::Widened;
use super::written::{Content, Written};
use crate::disk::check_room;
use crate::file::text_at_most;
use crate::graph::{Dtype, Graph, Weight};
use crate::interrupt::interrupted;
use crate::{Error, Result};

/// Types of stored weights that a graph can refer to.
const READABLE: &str = "F32, F16, BF16";

/// The file of weights that are not sharded.
const WHOLE: &str = "model.safetensors";

/// An index of shards has at most so many bytes.
const MOST_INDEX: u64 = 256 << 20;

/// A tensor in a file.
#[derive(Clone, Debug)]
struct Stored {
    file: usize,
    dtype: safetensors::Dtype,
    shape: Vec<usize>,
    offset: u64,
    length: u64,
}

/// Where a session finds the bytes that a graph's weights refer to.
#[derive(Clone, Debug)]
pub enum Store {
    /// The files of a folder.
    Folder(PathBuf),
    /// A GGUF file, by the names of the weights.
    Widened(Arc<Widened>),
}

impl From<&Path> for Store {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl From<&Store> for Store {
    fn from(store: &Store) -> Self {
        store.clone()
    }
}

/// The tensors of a model by name, as references into the safetensors files of one folder. Those of a GGUF file are references into
/// the safetensors file that [`Self::write`] makes of it.
#[derive(Clone, Debug)]
pub struct Weights {
    folder: PathBuf,
    /// Name in the folder, and the file that it is when links are followed.
    files: Vec<(String, PathBuf)>,
    tensors: BTreeMap<String, Stored>,
    /// Where they come from if there is no such file yet.
    widened: Option<Arc<Widened>>,
}

/// `model.safetensors.index.json` as Hugging Face writes it.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    /// Reads the headers of `model.safetensors`, or of the shards that `model.safetensors.index.json` names.
    ///
    /// # Errors
    /// A missing, truncated or malformed file; a tensor that the index promises and its shard lacks.
    pub fn open(folder: &Path) -> Result<Self> {
        let index = folder.join("model.safetensors.index.json");
        let mut weights = Self {
            folder: folder.to_owned(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
            widened: None,
        };
        if !index.is_file() {
            weights.add(WHOLE)?;
            return Ok(weights);
        }
        let text = text_at_most(&index, MOST_INDEX)
            .map_err(|e| Error::reading(&index, "index of weights", e))?;
        let Index { weight_map } =
            serde_json::from_str(&text).map_err(|e| malformed(&index, "index", e))?;
        let files: BTreeSet<&String> = weight_map.values().collect();
        for file in files {
            // A shard lies beside its index: a name that leaves the folder is not followed.
            if Path::new(file).components().count() != 1 || file.starts_with("..") {
                return Err(Error::Malformed {
                    path: index,
                    what: "index".to_owned(),
                    expected: "names of files beside the index".to_owned(),
                    found: format!("{file:?}"),
                });
            }
            weights.add(file)?;
        }
        for (name, file) in &weight_map {
            let found = weights.tensors.get(name);
            if found.is_none_or(|stored| &weights.files[stored.file].0 != file) {
                return Err(Error::Malformed {
                    path: folder.join(file),
                    what: "shard".to_owned(),
                    expected: format!("tensor {name:?}, as {} says", index.display()),
                    found: "no such tensor".to_owned(),
                });
            }
        }
        Ok(weights)
    }

    /// Reads the header of one safetensors file.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of_file(folder: &Path, file: &str) -> Result<Self> {
        let mut weights = Self {
            folder: folder.to_owned(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
            widened: None,
        };
        weights.add(file)?;
        Ok(weights)
    }

    /// No tensors yet of a model in a file.
    pub(super) fn none(file: &Path) -> Self {
        Self {
            folder: file.parent().map(Path::to_owned).unwrap_or_default(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
            widened: None,
        }
    }

    /// The tensors of a GGUF file, where they would lie in a safetensors file that holds them in f32: the graph of a model is the same
    /// before and after it is written.
    ///
    /// # Errors
    /// Tensors that are too large for such a file.
    pub(super) fn of_gguf(widened: Widened) -> Result<Self> {
        let mut infos = Vec::new();
        let mut at = 0;
        // Its writer sorts tensors of one type by their names, as the map does.
        for (name, shape) in widened.shapes() {
            let end = at + shape.iter().product::<usize>() * size_of::<f32>();
            let info = TensorInfo {
                dtype: safetensors::Dtype::F32,
                shape: shape.to_vec(),
                data_offsets: (at, end),
            };
            infos.push((name.to_owned(), info));
            at = end;
        }
        let path = widened.path().to_owned();
        let metadata = Metadata::new(None, infos.clone());
        let metadata = metadata.map_err(|e| malformed(&path, "tensors", e))?;
        let json = serde_json::to_string(&metadata).expect("it is plain data");
        let data = (8 + json.len().next_multiple_of(8)) as u64;
        let tensors = infos.into_iter().map(|(name, info)| {
            let (begin, end) = info.data_offsets;
            let stored = Stored {
                file: 0,
                dtype: info.dtype,
                shape: info.shape,
                offset: data + begin as u64,
                length: (end - begin) as u64,
            };
            (name, stored)
        });
        Ok(Self {
            folder: path.parent().map(Path::to_owned).unwrap_or_default(),
            tensors: tensors.collect(),
            files: vec![(WHOLE.to_owned(), path)],
            widened: Some(Arc::new(widened)),
        })
    }

    /// The GGUF file that they are widened from, if there is one: then a graph can refer to them after [`Self::write`] only.
    pub fn gguf(&self) -> Option<&Path> {
        self.widened.as_ref().map(|widened| widened.path())
    }

    /// Writes all tensors into one safetensors file at `path`, into which the references of a GGUF file's weights point.
    ///
    /// # Errors
    /// As [`Self::write_some`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let names = self.tensors.keys().map(String::as_str).collect();
        self.write_some(&names, &[], path)
    }

    /// Writes some of the tensors, as they are stored or widened, and some new ones into one safetensors file at `path`.
    ///
    /// # Errors
    /// A tensor that there is not; the files; an interrupt.
    pub fn write_some(
        &self,
        names: &BTreeSet<&str>,
        new: &[(String, ndarray::ArrayD<f32>)],
        path: &Path,
    ) -> Result<()> {
        let map = |(file, _): &(String, PathBuf)| {
            let path = self.folder.join(file);
            let handle = File::open(&path).map_err(|e| Error::reading(&path, "weights", e))?;
            // SAFETY: as in `add`; the maps are dropped before this function returns.
            unsafe { memmap2::Mmap::map(&handle) }.map_err(|e| Error::reading(&path, "weights", e))
        };
        let files = self.files.iter().filter(|_| self.widened.is_none());
        let maps = files.map(map).collect::<Result<Vec<_>>>()?;
        let failure = OnceCell::new();
        let mut views = Vec::new();
        for &name in names {
            let stored = self.tensors.get(name).ok_or_else(|| Error::Malformed {
                path: self.folder.clone(),
                what: "weights".to_owned(),
                expected: format!("tensor {name:?}"),
                found: "no such tensor".to_owned(),
            })?;
            let content = match &self.widened {
                Some(widened) => Content::Widened(widened, name, &failure),
                None => {
                    let range = stored.offset as usize..(stored.offset + stored.length) as usize;
                    Content::Mapped(&maps[stored.file][range])
                }
            };
            views.push((name, Written::new(stored.dtype, &stored.shape, content)));
        }
        for (name, x) in new {
            let written = Written::new(safetensors::Dtype::F32, x.shape(), Content::New(x));
            views.push((name, written));
        }
        let bytes = views.iter().map(|(_, view)| view.data_len() as u64).sum();
        let folder = path.parent().unwrap_or(Path::new(""));
        check_room(folder, bytes).map_err(|e| Error::writing(path, e))?;
        let end = serialize_to_file(views, None, path);
        if let Some(e) = failure.into_inner() {
            return Err(e);
        }
        interrupted()?;
        end.map_err(|e| match e {
            safetensors::SafeTensorError::IoError(e) => Error::writing(path, e),
            other => malformed(path, "weights", other),
        })
    }

    fn add(&mut self, file: &str) -> Result<()> {
        let path = self.folder.join(file);
        let handle = File::open(&path).map_err(|e| Error::reading(&path, "weights", e))?;
        let length = handle
            .metadata()
            .map_err(|e| Error::reading(&path, "weights", e))?
            .len();
        if length < 8 {
            return Err(Error::Truncated {
                path,
                expected: "a safetensors header of at least 8 bytes".to_owned(),
                found: format!("{length} bytes"),
            });
        }
        // SAFETY: the map is only read, and dropped before this function returns. A file that another process shortens
        // meanwhile would end this process, as for every memory-mapped file.
        let map = unsafe { memmap2::Mmap::map(&handle) }
            .map_err(|e| Error::reading(&path, "weights", e))?;
        let (header, metadata) =
            SafeTensors::read_metadata(&map).map_err(|e| self.header_error(&path, &map, e))?;
        let data = 8 + header as u64;
        let number = self.files.len();
        let real = path
            .canonicalize()
            .map_err(|e| Error::reading(&path, "weights", e))?;
        self.files.push((file.to_owned(), real));
        for (name, info) in metadata.tensors() {
            let (begin, end) = info.data_offsets;
            let stored = Stored {
                file: number,
                dtype: info.dtype,
                shape: info.shape.clone(),
                offset: data + begin as u64,
                length: (end - begin) as u64,
            };
            if self.tensors.insert(name.clone(), stored).is_some() {
                return Err(Error::Malformed {
                    path,
                    what: "shard".to_owned(),
                    expected: "every tensor in one shard only".to_owned(),
                    found: format!("{name:?} in two"),
                });
            }
        }
        Ok(())
    }

    /// Tells a file that ends too early from one that contradicts itself.
    fn header_error(&self, path: &Path, map: &[u8], error: safetensors::SafeTensorError) -> Error {
        let header = u64::from_le_bytes(map[..8].try_into().expect("at least 8 bytes were mapped"));
        let room = map.len() as u64 - 8;
        if header > room {
            return Error::Malformed {
                path: path.to_owned(),
                what: "safetensors header".to_owned(),
                expected: format!("a header that fits in the file of {} bytes", map.len()),
                found: format!("a header length of {header} bytes"),
            };
        }
        // The header is whole: if it promises more data than follows, the file is cut off.
        let promised = map
            .get(8..8 + header as usize)
            .and_then(|json| serde_json::from_slice::<serde_json::Value>(json).ok())
            .and_then(|json| {
                let tensors = json.as_object()?.values();
                tensors
                    .filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64())
                    .max()
            });
        match promised {
            Some(data) if data > room - header => Error::Truncated {
                path: path.to_owned(),
                expected: format!("{data} bytes of tensors after the header"),
                found: format!("{} bytes", room - header),
            },
            _ => malformed(path, "safetensors header", error),
        }
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A reference to the tensor `name`, which must have the shape `shape`.
    ///
    /// # Errors
    /// A tensor that is missing, has another shape, or a type that graphs cannot widen to f32.
    pub fn reference(&self, name: &str, shape: &[usize]) -> Result<Weight> {
        let stored = self.tensors.get(name).ok_or_else(|| Error::Malformed {
            path: self.folder.clone(),
            what: "weights".to_owned(),
            expected: format!("tensor {name:?} of shape {shape:?}, as config.json says"),
            found: "no such tensor".to_owned(),
        })?;
        let path = self.path(stored);
        if stored.shape != shape {
            return Err(Error::Malformed {
                path,
                what: format!("tensor {name:?}"),
                expected: format!("shape {shape:?}, as config.json says"),
                found: format!("shape {:?}", stored.shape),
            });
        }
        let dtype = match stored.dtype {
            safetensors::Dtype::F32 => Dtype::F32,
            safetensors::Dtype::F16 => Dtype::F16,
            safetensors::Dtype::BF16 => Dtype::Bf16,
            other => {
                return Err(Error::UnsupportedTensorType {
                    path,
                    tensor: name.to_owned(),
                    found: format!("{other:?}"),
                    supported: READABLE.to_owned(),
                });
            }
        };
        Ok(Weight {
            name: name.to_owned(),
            dtype,
            shape: stored.shape.clone(),
            file: self.files[stored.file].0.clone(),
            offset: stored.offset,
            length: stored.length,
        })
    }

    fn path(&self, stored: &Stored) -> PathBuf {
        if let Some(widened) = &self.widened {
            return widened.path().to_owned();
        }
        self.folder.join(&self.files[stored.file].0)
    }

    /// Checks that a graph refers to every tensor: a weight that it does not know (a bias, say) would make the model
    /// another one. `ignored` tells tensors that are not weights.
    ///
    /// # Errors
    /// The first tensor that the graph passes over.
    pub fn check_all_used(&self, graph: &Graph, ignored: impl Fn(&str) -> bool) -> Result<()> {
        let used: HashSet<&str> = graph
            .weights
            .iter()
            .map(|weight| weight.name.as_str())
            .collect();
        let mut tensors = self.tensors.iter();
        match tensors.find(|(name, _)| !used.contains(name.as_str()) && !ignored(name)) {
            None => Ok(()),
            Some((name, stored)) => Err(Error::UnsupportedModel {
                path: self.path(stored),
                field: name.clone(),
                found: "a weight that this architecture does not have".to_owned(),
                supported: "the weights of its architecture, without adapters".to_owned(),
            }),
        }
    }

    /// The same graph with the real names of its weight files, and what holds them: the runtime does not follow links out of a folder,
    /// and a download cache consists of such links.
    ///
    /// # Errors
    /// Shards that lie in different folders.
    pub fn resolve(&self, graph: &Graph) -> Result<(Graph, Store)> {
        if let Some(widened) = &self.widened {
            return Ok((graph.clone(), Store::Widened(widened.clone())));
        }
        let folders: BTreeSet<&Path> = self
            .files
            .iter()
            .filter_map(|(_, real)| real.parent())
            .collect();
        let mut folders = folders.into_iter();
        let (Some(folder), None) = (folders.next(), folders.next()) else {
            return Err(Error::Malformed {
                path: self.folder.clone(),
                what: "weights".to_owned(),
                expected: "shards that lie in one folder when links are followed".to_owned(),
                found: "several folders; copy the shards into one".to_owned(),
            });
        };
        let mut graph = graph.clone();
        for weight in &mut graph.weights {
            let file = self.files.iter().find(|(name, _)| *name == weight.file);
            if let Some(real) = file.and_then(|(_, real)| real.file_name()) {
                weight.file = real.to_string_lossy().into_owned();
            }
        }
        Ok((graph, folder.into()))
    }

    /// The folder that holds the files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The bytes of all tensors, as they are stored or widened.
    pub fn bytes(&self) -> u64 {
        self.tensors.values().map(|stored| stored.length).sum()
    }

    /// The files, in the order of their names; a GGUF file has the name of the file that can be made of it.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.files.iter().map(|(file, _)| self.folder.join(file))
    }

    /// The element types that occur, with the number of tensors of each.
    pub fn dtypes(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for stored in self.tensors.values() {
            *counts.entry(format!("{:?}", stored.dtype)).or_insert(0) += 1;
        }
        counts
    }
}

fn malformed(path: &Path, what: &str, error: impl std::fmt::Display) -> Error {
    Error::Malformed {
        path: path.to_owned(),
        what: what.to_owned(),
        expected: "the safetensors format".to_owned(),
        found: error.to_string(),
    }
}
