//! The metadata of one architecture in a GGUF file: each value is checked when it is read.

use std::path::Path;

use super::check::{check_head, check_sizes, even_share, unsupported};
use super::gguf::{ADVICE, Gguf, Value};
use crate::{Error, Result};

/// The metadata of one architecture, whose name stands before every key.
pub struct Keys<'a> {
    gguf: &'a Gguf,
    architecture: &'static str,
}

/// The sizes that every architecture has.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Number of layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub d_head: usize,
    /// How many dimensions of a head are rotated.
    pub rotated: usize,
    /// Width of the MLP.
    pub d_mlp: usize,
    /// Number of tokens.
    pub vocab: usize,
    /// Longest prompt.
    pub context: usize,
}

impl<'a> Keys<'a> {
    /// The metadata of an architecture in a file.
    pub fn new(gguf: &'a Gguf, architecture: &'static str) -> Self {
        Self { gguf, architecture }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.gguf.path()
    }

    /// The whole key.
    pub fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    /// Whether the file has a tensor of that name.
    pub fn has(&self, tensor: &str) -> bool {
        self.gguf.tensors().contains_key(tensor)
    }

    /// The weights of a tensor, `[n] f32`, if there are so many of them.
    pub fn vector(&self, tensor: &str, n: usize) -> Option<Vec<f32>> {
        let info = self.gguf.tensors().get(tensor)?;
        (info.shape == [n]).then(|| self.gguf.widen(tensor))
    }

    /// The value of a key, where the file has it.
    ///
    /// # Errors
    /// A value that is not what `read` takes.
    fn optional<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let key = self.key(name);
        match self.gguf.get(&key) {
            None => Ok(None),
            Some(_) => self.gguf.need(&key, expected, read).map(Some),
        }
    }

    /// A size, where the file has it.
    ///
    /// # Errors
    /// A value that is no size.
    pub fn size_if(&self, name: &str) -> Result<Option<usize>> {
        self.optional(name, "a size", Value::as_usize)
    }

    /// A number, where the file has it.
    ///
    /// # Errors
    /// A value that is no number.
    pub fn number_if(&self, name: &str) -> Result<Option<f64>> {
        self.optional(name, "a finite number", finite)
    }

    /// A truth value, where the file has it.
    ///
    /// # Errors
    /// Another value.
    pub fn flag_if(&self, name: &str) -> Result<Option<bool>> {
        self.optional(name, "a truth value", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    /// A word, where the file has it.
    ///
    /// # Errors
    /// A value that is no string.
    pub fn word_if(&self, name: &str) -> Result<Option<&'a str>> {
        self.optional(name, "a string", Value::as_str)
    }

    /// Which layers have a window: of every so many all but the last, where the file has a number, or those that it lists.
    ///
    /// # Errors
    /// A list that is not as long as there are layers; any other value.
    pub fn pattern(&self, name: &str, layers: usize, period: usize) -> Result<Vec<bool>> {
        let key = self.key(name);
        let of = |period: usize| (0..layers).map(move |layer| (layer + 1) % period.max(1) != 0);
        match self.gguf.get(&key) {
            None => Ok(of(period).collect()),
            Some(Value::Int(period)) if (1..=1 << 24).contains(period) => {
                Ok(of(*period as usize).collect())
            }
            Some(_) => {
                let expected =
                    format!("a number from 1 on, or a truth value for each of {layers} layers");
                self.gguf.need(&key, &expected, |value| {
                    let flags = value.as_array()?.iter().map(|flag| match flag {
                        Value::Bool(flag) => Some(*flag),
                        _ => None,
                    });
                    let flags: Vec<bool> = flags.collect::<Option<_>>()?;
                    (flags.len() == layers).then_some(flags)
                })
            }
        }
    }

    /// A positive number, where the file has it.
    ///
    /// # Errors
    /// Any other value.
    pub fn positive_if(&self, name: &str) -> Result<Option<f64>> {
        self.optional(name, "a positive number", |value| {
            finite(value).filter(|number| *number > 0.0)
        })
    }

    /// The constant under the root of a norm.
    ///
    /// # Errors
    /// No such key; a value that is no number, or a negative one.
    pub fn epsilon(&self, name: &str) -> Result<f64> {
        (self.gguf).need(&self.key(name), "a number from 0 on", |value| {
            finite(value).filter(|number| *number >= 0.0)
        })
    }

    /// A size that has to be there.
    fn size(&self, name: &str) -> Result<usize> {
        self.gguf.need(&self.key(name), "a size", Value::as_usize)
    }

    /// The error for a key with such a value.
    pub fn refuse(&self, name: &str, found: impl ToString, supported: &str) -> Error {
        let supported = format!("{supported}; {ADVICE}");
        unsupported(self.path(), &self.key(name), found.to_string(), &supported)
    }

    /// Refuses a key whose value is not the one that it has to have, where the file has it.
    ///
    /// # Errors
    /// Another value.
    pub fn only(&self, name: &str, expected: f64) -> Result<()> {
        match self.number_if(name)? {
            Some(found) if found != expected => {
                Err(self.refuse(name, found, &expected.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// The number of tokens.
    ///
    /// # Errors
    /// No list of tokens; a number that is not that of the list.
    fn vocab(&self) -> Result<usize> {
        let tokens = "tokenizer.ggml.tokens";
        let tokens = self.gguf.need(tokens, "an array", Value::as_array)?.len();
        match self.size_if("vocab_size")? {
            Some(found) if found != tokens => {
                let expected = format!("{tokens}, as many as tokenizer.ggml.tokens has");
                Err(self.refuse("vocab_size", found, &expected))
            }
            _ => Ok(tokens),
        }
    }

    /// The sizes.
    ///
    /// # Errors
    /// A key that is missing, out of bounds or contradicts another one; what no architecture has here: experts, attention to what
    /// comes after a token.
    pub fn shape(&self) -> Result<Shape> {
        let heads = self.size("attention.head_count")?;
        let kv_heads = self.size_if("attention.head_count_kv")?.unwrap_or(heads);
        let layers = self.size("block_count")?;
        let d_model = self.size("embedding_length")?;
        let d_mlp = self.size("feed_forward_length")?;
        let context = self.size("context_length")?;
        let vocab = self.vocab()?;
        let key = |name: &str| self.key(name);
        let (block_count, d_model_key) = (key("block_count"), key("embedding_length"));
        let (heads_key, kv_key) = (key("attention.head_count"), key("attention.head_count_kv"));
        let sizes = [
            (d_model_key.as_str(), d_model),
            (&heads_key, heads),
            (&kv_key, kv_heads),
            (&key("feed_forward_length"), d_mlp),
            (&key("context_length"), context),
            ("tokenizer.ggml.tokens", vocab),
        ];
        check_sizes(self.path(), (&block_count, layers), &sizes)?;
        if !heads.is_multiple_of(kv_heads) {
            let expected = format!("a divisor of {heads_key}, {heads}");
            return Err(self.refuse("attention.head_count_kv", kv_heads, &expected));
        }
        let d_head = match self.size_if("attention.key_length")? {
            Some(d_head) => d_head,
            None => even_share(self.path(), (&d_model_key, d_model), (&heads_key, heads))?,
        };
        let rotated = self.size_if("rope.dimension_count")?.unwrap_or(d_head);
        let of_head = (key("attention.key_length"), key("rope.dimension_count"));
        check_head(self.path(), (&of_head.0, d_head), (&of_head.1, rotated))?;
        for name in [
            "attention.value_length",
            "attention.key_length_swa",
            "attention.value_length_swa",
        ] {
            self.only(name, d_head as f64)?;
        }
        self.only("rope.dimension_count_swa", rotated as f64)?;
        self.only("expert_count", 0.0)?;
        if self.flag_if("attention.causal")? == Some(false) {
            return Err(self.refuse("attention.causal", false, "true"));
        }
        Ok(Shape {
            layers,
            d_model,
            heads,
            kv_heads,
            d_head,
            rotated,
            d_mlp,
            vocab,
            context,
        })
    }
}

/// A number that is not infinite.
fn finite(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}
