//! Tensors as they are written into a safetensors file, one in memory at a time.

use std::borrow::Cow;
use std::cell::OnceCell;

use safetensors::tensor::View;

use super::widened::{Layout, Widened};
use crate::Error;
use crate::interrupt::is_interrupted;

/// What a tensor is written from.
pub enum Content<'a> {
    /// A part of a file.
    Mapped(&'a [u8]),
    /// A GGUF file, by its name; where it cannot be read, the reason goes into the cell.
    Widened(&'a Widened, &'a str, &'a OnceCell<Error>),
    /// An array in memory.
    New(&'a ndarray::ArrayD<f32>),
}

/// A tensor that is written.
pub struct Written<'a> {
    dtype: safetensors::Dtype,
    shape: &'a [usize],
    content: Content<'a>,
}

impl<'a> Written<'a> {
    /// A tensor of that type and shape.
    pub fn new(dtype: safetensors::Dtype, shape: &'a [usize], content: Content<'a>) -> Self {
        Self {
            dtype,
            shape,
            content,
        }
    }
}

impl View for Written<'_> {
    fn dtype(&self) -> safetensors::Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data_len(&self) -> usize {
        match self.content {
            Content::Mapped(bytes) => bytes.len(),
            _ => self.shape.iter().product::<usize>() * size_of::<f32>(),
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = |x: &mut dyn Iterator<Item = f32>| x.flat_map(f32::to_le_bytes).collect();
        match &self.content {
            Content::Mapped(bytes) => Cow::Borrowed(bytes),
            Content::New(x) => Cow::Owned(bytes(&mut x.iter().copied())),
            // The file is given up: its writer cannot be told, but it need not be kept busy.
            Content::Widened(..) if is_interrupted() => Cow::Borrowed(&[]),
            Content::Widened(widened, name, failure) => {
                let mut weights = vec![0.0; self.shape.iter().product()];
                if let Err(e) = widened.fill(name, Layout::RowMajor, &mut weights) {
                    let _ = failure.set(e);
                    return Cow::Borrowed(&[]);
                }
                Cow::Owned(bytes(&mut weights.into_iter()))
            }
        }
    }
}
