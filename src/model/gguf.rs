//! Reading a GGUF file: metadata and tensor directory, with every size checked before it is used.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::dequantise::GgmlType;
use crate::{Error, Result};

/// A metadata value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any integer type.
    Int(i128),
    /// Any float type.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A string.
    String(String),
    /// An array of values of one type.
    Array(Vec<Value>),
}

/// A tensor in the file.
#[derive(Clone, Debug)]
pub struct TensorInfo {
    /// The shape in row-major order, `[rows, columns]` for a matrix (the file lists the axes in reverse).
    pub shape: Vec<usize>,
    /// How its weights are stored.
    pub ggml_type: GgmlType,
    /// Where its bytes begin in the file.
    offset: usize,
    /// How many bytes it has.
    length: usize,
}

impl TensorInfo {
    /// The place of the bytes in the file.
    pub(super) fn bytes(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.length
    }
}

/// An open GGUF file.
pub struct Gguf {
    path: PathBuf,
    map: memmap2::Mmap,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

const MAGIC: &[u8; 4] = b"GGUF";
const DEFAULT_ALIGNMENT: usize = 32;

impl Gguf {
    /// Opens a file and reads its directory; tensors are read when they are asked for.
    ///
    /// # Errors
    /// A file that is missing, not GGUF (versions 2 and 3), truncated, or holds a tensor of an unknown type.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::reading(path, "GGUF file", e))?;
        // SAFETY: the map is only read. A file that another process shortens meanwhile would end this process, as for
        // every memory-mapped file.
        let map = unsafe { memmap2::Mmap::map(&file) }
            .map_err(|e| Error::reading(path, "GGUF file", e))?;
        let mut cursor = Cursor {
            path,
            bytes: &map,
            at: 0,
        };
        if cursor.take(4, "the magic bytes \"GGUF\"")? != MAGIC {
            return Err(cursor.malformed("file", "a GGUF file", "other magic bytes"));
        }
        let version = cursor.u32("the version")?;
        if !(2..=3).contains(&version) {
            return Err(cursor.malformed("version", "GGUF version 2 or 3", &version.to_string()));
        }
        let tensor_count = cursor.u64("the number of tensors")?;
        let metadata_count = cursor.u64("the number of metadata entries")?;
        let mut metadata = BTreeMap::new();
        for _ in 0..metadata_count {
            let key = cursor.string("a metadata key")?;
            let kind = cursor.u32("a metadata type")?;
            let value = cursor.value(kind, &key, 0)?;
            metadata.insert(key, value);
        }
        let mut directory = Vec::new();
        for _ in 0..tensor_count {
            directory.push(cursor.tensor()?);
        }

        let alignment = match metadata.get("general.alignment") {
            None => DEFAULT_ALIGNMENT,
            Some(Value::Int(a)) if *a > 0 && *a <= 1 << 20 => *a as usize,
            Some(other) => {
                let found = format!("{other:?}");
                return Err(cursor.malformed("general.alignment", "a positive integer", &found));
            }
        };
        let data = cursor.at.next_multiple_of(alignment);
        let mut tensors = BTreeMap::new();
        for (name, shape, ggml_type, offset) in directory {
            let info = cursor.place(&name, shape, ggml_type, data, offset)?;
            if tensors.insert(name.clone(), info).is_some() {
                return Err(cursor.malformed("directory", "every tensor once", &name));
            }
        }
        Ok(Self {
            path: path.to_owned(),
            map,
            metadata,
            tensors,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// The weights of a tensor, row-major `f32`; empty for a name that is not in the file.
    pub fn widen(&self, name: &str) -> Vec<f32> {
        self.tensors.get(name).map_or_else(Vec::new, |info| {
            info.ggml_type.widen(&self.map[info.bytes()])
        })
    }

    /// A metadata value, if it is there.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// A metadata value that must be there and be what `read` accepts.
    ///
    /// # Errors
    /// A missing key or a value of another type.
    pub fn need<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T> {
        let value = self.get(key);
        value.and_then(read).ok_or_else(|| Error::Malformed {
            path: self.path.clone(),
            what: format!("metadata {key:?}"),
            expected: expected.to_owned(),
            found: match value {
                None => format!("no such key; {ADVICE}"),
                Some(value) => value.brief(),
            },
        })
    }
}

/// What to do about a file that contradicts itself.
pub const ADVICE: &str = "convert the model again, or give its Hugging Face folder";

impl Value {
    /// The value for people: an array may be long.
    fn brief(&self) -> String {
        match self {
            Self::Array(values) => format!("an array of {} values", values.len()),
            other => format!("{other:?}").chars().take(60).collect(),
        }
    }

    /// The value as a size.
    pub fn as_usize(&self) -> Option<usize> {
        match self {
            Self::Int(i) => usize::try_from(*i).ok(),
            _ => None,
        }
    }

    /// The value as a float; integers are converted.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(f) => Some(*f),
            Self::Int(i) => Some(*i as f64),
            _ => None,
        }
    }

    /// The value as a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The value as an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }
}

/// A position in the bytes of a file.
struct Cursor<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

type Entry = (String, Vec<usize>, GgmlType, u64);

impl<'a> Cursor<'a> {
    fn malformed(&self, what: &str, expected: &str, found: &str) -> Error {
        Error::Malformed {
            path: self.path.to_owned(),
            what: what.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }

    fn truncated(&self, expected: String) -> Error {
        Error::Truncated {
            path: self.path.to_owned(),
            expected,
            found: format!("a file of {} bytes", self.bytes.len()),
        }
    }

    fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8]> {
        let end = self
            .at
            .checked_add(count)
            .filter(|&end| end <= self.bytes.len());
        let end = end
            .ok_or_else(|| self.truncated(format!("{what} ({count} bytes) at byte {}", self.at)))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let bytes = self.take(N, what)?;
        Ok(bytes
            .try_into()
            .expect("take returns as many bytes as asked"))
    }

    fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A length that must fit in memory and, at one byte an element, in the file.
    fn length(&mut self, what: &str) -> Result<usize> {
        let length = self.u64(what)?;
        let room = (self.bytes.len() - self.at) as u64;
        if length > room {
            return Err(self.truncated(format!("{what} of {length} at byte {}", self.at)));
        }
        Ok(length as usize)
    }

    fn string(&mut self, what: &str) -> Result<String> {
        let length = self.length(what)?;
        let bytes = self.take(length, what)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| self.malformed(what, "UTF-8", "other bytes"))
    }

    fn value(&mut self, kind: u32, key: &str, depth: usize) -> Result<Value> {
        let what = format!("metadata {key:?}");
        Ok(match kind {
            0 => Value::Int(i128::from(self.array::<1>(&what)?[0])),
            1 => Value::Int(i128::from(i8::from_le_bytes(self.array(&what)?))),
            2 => Value::Int(i128::from(u16::from_le_bytes(self.array(&what)?))),
            3 => Value::Int(i128::from(i16::from_le_bytes(self.array(&what)?))),
            4 => Value::Int(i128::from(self.u32(&what)?)),
            5 => Value::Int(i128::from(i32::from_le_bytes(self.array(&what)?))),
            6 => Value::Float(f64::from(f32::from_le_bytes(self.array(&what)?))),
            7 => Value::Bool(self.array::<1>(&what)?[0] != 0),
            8 => Value::String(self.string(&what)?),
            9 if depth < 4 => {
                let kind = self.u32(&what)?;
                let length = self.length(&what)?;
                let mut values = Vec::new();
                for _ in 0..length {
                    values.push(self.value(kind, key, depth + 1)?);
                }
                Value::Array(values)
            }
            10 => Value::Int(i128::from(self.u64(&what)?)),
            11 => Value::Int(i128::from(i64::from_le_bytes(self.array(&what)?))),
            12 => Value::Float(f64::from_le_bytes(self.array(&what)?)),
            other => return Err(self.malformed(&what, "type 0 to 12", &other.to_string())),
        })
    }

    fn tensor(&mut self) -> Result<Entry> {
        let name = self.string("a tensor's name")?;
        let axes = self.u32("a tensor's number of axes")?;
        if axes == 0 || axes > 4 {
            let what = format!("tensor {name:?}");
            return Err(self.malformed(&what, "1 to 4 axes", &axes.to_string()));
        }
        let mut shape = Vec::new();
        for _ in 0..axes {
            shape.push(self.u64("a tensor's shape")? as usize);
        }
        shape.reverse();
        let number = self.u32("a tensor's type")?;
        let ggml_type =
            GgmlType::from_number(number).ok_or_else(|| Error::UnsupportedTensorType {
                path: self.path.to_owned(),
                tensor: name.clone(),
                found: format!("GGML type {number}"),
                supported: GgmlType::supported(),
            })?;
        let offset = self.u64("a tensor's offset")?;
        Ok((name, shape, ggml_type, offset))
    }

    /// Checks that a tensor lies within the file.
    fn place(
        &self,
        name: &str,
        shape: Vec<usize>,
        ggml_type: GgmlType,
        data: usize,
        offset: u64,
    ) -> Result<TensorInfo> {
        let what = format!("tensor {name:?}");
        let columns = *shape.last().expect("a tensor has at least one axis");
        if !columns.is_multiple_of(ggml_type.block_len()) {
            let expected = format!("rows of whole {} blocks", ggml_type.name());
            return Err(self.malformed(&what, &expected, &format!("shape {shape:?}")));
        }
        let length = shape
            .iter()
            .try_fold(1usize, |size, &axis| size.checked_mul(axis))
            .map(|weights| weights / ggml_type.block_len())
            .and_then(|blocks| blocks.checked_mul(ggml_type.block_bytes()))
            .ok_or_else(|| self.malformed(&what, "a size below 2^64", &format!("{shape:?}")))?;
        let begin = usize::try_from(offset)
            .ok()
            .and_then(|offset| data.checked_add(offset));
        let end = begin.and_then(|begin| begin.checked_add(length));
        match (begin, end) {
            (Some(offset), Some(end)) if end <= self.bytes.len() => Ok(TensorInfo {
                shape,
                ggml_type,
                offset,
                length,
            }),
            _ => Err(self.truncated(format!("{what} ({length} bytes) at byte {data} + {offset}"))),
        }
    }
}
