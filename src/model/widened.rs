//! The weights of a GGUF file as f32, made in memory when a session takes them, so that the disk and the memory hold a model
//! once at most.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread::{available_parallelism, scope};

use super::dequantise::GgmlType;
use super::gguf::{Gguf, TensorInfo};
use crate::{Error, Result};

/// Tensors of a GGUF file under the names, with the rows in the order, and in the shapes of Hugging Face's layout.
#[derive(Debug)]
pub struct Widened {
    path: PathBuf,
    file: File,
    tensors: BTreeMap<String, Quantised>,
}

/// A tensor as the file has it.
#[derive(Clone, Debug)]
struct Quantised {
    kind: GgmlType,
    /// The place of the first byte in the file.
    offset: usize,
    /// Bytes of a row.
    row_bytes: usize,
    /// Rows and columns in the file.
    size: [usize; 2],
    /// In which order the rows lie.
    order: Rows,
    /// Whether the matrix is the file's transposed.
    transposed: bool,
    /// Whether the file has every weight with one added.
    one_more: bool,
    /// The shape in Hugging Face's layout.
    shape: Vec<usize>,
}

/// In which order a file has the rows of a matrix, or the weights of a bias, of attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// The order of Hugging Face.
    Same,
    /// The rows of each head as interleaved pairs `(0, 1), (2, 3), ...` of rotary dimensions, where Hugging Face has two halves.
    Interleaved {
        /// The number of heads.
        heads: usize,
    },
    /// Part after part, each with all heads: queries, keys, values. Hugging Face has head after head, each with all parts.
    PartAfterPart {
        /// The number of heads.
        heads: usize,
        /// The number of parts.
        parts: usize,
    },
}

impl Rows {
    /// Where the file keeps a row of Hugging Face's layout, of so many.
    fn in_file(self, row: usize, rows: usize) -> usize {
        match self {
            Self::Same => row,
            Self::Interleaved { heads } => {
                let d_head = rows / heads;
                let (head, within) = (row / d_head, row % d_head);
                let (half, pair) = (within / (d_head / 2), within % (d_head / 2));
                head * d_head + 2 * pair + half
            }
            Self::PartAfterPart { heads, parts } => {
                let d_head = rows / (heads * parts);
                let (head, within) = (row / (parts * d_head), row % (parts * d_head));
                let (part, within) = (within / d_head, within % d_head);
                (part * heads + head) * d_head + within
            }
        }
    }
}

/// A tensor that a model has: what it is called there and here, and how its rows lie.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// llama.cpp's name.
    pub theirs: String,
    /// Hugging Face's name.
    pub ours: String,
    /// The shape in the file, row-major.
    pub shape: Vec<usize>,
    /// In which order the file has the rows.
    pub rows: Rows,
    /// Whether Hugging Face's layout has the matrix transposed.
    pub transposed: bool,
    /// Whether the file has every weight with one added.
    pub one_more: bool,
}

/// How the weights of a matrix lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Row after row, as in the file.
    RowMajor,
    /// Column after column: the transposed matrix, row after row.
    ColumnMajor,
}

/// A tensor with fewer weights is widened by one thread.
const SMALL: usize = 1 << 16;

/// Rows that are transposed together: the weights of a column of these fill a line of the processor's cache.
const TILE: usize = 16;

/// Columns that are transposed together, at least; a whole number of all blocks that have fewer weights.
const STRIP: usize = 64;

impl Widened {
    /// The tensors that are wanted of a file, which has them in the shapes that are wanted.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape; the file cannot be opened again.
    pub fn new(gguf: &Gguf, wanted: Vec<Wanted>) -> Result<Self> {
        let path = gguf.path();
        let mut tensors = BTreeMap::new();
        for tensor in wanted {
            let found = gguf.tensors().get(&tensor.theirs);
            let found = found
                .filter(|info| info.shape == tensor.shape)
                .ok_or_else(|| {
                    let shape = found.map(|info| format!("shape {:?}", info.shape));
                    Error::Malformed {
                        path: path.to_owned(),
                        what: format!("tensor {:?}", tensor.theirs),
                        expected: format!("shape {:?}, as the metadata says", tensor.shape),
                        found: shape.unwrap_or("no such tensor".to_owned()),
                    }
                })?;
            let quantised = Quantised::new(found, &tensor).ok_or_else(|| {
                let supported = "F32, F16, BF16 for a bias of attention".to_owned();
                Error::UnsupportedTensorType {
                    path: path.to_owned(),
                    tensor: tensor.theirs,
                    found: found.ggml_type.name().to_owned(),
                    supported,
                }
            })?;
            tensors.insert(tensor.ours, quantised);
        }
        Ok(Self {
            file: File::open(path).map_err(|e| Error::reading(path, "GGUF file", e))?,
            path: path.to_owned(),
            tensors,
        })
    }

    /// The GGUF file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the tensors in Hugging Face's layout, sorted, and their shapes.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        let tensors = self.tensors.iter();
        tensors.map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice()))
    }

    /// Writes the weights of a tensor to `out`, which has room for exactly these. All cores take part.
    ///
    /// # Errors
    /// No such tensor; another length; a file that has become shorter or cannot be mapped.
    pub fn fill(&self, name: &str, layout: Layout, out: &mut [f32]) -> Result<()> {
        let tensor = self.tensors.get(name);
        let tensor = tensor.filter(|tensor| tensor.shape.iter().product::<usize>() == out.len());
        let tensor = tensor.ok_or_else(|| Error::Malformed {
            path: self.path.clone(),
            what: "weights".to_owned(),
            expected: format!("tensor {name:?} with {} weights", out.len()),
            found: "no such tensor".to_owned(),
        })?;
        if out.is_empty() {
            return Ok(());
        }
        let [rows, columns] = tensor.size;
        let bytes = self.bytes(tensor, rows)?;
        // The transposed matrix, row after row, is the file's column after column.
        let layout = match (layout, tensor.transposed) {
            (layout, false) => layout,
            (Layout::RowMajor, true) => Layout::ColumnMajor,
            (Layout::ColumnMajor, true) => Layout::RowMajor,
        };
        let threads = match out.len() < SMALL {
            true => 1,
            false => available_parallelism().map_or(1, usize::from),
        };
        // A thread's share of the rows, or of the columns by whole blocks.
        let (share, length) = match layout {
            Layout::RowMajor => {
                let share = rows.div_ceil(threads);
                (share, share * columns)
            }
            Layout::ColumnMajor => {
                let block = tensor.kind.block_len();
                let share = (columns / block).div_ceil(threads) * block;
                (share, share * rows)
            }
        };
        let widen = |at: usize, out: &mut [f32]| match layout {
            Layout::RowMajor => tensor.widen(&bytes, at * share, out),
            Layout::ColumnMajor => tensor.widen_columns(&bytes, at * share, rows, out),
        };
        scope(|scope| {
            let mut shares = out.chunks_mut(length).enumerate();
            // The last share is this thread's own.
            let own = shares.next_back();
            for (at, out) in shares {
                scope.spawn(move || widen(at, out));
            }
            if let Some((at, out)) = own {
                widen(at, out);
            }
        });
        if tensor.one_more {
            out.iter_mut().for_each(|weight| *weight -= 1.0);
        }
        Ok(())
    }

    /// The bytes of a tensor. The map lives as long as they are needed: the memory of a process counts what it has mapped and read.
    fn bytes(&self, tensor: &Quantised, rows: usize) -> Result<memmap2::Mmap> {
        let fail = |e| Error::reading(&self.path, "GGUF file", e);
        let length = rows * tensor.row_bytes;
        let end = (tensor.offset + length) as u64;
        let found = self.file.metadata().map_err(fail)?.len();
        if found < end {
            return Err(Error::Truncated {
                path: self.path.clone(),
                expected: format!("{end} bytes, as when it was opened"),
                found: format!("{found} bytes"),
            });
        }
        let mut options = memmap2::MmapOptions::new();
        options.offset(tensor.offset as u64).len(length);
        // SAFETY: the map is only read. A file that another process shortens meanwhile would end this process, as for every
        // memory-mapped file.
        unsafe { options.map(&self.file) }.map_err(fail)
    }
}

impl Quantised {
    /// A tensor that is wanted, as it was found in the shape that is wanted; nothing where its weights share blocks and have to change
    /// places.
    fn new(found: &TensorInfo, wanted: &Wanted) -> Option<Self> {
        let kind = found.ggml_type;
        let mut shape = wanted.shape.clone();
        // The weights of a bias change places as rows of one weight.
        let columns = match (wanted.rows, &shape[..]) {
            (Rows::Same, _) | (_, [_, _, ..]) => *shape.last()?,
            _ => 1,
        };
        if columns % kind.block_len() != 0 {
            return None;
        }
        let rows = shape.iter().product::<usize>() / columns;
        if wanted.transposed {
            shape.reverse();
        }
        Some(Self {
            kind,
            offset: found.bytes().start,
            row_bytes: columns / kind.block_len() * kind.block_bytes(),
            size: [rows, columns],
            order: wanted.rows,
            transposed: wanted.transposed,
            one_more: wanted.one_more,
            shape,
        })
    }

    /// Widens rows from `first` on, as many as `out` has room for.
    fn widen(&self, bytes: &[u8], first: usize, out: &mut [f32]) {
        let columns = self.size[1];
        let mut row = Vec::with_capacity(columns);
        for (at, out) in out.chunks_exact_mut(columns).enumerate() {
            let from = self.row_in_file(first + at) * self.row_bytes;
            row.clear();
            self.kind
                .widen_onto(&bytes[from..from + self.row_bytes], &mut row);
            out.copy_from_slice(&row);
        }
    }

    /// Widens columns from `first` on, which a block begins with, as many as `out` has room for; each has `rows` weights.
    fn widen_columns(&self, bytes: &[u8], first: usize, rows: usize, out: &mut [f32]) {
        let (block, block_bytes) = (self.kind.block_len(), self.kind.block_bytes());
        // Small blocks are taken several at once.
        let strip = block.max(STRIP);
        let mut tile = Vec::with_capacity(TILE * strip);
        for (at, columns) in out.chunks_mut(strip * rows).enumerate() {
            let width = columns.len() / rows;
            let offset = (first + at * strip) / block * block_bytes;
            let length = width / block * block_bytes;
            for start in (0..rows).step_by(TILE) {
                let end = rows.min(start + TILE);
                tile.clear();
                for row in start..end {
                    let from = self.row_in_file(row) * self.row_bytes + offset;
                    (self.kind).widen_onto(&bytes[from..from + length], &mut tile);
                }
                for (column, out) in columns.chunks_exact_mut(rows).enumerate() {
                    let weights = tile.iter().skip(column).step_by(width);
                    for (out, weight) in out[start..end].iter_mut().zip(weights) {
                        *out = *weight;
                    }
                }
            }
        }
    }

    /// Where the file keeps a row of Hugging Face's layout.
    fn row_in_file(&self, row: usize) -> usize {
        self.order.in_file(row, self.size[0])
    }
}
