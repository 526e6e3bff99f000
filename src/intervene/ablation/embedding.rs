//! Skipping the waiting layers: the embedding in place of `resid[W]`.

use super::{Ablation, Place, Source, Stream, Value};

/// `resid[0]`, as if the layers before the boundary did not exist.
pub struct Embedding;

impl Ablation for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn help(&self) -> &'static str {
        "The embedding: the waiting layers are skipped"
    }

    fn stream(&self) -> Stream {
        Stream::Embedding
    }

    fn keeps_embedding(&self) -> bool {
        true
    }

    fn value(&self, _: &Source<'_>, _: Place<'_>) -> Result<Value, String> {
        Ok(Value::Keep)
    }
}
